#!/usr/bin/env python3
"""What `cache.index: redis` costs and finds: vectors of 384 dimensions in one vector set, by the commands that ibid sends
(cache/store_redis_vectors.c), on a Redis 8 of its own (tests/redis8.sh fetches it).

    bench/vectors.py [--float32] [--ef N] [ENTRIES...]        default: 10000 100000

In clusters of about a hundred, as questions are, and at random, which is the worst case; a query is a stored vector with noise,
at a cosine of .9 to it. Prints for each, in wall time over one connection: an addition, us; a search for 8, ms: mean, p99; how
often its first answer is that of a scan of all; Redis' memory a vector, bytes, and all of it. Needs numpy. 77 without Redis 8."""
import argparse
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
DIMS, QUERIES, TOGETHER = 384, 1000, 2  # TOGETHER: additions under way, as in ibid


class Redis:
    def __init__(self, folder):
        self.path = f"{folder}/s"
        self.proc = subprocess.Popen([f"{PROGRAMS}/redis-server", "--port", "0", "--unixsocket", self.path, "--save", ""],
                                     stdout=subprocess.DEVNULL, cwd=folder)
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(self.path)
                break
            except OSError:
                time.sleep(0.05)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def read(self):
        line = self.file.readline()[:-2]
        if line[:1] == b"$":
            return self.file.read(int(line[1:]) + 2)[:-2]
        if line[:1] == b"*":
            return [self.read() for _ in range(int(line[1:]))]
        if line[:1] == b"-":
            sys.exit(line.decode())
        return line[1:]

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def memory(self):
        return int(next(line.split(b":")[1] for line in self.ask("INFO", "memory").splitlines() if line.startswith(b"used_memory:")))


def unit(v):
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def measure(redis, n, clustered, quant, ef):
    random = np.random.default_rng(7)
    v = unit(random.standard_normal((n, DIMS), dtype=np.float32))
    if clustered:
        centres = unit(random.standard_normal((n // 100 + 1, DIMS), dtype=np.float32))
        v = unit(0.8 * centres[random.integers(0, len(centres), n)] + 0.6 * v)
    q = unit(0.9 * v[random.integers(0, n, QUERIES)] + np.sqrt(0.19) * unit(random.standard_normal((QUERIES, DIMS), dtype=np.float32)))
    best = np.argmax(q @ v.T, axis=1)
    redis.ask("FLUSHALL")
    before = redis.memory()
    start = time.perf_counter()
    for i in range(n + TOGETHER):
        if i < n:
            redis.send("VADD", "k", "FP32", v[i].astype("<f4").tobytes(), i.to_bytes(32, "little"), "CAS", quant)
        if i >= TOGETHER:
            redis.read()
    add_us = (time.perf_counter() - start) / n * 1e6
    took, right = [], 0
    for i in range(QUERIES):
        start = time.perf_counter()
        found = redis.ask("VSIM", "k", "FP32", q[i].astype("<f4").tobytes(), "WITHSCORES", "COUNT", 8, "EF", ef)
        took.append((time.perf_counter() - start) * 1e3)
        # 8 bits do not always tell the first two apart; ibid fetches several and looks at the vectors themselves.
        ids = [int.from_bytes(x, "little") for x in found[::2]]
        right += max(ids, key=lambda x: float(q[i] @ v[x])) == best[i]
    used = redis.memory() - before
    took.sort()
    print(f"{n:>9,}  {'clustered' if clustered else 'random':<9}  {add_us:7.0f} us  {sum(took) / len(took):6.2f}  {took[int(len(took) * .99)]:6.2f} ms  "
          f"{right / QUERIES:.3f}  {used / n:6.0f} B  {used / 2**20:7.1f} MiB", flush=True)


parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("entries", nargs="*", type=int, default=[10000, 100000])
parser.add_argument("--float32", action="store_true")
parser.add_argument("--ef", type=int, default=200)
parser.add_argument("--kinds", default="clustered,random")
args = parser.parse_args()
fetched = subprocess.run([ROOT / "tests/redis8.sh", "--quiet"], capture_output=True, text=True)
if fetched.returncode:
    print(fetched.stderr.strip())
    sys.exit(77)
PROGRAMS = fetched.stdout.strip()
with tempfile.TemporaryDirectory() as folder:
    server = Redis(folder)
    try:
        print("  entries  vectors    addition   search: mean, p99   recall  a vector      all")
        for entries in args.entries:
            for kind in args.kinds.split(","):
                measure(server, entries, kind == "clustered", "NOQUANT" if args.float32 else "Q8", args.ef)
    finally:
        server.proc.kill()
        server.proc.wait()
