#!/usr/bin/env python3
"""Fits P(same), the logistic of cache/decision.c, and says how far it is a probability.

usage: fit.py [--seeds N]

Needs what run.py needs, and numpy (~/.cache/ibid/venv/bin/python). The fit uses only streams of data
whose licence permits it: desk_zipf (BANKING77, CC BY 4.0; CLINC150, CC BY 3.0) and snips_zipf (SNIPS,
CC0). An observation is a candidate of a request that no guard refuses, with a cosine of LEAST or more;
each stream weighs the same. Printed are the constants, then for every stream, those of the fit and
those it never saw, what share of the candidates is right where P says .8 to .9 and so on, then what
the constants would be without one of the two streams. The threshold is not fitted: run.py prints the
curve, and the shipped one is the least, in hundredths, at which no stream has more than .7 % wrong
answers."""
import argparse
import types

import numpy as np

import run
import streams

FIT_ON = ["desk_zipf", "snips_zipf"]
LEAST = 0.80  # cosine of an observation
NEAR = 0.96   # above it each step says more
EXCHANGED_MAX = 3.0
BINS = [0, .3, .6, .7, .8, .85, .9, .95, 1.01]


def features(lines):
    rows = np.array([[float(v) for v in line] for line in lines])
    rows = rows[rows[:, 1] >= LEAST]
    near = np.maximum(0, rows[:, 1] - NEAR)
    exchanged = np.minimum(rows[:, 2], EXCHANGED_MAX)
    x = np.c_[rows[:, 1], near, exchanged, rows[:, 3] > 0, np.ones(len(rows))]
    return x, rows[:, 0]


def fit(sets, ridge=1e-5):
    """Weighted logistic regression by Newton's method: weights of x."""
    x = np.vstack([x for x, _ in sets])
    y = np.concatenate([y for _, y in sets])
    weight = np.concatenate([np.full(len(y), 1 / len(y)) for _, y in sets]) / len(sets)
    scale = x.std(0)
    middle = x.mean(0)
    middle[-1], scale[-1] = 0, 1
    scale[scale == 0] = 1
    z = (x - middle) / scale
    b = np.zeros(x.shape[1])
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 0
    for _ in range(60):
        p = 1 / (1 + np.exp(-z @ b))
        slope = z.T @ (weight * (p - y)) + penalty * b
        curve = z.T @ (z * (weight * p * (1 - p))[:, None]) + np.diag(penalty)
        b -= np.linalg.solve(curve, slope)
    w = b / scale
    w[-1] = b[-1] - (b[:-1] / scale[:-1] * middle[:-1]).sum()
    return w


def reliability(w, x, y):
    p = 1 / (1 + np.exp(-x @ w))
    cells = []
    for low, high in zip(BINS, BINS[1:]):
        inside = (p >= low) & (p < high)
        if inside.sum() >= 20:
            cells.append("%.2f: %.2f (%d)" % (p[inside].mean(), y[inside].mean(), inside.sum()))
    return "  ".join(cells)


def show(w):
    return "cosine %.2f  near %.2f  exchanged %.2f  respelled %.2f  intercept %.2f" % tuple(w)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    bench = run.Bench(types.SimpleNamespace(quiet=False, build=None, seeds=args.seeds))
    bench.make()
    played = {n: [bench.stream(n, s)[0] for s in range(1, args.seeds + 1)] for n in streams.STREAMS}
    bench.embed([rows for several in played.values() for rows in several])
    sets = {n: features([line for rows in several for line in bench.run("simulate", rows, "candidates")])
            for n, several in played.items()}
    w = fit([sets[n] for n in FIT_ON])
    print("fitted on %s: %s" % (" and ".join(FIT_ON), show(w)))
    print("mean P: share that is right (candidates)")
    for n, (x, y) in sets.items():
        print("  %-11s %s" % (n, reliability(w, x, y)))
    for n in FIT_ON:
        print("without %s: %s" % (n, show(fit([sets[m] for m in FIT_ON if m != n]))))


if __name__ == "__main__":
    main()
