#!/usr/bin/env python3
"""table.py FOLDER: medians of runs.jsonl as one table, ratios against nginx in the same run."""
import json
import os
import statistics
import sys

work = sys.argv[1]
rows = {}
for line in open(os.path.join(work, "runs.jsonl")):
    run = json.loads(line)
    for load, r in run["loads"].items():
        if r.get("requests"):
            r["cpu_us"] = r.get("cpu_s", 0) * 1e6 / r["requests"]
            r["loop_us"] = r.get("loop_s", 0) * 1e6 / r["requests"]
            r["rss_mib"] = run.get("rss_kb", 0) / 1024
            rows.setdefault((run["name"], load), []).append(r)


def median(name, load, key):
    return statistics.median(r[key] for r in rows[(name, load)])


def line(name, load, base):
    rps, ref = median(name, load, "rps"), median(base, load, "rps")
    errors = sum(r["http_errors"] + r["sock_errors"] for r in rows[(name, load)])
    asked = sum(r["requests"] for r in rows[(name, load)])
    up = sum(r.get("upstream", 0) for r in rows[(name, load)])
    print(f"| {name} | {load} | {rps:,.0f} | {rps / ref:.2f} | {median(name, load, 'p50_us'):.0f} | "
          f"{median(name, load, 'p50_us') - median(base, load, 'p50_us'):+.0f} | {median(name, load, 'p99_us'):,.0f} | "
          f"{median(name, load, 'cpu_us'):.1f} | {median(name, load, 'loop_us') if name != base else 0:.1f} | {1 - min(1, up / asked):.2f} | {errors} | {median(name, load, 'rss_mib'):.0f} |")


print("| proxy | load_connections | req/s | ratio to nginx | p50 µs | added µs | p99 µs | CPU µs/req | on the loop | hit share | errors | RSS MiB |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
for load, base, others in (("exact_1", "nginx-return", ["ibid"]), ("exact_64", "nginx-return", ["ibid"]),
                           ("unique_1", "nginx-proxy", ["ibid", "ibid-relay"]), ("unique_64", "nginx-proxy", ["ibid", "ibid-relay"])):
    for name in [base] + others:
        line(name, load, base)
print("\nratio and added: against nginx `return 200` (exact) and nginx as reverse proxy (unique) in the same run, medians of the rounds.\n"
      "ibid: exact cache on, stored in LMDB; ibid-relay: cache off.")
for name in ("stored", "semantic", "semantic-large", "interference"):
    path = os.path.join(work, name + ".json")
    if os.path.exists(path):
        print(f"\n{name}: {open(path).read().strip()}")
json.dump({f"{n} {l}": {k: statistics.median(r[k] for r in v) for k in ("rps", "p50_us", "p99_us", "cpu_us", "loop_us", "rss_mib")}
           for (n, l), v in rows.items()}, open(os.path.join(work, "load.json"), "w"), indent=1)
