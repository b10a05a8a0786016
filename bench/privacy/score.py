#!/usr/bin/env python3
"""score.py PRIVACY_BENCH CORPUS [--show N]: recall and precision of each class. A find counts
when its class is right and it covers the whole value, with at most two bytes more at each end.
Exit status 1 below recall .98 or precision .95."""
import collections
import json
import subprocess
import sys

bench, path = sys.argv[1], sys.argv[2]
show = int(sys.argv[sys.argv.index("--show") + 1]) if "--show" in sys.argv else 0
rows = [json.loads(line) for line in open(path)]
run = subprocess.run([bench], input="".join(json.dumps(r["text"]) + "\n" for r in rows),
                     capture_output=True, text=True, check=True)
right, missed, wrong = (collections.Counter() for _ in range(3))
for row, line in zip(rows, run.stdout.split("\n")):
    text = row["text"].encode()
    got = [(c, int(a), int(n)) for c, a, n in (x.split() for x in line.split(";") if x)]
    got = [g for g in got if g[0] not in ("name", "date")]
    for cls, at, n in row["finds"]:
        hit = next((g for g in got if g[0] == cls and g[1] <= at and g[1] + g[2] >= at + n
                    and at - g[1] <= 2 and g[1] + g[2] - at - n <= 2), None)
        if hit:
            right[cls] += 1
            got.remove(hit)
        else:
            missed[cls] += 1
            if show > 0:
                show -= 1
                print("missed", cls, text[max(0, at - 20):at + n + 20])
    for cls, at, n in got:
        wrong[cls] += 1
        if show > 0:
            show -= 1
            print("wrong ", cls, text[max(0, at - 24):at], ">>", text[at:at + n], "<<")
ok, quiet = True, "--quiet" in sys.argv
say = (lambda *a: None) if quiet else print
say(f"{'class':12} {'values':>7} {'recall':>7} {'precision':>10}")
for cls in sorted(right + missed + wrong):
    n = right[cls] + missed[cls]
    recall = right[cls] / n if n else 1.0
    precision = right[cls] / (right[cls] + wrong[cls]) if right[cls] + wrong[cls] else 1.0
    ok &= recall >= .98 and precision >= .95
    say(f"{cls:12} {n:7} {recall:7.4f} {precision:10.4f}")
say(f"{len(rows)} texts")
sys.exit(0 if ok else 1)
