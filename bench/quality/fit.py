#!/usr/bin/env python3
"""Fits P(same), the logistic of cache/decision.c, and says how far it is a probability.

usage: fit.py [--seeds N]

Needs what run.py needs, and numpy (~/.cache/ibid/venv/bin/python). Two steps, both only on data
whose licence permits it: BANKING77 (CC BY 4.0), CLINC150 (CC BY 3.0), SNIPS (CC0).

1. The weights, on near pairs: each text of the help desk sets, and of SNIPS, with its NEAREST
   nearest of the same sets from a cosine of LEAST on, that no guard refuses; the same when their
   labels are. Help desk and SNIPS weigh the same.
2. What a stream has is fewer of the same than that: slope and intercept are fitted anew on the
   candidates of desk_zipf and snips_zipf, with the weights that are set BY_HAND in place.

3. How much less a step of the log-odds says between SURE and a point below it than that, and which
   point: on all of the same streams' candidates, by the weights that are built in; then fitted on
   one seed and tried on the others, so that its error is not that of the data it was fitted to.

Then for every stream, those of the fit and those it never saw, what share of the candidates is
right where P says .8 to .9 and so on, by the P that is built in, and its calibration error; then
that of all streams together, each weighing the same. Beside what step 2 finds stands what is built in
(cache/decision.c); exit status 1 where the two differ by more than .02 in P.
The threshold is not fitted: run.py prints the curve."""
import argparse
import re
import sys
import types

import numpy as np

import run
import streams

LEAST = 0.80  # cosine of an observation
NEAREST = 16  # pairs of a text
NEAR = 0.96   # above it each step says more
EXCHANGED_MAX = 3.0
WORDS_MAX = 15
SETS = {"help desk": ["banking77", "clinc150", "clinc150_oos"], "SNIPS": ["snips"]}
STREAMS = ["desk_zipf", "snips_zipf"]
NAMES = ["cosine", "near", "exchanged", "words", "respelled", "substituted", "added"]
# Before the second step; why: cache/decision.c.
BY_HAND = {"words": 0.12, "respelled": -3.0, "substituted": -0.48, "added": -0.27}
SURE, UNSURE, STEP = 1.0986, -0.54, 0.65  # log-odds; cache/calibration.c
BARE, NAMES_OF_BOTH, REWORDED = 0.71, -0.8, 0.08
COMMON, STOPS, TROUBLE = 0.12, 0.36, -0.4  # the first at most of COMMON_MAX, the second of STOPS_MAX
COMMON_MAX, STOPS_MAX = 5.0, 1.5
APART_MAX = 0.02  # mean difference in P between what is found and what is built in
BINS = [0, .3, .6, .7, .8, .85, .9, .95, 1.01]


