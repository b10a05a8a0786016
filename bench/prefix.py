#!/usr/bin/env python3
"""Time to the first token with a long system prompt, new and seen before, through the running proxy.

    bench/prefix.py [--rounds N] [--rules N] [--threads N]

Starts build/release/ibid (IBID_BIN) with the built-in model alone. A round has a system prompt of its own: the
first question meets it cold, the next two find its keys and values kept. Prints the medians and their ratio.
Needs Python 3.9 and the model (ibid models pull smollm2-135m-instruct).
"""
import argparse
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(binary, folder, threads):
    port, admin = free_port(), free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("IBID_") or k in ("IBID_KERNELS", "IBID_MODEL_DIR")}
    env.update(IBID_LISTEN=f"127.0.0.1:{port}", IBID_ADMIN_LISTEN=f"127.0.0.1:{admin}", IBID_DATA_DIR=folder,
               IBID_STORE_URL="memory:", IBID_ENCODER_MODEL="off", IBID_LOCAL_THREADS=str(threads), IBID_LOG_LEVEL="error")
    process = subprocess.Popen([binary, "serve"], env=env)
    for _ in range(500):
        try:
            c = http.client.HTTPConnection("127.0.0.1", admin)
            c.request("GET", "/readyz")
            if c.getresponse().status == 200:
                return process, port
        except OSError:
            time.sleep(0.02)
    process.kill()
    sys.exit("prefix: ibid did not become ready")


def ask(port, system, question):
    """Seconds to the first piece of text, and the tokens of the prompt."""
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 4,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}]}
    c = http.client.HTTPConnection("127.0.0.1", port)
    t0 = time.perf_counter()
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"x-ibid-cache": "no-cache, no-store"})
    r = c.getresponse()
    if r.status != 200:
        sys.exit(f"prefix: {r.status} {r.read()!r}")
    first, tokens = None, 0
    for line in r:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        if first is None and event["choices"] and event["choices"][0]["delta"].get("content"):
            first = time.perf_counter() - t0
        if event.get("usage"):
            tokens = event["usage"]["prompt_tokens"]
    return first, tokens


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--rules", type=int, default=72, help="length of the system prompt: a rule is some 14 tokens")
    p.add_argument("--threads", type=int, default=1)
    o = p.parse_args()
    binary = os.environ.get("IBID_BIN", str(pathlib.Path(__file__).resolve().parent.parent / "build/release/ibid"))
    with tempfile.TemporaryDirectory() as folder:
        process, port = start(binary, folder, o.threads)
        try:
            cold, warm = [], []
            for n in range(o.rounds + 1):
                system = f"You are assistant {n}. " + " ".join(f"Rule {i}: if asked for item {i + n}, be brief." for i in range(o.rules))
                times = [ask(port, system, f"What is item {k}?") for k in range(3)]
                if n > 0:  # the first touches the memory
                    cold.append(times[0][0])
                    warm += [t for t, _ in times[1:]]
            a, b = statistics.median(cold), statistics.median(warm)
            print(f"prompt of {times[0][1]} tokens, {o.threads} thread(s): first token cold {a * 1e3:.1f} ms "
                  f"({min(cold) * 1e3:.1f} to {max(cold) * 1e3:.1f}), seen before {b * 1e3:.1f} ms "
                  f"({min(warm) * 1e3:.1f} to {max(warm) * 1e3:.1f}): {100 * b / a:.1f} %")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
