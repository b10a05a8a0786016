#!/usr/bin/env python3
"""neighbour.py PACED PORT ADMIN_PORT RATE SECONDS ROUNDS WRITERS: exact hits at a fixed rate, by turns with the
built-in model idle and with it writing on all its threads. Prints JSON a round, then the medians."""
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

paced, port, admin, rate, seconds, rounds, writers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5], int(sys.argv[6]), int(sys.argv[7])
QUESTION = json.dumps({"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]})
stopping = threading.Event()


def metric(name):
    c = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
    c.request("GET", "/metrics")
    lines = c.getresponse().read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and line[len(name)] in " {")


def ask(body, headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    c.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer sk-bench", "Content-Type": "application/json", **headers})
    r = c.getresponse()
    return r.status, r.headers.get("x-ibid-source"), r.read()


def write(n):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # of this thread: hits must not wait behind who measures
    while not stopping.is_set():
        body = json.dumps({"model": "m", "max_tokens": 256, "temperature": 1, "seed": n,
                           "messages": [{"role": "user", "content": f"Tell a long story about the number {n} and its friends."}]})
        status, source, answer = ask(body, {"x-ibid-route": "local", "x-ibid-cache": "bypass"})
        assert status == 200 and source == "local", (status, answer[:300])


def hits():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        f.write(QUESTION)
        f.flush()
        done = subprocess.run([paced, str(port), rate, seconds, f.name], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"neighbour: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


for _ in range(2):
    ask(QUESTION, {})
assert ask(QUESTION, {})[1] == "exact", "the question is not answered from the cache"
hits()
table = []
for _ in range(rounds):
    idle = hits()
    stopping.clear()
    threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(writers)]
    [t.start() for t in threads]
    end = time.time() + 60
    while metric("ibid_local_sequences") < writers and time.time() < end:
        time.sleep(0.05)
    before, began, own = metric("ibid_local_pass_tokens_total"), time.time(), time.process_time()
    busy = hits()
    tokens, took, running = metric("ibid_local_pass_tokens_total") - before, time.time() - began, metric("ibid_local_sequences")
    own = time.process_time() - own
    stopping.set()
    [t.join() for t in threads]
    assert tokens > 0 and running > 0, "the model wrote nothing meanwhile"
    row = {"idle": idle, "busy": busy, "model_tokens_per_s": round(tokens / took, 1), "writers_cpu": round(own / took, 3), "ratio": round(busy["p99_us"] / idle["p99_us"], 3)}
    print(json.dumps(row), flush=True)
    table.append(row)
m = {k: statistics.median(row[w][p] for row in table) for k, w, p in (("idle_p50_us", "idle", "p50_us"), ("busy_p50_us", "busy", "p50_us"), ("idle_p99_us", "idle", "p99_us"), ("busy_p99_us", "busy", "p99_us"))}
m["ratio_p99"] = round(m["busy_p99_us"] / m["idle_p99_us"], 3)
m["model_tokens_per_s"] = statistics.median(row["model_tokens_per_s"] for row in table)
print(json.dumps({"median": m}))
