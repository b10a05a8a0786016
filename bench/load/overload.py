#!/usr/bin/env python3
"""overload.py encoder|model PORT ADMIN_PORT SECONDS: the peak, then three times as much for SECONDS, then a third of it.
Prints JSON a phase and a verdict; exit status 1 when a floor is missed (bench/overload.sh)."""
import asyncio
import http.client
import json
import sys
import time

part, port, admin, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
LATE_S = 20
number = 0
idle = []  # connections


def body():
    global number
    number += 1
    if part == "encoder":
        text = f"Question {number} at {time.time()}: " + "what would you do with a long and winding text about the weather of many towns? " * 6
        return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    return json.dumps({"model": "smollm2-135m-instruct", "max_tokens": 24, "messages": [{"role": "user", "content": f"Write about the number {number}."}]}).encode()


async def ask():
    """(status, Retry-After was there, cache status); 0 where there was no whole answer."""
    reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
    text = body()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-bench\r\nContent-Type: application/json\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(text) + text)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    await reader.readexactly(int(fields["content-length"]))
    if fields.get("connection") == "close":
        writer.close()
    else:
        idle.append((reader, writer))
    return int(head.split()[1]), "retry-after" in fields, fields.get("cache-status", "")


async def timed(out):
    began = time.monotonic()
    try:
        status, again, cache = await asyncio.wait_for(ask(), LATE_S)
    except (OSError, EOFError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        status, again, cache = 0, False, ""
    out.append((began, time.monotonic(), status, again, cache))


def figures(name, done, began, ended):
    good = sorted(end - start for start, end, status, _, _ in done if status == 200)
    row = {"phase": name, "asked": len(done), "answered_per_s": round(sum(began <= end < ended and status == 200 for _, end, status, _, _ in done) / (ended - began), 1),
           "refused": sum(status == 503 and again for _, _, status, again, _ in done),
           "lost": sum(status != 200 and not (status == 503 and again) for _, _, status, again, _ in done),
           "passed_by": sum("encoder_behind" in cache or "encoder_busy" in cache or "encoder_timeout" in cache for *_, cache in done)}
    if good:
        row |= {"p50_ms": round(1000 * good[len(good) // 2], 1), "p99_ms": round(1000 * good[len(good) * 99 // 100], 1)}
    print(json.dumps(row), flush=True)
    return row


async def closed(name, clients, for_s):
    done, end = [], time.monotonic() + for_s

    async def client():
        while time.monotonic() < end:
            await timed(done)

    began = time.monotonic()
    await asyncio.gather(*[client() for _ in range(clients)])
    return figures(name, done, began, end)


async def paced(name, rate, for_s):
    done, tasks, began = [], set(), time.monotonic()
    n = 0
    while time.monotonic() - began < for_s:
        while n <= (time.monotonic() - began) * rate:
            n += 1
            tasks.add(t := asyncio.create_task(timed(done)))
            t.add_done_callback(tasks.discard)
        await asyncio.sleep(max(0.0005, began + n / rate - time.monotonic()))
    left = time.monotonic()
    await asyncio.gather(*tasks)
    row = figures(name, done, began, left)
    return row, done, began


def embedded():
    c = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
    c.request("GET", "/metrics")
    lines = dict(line.rsplit(" ", 1) for line in c.getresponse().read().decode().splitlines() if not line.startswith("#"))
    return float(lines.get("ibid_encoder_texts_total", 0))


async def main():
    await ask()
    await closed("warm", 16, 2)
    texts, t0 = embedded(), time.monotonic()
    peak = await closed("peak", 16, 8)
    peak_texts = (embedded() - texts) / (time.monotonic() - t0)
    before, _, _ = await paced("a third", peak["answered_per_s"] / 3, 5)
    texts, t0 = embedded(), time.monotonic()
    over, _, _ = await paced("three times", peak["answered_per_s"] * 3, seconds)
    texts = (embedded() - texts) / (time.monotonic() - t0)
    after, done, began = await paced("a third again", peak["answered_per_s"] / 3, 10)
    # Back to normal: from when on nothing is refused, passed by, or slower than twice the slowest before.
    slow = 2 * before["p99_ms"] / 1000
    bad = [start - began for start, end, status, _, cache in done if status != 200 or "encoder_" in cache or end - start > slow]
    # A few slow ones are the machine's.
    bad = sorted(bad)[:max(0, len(bad) - len(done) // 100)]
    verdict = {"part": part, "goodput_of_peak": round(over["answered_per_s"] / peak["answered_per_s"], 2), "lost": peak["lost"] + over["lost"] + after["lost"],
               "back_after_s": round(bad[-1], 1) if bad else 0}
    if part == "encoder":
        verdict["looked_up_of_peak"] = round(texts / peak_texts, 2)
    print(json.dumps(verdict), flush=True)
    return verdict["goodput_of_peak"] < 0.8 or verdict["lost"] > 0 or verdict["back_after_s"] > 5


sys.exit(asyncio.run(main()))
