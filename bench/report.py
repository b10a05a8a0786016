#!/usr/bin/env python3
"""A trace of traffic replayed, and what `ibid report` says of it checked by sums made here.

    bench/report.py [--trace CSV] [--rows N] [--plot FILE]

The trace is Azure's LLM inference trace of conversations, 2023 (github.com/Azure/AzurePublicDataset, CC-BY): lines of TIMESTAMP, ContextTokens,
GeneratedTokens; without it the exit status is 77. It has no texts, so two requests of the same two counts are taken for the same question: the
first is paid, the others are saved. Times between requests are not waited for. An upstream here answers with the counts of the trace.

Needs build/release/ibid (or IBID_BIN), python3. Exit status 1 when a sum differs."""
import argparse
import csv
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[1]
BIN = os.environ.get("IBID_BIN", ROOT / "build/release/ibid")
MODEL, INPUT, OUTPUT, CPU_USD, CPU_WATTS = "gpt-4o", 2.5, 10.0, 0.05, 3.5
CLASSES = {"2023 frontier": 60, "2024 frontier": 15, "2025 frontier": 2.5, "2026 small, hosted": 0.02, "2026 small, local": 0}


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked = 0

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][0]["content"]
        prompt, completion = map(int, question.split()[1::2])
        Upstream.asked += 1
        body = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": MODEL,
                           "choices": [{"index": 0, "message": {"role": "assistant", "content": f"answer {prompt} {completion}"}, "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def start(tmp, upstream):
    port, admin = free_port(), free_port()
    (tmp / "ibid.yaml").write_text(f"""
listen: 127.0.0.1:{port}
admin: {{listen: 127.0.0.1:{admin}}}
data_dir: {tmp}/data
log_level: warn
upstream: {{url: http://127.0.0.1:{upstream}}}
encoder: {{model: "off"}}
local: {{model: "off"}}
account: {{cpu_usd_per_hour: {CPU_USD}, cpu_watts: {CPU_WATTS}}}
prices:
  - {{model: {MODEL}, input: {INPUT}, output: {OUTPUT}, source: "a figure for this bench", date: 2026-01-31}}
""")
    ibid = subprocess.Popen([BIN, "serve", "-c", tmp / "ibid.yaml"])
    for _ in range(300):
        if subprocess.run([BIN, "health", "-c", tmp / "ibid.yaml"], capture_output=True).returncode == 0:
            return ibid, port
        time.sleep(0.05)
    ibid.kill()
    sys.exit("report: ibid did not start")


def replay(port, rows):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for prompt, completion in rows:
        c.request("POST", "/v1/chat/completions", json.dumps({"model": MODEL, "messages": [{"role": "user", "content": f"context {prompt} generated {completion}"}]}),
                  {"Authorization": "Bearer sk-bench", "Content-Type": "application/json"})
        r = c.getresponse()
        r.read()
        if r.status != 200:
            sys.exit(f"report: status {r.status}")


def sums_of(rows):
    seen, paid, saved = set(), [0, 0, 0], [0, 0, 0]
    for prompt, completion in rows:
        to = saved if (prompt, completion) in seen else paid
        seen.add((prompt, completion))
        to[0], to[1], to[2] = to[0] + 1, to[1] + prompt, to[2] + completion
    return paid, saved


def differences(r, rows):
    (paid, paid_in, paid_out), (saved, saved_in, saved_out) = sums_of(rows)
    t, own = r["totals"], r["own_work"]
    tokens, asked = paid_in + paid_out + saved_in + saved_out, paid_in + paid_out
    want = {
        "requests": (t["requests"], paid + saved), "from_cache": (t["from_cache"], saved), "asked upstream": (Upstream.asked, paid),
        "unmetered": (t["unmetered"], 0), "unpriced": (t["unpriced_tokens"], 0),
        "prompt_tokens": (t["prompt_tokens"], paid_in + saved_in), "completion_tokens": (t["completion_tokens"], paid_out + saved_out),
        "paid_usd": (t["paid_usd"], (paid_in * INPUT + paid_out * OUTPUT) / 1e6), "saved_usd": (t["saved_usd"], (saved_in * INPUT + saved_out * OUTPUT) / 1e6),
        "own usd": (own["usd"], own["cpu_seconds"] / 3600 * CPU_USD), "net usd": (r["net"]["saved_usd"], t["saved_usd"] - own["usd"]),
    }
    for c in r["what_if"]:
        price = CLASSES[c["class"]]
        want[c["class"]] = (c["without_ibid_usd"], tokens / 1e6 * price)
        want[c["class"] + ", with ibid"] = (c["with_ibid_usd"], asked / 1e6 * price)
        want[c["class"] + ", net"] = (c["net_saved_usd"], (tokens - asked) / 1e6 * price - own["usd"])
    return {k: v for k, v in want.items() if abs(v[0] - v[1]) > 1e-9 * max(1, abs(v[1]))} | ({} if len(r["what_if"]) == len(CLASSES) else {"classes": len(r["what_if"])})


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--trace", type=pathlib.Path, default=pathlib.Path(os.environ.get("IBID_EVAL", ROOT.parent / "shared/eval")) / "traffic/AzureLLMInferenceTrace_conv.csv")
    a.add_argument("--rows", type=int, default=10**9)
    a.add_argument("--plot", default=None)
    a = a.parse_args()
    if not a.trace.exists():
        print(f"report: {a.trace} is missing", file=sys.stderr)
        sys.exit(77)
    with open(a.trace) as f:
        rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(f)][:a.rows]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        ibid, port = start(tmp, server.server_address[1])
        try:
            replay(port, rows)
        finally:
            ibid.send_signal(signal.SIGTERM)
            ibid.wait(60)
        # From the file: it is whole after the end.
        run = [BIN, "report", "--file", tmp / "data/ledger.json", "-c", tmp / "ibid.yaml", "--what-if"]
        r = json.loads(subprocess.run([*run, "--json"], capture_output=True, text=True, check=True).stdout)
        subprocess.run([*run, *(["--plot", a.plot] if a.plot else [])], check=True)
    wrong = differences(r, rows)
    for name, (said, is_so) in wrong.items():
        print(f"report: {name}: it says {said}, and it is {is_so}", file=sys.stderr)
    print(f"\n{len(rows)} requests of {a.trace.name}: {'every sum is right' if not wrong else 'WRONG'}")
    sys.exit(bool(wrong))


main()
