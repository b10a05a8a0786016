#!/usr/bin/env python3
"""Hits, and hits that are wrong, on streams of real questions; and what each guard costs.

usage: run.py [--seeds N] [--quiet] [--streams NAME,…] [--threshold P] [--build DIR]
              [--no-guards] [--dump DIR]

Needs the evaluation data: IBID_EVAL, or ../shared/eval beside the repository (exit status 77
without it), and the encoder model (IBID_MODEL_DIR). Builds what it needs in build/release, embeds
every text once (and keeps the vectors: remove build/bench/quality when the encoder has changed),
plays the streams through the decision at every threshold, and prints

- a line a stream: hit rate and error (wrong answers a request) at the shipped threshold, exact
  repeats among the hits, what an oracle would hit; beside it plain cosine with one threshold for all
  streams at the same worst error, and with a threshold tuned for the stream, at an error no larger;
- the curve over thresholds, and the same for one cosine threshold;
- a line a guard: of how many pairs it fired, how many of these really differ, and the share of all
  true pairs it loses; then the same of all guards, among pairs that would be hits without them.

Scratch files are kept in build/bench/quality. Standard library only."""
import argparse
import collections
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys

import streams

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build/bench/quality"
ROW = 384 * 4  # bytes of a vector

PAIRS = ["qqp", "snips_slots", "checklist", "query_variations"]
CLUSTERS = {"banking77": 4000, "clinc150": 4000, "snips": 4000, "stackfaq": 527, "qqp": 6000}
NEAR = 0.80  # pairs of clusters that are looked at: only these come near a hit


def clean(text):
    """One line, as embed_lines and the other tools read it."""
    return text.replace("\t", " ").replace("\r", " ").replace("\n", "\\n")


