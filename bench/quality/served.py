#!/usr/bin/env python3
"""Hits, and hits that are wrong, of the running binary over HTTP, beside what others would reach.

usage: bench/quality.sh [--seeds N] [--streams NAME,…] [--limit N] [--sse] [--answers serial|cluster]
                        [--set KEY=VALUE]… [--no-cosine] [--at ERROR] [--json FILE] [--quiet]

Plays streams of real questions (streams.py; five seeds) through one ibid, each with a credential of its
own, all at once; its upstream is a stub that mints a serial number into every answer and knows for
which request it did. So a hit is an answer that was minted for another request, whatever ibid says of
itself; where its headers say something else, the bench fails.

Prints a line a stream: hit rate; error: wrong answers a request, with its 95 % interval (Wilson) over
all seeds and the worst seed; what an exact cache and an oracle hit on the same stream; and plain cosine
on the same stream, with one threshold for all streams and with one tuned for the stream, at an error
of at most --at (0.01). --sse: every other request asks for a stream. --answers cluster: the
stub's words depend on what was asked, 3 % of them wrong, so that there is something to learn from. --set: a
setting, as in cache.policy=bounded. --limit: the first N requests of each. long_shuffled, long_drifting
and long_sorted are streams too, but only when named.

Wrong in the worst case: pairs that no human labelled count as wrong. Needs build/release/ibid
(IBID_BIN), the encoder and the evaluation data (IBID_EVAL, default ../shared/eval beside the
repository); exit status 77 without them, 1 for errors and disagreements."""
import argparse
import asyncio
import collections
import json
import math
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.request

import run
import streams

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = re.compile(r"stub-answer (\d+)")
NOISE = 0.03  # of --answers cluster
WORDS = 24
REUSED = ("exact", "semantic", "coalesced")


