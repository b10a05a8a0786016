#!/usr/bin/env python3
"""soak.py PORT ADMIN_PORT PID MINUTES RATE TABLE: mixed requests at RATE a second, and what process PID holds meanwhile.

Exact hits, questions in other words, new questions, streams (some left before their end), the built-in model, feedback
on what was served, /metrics, a reload a minute. TABLE gets a line every five seconds: seconds, KiB resident (all, and
without mapped files), open files, threads. Prints JSON; exit status 1 when an answer was lost, a kind of answer
never came, or memory or files grew: the means of three minutes (of short runs, of one) after WARM_S and of the last
three are compared: the store's mapped pages come and go every two minutes or so (bench/soak.sh)."""
import asyncio
import collections
import json
import os
import random
import signal
import statistics
import sys
import time

port, admin, pid, minutes, rate, table = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), sys.argv[6]
WARM_S = min(300, minutes * 60 / 3)
WINDOW_S = 180 if minutes >= 15 else 60
GROWTH_MAX = 0.01
LATE_S = 240
# What memory is needed for at most is needed before it is first measured: as many at once as there ever are, and as
# many of them for the built-in model as it computes together.
AT_ONCE_MAX = 64
RUSHES = 5
RUSH_LOCAL = 16
# A turn of our own loop that takes longer: everything was stopped (a suspended machine), and what was under way is not judged,
# nor what came so soon after it that it met a connection that had been silent for too long.
STOPPED_S = 2
THINGS = ("reset my password", "change my e-mail address", "cancel my order", "track a parcel", "return a pair of shoes", "pay by invoice",
          "delete my account", "get a refund", "use a voucher", "contact a person", "change the delivery address", "download an invoice",
          "upgrade my plan", "invite a colleague", "export my data", "enable notifications", "report a bug", "find my customer number")
WORDS = ("How do I {}?", "How can I {}?", "Please tell me how to {}.")
counts, sources = collections.Counter(), collections.Counter()
lost = []  # (what, when it was asked, when it was lost)
stops = []  # (from, to)
last_request = None
number = 0
idle = []


def question(text, **more):
    return json.dumps({"model": "m", "temperature": 0, "messages": [{"role": "user", "content": text}], **more}).encode()


async def http(to, method, path, body=b"", fields=(), leave=False):
    """(status, header fields, body); with `leave` the connection is cut after the first piece of the body."""
    pool = idle if to == port else []
    reader, writer = pool.pop() if pool else await asyncio.open_connection("127.0.0.1", to, limit=1 << 20)
    head = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
    try:
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        got = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        status, whole = int(lines[0].split()[1]), b""
        if "content-length" in got:
            whole = await reader.readexactly(int(got["content-length"]))
        else:
            while not leave or not whole:
                size = int(await reader.readline(), 16)
                whole += await reader.readexactly(size)
                await reader.readexactly(2)
                if size == 0:
                    break
    except BaseException:
        writer.close()
        raise
    if leave or got.get("connection") == "close" or to != port:
        writer.close()
    else:
        pool.append((reader, writer))
    return status, got, whole


async def ask(kind, body, route=None, stream=False, leave=False):
    global last_request
    asked = time.monotonic()
    fields = ["Authorization: Bearer sk-soak"] + ([f"x-ibid-route: {route}"] if route else [])
    try:
        status, got, whole = await asyncio.wait_for(http(port, "POST", "/v1/chat/completions", body, fields, leave), LATE_S)
    except (OSError, EOFError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError) as e:
        lost.append((f"{kind}: {e!r}", asked, time.monotonic()))
        return
    counts[kind] += 1
    sources[got.get("x-ibid-source", f"status {status}")] += 1
    last_request = got.get("x-ibid-request", last_request)
    if status == 503 and "retry-after" in got:
        counts["refused"] += 1
    elif status != 200:
        lost.append((f"{kind}: {status} {whole[:200]!r}", asked, time.monotonic()))
    elif stream and not leave and not whole.rstrip().endswith(b"[DONE]"):
        lost.append((f"{kind}: a stream without its end", asked, time.monotonic()))


def local(n):
    return ask("local", question(f"Say a word about the number {n % 1000}.", max_tokens=12, stream=n % 2 == 0), route="local", stream=n % 2 == 0)


