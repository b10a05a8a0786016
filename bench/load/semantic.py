#!/usr/bin/env python3
"""semantic.py CHAT_URL ADMIN_URL TOKEN_FILE [ENTRIES]: fills one partition with so many questions
(10,000), then asks 200 of them in other words. Prints JSON: latency of a semantic hit, and what the
embedding and the look-up took of it by ibid's own count (CPU). A hit counts as right when the
stored question that it names is the one that was asked in other words."""
import http.client
import json
import statistics
import sys
import threading
import time
import urllib.parse

url, admin, token_file = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], sys.argv[3]
N = int(sys.argv[4]) if len(sys.argv) > 4 else 10000
TOPICS = ("invoice parcel refund password account voucher warranty delivery contract licence router printer "
          "camera keyboard monitor battery charger headset tablet scanner").split()
PLACES = ("Lisbon Oslo Vienna Madrid Dublin Prague Warsaw Athens Helsinki Zurich Milan Lyon Porto Ghent Turin "
          "Seville Bergen Malmo Graz Basel Leeds Cork Nantes Bilbao Parma").split()


ACTIONS = (("return", "send back"), ("repair", "fix"), ("replace", "swap"), ("insure", "get insurance for"),
           ("register", "sign up"), ("cancel", "call off"), ("upgrade", "improve"), ("sell", "resell"),
           ("rent", "hire out"), ("clean", "wash"))


def parts(i):
    return TOPICS[i % 20], TOPICS[i // 20 % 20], PLACES[i // 400 % 25], ACTIONS[i // 10000 % 10][0]


def question(i):
    a, b, place, action = parts(i)
    return f"How do I {action} the {a} {b} that I ordered in {place}?"


def paraphrase(i):
    a, b, place, action = parts(i)
    return f"How can I {action} the {a} {b} that I ordered in {place}?"


def ask(conn, text):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
    t0 = time.perf_counter()
    conn.request("POST", url.path, body, {"Authorization": "Bearer sk-bench", "Content-Type": "application/json"})
    r = conn.getresponse()
    r.read()
    return (time.perf_counter() - t0) * 1e3, r.getheader("x-ibid-source")


def fill(part):
    conn = http.client.HTTPConnection(url.hostname, url.port)
    for i in range(part, N, 4):
        # without a look-up: what is stored must be all of them, not the first of its kind
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": question(i)}]})
        conn.request("POST", url.path, body, {"Authorization": "Bearer sk-bench", "x-ibid-cache": "no-cache"})
        conn.getresponse().read()


def stats():
    a = urllib.parse.urlsplit(admin)
    conn = http.client.HTTPConnection(a.hostname, a.port)
    conn.request("GET", "/admin/v1/stats", headers={"Authorization": "Bearer " + open(token_file).read().strip()})
    s = json.loads(conn.getresponse().read())
    conn.request("GET", "/admin/v1/savings", headers={"Authorization": "Bearer " + open(token_file).read().strip()})
    return s, json.loads(conn.getresponse().read())


threads = [threading.Thread(target=fill, args=(k,)) for k in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
# What was stored learns its vector later. Until all have, or no more do; the encoder is idle then.
entries, grew = 0, time.time()
while entries < N and time.time() < grew + 5:
    now = stats()[0]["index"]["entries"]
    if now > entries:
        entries, grew = now, time.time()
    time.sleep(0.2)
conn = http.client.HTTPConnection(url.hostname, url.port)
before = stats()[1]["own_cost_cpu_seconds"]
times, sources = [], {}
for k in range(200):
    ms, source = ask(conn, paraphrase(k * 47 % N))
    sources[source] = sources.get(source, 0) + 1
    if source == "semantic":
        times.append(ms)
after = stats()[1]["own_cost_cpu_seconds"]
embed = (before["encoder"] - after["encoder"]) / 200 * 1e3
look = (before["lookup"] - after["lookup"]) / 200 * 1e3
exact = sorted(ask(conn, question(1))[0] for _ in range(200))
print(json.dumps({
    "entries": entries, "sources": sources, "semantic_p50_ms": round(statistics.median(times), 3) if times else None,
    "semantic_p99_ms": round(sorted(times)[int(len(times) * .99)], 3) if times else None,
    "embedding_cpu_ms": round(embed, 3), "lookup_cpu_ms": round(look, 3),
    "beyond_embedding_ms": round(statistics.median(times) - embed, 3) if times else None,
    "exact_p50_ms": round(statistics.median(exact), 3)}))
