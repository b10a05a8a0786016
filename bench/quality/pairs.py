#!/usr/bin/env python3
"""P(same) on labelled pairs: its average precision beside that of the cosine, and errors by cause.

usage: pairs.py [--threshold P]

Needs what run.py needs. Prints a line a set: pairs, of which the same, average precision of P(same)
with the guards (what one that fires makes of it), without them, and of the cosine. Then a line a
kind of pairs: what share of the same ones would be served at the threshold (recall), and of the
others (false hits). No set may be more than .005 worse than its cosine, no cause have more than 1 %
false hits; what is beyond that is marked with a star. Standard library only."""
import argparse
import collections
import itertools
import types

import run

SETS = run.PAIRS + ["mrpc"]
BELOW_COSINE = 0.005
FALSE_HITS = 0.01


def average_precision(scored):
    """Of (score, same); pairs of one score are taken together."""
    total = sum(same for _, same in scored)
    true = seen = 0
    area = 0.0
    ordered = sorted(scored, key=lambda s: -s[0])
    for _, tied in itertools.groupby(ordered, key=lambda s: s[0]):
        tied = [same for _, same in tied]
        true += sum(tied)
        seen += len(tied)
        area += sum(tied) / total * true / seen
    return area


def read(bench, name):
    """Kinds and judged lines of a set, a pair each."""
    kinds = [r["kind"] for r in
             run.read_jsonl(bench.eval / "dev/pairs" / (name + ".jsonl.gz"))]
    lines = bench.run("judge", bench.pairs(name), "pairs")
    return [(kind, l[0] == "1", float(l[1]), float(l[2]), l[3] == "hit", float(l[12]))
            for kind, l in zip(kinds, lines, strict=True)]


def print_precision(sets):
    print("| pairs | number | the same | P(same) | without guards | cosine |  |")
    print("|---" * 7 + "|")
    for name, pairs in sets.items():
        guarded = average_precision([(p, s) for _, s, _, _, _, p in pairs])
        bare = average_precision([(p, s) for _, s, _, p, _, _ in pairs])
        cosine = average_precision([(c, s) for _, s, c, _, _, _ in pairs])
        print("| %s | %d | %d | %.3f | %.3f | %.3f | %s |" % (
            name, len(pairs), sum(p[1] for p in pairs), guarded, bare, cosine,
            "*" if guarded < cosine - BELOW_COSINE else ""))


def print_causes(sets, threshold):
    print("\nAt threshold %.2f\n\n| set | kind | recall of the same | false hits |  |" % threshold)
    print("|---" * 5 + "|")
    for name, pairs in sets.items():
        kinds = collections.defaultdict(lambda: {True: [], False: []})
        for kind, same, _, p, passed, _ in pairs:
            kinds[kind][same].append(passed and p >= threshold)
        for kind, served in sorted(kinds.items()):
            cells = ["%.3f of %d" % (sum(hits) / len(hits), len(hits)) if hits else "-"
                     for hits in (served[True], served[False])]
            others = served[False]
            bad = bool(others) and sum(others) / len(others) > FALSE_HITS
            print("| %s | %s | %s | %s | %s |" % (name, kind, *cells, "*" if bad else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threshold", type=float, help="instead of the shipped one")
    args = parser.parse_args()
    bench = run.Bench(types.SimpleNamespace(quiet=False, build=None, seeds=1))
    bench.make()
    bench.embed([bench.pairs(name) for name in SETS])
    sets = {name: read(bench, name) for name in SETS}
    print_precision(sets)
    print_causes(sets, args.threshold if args.threshold is not None else run.shipped_threshold())


if __name__ == "__main__":
    main()