class Words:
    """The words of an answer: alike within a cluster, unlike between clusters."""

    def __init__(self, rows):
        seen = collections.Counter(w for _, text in rows for w in re.findall("[a-z]{4,}", text.lower()))
        self.vocabulary = [w for w, _ in seen.most_common(2000)] or ["word"]

    def answer(self, cluster, serial):
        rng = random.Random("answer %d" % serial)
        if rng.random() < NOISE:
            cluster = "wrong %d" % serial
        words = random.Random("cluster " + cluster).choices(self.vocabulary, k=WORDS)
        for i in rng.sample(range(WORDS), WORDS // 6):
            words[i] = rng.choice(self.vocabulary)
        return " " + " ".join(words)


class Play:
    """One stream on its way: what it asks, what it got."""

    def __init__(self, name, seed, rows, with_words):
        self.name, self.seed, self.rows = name, seed, rows
        self.words = Words(rows) if with_words else None
        self.at = -1  # the request under way
        self.hits = self.wrong = self.exact = 0
        self.half = None  # the same when half of the stream was done
        self.trouble = collections.Counter()

    def count(self, made_for, source):
        hit = made_for != self.at
        self.hits += hit
        self.wrong += hit and self.rows[made_for][0] != self.rows[self.at][0]
        self.exact += source == "exact"
        if (source in REUSED) != hit:
            self.trouble["header disagrees"] += 1


async def read_message(reader):
    """Start line, headers and body of an HTTP message with a length or in chunks."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    if "content-length" in headers:
        return head[0], headers, await reader.readexactly(int(headers["content-length"]))
    body = b""
    while headers.get("transfer-encoding") == "chunked":
        size = int(await reader.readline(), 16)
        body += (await reader.readexactly(size + 2))[:size]
        if size == 0:
            break
    return head[0], headers, body


class Upstream:
    def __init__(self):
        self.by_key, self.serials = {}, []

    def text(self, key):
        play = self.by_key[key]
        serial = len(self.serials)
        self.serials.append(play.at)
        words = play.words.answer(play.rows[play.at][0], serial) if play.words else ""
        return "stub-answer %d%s" % (serial, words)

    async def serve(self, reader, writer):
        try:
            while True:
                _, headers, body = await read_message(reader)
                asked = json.loads(body)
                answer = write_answer(self.text(headers["authorization"]), asked["model"], asked.get("stream"))
                kind = "text/event-stream" if asked.get("stream") else "application/json"
                writer.write(("HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
                              % (kind, len(answer))).encode() + answer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()


def write_answer(text, model, stream):
    like = {"id": "chatcmpl-1", "created": 1700000000, "model": model}
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    if not stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return json.dumps(dict(like, object="chat.completion", choices=[choice], usage=usage)).encode()
    events = [({"role": "assistant", "content": text}, None), ({}, "stop")]
    lines = [json.dumps(dict(like, object="chat.completion.chunk",
                             choices=[{"index": 0, "delta": d, "finish_reason": f}])) for d, f in events]
    lines.append(json.dumps(dict(like, object="chat.completion.chunk", choices=[], usage=usage)))
    return "".join("data: %s\n\n" % line for line in lines + ["[DONE]"]).encode()


class Ibid:
    def __init__(self, upstream_port, settings, folder):
        self.port, self.admin = free_port(), free_port()
        env = {k: v for k, v in os.environ.items() if not k.startswith("IBID_") or k == "IBID_KERNELS"}
        env.update(IBID_LISTEN="127.0.0.1:%d" % self.port, IBID_ADMIN_LISTEN="127.0.0.1:%d" % self.admin,
                   IBID_DATA_DIR=folder, IBID_UPSTREAM_URL="http://127.0.0.1:%d" % upstream_port,
                   IBID_LOCAL_MODEL="off", IBID_CACHE_INDEX_ENTRIES_MAX="1000000",
                   IBID_CACHE_INDEX_BYTES_MAX="2GiB", IBID_ENCODER_DEADLINE_MS="60000", IBID_LOG_LEVEL="warn")
        # A machine that is stopped for minutes must not cut what the bench waits for.
        env.update(("IBID_LIMITS_%s_TIMEOUT_MS" % k, "3600000") for k in ("HEAD", "BODY", "IDLE", "WRITE"))
        if "IBID_MODEL_DIR" in os.environ:
            env["IBID_MODEL_DIR"] = os.environ["IBID_MODEL_DIR"]
        env.update(("IBID_" + k.upper().replace(".", "_"), v) for k, v in settings)
        self.process = subprocess.Popen([program(), "serve"], env=env)
        self.wait()

    def wait(self):
        for _ in range(600):
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d/healthz" % self.admin):
                    return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("ibid ended with status %d" % self.process.returncode)
                time.sleep(0.05)
        sys.exit("ibid is not ready after 30 s")

    def metrics(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.admin) as page:
            return page.read().decode()

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def program():
    return os.environ.get("IBID_BIN", str(ROOT / "build/release/ibid"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def said(headers, answer):
    """The text of an answer; a stored one is streamed word by word."""
    if not headers.get("content-type", "").startswith("text/event-stream"):
        return json.loads(answer)["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in answer.split(b"\n") if line.startswith(b"data: {")]
    return "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])


def serial_of(line, headers, answer):
    """Which of the stub's answers it is; None: it is none of them."""
    mark = MARK.search(said(headers, answer)) if line.startswith("HTTP/1.1 200") else None
    return int(mark.group(1)) if mark else None


async def play_stream(play, port, key, upstream, sse):
    upstream.by_key["bearer " + key] = play
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    for play.at, (_, text) in enumerate(play.rows):
        if play.at == len(play.rows) // 2:
            play.half = (play.hits, play.wrong)
        body = {"model": "stub", "messages": [{"role": "user", "content": text}], "temperature": 0}
        if sse and play.at % 2:
            body.update(stream=True, stream_options={"include_usage": True})  # what it would cost is part of a JSON answer
        data = json.dumps(body).encode()
        writer.write(("POST /v1/chat/completions HTTP/1.1\r\nhost: ibid\r\ncontent-type: application/json\r\n"
                      "authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n" % (key, len(data))).encode() + data)
        line, headers, answer = await read_message(reader)
        serial = serial_of(line, headers, answer)
        if serial is None:
            play.trouble[line] += 1
        else:
            play.count(upstream.serials[serial], headers.get("x-ibid-source"))
    writer.close()


async def play_all(plays, args, folder):
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 20)
    ibid = Ibid(server.sockets[0].getsockname()[1], [s.split("=", 1) for s in args.set], folder)
    began = time.time()
    jobs = [asyncio.ensure_future(play_stream(p, ibid.port, "sk-%s-%d" % (p.name, p.seed), upstream, args.sse))
            for p in plays]
    while not all(j.done() for j in jobs):
        await asyncio.wait(jobs, timeout=10)
        done = sum(p.at + 1 for p in plays)
        if not args.quiet:
            print("... %d of %d requests, %.0f s" % (done, sum(len(p.rows) for p in plays), time.time() - began),
                  file=sys.stderr, flush=True)
    for job in jobs:
        job.result()
    metrics = ibid.metrics()
    if ibid.stop() != 0:
        plays[0].trouble["ibid ended badly"] += 1
    return metrics


