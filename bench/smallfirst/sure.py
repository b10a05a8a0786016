#!/usr/bin/env python3
"""How often the built-in model is right on tasks that a program can check, and whether it knows: the area under the
ROC curve of `sure` (docs/routing.md) for right against wrong answers, .5 is not at all.

    bench/smallfirst/sure.py [--model smollm2-135m-instruct] [--chat-template FAMILY] [--examples N] [--json]

Needs build/release/ibid (IBID_BIN) and the model; some minutes. 77 without."""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import tasks

ROOT = pathlib.Path(__file__).resolve().parents[2]
IBID = os.environ.get("IBID_BIN", str(ROOT / "build/release/ibid"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def examples(n):
    """Turns before the question: tasks of its kind with their answers, of another seed."""
    others = list(tasks.tasks(seed=1))
    return {k: [m for t in [t for t in others if t["kind"] == k][:n] for m in ({"role": "user", "content": t["prompt"]}, {"role": "assistant", "content": t["right"][0]})]
            for k in {t["kind"] for t in others}}


def ask(port, task, before):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    body = {"model": "auto", "max_tokens": 48, "messages": [*before[task["kind"]], {"role": "user", "content": task["prompt"]}]}
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"x-ibid-cache": "no-cache, no-store"})
    r = c.getresponse()
    said, route = json.loads(r.read()), r.getheader("x-ibid-route") or ""
    if r.status != 200 or "sure=" not in route:
        sys.exit(f"sure: {r.status} {route}: {said}")
    return {"kind": task["kind"], "right": tasks.is_right(task, said["choices"][0]["message"]["content"]), "sure": float(re.search(r"sure=([\d.]+)", route)[1])}


def area(rows):
    right, wrong = ([r["sure"] for r in rows if r["right"] == v] for v in (True, False))
    if not right or not wrong:
        return None
    return sum((a > b) + 0.5 * (a == b) for a in right for b in wrong) / len(right) / len(wrong)


def main():
    o = argparse.ArgumentParser()
    o.add_argument("--model", default="smollm2-135m-instruct")
    o.add_argument("--chat-template", default="")
    o.add_argument("--examples", type=int, default=0, help="tasks of the same kind that are shown with their answers before each question")
    o.add_argument("--json", action="store_true")
    o = o.parse_args()
    if not os.access(IBID, os.X_OK) or subprocess.run([IBID, "models", "show", o.model], capture_output=True).returncode != 0:
        print(f"sure: {IBID} or the model {o.model} is missing (ibid models pull {o.model})")
        sys.exit(77)
    listed, port, admin, before = list(tasks.tasks()), free_port(), free_port(), examples(o.examples)
    with tempfile.TemporaryDirectory() as d:
        (pathlib.Path(d) / "ibid.yaml").write_text(json.dumps({
            "listen": f"127.0.0.1:{port}", "admin": {"listen": f"127.0.0.1:{admin}"}, "data_dir": d + "/data", "encoder": {"model": "off"},
            "local": {"model": o.model, "chat_template": o.chat_template}, "upstream": {"url": "http://127.0.0.1:9"},
            # A line that every answer is above, so that the figure is told and nothing escalates.
            "route": {"models": "auto", "classifier": "off", "confidence_min": 1e-9, "deadline_ms": 600000}}))
        server = subprocess.Popen([IBID, "serve", "--config", d + "/ibid.yaml"], stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                rows = list(pool.map(lambda t: ask(port, t, before), listed))
        finally:
            server.terminate()
            server.wait()
    kinds = {k: [r for r in rows if r["kind"] == k] for k in dict.fromkeys(r["kind"] for r in rows)} | {"all": rows}
    table = {k: {"tasks": len(x), "right": sum(r["right"] for r in x) / len(x), "area": area(x)} for k, x in kinds.items()}
    if o.json:
        print(json.dumps(table))
        return
    print("| tasks | of them right | area under the curve of `sure` |\n|---|---:|---:|")
    for k, v in table.items():
        print(f"| {k} ({v['tasks']}) | {v['right']:.3f} | {'-' if v['area'] is None else format(v['area'], '.3f')} |")


if __name__ == "__main__":
    main()
