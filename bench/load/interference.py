#!/usr/bin/env python3
"""interference.py CHAT_URL LOAD_LUA: p99 of exact hits idle, and while another client keeps the
encoder busy with questions never asked before, as JSON. Each round is a second of either, one
behind the other, so that what else the machine does is in both; which comes first takes turns.
All clients are on core 0: what is felt is to be the proxy's core alone.

wrk adds the requests that it could not send while it waited, so a p99 tells where the hundredth of
the time is that was lost in the longest waits: a core that other programs took for 20 ms of a
second, once, makes it 10 ms. Hence two ratios: `ratio` is the median of the rounds' with its
quartiles, and says little where the idle p99 is high; `quiet_ratio` is of the first quartile of the
busy p99s to that of the idle ones, the rounds in which the machine did least else."""
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

ROUNDS = 24
CLIENT_CORE = 0
url = urllib.parse.urlsplit(sys.argv[1])


def wrk():
    out = subprocess.run(["wrk", "-t1", "-c4", "-d1s", "-s", sys.argv[2], sys.argv[1]], capture_output=True, text=True,
                         env={**os.environ, "MODE": "exact"}).stdout
    return json.loads(re.search(r"RESULT (.*)", out).group(1))


def post(conn, text):
    conn.request("POST", url.path, json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}),
                 {"Authorization": "Bearer sk-bench"})
    conn.getresponse().read()


asked = 0


def embed(stopping):
    """Behind wrk, which shares the core."""
    global asked
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    conn = http.client.HTTPConnection(url.hostname, url.port)
    while not stopping.is_set():
        asked += 1
        post(conn, f"What is question number {asked} of {time.time()} about, and who asked it?")


def beside_embeddings():
    stopping = threading.Event()
    threads = [threading.Thread(target=embed, args=(stopping,)) for _ in range(2)]
    for t in threads:
        t.start()
    result = wrk()
    stopping.set()
    for t in threads:
        t.join()
    return result


os.sched_setaffinity(0, {CLIENT_CORE})
wrk()
idle, busy = [], []
for i in range(ROUNDS):
    if i % 2:
        busy.append(beside_embeddings())
        idle.append(wrk())
    else:
        idle.append(wrk())
        busy.append(beside_embeddings())


def median(runs, key):
    return statistics.median(r[key] for r in runs)


ratios = [b["p99_us"] / i["p99_us"] for i, b in zip(idle, busy)]
low, middle, high = statistics.quantiles(ratios, n=4)
quiet_idle, quiet_busy = (statistics.quantiles([r["p99_us"] for r in runs], n=4)[0] for runs in (idle, busy))
print(json.dumps({"ratio": round(middle, 2), "ratio_quartiles": [round(low, 2), round(high, 2)], "rounds": ROUNDS,
                  "quiet_ratio": round(quiet_busy / quiet_idle, 2), "quiet_idle_p99_us": quiet_idle, "quiet_busy_p99_us": quiet_busy,
                  "idle_p99_us": median(idle, "p99_us"), "busy_p99_us": median(busy, "p99_us"),
                  "ratios": [round(r, 2) for r in ratios],
                  "idle_rps": median(idle, "rps"), "busy_rps": median(busy, "rps"),
                  "embeddings_per_s": round(asked / ROUNDS)}))