def wilson(k, n, z=1.96):
    p, d = k / n, 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0, (p + z * z / (2 * n) - half) / d), (p + z * z / (2 * n) + half) / d


def cosine_curves(plays, args):
    """What nothing but a cosine threshold reaches: per stream, {(kind, threshold): (hit, error, …)}."""
    bench = run.Bench(types.SimpleNamespace(quiet=args.quiet, build=None, seeds=args.seeds))
    bench.make()
    rows = {id(p): [(c, run.clean(t)) for c, t in p.rows] for p in plays}
    bench.embed(list(rows.values()))
    names = dict.fromkeys(p.name for p in plays)
    return {n: run.average([bench.run("simulate", rows[id(p)], "cosine") for p in plays if p.name == n])
            for n in names}


def summary(name, plays):
    mine = [p for p in plays if p.name == name]
    n, wrong = sum(len(p.rows) for p in mine), sum(p.wrong for p in mine)
    oracle = [streams.oracle(p.rows) for p in mine]
    low, high = wilson(wrong, n)
    late = [(p.hits - p.half[0], p.wrong - p.half[1], len(p.rows) - len(p.rows) // 2) for p in mine]
    late_n = sum(x[2] for x in late)
    return dict(stream=name, requests=n, hit=sum(p.hits for p in mine) / n, error=wrong / n, low=low, high=high,
                worst=max(p.wrong / len(p.rows) for p in mine), late_hit=sum(x[0] for x in late) / late_n,
                late_error=sum(x[1] for x in late) / late_n, exact=sum(e for _, e in oracle) / len(mine),
                oracle=sum(o for o, _ in oracle) / len(mine))


def print_head(head):
    print(head + "\n" + "|---" * (head.count("|") - 1) + "|")


def print_served(found):
    print_head("| stream | hit | error | interval | worst seed | second half: hit / error | exact cache | oracle |")
    for f in found:
        print("| %s | %.3f | %.4f | %.4f–%.4f | %.4f | %.3f / %.4f | %.3f | %.3f |" % tuple(
            f[k] for k in "stream hit error low high worst late_hit late_error exact oracle".split()), flush=True)


def print_cosine(found, curves, limit):
    one = run.one_cosine(curves, limit)
    print_head("\n| stream | hit | cosine %.3f: hit / error | cosine tuned for the stream |" % one)
    for f in found:
        curve = curves[f["stream"]]
        f["cosine_one"], f["cosine_tuned"] = curve["cosine", one][0], run.cosine_at(curve, limit)
        print("| %s | %.3f | %.3f / %.4f | %.3f |" % (
            (f["stream"], f["hit"]) + curve["cosine", one][:2] + (f["cosine_tuned"],)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--streams", default=",".join(streams.STREAMS))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--sse", action="store_true")
    parser.add_argument("--answers", choices=["serial", "cluster"], default="serial")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--no-cosine", action="store_true")
    parser.add_argument("--at", type=float, default=0.01)
    parser.add_argument("--json")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    if not os.access(program(), os.X_OK):
        print("no %s: build it, or set IBID_BIN" % program())
        sys.exit(77)
    folder = run.evaluation_folder()
    run.encoder_folder()
    names = [n for n in args.streams.split(",") if n]
    plays = [Play(n, s, streams.make(folder, n, s)[:args.limit], args.answers == "cluster")
             for n in names for s in range(1, args.seeds + 1)]
    data = tempfile.mkdtemp(prefix="ibid-quality-")
    try:
        metrics = asyncio.run(play_all(plays, args, data))
    finally:
        shutil.rmtree(data, ignore_errors=True)
    found = [summary(n, plays) for n in names]
    print_served(found)
    if not args.no_cosine:
        print_cosine(found, cosine_curves(plays, args), args.at)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(dict(streams=found, metrics=metrics), indent=1))
    trouble = sum((p.trouble for p in plays), collections.Counter())
    for what, count in trouble.items():
        print("trouble: %s: %d" % (what, count))
    sys.exit(1 if trouble else 0)


if __name__ == "__main__":
    main()
