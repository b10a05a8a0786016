#!/usr/bin/env python3
"""interference.py CHAT_URL LOAD_LUA: p99 of exact hits idle, and while another client keeps the
encoder busy with questions never asked before: medians of alternating rounds, as JSON."""
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

ROUNDS = 5
url = urllib.parse.urlsplit(sys.argv[1])


def wrk():
    out = subprocess.run(["wrk", "-t1", "-c4", "-d3s", "-s", sys.argv[2], sys.argv[1]], capture_output=True, text=True,
                         env={**os.environ, "MODE": "exact"}).stdout
    return json.loads(re.search(r"RESULT (.*)", out).group(1))


def post(conn, text):
    conn.request("POST", url.path, json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}),
                 {"Authorization": "Bearer sk-bench"})
    conn.getresponse().read()


stopping = False
asked = 0


def embed():
    """Behind wrk, which shares the core: what is felt is to be the proxy's."""
    global asked
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    conn = http.client.HTTPConnection(url.hostname, url.port)
    while not stopping:
        asked += 1
        post(conn, f"What is question number {asked} of {time.time()} about, and who asked it?")


wrk()
idle, busy = [], []
for _ in range(ROUNDS):
    idle.append(wrk())
    stopping = False
    threads = [threading.Thread(target=embed) for _ in range(2)]
    [t.start() for t in threads]
    busy.append(wrk())
    stopping = True
    [t.join() for t in threads]


def median(runs, key):
    return statistics.median(r[key] for r in runs)


print(json.dumps({"idle_p99_us": median(idle, "p99_us"), "busy_p99_us": median(busy, "p99_us"),
                  "ratios": [round(b["p99_us"] / i["p99_us"], 2) for i, b in zip(idle, busy)],
                  "idle_rps": median(idle, "rps"), "busy_rps": median(busy, "rps"),
                  "embeddings_per_s": round(asked / (3 * ROUNDS))}))