def near_pairs(bench, sets):
    """Pairs of a text and its nearest, as rows that `judge pairs` reads."""
    label = {}
    for name in sets:
        for cluster, text in bench.cluster(name, 1 << 30):
            label.setdefault(text, cluster)
    texts = list(label)
    all_vectors = np.memmap(bench.vectors, dtype=np.float32, mode="r").reshape(-1, run.ROW // 4)
    vectors = all_vectors[[bench.row[t] for t in texts]]
    rows = []
    for start in range(0, len(texts), 1000):
        cosines = vectors[start:start + 1000] @ vectors.T
        for i, row in enumerate(cosines, start):
            row[i] = -1
            for k in np.argpartition(-row, NEAREST)[:NEAREST]:
                if row[k] >= LEAST:
                    same = "1" if label[texts[i]] == label[texts[k]] else "0"
                    rows += [(same, texts[i]), (same, texts[k])]
    return rows


def features(lines, least=LEAST):
    """Of lines of `judge` of which no guard has doubts: inputs of the weights, what those by hand that the
    first step does not know add, whether it is the same."""
    v = np.array([[float(l[0]), float(l[1])] + [float(x) for x in l[5:12] + l[13:17]]
                  for l in lines if l[3] == "hit" and l[2] == l[12] and float(l[1]) >= least])
    same, cosine, exchanged, respelled, bare, words, names, substituted, added, common, stops, trouble, reworded = v.T
    x = np.c_[cosine, np.maximum(0, cosine - NEAR), np.minimum(exchanged, EXCHANGED_MAX),
              np.minimum(words, WORDS_MAX), respelled > 0, substituted, added]
    more = (BARE * bare + NAMES_OF_BOTH * names + COMMON * (substituted == 0) * np.minimum(common, COMMON_MAX) +
            STOPS * np.minimum(stops, STOPS_MAX) + TROUBLE * trouble + REWORDED * reworded)
    return x, more, same


def fit(sets, ridge=1e-4):
    """Weighted logistic regression by Newton's method: weights of x, then the intercept."""
    x = np.vstack([x for x, _ in sets])
    y = np.concatenate([y for _, y in sets])
    weight = np.concatenate([np.full(len(y), 1 / len(y)) for _, y in sets]) / len(sets)
    middle, scale = x.mean(0), x.std(0)
    z = np.c_[(x - middle) / scale, np.ones(len(x))]
    b = np.zeros(z.shape[1])
    penalty = np.r_[np.full(x.shape[1], ridge), 0]
    for _ in range(60):
        p = 1 / (1 + np.exp(-z @ b))
        slope = z.T @ (weight * (p - y)) + penalty * b
        curve = z.T @ (z * (weight * p * (1 - p))[:, None]) + np.diag(penalty)
        b -= np.linalg.solve(curve, slope)
    w = b[:-1] / scale
    return np.r_[w, b[-1] - (w * middle).sum()]


def built_in():
    """The weights in cache/decision.c, by their names there; "": the intercept."""
    text = (run.ROOT / "cache/decision.c").read_text()
    return {name: float(value) for name, value in
            re.findall(r"#define (?:WEIGHT_([A-Z]+)|(?=INTERCEPT)\w+) +\(?(-?[\d.]+)\)?", text)}


def print_difference(w, slope, candidates):
    """How far what was found is from what is built in; the mean difference in P, the intercept apart: that was
    moved by hand, so that commands stay below 1 % wrong."""
    b = built_in()
    mine = np.array([b[n] for n in "COSINE NEAR EXCHANGED WORD RESPELLED SUBSTITUTED ADDED".split()] + [b[""]])
    print("   built in:   " + "  ".join("%s %.3f" % v for v in zip(NAMES + ["intercept"], mine)) +
          "  bare %.3f  names %.3f  common %.3f  stops %.3f  trouble %.3f  reworded %.3f" % tuple(
              b[n] for n in "BARE NAMES COMMON STOPS TROUBLE REWORDED".split()))
    less = mine[-1] - w[-1]
    apart = []
    for (x, more, _) in candidates:
        found = x @ w[:-1] + w[-1] + less + slope * more
        # The weights by hand are `more` of the first step in both; what is built in rounds them.
        built = x @ mine[:-1] + mine[-1] + b["BARE"] / BARE * more
        apart.append(np.abs(1 / (1 + np.exp(-found)) - 1 / (1 + np.exp(-built))).mean())
    print("   mean difference in P of their candidates, the intercept (%+.2f) apart: %.4f (at most %.2f)" % (
        less, max(apart), APART_MAX))
    return max(apart)


def stream_pairs(bench, name, seeds):
    """Candidates of a stream that only serves exact repeats, as `judge pairs` reads them."""
    rows = []
    for seed in range(1, seeds + 1):
        stream = bench.stream(name, seed)[0]
        for line in bench.run("simulate", stream, "candidates"):
            first, second = stream[int(line[3])][1], stream[int(line[4])][1]
            rows += [(line[0], first), (line[0], second)]
    return rows


def calibrated(z, step, unsure):
    """As cache/calibration.c does."""
    between = SURE + step * (z - SURE)
    return np.where(z >= SURE, z, np.where(z < unsure, z + (1 - step) * (SURE - unsure), between))


def uncalibrated(p):
    """The log-odds that the built-in calibration made P of."""
    z = np.log(np.clip(p, 1e-6, 1 - 1e-6))
    z -= np.log1p(-np.clip(p, 1e-6, 1 - 1e-6))
    gain = (1 - STEP) * (SURE - UNSURE)
    return np.where(z >= SURE, z, np.where(z < UNSURE + gain, z - gain, SURE + (z - SURE) / STEP))


def fit_step(sets):
    """The step and the lower point with the least loss; each set weighs the same."""
    def loss(at):
        total = 0.0
        for z, y in sets:
            p = 1 / (1 + np.exp(-calibrated(z, *at)))
            total -= np.mean(np.log(np.clip(np.where(y == 1, p, 1 - p), 1e-9, 1)))
        return total
    return min(((step, unsure) for step in np.arange(0.3, 1.005, 0.05)
                for unsure in np.arange(-3, 0.01, 0.06)), key=loss)


def step_error(sets, at):
    """Calibration error of sets that weigh the same, with that step."""
    return calibration_error(np.concatenate([y for _, y in sets]),
                             np.concatenate([1 / (1 + np.exp(-calibrated(z, *at))) for z, _ in sets]),
                             np.concatenate([np.full(len(y), 1 / len(y)) for _, y in sets]))


def print_step(bench, played):
    """The third step; played: seeds of the streams of the fit."""
    seeds = []
    for several in zip(*(played[n] for n in STREAMS)):
        lines = [outcomes(bench.run("simulate", rows, "candidates"), 0) for rows in several]
        seeds.append([(uncalibrated(p), y) for y, p in lines])
    print("3. step between the points: %.2f, the lower point %.2f" % fit_step([s for one in seeds for s in one]))
    for i, one in enumerate(seeds):
        at = fit_step(one)
        others = [s for k, other in enumerate(seeds) if k != i for s in other]
        if others:
            print("   of seed %d alone: %.2f, %.2f; error on the other seeds %.3f" % ((i + 1,) + at + (step_error(others, at),)))


def calibration_error(y, p, weight):
    tenth = np.minimum((p * 10).astype(int), 9)
    return sum(abs((weight * (p - y))[tenth == i].sum()) for i in range(10)) / weight.sum()


def outcomes(lines, least):
    v = np.array([[float(x) for x in l[:3]] for l in lines])
    v = v[v[:, 1] >= least]
    return v[:, 0], v[:, 2]


def reliability(lines):
    y, p = outcomes(lines, LEAST)
    cells = []
    for low, high in zip(BINS, BINS[1:]):
        inside = (p >= low) & (p < high)
        if inside.sum() >= 20:
            cells.append("%.2f: %.2f (%d)" % (p[inside].mean(), y[inside].mean(), inside.sum()))
    return "error %.3f   %s" % (calibration_error(y, p, np.ones(len(p))), "  ".join(cells))


def pooled(all_lines, least):
    several = [outcomes(lines, least) for lines in all_lines]
    return calibration_error(np.concatenate([y for y, _ in several]), np.concatenate([p for _, p in several]),
                             np.concatenate([np.full(len(y), 1 / len(y)) for y, _ in several]))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    bench = run.Bench(types.SimpleNamespace(quiet=False, build=None, seeds=args.seeds))
    bench.make()
    played = {n: [bench.stream(n, s)[0] for s in range(1, args.seeds + 1)] for n in streams.STREAMS}
    bench.embed([rows for several in played.values() for rows in several] +
                [bench.cluster(n, 1 << 30) for names in SETS.values() for n in names])
    sets = [features(bench.run("judge", near_pairs(bench, names), "pairs"))
            for names in SETS.values()]
    w = fit([(x, y) for x, _, y in sets])
    print("1. weights: " + "  ".join("%s %.3f" % v for v in zip(NAMES + ["intercept"], w)))
    for name, weight in BY_HAND.items():
        w[NAMES.index(name)] = weight
    candidates = [features(bench.run("judge", stream_pairs(bench, name, args.seeds), "pairs")) for name in STREAMS]
    slope, offset = fit([((x @ w[:-1] + w[-1] + more)[:, None], y) for x, more, y in candidates])
    w = np.r_[w[:-1] * slope, w[-1] * slope + offset]
    print("2. on streams: " + "  ".join("%s %.3f" % v for v in zip(NAMES + ["intercept"], w)) +
          "  bare %.3f  names %.3f  common %.3f  stops %.3f  trouble %.3f  reworded %.3f" % tuple(
              slope * w for w in (BARE, NAMES_OF_BOTH, COMMON, STOPS, TROUBLE, REWORDED)))
    apart = print_difference(w, slope, candidates)
    print_step(bench, played)
    print("mean P of the built-in weights: share that is right (candidates)")
    lines = {n: [l for rows in several for l in bench.run("simulate", rows, "candidates")]
             for n, several in played.items()}
    for n in played:
        print("  %-11s %s" % (n, reliability(lines[n])))
    print("all together: error %.3f; of cosines from %.2f on %.3f" % (pooled(lines.values(), 0), LEAST,
                                                                pooled(lines.values(), LEAST)))
    sys.exit(0 if apart <= APART_MAX else 1)


if __name__ == "__main__":
    main()
