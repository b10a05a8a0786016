#!/usr/bin/env python3
"""The rules and models on this machine as judges of labelled pairs (`ibid tune judge`), over all pairs and over those in the
grey zone: P(same) of the rules no further than .1 from the threshold. Standard library only."""
import argparse
import gzip
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
IBID = os.environ.get("IBID_BIN", str(ROOT / "build/release/ibid"))
SETS = ["qqp", "checklist", "snips_slots", "query_variations"]
MODELS = ["smollm2-135m-instruct", "gemma-3-270m"]
TEMPLATES = {"gemma-3-270m": "gemma"}  # where the file does not say it
THRESHOLD, WIDTH = 0.88, 0.1  # the defaults of cache.threshold and judge.width
DRAWS = 1000


def area(rows):
    """Of (score, same)."""
    yes, no = [s for s, same in rows if same], [s for s, same in rows if not same]
    ranked = sorted((s, same) for s, same in rows)
    if not yes or not no:
        return math.nan
    total, below, i = 0.0, 0, 0
    while i < len(ranked):
        k = i
        while k < len(ranked) and ranked[k][0] == ranked[i][0]:
            k += 1
        here = sum(same for _, same in ranked[i:k])
        total += here * (below + (k - i - here) / 2)
        below += k - i - here
        i = k
    return total / len(yes) / len(no)


def interval(rows):
    """95 %, percentile bootstrap (Efron 1979)."""
    r = random.Random(1)
    found = sorted(area([rows[r.randrange(len(rows))] for _ in rows]) for _ in range(DRAWS))
    found = [f for f in found if not math.isnan(f)]
    return (found[int(0.025 * len(found))], found[int(0.975 * len(found))]) if found else (math.nan, math.nan)


def judge(by, path, model=None, answers=False):
    with tempfile.NamedTemporaryFile("r") as scores:
        env = dict(os.environ, **({"IBID_LOCAL_CHAT_TEMPLATE": TEMPLATES[model]} if model in TEMPLATES else {}))
        done = subprocess.run([IBID, "tune", "judge", "-q", "--json", "--by", by, "--scores", scores.name, *(["-m", model] if model else []), *(["--answers"] if answers else []), path],
                              capture_output=True, text=True, env=env)
        if done.returncode != 0:
            sys.exit(f"judge: {done.stderr}")
        return json.loads(done.stdout), [float(x) for x in scores.read().split()]


def row(name, report, rows, grey):
    share = lambda k, n: f"{k / n:.3f}" if n else "-"
    side = lambda s: f"{share(s['count'], report['judged'])} / {share(s['right'], s['count'])}"
    low, high = interval(rows)
    about = "-"
    if grey:
        g = interval(grey)
        about = f"{area(grey):.3f} ({g[0]:.3f} to {g[1]:.3f})"
    print(f"| {name} | {area(rows):.3f} ({low:.3f} to {high:.3f}) | {share(report['right'], report['judged'])} | {share(report['right_with_bias'], report['judged'])} "
          f"| {report['local_bias']:.2f} | {side(report['sure_yes'])} | {side(report['sure_no'])} | {about} | {report['ms_each']:.1f} |", flush=True)


def answered(n):
    """Tasks with their right answers, and with those of tasks of another kind: which are answers to them?"""
    sys.path.insert(0, str(ROOT / "bench/smallfirst"))
    import tasks
    listed = list(tasks.tasks(n=n))
    other = [next(o for o in listed[i + 1:] + listed[:i] if o["kind"] != t["kind"]) for i, t in enumerate(listed)]
    return [(t["prompt"], t["right"][0], 1) for t in listed] + [(t["prompt"], o["right"][0], 0) for t, o in zip(listed, other)]


def main():
    o = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    o.add_argument("--pairs", type=int, default=500, help="of each set (500)")
    o.add_argument("--tasks", type=int, default=25, help="of each of the four kinds, for answers (25)")
    o.add_argument("--model", action="append", help="instead of " + " and ".join(MODELS))
    o = o.parse_args()
    data = pathlib.Path(os.environ.get("IBID_EVAL", str(ROOT.parent / "shared/eval"))) / "dev/pairs"
    have = lambda m: subprocess.run([IBID, "models", "show", m], capture_output=True).returncode == 0
    if not os.access(IBID, os.X_OK) or not data.is_dir() or not have("all-minilm-l6-v2"):
        print("judge: ibid, its models or IBID_EVAL are missing")
        sys.exit(77)
    models = [m for m in o.model or MODELS if have(m)]
    pairs = []
    for name in SETS:
        with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as f:
            rows = [json.loads(line) for line in f]
        pairs += random.Random(name).sample(rows, min(o.pairs, len(rows)))
    random.Random(1).shuffle(pairs)
    with tempfile.TemporaryDirectory() as d:
        path = d + "/pairs.jsonl"
        pathlib.Path(path).write_text("".join(json.dumps({"q1": p["q1"], "q2": p["q2"], "same": p["same"]}) + "\n" for p in pairs))
        report, rules = judge("rules", path)
        grey = [i for i, p in enumerate(rules) if abs(p - THRESHOLD) <= WIDTH]
        rows = lambda scores, among: [(scores[i], pairs[i]["same"]) for i in among if scores[i] >= 0]
        print(f"{len(pairs)} pairs, {report['same']} the same; {len(grey)} of them grey, {sum(pairs[i]['same'] for i in grey)} the same\n")
        print("| judge | AUC (95 %) | right as it comes | with the best bias | bias | sure of yes: share / right | of no | AUC in the grey zone | ms a pair |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        row("rules", report, rows(rules, range(len(pairs))), rows(rules, grey))
        for m in models:
            report, scores = judge("local", path, m)
            row(m, report, rows(scores, range(len(pairs))), rows(scores, grey))
        listed = answered(o.tasks)
        pathlib.Path(path).write_text("".join(json.dumps({"a": q, "b": a, "same": s}) + "\n" for q, a, s in listed))
        print(f"\n{len(listed)} answers, half of them to another task\n")
        print("| judge | AUC (95 %) | right as it comes | with the best bias | bias | sure of yes: share / right | of no | | ms an answer |\n|---|---:|---:|---:|---:|---:|---:|---|---:|")
        for by, m in [("rules", None)] + [("local", m) for m in models]:
            report, scores = judge(by, path, m, answers=True)
            row(m or by, report, [(s, x[2]) for s, x in zip(scores, listed) if s >= 0], [])


if __name__ == "__main__":
    main()