def one():
    """The next request, of a mix that is the same every time."""
    global number
    number += 1
    n, dice = number, random.random()
    if dice < 0.35:
        return ask("exact", question(f"How do I {THINGS[n % len(THINGS)]}?"))
    if dice < 0.50:
        return ask("words", question(random.choice(WORDS).format(random.choice(THINGS)) + random.choice(("", " Thanks!"))))
    if dice < 0.75:
        return ask("new", question(f"Ticket {n}-{time.time()}: the {random.choice(THINGS)} page of shop {n % 977} shows error {n * 31 % 5000}, what now?"))
    if dice < 0.85:
        return ask("stream", question(f"How do I {THINGS[n % len(THINGS)]}?", stream=True), stream=True)
    if dice < 0.93:
        return ask("new stream", question(f"Ticket {n}-{time.time()}: please explain order {n}.", stream=True), stream=True)
    if dice < 0.98:
        return ask("left stream", question(f"Ticket {n}-{time.time()}: a stream nobody waits for.", stream=True), stream=True, leave=True)
    return local(n)


def held():
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    kib = lambda name: int(status[name].split()[0])
    return kib("VmRSS"), kib("VmRSS") - kib("RssFile"), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"])


async def manage(method, path, token, body=b""):
    asked = time.monotonic()
    try:
        await http(admin, method, path, body, [f"Authorization: Bearer {token}"])
    except (OSError, EOFError, asyncio.IncompleteReadError) as e:
        lost.append((f"{path}: {e!r}", asked, time.monotonic()))


async def beside(token):
    """What an operator's machines do: metrics, feedback, reloads."""
    turn = 0
    while True:
        await asyncio.sleep(5)
        turn += 1
        await manage("GET", "/metrics", token)
        await manage("GET", "/admin/v1/stats", token)
        if turn % 6 == 0 and last_request:
            await manage("POST", "/admin/v1/feedback", token, json.dumps({"request": last_request, "verdict": random.choice(("wrong", "right"))}).encode())
            counts["feedback"] += 1
        if turn % 12 == 0:
            os.kill(pid, signal.SIGHUP)
            counts["reloads"] += 1


async def main():
    token = open(os.environ["SOAK_TOKEN"]).read().strip()
    began, rows, running = time.monotonic(), [], set()
    operator = asyncio.create_task(beside(token))
    for _ in range(RUSHES):
        await asyncio.gather(*(one() for _ in range(AT_ONCE_MAX - RUSH_LOCAL)), *(local(n) for n in range(RUSH_LOCAL)))
    due = sample = turn = time.monotonic()
    with open(table, "w") as out:
        while (now := time.monotonic()) - began < minutes * 60:
            if now - turn > STOPPED_S:
                stops.append((turn, now))
            turn = now
            if now >= sample:
                rows.append((now - began, *held()))
                print("%.0f\t%d\t%d\t%d\t%d" % rows[-1], file=out, flush=True)
                sample = now + 5
            while due <= now and len(running) < AT_ONCE_MAX:
                task = asyncio.create_task(one())
                running.add(task)
                task.add_done_callback(running.discard)
                due += random.expovariate(rate)
            due = max(due, now - 1)
            await asyncio.sleep(0.005)
    if running:
        await asyncio.wait(running, timeout=LATE_S)
    if operator.done():
        operator.result()
    operator.cancel()
    first = [row for row in rows if WARM_S <= row[0] < WARM_S + WINDOW_S]
    last = [row for row in rows if row[0] >= minutes * 60 - WINDOW_S]
    if not first or not last:
        print("soak: stopped while it was to be measured; run it again", file=sys.stderr)
        return 77
    figure = lambda some, column: round(statistics.mean(row[column] for row in some), 1)
    growth = {name: round(figure(last, column) / figure(first, column) - 1, 4) for name, column in (("rss", 1), ("own", 2))}
    files = (figure(first, 3), figure(last, 3))
    judged = [text for text, asked, when in lost if not any(asked < to + STOPPED_S and when > since for since, to in stops)]
    missing = [name for name in ("exact", "semantic", "local", "upstream") if not sources[name]]
    print(json.dumps({"minutes": minutes, "asked": sum(counts.values()) - counts["refused"], "counts": counts, "sources": sources, "lost": len(judged),
                      "stopped_s": round(sum(to - since for since, to in stops)), "not_judged": len(lost) - len(judged),
                      "rss_kib": [figure(first, 1), figure(last, 1)], "growth": growth, "files": files, "threads": [first[0][4], last[-1][4]]}))
    for text in judged[:5]:
        print(f"soak: lost: {text}", file=sys.stderr)
    if missing:
        print(f"soak: no answer of {', '.join(missing)}", file=sys.stderr)
    if growth["rss"] > GROWTH_MAX:
        print(f"soak: memory grew by {100 * growth['rss']:.1f} %", file=sys.stderr)
    if files[1] > files[0] + 8:
        print(f"soak: open files grew from {files[0]} to {files[1]}", file=sys.stderr)
    return bool(judged or missing) or growth["rss"] > GROWTH_MAX or files[1] > files[0] + 8


random.seed(8)
sys.exit(asyncio.run(main()))