def read_jsonl(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def evaluation_folder():
    folder = pathlib.Path(os.environ.get("IBID_EVAL", ROOT / "../shared/eval")).resolve()
    if not (folder / "dev/clusters").exists():
        print("no evaluation data: set IBID_EVAL")
        sys.exit(77)
    return folder


def encoder_folder():
    models = os.environ.get("IBID_MODEL_DIR", "~/.cache/ibid/models")
    folder = pathlib.Path(models).expanduser() / "all-minilm-l6-v2"
    if not folder.exists():
        print("no encoder model: ibid models pull all-minilm-l6-v2")
        sys.exit(77)
    return folder


class Bench:
    def __init__(self, args):
        self.quiet = args.quiet
        self.eval = evaluation_folder()
        self.model = encoder_folder()
        self.build = pathlib.Path(args.build).resolve() if args.build else ROOT / "build/release"
        self.seeds = args.seeds
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self.row = {}
        self.vectors = SCRATCH / "texts.vectors"

    def say(self, text):
        if not self.quiet:
            print("... " + text, file=sys.stderr, flush=True)

    def make(self):
        self.say("building")
        if not (self.build / "build.ninja").exists():
            subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True,
                           stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "-C", str(self.build), "--quiet", "quality_simulate",
                        "quality_judge", "quality_embed"], check=True)

    def tool(self, name):
        return str(self.build / "bin" / ("quality_" + name))

    def stream(self, name, seed):
        """The requests of a stream, and the share an oracle would hit."""
        rows = streams.make(self.eval, name, seed)
        return [(c, clean(t)) for c, t in rows], streams.oracle(rows)[0]

    def pairs(self, name):
        rows = read_jsonl(self.eval / "dev/pairs" / (name + ".jsonl.gz"))
        flat = []
        for r in rows:
            flat += [(str(r["same"]), clean(r["q1"])), (str(r["same"]), clean(r["q2"]))]
        return flat

    def cluster(self, name, limit):
        rows = read_jsonl(self.eval / "dev/clusters" / (name + ".jsonl.gz"))
        step = max(1, len(rows) // limit)
        if name == "qqp":  # neighbours in the file are of one cluster
            rows = [r for r in rows if hash_of(r["cluster"]) % step == 0]
        else:
            rows = rows[::step]
        return [(r["cluster"], clean(r["text"])) for r in rows]

    def embed(self, sets):
        """Vectors of all texts; those of an earlier run by the same encoder are kept."""
        known = SCRATCH / "texts.txt"
        texts = known.read_text().split("\n")[:-1] if known.exists() else []
        if not self.vectors.exists() or self.vectors.stat().st_size != len(texts) * ROW:
            texts = []
            self.vectors.write_bytes(b"")
        self.row = {text: i for i, text in enumerate(texts)}
        fresh = sorted({text for rows in sets for _, text in rows} - self.row.keys())
        self.say("embedding %d texts, %d are known" % (len(fresh), len(texts)))
        with open(self.vectors, "ab") as out:
            subprocess.run([self.tool("embed"), str(self.model)], stdout=out, check=True,
                           input="".join(t + "\n" for t in fresh).encode())
        self.row.update((text, len(texts) + i) for i, text in enumerate(fresh))
        known.write_text("".join(t + "\n" for t in self.row))

    def run(self, tool, rows, *options):
        """A tool over some rows; its lines, split."""
        picked = SCRATCH / "picked.vectors"
        with open(self.vectors, "rb") as f, open(picked, "wb") as out:
            for _, text in rows:
                f.seek(self.row[text] * ROW)
                out.write(f.read(ROW))
        text = "".join("%s\t%s\n" % row for row in rows)
        done = subprocess.run([self.tool(tool), str(picked)] + list(options), input=text,
                              capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]


def hash_of(text):
    value = 0
    for c in text:
        value = (value * 31 + ord(c)) % 1000003
    return value


def shipped_threshold():
    table = (ROOT / "src/config/options_table.c").read_text()
    return float(re.search(r'"cache.threshold", cache.threshold, "([\d.]+)"', table).group(1))


def average(curves):
    """Curves of several seeds -> {(kind, threshold): (hit, wrong, exact, most wrong)}."""
    points = collections.defaultdict(list)
    for curve in curves:
        for kind, threshold, *values in curve:
            points[kind, float(threshold)].append([float(v) for v in values])
    return {key: tuple(sum(c) / len(c) for c in zip(*v)) + (max(x[1] for x in v),)
            for key, v in points.items()}


def cosine_at(curve, error):
    """The hit rate of the loosest cosine threshold whose error is not above `error`."""
    good = [v for (kind, _), v in curve.items() if kind == "cosine" and v[1] <= error]
    return max(v[0] for v in good) if good else 0


def one_cosine(curves, error):
    """The loosest cosine threshold with which no stream has a larger error."""
    thresholds = sorted({t for k, t in next(iter(curves.values())) if k == "cosine"})
    good = [t for t in thresholds if all(c["cosine", t][1] <= error for c in curves.values())]
    return good[0] if good else thresholds[-1]


def print_streams(curves, oracle, threshold):
    worst_error = max(c["p", threshold][1] for c in curves.values())
    one = one_cosine(curves, worst_error)
    print("Streams at threshold %.2f (means over seeds; error: wrong answers a request)\n" % threshold)
    print("| stream | hit | error | worst seed | exact only | oracle | cosine %.3f | its error "
          "| cosine tuned for this stream, at this error |" % one)
    print("|---" * 9 + "|")
    for name, curve in curves.items():
        hit, wrong, exact, worst = curve["p", threshold]
        print("| %s | %.3f | %.4f | %.4f | %.3f | %.3f | %.3f | %.4f | %.3f |"
              % ((name, hit, wrong, worst, exact, oracle[name]) + curve["cosine", one][:2]
                 + (cosine_at(curve, wrong),)))
    print("\ncosine %.3f: the loosest that on no stream is wrong more often than %.4f" % (one, worst_error))


def print_curve(curves, kind, thresholds):
    names = list(curves)
    print("\n%s: hit / error\n" % ("P(same)" if kind == "p" else "Plain cosine"))
    print("| threshold | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for t in thresholds:
        cells = ["%.3f / %.4f" % curves[n][kind, t][:2] for n in names]
        print("| %.3f | %s |" % (t, " | ".join(cells)))


def print_summary(curves):
    for kind, word in (("p", "P(same)"), ("cosine", "cosine")):
        for limit in (0.01, 0.007):
            keys = sorted({t for k, t in next(iter(curves.values())) if k == kind})
            good = [t for t in keys if all(c[kind, t][1] <= limit for c in curves.values())]
            if not good:
                print("one %s threshold, error <= %.1f %% everywhere: none" % (word, limit * 100))
                continue
            t = good[0]
            print("one %s threshold, error <= %.1f %% everywhere: %.3f: %s" % (
                word, limit * 100, t,
                "  ".join("%s %.3f" % (n, c[kind, t][0]) for n, c in curves.items())))


def print_guards(results, threshold):
    names = ["hit", "below_threshold", "below_floor", "no_candidate"]
    found = []
    for lines in results.values():
        for line in lines:
            if line[3] not in names and line[3] not in found:
                found.append(line[3])
    print("\nGuards: share of fired pairs that differ (number fired) / share of true pairs lost\n")
    print("| guard | " + " | ".join(results) + " |")
    print("|---" * (len(results) + 1) + "|")
    for guard in sorted(found) + ["all"]:
        cells = []
        for lines in results.values():
            same = sum(line[0] == "1" for line in lines)
            fired = [line[0] for line in lines
                     if line[3] == guard or (guard == "all" and line[3] not in names)]
            lost = sum(f == "1" for f in fired)
            cells.append("%.2f (%d) / %.4f" % (1 - lost / len(fired), len(fired),
                                              lost / max(1, same)) if fired else "-")
        print("| %s | %s |" % (guard, " | ".join(cells)))
    # What the guards do to pairs that would be hits without them.
    cells = []
    for lines in results.values():
        hits = [line for line in lines if float(line[2]) >= threshold]
        fired = [line[0] for line in hits if line[3] not in names]
        same = sum(line[0] == "1" for line in hits)
        lost = sum(f == "1" for f in fired)
        cells.append("%.2f (%d) / %.4f" % (1 - lost / len(fired), len(fired), lost / max(1, same))
                     if fired else "-")
    print("| all, of would-be hits | %s |" % " | ".join(cells))
    cells = ["%d / %d" % (sum(l[0] == "1" for l in lines), sum(l[0] == "0" for l in lines))
             for lines in results.values()]
    print("| same / different | %s |" % " | ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--streams", default=",".join(streams.STREAMS))
    parser.add_argument("--threshold", type=float, help="instead of the shipped one")
    parser.add_argument("--build", help="build folder")
    parser.add_argument("--no-guards", action="store_true", help="streams only")
    parser.add_argument("--dump", help="write every judged pair to this folder")
    args = parser.parse_args()
    threshold = args.threshold if args.threshold is not None else shipped_threshold()
    names = [n for n in args.streams.split(",") if n]
    bench = Bench(args)
    bench.make()
    bench.say("making %d streams" % (len(names) * args.seeds))
    played = {(n, s): bench.stream(n, s) for n in names for s in range(1, args.seeds + 1)}
    sets = {}
    if not args.no_guards:
        sets = {"%s pairs" % n: (bench.pairs(n), ("pairs",)) for n in PAIRS}
        sets.update({"%s >= %.2f" % (n, NEAR): (bench.cluster(n, limit), (str(NEAR),))
                     for n, limit in CLUSTERS.items()})
    bench.embed([s[0] for s in played.values()] + [s[0] for s in sets.values()])
    curves, oracle = {}, {}
    for n in names:
        bench.say("playing " + n)
        seeds = [played[n, s] for s in range(1, args.seeds + 1)]
        curves[n] = average([bench.run("simulate", rows) for rows, _ in seeds])
        oracle[n] = sum(o for _, o in seeds) / len(seeds)
    if curves:
        threshold = min({t for k, t in next(iter(curves.values())) if k == "p"},
                        key=lambda t: abs(t - threshold))
        print_streams(curves, oracle, threshold)
        print_curve(curves, "p", [.5, .6, .7, .75, .8, .85, .9, .95, .98])
        print_curve(curves, "cosine", [.85, .88, .9, .91, .92, .93, .94, .95, .96, .97, .98])
        print()
        print_summary(curves)
    results = {}
    for n, (rows, options) in sets.items():
        bench.say("judging " + n)
        more = ("texts",) if args.dump else ()
        results[n] = bench.run("judge", rows, *options, *more)
        if args.dump:
            out = pathlib.Path(args.dump)
            out.mkdir(parents=True, exist_ok=True)
            lines = "".join("\t".join(line) + "\n" for line in results[n])
            (out / (n.split()[0] + ("_pairs" if "pairs" in n else "") + ".tsv")).write_text(lines)
    if results:
        print_guards(results, threshold)


if __name__ == "__main__":
    main()
