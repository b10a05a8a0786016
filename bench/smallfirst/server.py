"""The binary with a built-in model and a scripted upstream, asked tasks over HTTP: what the model said, what of it
showed, what the upstream answered."""
import concurrent.futures
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import tasks

ROOT = pathlib.Path(__file__).resolve().parents[2]
IBID = os.environ.get("IBID_BIN", str(ROOT / "build/release/ibid"))
# Where the file does not say it.
TEMPLATES = {"gemma-3-270m": "gemma"}
KEY = {"Authorization": "Bearer bench"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Upstream(http.server.BaseHTTPRequestHandler):
    """Knows what the stronger model says to each question, and takes its time."""
    protocol_version, answers, delay_s = "HTTP/1.1", {}, 0.0

    def do_POST(self):
        q = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(self.delay_s)
        said = self.answers.get(q["messages"][-1]["content"], "I do not know.")
        body = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": q["model"], "choices": [
            {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def have(model):
    return os.access(IBID, os.X_OK) and subprocess.run([IBID, "models", "show", model], capture_output=True).returncode == 0


class Ibid:
    def __init__(self, port, admin, outcomes):
        self.port, self.admin, self.outcomes = port, admin, outcomes

    def ask(self, messages, headers=None, **body):
        """Status, headers, text, seconds."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        t0 = time.monotonic()
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "auto", "max_tokens": 48, "messages": messages, **body}), {**KEY, "x-ibid-threshold": "1", **(headers or {})})
        r = c.getresponse()
        said = json.loads(r.read())
        took = time.monotonic() - t0
        if r.status != 200:
            sys.exit(f"smallfirst: {r.status} {dict(r.headers)}: {said}")
        return r.headers, said["choices"][0]["message"]["content"], took

    def rows(self):
        with open(self.outcomes, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def metric(self, name):
        c = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        c.request("GET", "/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", c.getresponse().read().decode(), re.M)
        return float(found[1]) if found else 0.0


@contextlib.contextmanager
def ibid(model, listed, encoder="off", local=None, cache=None, prompts=None, routes=None, delay_s=0.0, **route):
    """Every answer is looked at and none is given out, unless `route` says otherwise: what came of it is in the file."""
    port, admin = free_port(), free_port()
    handler = type("Handler", (Upstream,), {"answers": {t["prompt"]: t["strong"] for t in listed}, "delay_s": delay_s})
    up = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=up.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as d:
        outcomes = d + "/outcomes.jsonl"
        config = {"listen": f"127.0.0.1:{port}", "admin": {"listen": f"127.0.0.1:{admin}"}, "data_dir": d + "/data",
                  "encoder": {"model": encoder}, "local": {"model": model, "chat_template": TEMPLATES.get(model, ""), "priority": "normal", **(local or {})}, "upstream": {"url": f"http://127.0.0.1:{up.server_port}"},
                  "route": {"models": "auto", "classifier": "off", "confidence_min": 1, "deadline_ms": 600000, "outcomes_file": outcomes, "outcomes": "texts", **route}}
        config |= {k: v for k, v in (("prompts", prompts), ("routes", routes), ("cache", cache)) if v}
        (pathlib.Path(d) / "ibid.yaml").write_text(json.dumps(config))
        server = subprocess.Popen([IBID, "serve", "--config", d + "/ibid.yaml"], stderr=open(d + "/log", "w"))
        try:
            for _ in range(400):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                if server.poll() is not None:
                    sys.exit("smallfirst: " + pathlib.Path(d, "log").read_text())
                time.sleep(0.05)
            yield Ibid(port, admin, outcomes)
        finally:
            server.terminate()
            server.wait()
            up.shutdown()


def user(text):
    return [{"role": "user", "content": text}]


def attempts(model, listed, taught=(), system=None, jobs=8, **setting):
    """What the model said to each task, whether it was right, and what showed: the task with "said", "right", "signs",
    "label" (what the upstream's answer says of it) and "took". `taught`: tasks that were asked before. Of a task that came to no answer
    "said" is empty and "signs" None."""
    with ibid(model, [*listed, *taught], **setting) as b, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        before = [{"role": "system", "content": system}] if system else []
        if taught:  # the first answer of a key is not stored by meaning before it is accepted
            b.ask(user(taught[0]["prompt"]), {"x-ibid-route": "upstream"})
        list(pool.map(lambda t: b.ask(before + user(t["prompt"]), {"x-ibid-route": "upstream"}), taught))
        for _ in range(400 if taught else 0):
            if b.metric("ibid_index_entries") >= len(taught) - 1:
                break
            time.sleep(0.05)
        took = list(pool.map(lambda t: b.ask(before + user(t["prompt"]))[2], listed))
        for _ in range(100):  # a line is written when its answer has ended, which its reader may see before
            found = {r["question"]: r for r in b.rows() if "question" in r}
            if len(found) == len(listed):
                break
            time.sleep(0.05)
    rows = []
    for t, s in zip(listed, took):
        r = found.get(t["prompt"])
        if r is None:  # it thought, and came to no answer: the upstream was asked, and there is nothing to be looked at
            rows.append({**t, "said": "", "right_local": False, "right_upstream": tasks.is_right(t, t["strong"]), "sure": 0.0, "label": None, "signs": None, "took": s})
            continue
        rows.append({**t, "said": r["said"], "right_local": tasks.is_right(t, r["said"]), "right_upstream": tasks.is_right(t, t["strong"]), "sure": r["sure"],
                     "label": r.get("small"), "signs": r["signs"], "took": s})
    return rows
