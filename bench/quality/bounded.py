#!/usr/bin/env python3
"""Whether the policy `bounded` keeps to what the operator asked for, on long streams over HTTP.

usage: bench/quality.sh bounded [--shares D,…] [--streams NAME,…] [--seeds N] [--results FILE]
                                [--limit N] [--no-static] [--quiet]

Plays the long streams (streams.py: 21,000 requests of several kinds of traffic, shuffled, one kind
after the other, and by cluster), all at once as quality.sh does with --answers cluster, for each
tolerated share of wrong answers (.005, .01, .02, .05) through an ibid that has learned nothing. Prints
a line a stream: hit rate; wrong answers a request with their 95 % interval (Wilson), a star where they are more
than the share, or the upper end more than 1.2 times it; and the best hit rate that one threshold
on P(same) reaches on the same stream with no more wrong answers, chosen afterwards (0: none of
those from .50 on has so few).

Resumable: what one ibid was asked is a line in FILE (build/bench/quality/bounded.jsonl), and is not played
again while binary and limit are the same. Needs what quality.sh needs; exit status 1 when a star was
printed."""
import argparse
import asyncio
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import types

import run
import served
import streams


def play(key, folder, quiet):
    """All streams through one ibid: what their summaries say."""
    plays = [served.Play(name, key["seed"], streams.make(folder, name, key["seed"])[:key["limit"]], True)
             for name in key["streams"]]
    settings = ["cache.policy=bounded", "cache.error_max=%g" % key["share"]]
    data = tempfile.mkdtemp(prefix="ibid-bounded-")
    try:
        asyncio.run(served.play_all(plays, types.SimpleNamespace(set=settings, sse=False, quiet=quiet), data))
    finally:
        shutil.rmtree(data, ignore_errors=True)
    for one in plays:
        if one.trouble:
            sys.exit("trouble with %s: %s" % (one.name, dict(one.trouble)))
    return [served.summary(one.name, [one]) for one in plays]


def static_curves(folder, keys, limit, quiet):
    """Of each stream and seed: (hit, error) of every threshold on P(same), in one process."""
    bench = run.Bench(types.SimpleNamespace(quiet=quiet, build=None, seeds=1))
    bench.make()
    played = {}
    for name, seed in {(n, k["seed"]) for k in keys for n in k["streams"]}:
        rows = streams.make(folder, name, seed)[:limit]
        played[name, seed] = [(c, run.clean(t)) for c, t in rows]
    bench.embed(list(played.values()))
    return {at: [(float(l[2]), float(l[3])) for l in bench.run("simulate", rows) if l[0] == "p"]
            for at, rows in played.items()}


def is_kept(found, share):
    return found["error"] <= share and found["high"] <= 1.2 * share


def print_line(key, found, curves):
    best = "-"
    if curves:
        curve = curves[found["stream"], key["seed"]]
        best = "%.3f" % max([hit for hit, error in curve if error <= found["error"]], default=0)
    print("| %g | %s | %d | %.3f | %.4f | %.4f–%.4f | %s | %s |" % (
        key["share"], found["stream"], key["seed"], found["hit"], found["error"], found["low"], found["high"],
        best, "" if is_kept(found, key["share"]) else "*"), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", default=".005,.01,.02,.05")
    parser.add_argument("--streams", default=",".join(streams.LONG))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", default=str(run.SCRATCH / "bounded.jsonl"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--no-static", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    if not os.access(served.program(), os.X_OK):
        print("no %s: build it, or set IBID_BIN" % served.program())
        sys.exit(77)
    folder = run.evaluation_folder()
    run.encoder_folder()
    binary = hashlib.sha256(pathlib.Path(served.program()).read_bytes()).hexdigest()
    results = pathlib.Path(args.results)
    results.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(l) for l in results.read_text().splitlines()] if results.exists() else []
    keys = [dict(share=float(d), seed=s, streams=args.streams.split(","), binary=binary, limit=args.limit)
            for s in range(1, args.seeds + 1) for d in args.shares.split(",")]
    found = []
    for at, key in enumerate(keys, 1):
        of_before = [k["found"] for k in known if k["key"] == key]
        if not args.quiet:
            print("... run %d of %d: share %g, seed %d%s" % (
                at, len(keys), key["share"], key["seed"], ", known" if of_before else ""),
                file=sys.stderr, flush=True)
        found.append(of_before[0] if of_before else play(key, folder, args.quiet))
        if not of_before:
            with open(results, "a", encoding="utf-8") as f:
                f.write(json.dumps(dict(key=key, found=found[-1])) + "\n")
    curves = None if args.no_static else static_curves(folder, keys, args.limit, args.quiet)
    served.print_head("| share | stream | seed | hit | error | interval | best threshold: hit |  |")
    lines = [(key, one) for key, several in zip(keys, found) for one in several]
    for key, one in lines:
        print_line(key, one, curves)
    sys.exit(0 if all(is_kept(one, key["share"]) for key, one in lines) else 1)


if __name__ == "__main__":
    main()
