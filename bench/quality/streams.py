"""Request streams made of clusters of questions, for the quality bench.

A cluster is a set of texts that one answer serves. A request is (cluster, text). Seeded: the same
arguments make the same stream.

once: every text once, shuffled. zipf: clusters return by their rank, P(rank) ~ rank^-alpha; a share
`exact` of the requests that return repeats an earlier text letter by letter, the others take one
not sent yet; a share `cold` is of clusters of one text, which never return."""
import bisect
import collections
import gzip
import itertools
import json
import random

ZIPF = dict(mode="zipf", alpha=0.9, exact=0.3)
STREAMS = {
    "open_once": dict(files=["qqp", "stackfaq"], mode="once", n=8000),
    "open_zipf": dict(files=["qqp", "stackfaq"], cold=0.3, n=8000, **ZIPF),
    "faq_once": dict(files=["stackfaq"], mode="once", n=5000),
    "desk_once": dict(files=["banking77", "clinc150_oos"], mode="once", n=5000),
    "desk_zipf": dict(files=["banking77", "clinc150_oos"], cold=0.02, n=5000, **ZIPF),
    "snips_zipf": dict(files=["snips"], cold=0.3, n=5000, **ZIPF),
}
# Long ones, of several kinds of traffic: together, one after the other, and by cluster.
PARTS = [("desk", dict(files=["banking77", "clinc150_oos"], cold=0.02, n=7000, **ZIPF)),
         ("open", dict(files=["qqp", "stackfaq"], cold=0.3, n=7000, **ZIPF)),
         ("snips", dict(files=["snips"], cold=0.3, n=3000, **ZIPF)),
         ("talk", dict(files=["clinc150"], mode="once", n=4000))]
LONG = ("long_shuffled", "long_drifting", "long_sorted")


def read(folder, files):
    clusters = collections.defaultdict(list)
    for name in files:
        with gzip.open(folder / "dev/clusters" / (name + ".jsonl.gz"), "rt", encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                clusters[row["cluster"]].append(row)
    return clusters


def shuffled_keys(clusters, rng):
    warm = sorted(k for k in clusters if len(clusters[k]) > 1)
    single = sorted(k for k in clusters if len(clusters[k]) == 1)
    rng.shuffle(warm)
    rng.shuffle(single)
    return warm, single


def once(clusters, n, rng):
    shuffled_keys(clusters, rng)  # only to draw as often as zipf does
    rows = sorted((r for texts in clusters.values() for r in texts), key=lambda r: r["id"])
    rng.shuffle(rows)
    return rows[:n]


def zipf(clusters, n, rng, alpha, exact, cold):
    warm, single = shuffled_keys(clusters, rng)
    weights = list(itertools.accumulate(1 / (i + 1) ** alpha for i in range(len(warm))))
    used, out = collections.defaultdict(list), []
    while len(out) < n:
        if single and rng.random() < cold:
            out.append(clusters[single.pop()][0])
            continue
        at = bisect.bisect(weights, rng.random() * weights[-1])
        key = warm[min(at, len(warm) - 1)]
        sent = used[key]
        if sent and (rng.random() < exact or len(sent) == len(clusters[key])):
            out.append(rng.choice(sent))
        else:
            out.append(clusters[key][len(sent)])
            sent.append(out[-1])
    return out


def one(folder, seed, files, mode, n, alpha=0.9, exact=0.3, cold=0.3):
    rng = random.Random(seed)
    clusters = read(folder, files)
    for texts in clusters.values():
        rng.shuffle(texts)
    rows = once(clusters, n, rng) if mode == "once" else zipf(clusters, n, rng, alpha, exact, cold)
    return [(r["cluster"], r["text"]) for r in rows]


def long(folder, seed, name):
    parts = [one(folder, seed, **options) for _, options in PARTS]
    rows = [row for part in parts for row in part]
    if name == "long_shuffled":
        random.Random(seed).shuffle(rows)
    elif name == "long_sorted":  # all requests of a cluster in a row
        order = sorted({cluster for cluster, _ in rows})
        random.Random(seed).shuffle(order)
        rank = {cluster: i for i, cluster in enumerate(order)}
        rows.sort(key=lambda row: rank[row[0]])
    return rows


def make(folder, name, seed):
    """The requests of a stream, in order, from the evaluation data in `folder`."""
    return long(folder, seed, name) if name in LONG else one(folder, seed, **STREAMS[name])


def oracle(rows):
    """The share of requests whose cluster was asked before, and of texts that were."""
    clusters, texts, hits, exact = set(), set(), 0, 0
    for cluster, text in rows:
        hits += cluster in clusters
        exact += text in texts
        clusters.add(cluster)
        texts.add(text)
    return hits / len(rows), exact / len(rows)
