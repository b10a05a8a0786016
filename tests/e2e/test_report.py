"""`ibid report`: sums that are computed here a second time, over restarts and crashes, and its pictures."""
import collections
import csv
import io
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from client import post, until, user
from conftest import BIN
from upstream import Reply, answer, completion

CONFIG = """
account: {cpu_usd_per_hour: 0.36, cpu_watts: 36, carbon_g_per_kwh: 400, upstream_carbon_g_per_kwh: 300, powercap_dir: "", flush_s: 1}
prices:
  - {model: big-*, input: 10, output: 30, cached_input: 1, source: test, date: 2026-01-31, request_wh: 0.25, mtok_wh: 100, energy_source: test}
  - {model: small, input: 0.5, output: 1.5, source: test, date: 2026-01-31}
"""
PRICE = {"big-1": (10, 1, 30), "big-2": (10, 1, 30), "small": (0.5, 0.5, 1.5)}
CLASSES = {"2023 frontier": 60, "2024 frontier": 15, "2025 frontier": 2.5, "2026 small, hosted": 0.02, "2026 small, local": 0}


def usd(model, prompt, cached, completion_tokens):
    if model not in PRICE:
        return 0
    fresh, old, out = PRICE[model]
    return ((prompt - cached) * fresh + cached * old + completion_tokens * out) / 1e6


class Book:
    """What the ledger must say, kept by hand."""

    def __init__(self):
        self.lines = collections.defaultdict(lambda: collections.Counter())

    def add(self, key, model, source, tokens=None):
        line = self.lines[key, model, source]
        line["requests"] += 1
        if tokens is None:
            line["unmetered"] += source == "upstream"
            return
        prompt, cached, out = tokens
        line["prompt_tokens"] += prompt
        line["cached_tokens"] += cached
        line["completion_tokens"] += out
        line["usd"] += usd(model, *tokens)
        line["unpriced_tokens"] += 0 if model in PRICE else prompt + out
        line["wh"] += 0.25 + (prompt + out) * 100 / 1e6 if model.startswith("big") else 0

    def sum(self, field, **want):
        return sum(line[field] for (key, model, source), line in self.lines.items()
                   if ("source" not in want or source in want["source"]) and want.get("model", model) == model and want.get("key", key) == key)


HITS = ("exact", "semantic", "coalesced")


def run_report(ibid, *args):
    return subprocess.run([BIN, "report", *args, *ibid.args], env=ibid.env, capture_output=True, text=True, timeout=30)


def report_of(ibid, *args):
    done = run_report(ibid, "--json", *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def metered(text, model, prompt, cached, out):
    body = completion(text, model=model, usage=(prompt, out))
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": cached}
    return Reply(body=json.dumps(body).encode())


def traffic(ibid, upstream, book, rng, count):
    for n in range(count):
        key, model = rng.choice(["a", "b"]), rng.choice(["big-1", "big-2", "small", "unknown"])
        text, kind = f"question {rng.randrange(6)}", rng.choice(["chat", "chat", "chat", "no-store", "error"])
        if kind == "error":
            upstream.script = [Reply(status=500, body=b"{}")]
            assert post(ibid, user(f"fails {n}", model=model), key=key).status == 500
            book.add(key, model, "upstream")
            book.lines[key, model, "upstream"]["unmetered"] -= 1  # nothing is paid for it
            continue
        tokens = (rng.randrange(50, 5000), rng.randrange(0, 50), rng.randrange(1, 900))
        upstream.script = [metered(text, model, *tokens)]
        r = post(ibid, user(text, model=model), [("x-ibid-cache", "no-cache, no-store")] if kind == "no-store" else [], key=key)
        seen = (key, model, text)
        if r.source == "exact":
            tokens = traffic.kept[seen]
        elif kind != "no-store":
            traffic.kept[seen] = tokens
        book.add(key, model, r.source, tokens)
        assert r.source in ("upstream", "exact") and r.status == 200
        if r.source == "exact" and model in PRICE:
            assert abs(float(r.headers["x-ibid-saved-usd"]) - usd(model, *tokens)) < 1e-8


traffic.kept = {}


def check(ibid, book, *where):
    r = report_of(ibid, "--by", "tenant,model,source", "--what-if", *where)
    t, near = r["totals"], lambda a, b: abs(a - b) <= 1e-9 * max(1, abs(b))
    assert t["requests"] == book.sum("requests") and t["unmetered"] == book.sum("unmetered")
    assert t["from_cache"] == book.sum("requests", source=HITS) == r["requests"]["exact"]
    for field in ("prompt_tokens", "cached_tokens", "completion_tokens", "unpriced_tokens"):
        assert t[field] == book.sum(field), field
    assert near(t["paid_usd"], book.sum("usd", source=("upstream",))) and near(t["saved_usd"], book.sum("usd", source=HITS))
    assert near(t["upstream_wh"], book.sum("wh", source=("upstream",))) and near(t["saved_wh"], book.sum("wh", source=HITS))
    # Own work is taken off everything.
    own = r["own_work"]
    assert own["cpu_seconds"] > 0 and own["measured_wh"] == 0
    assert near(own["usd"], own["cpu_seconds"] / 3600 * 0.36) and near(own["estimated_wh"], own["cpu_seconds"] * 36 / 3600)
    assert near(r["net"]["saved_usd"], t["saved_usd"] - own["usd"]) and near(r["net"]["saved_wh"], t["saved_wh"] - own["estimated_wh"])
    assert near(own["carbon_g"], own["estimated_wh"] / 1000 * 400)
    assert near(r["net"]["saved_carbon_g"], t["saved_wh"] / 1000 * 300 - own["carbon_g"])
    # Line by line.
    by_line = collections.Counter()
    for line in r["lines"]:
        by_line[line["model"], line["source"]] += line["requests"]
    want = collections.Counter()
    for (_, model, source), line in book.lines.items():
        want[model, source] += line["requests"]
    assert by_line == want
    assert len({line["tenant"] for line in r["lines"]}) == 2 and all(len(line["tenant"]) == 16 for line in r["lines"])
    all_tokens = sum(book.sum(f) for f in ("prompt_tokens", "completion_tokens"))
    asked = sum(book.sum(f, source=("upstream",)) for f in ("prompt_tokens", "completion_tokens"))
    assert {c["class"]: c["usd_per_mtok"] for c in r["what_if"]} == CLASSES
    for c in r["what_if"]:
        price = CLASSES[c["class"]]
        assert near(c["without_ibid_usd"], all_tokens / 1e6 * price) and near(c["with_ibid_usd"], asked / 1e6 * price)
        assert near(c["net_saved_usd"], (all_tokens - asked) / 1e6 * price - own["usd"])
    return r


def test_sums_over_restarts(make_ibid, upstream):
    traffic.kept = {}
    ibid, book, rng = make_ibid(upstream, config=CONFIG), Book(), random.Random(7)
    file = str(ibid.dir / "data/ledger.json")
    for key in "ab":  # so that the cache may answer them
        upstream.script = [metered("ok", "small", 3, 0, 1)]
        assert post(ibid, user(f"proof of {key}", model="small"), key=key).status == 200
        book.add(key, "small", "upstream", (3, 0, 1))
    traffic(ibid, upstream, book, rng, 60)
    check(ibid, book)
    ibid.stop()
    check(ibid, book, "--file", file)  # without anybody running
    ibid.start()
    check(ibid, book)
    assert ibid.savings()["saved"]["usd"] == 0 and ibid.metric("ibid_saved_usd") == 0  # since the start
    traffic(ibid, upstream, book, rng, 40)
    r = check(ibid, book)
    # Killed, it loses at most what came since the last writing.
    until(lambda: sum(row["requests"] for row in json.load(open(file))["rows"]) == book.sum("requests"), "the ledger's writing", timeout=60)
    ibid.kill()
    ibid.start()
    assert check(ibid, book)["since_ms"] == r["since_ms"]
    assert ibid.metric("ibid_ledger_rows") == len(book.lines) and ibid.metric("ibid_energy_measured") == 0


def test_streams_are_metered_too(make_ibid, upstream):
    ibid = make_ibid(upstream, config=CONFIG)
    post(ibid, user("q", model="small", stream=True, stream_options={"include_usage": True}), key="k")
    assert report_of(ibid)["totals"]["unmetered"] == 0 and report_of(ibid)["totals"]["prompt_tokens"] == 12
    # What no usage is told of is counted, and named.
    upstream.script = [Reply(body=json.dumps({k: v for k, v in completion("x").items() if k != "usage"}).encode())]
    post(ibid, user("no usage", model="small"), key="k")
    upstream.script = [Reply(body=b"whatever", content_type="text/plain")]
    post(ibid, b"x", path="/v1/unknown/path", key="k")
    t = report_of(ibid)["totals"]
    assert (t["requests"], t["unmetered"], t["prompt_tokens"]) == (3, 2, 12)


def test_a_client_that_leaves_is_paid_for_all_the_same(make_ibid, upstream):
    ibid = make_ibid(upstream, config=CONFIG)
    upstream.script = [answer("late", delay=1)]
    body = json.dumps(user("q")).encode()
    s = socket.create_connection(("127.0.0.1", ibid.port))
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    until(lambda: upstream.posts(), "the upstream")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset: an end alone may be half a close
    s.close()
    until(lambda: report_of(ibid)["totals"]["unmetered"] == 1, "the broken line")
    assert report_of(ibid)["totals"]["requests"] == 0


def test_csv_and_ranges(make_ibid, upstream):
    ibid = make_ibid(upstream, config=CONFIG)
    upstream.script = [metered("x", '=cmd|"x"', 10, 0, 5)]
    post(ibid, user("q", model="m"), key="k")
    done = run_report(ibid, "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 0 and len(rows) == 1
    assert rows[0]["model"] == "'=cmd|\"x\"" and rows[0]["source"] == "upstream" and rows[0]["prompt_tokens"] == "10"
    today = rows[0]["day"]
    assert report_of(ibid, "--from", today, "--to", today)["totals"]["requests"] == 1
    assert report_of(ibid, "--to", "2020-01-01")["totals"]["requests"] == 0
    assert report_of(ibid, "--from", "2999-01-01")["totals"]["requests"] == 0
    for wrong in (["--by", "colour"], ["--from", "yesterday"], ["--to", "2026-02-30"], ["--json", "--csv"], ["--file", "x", "--admin", "y"]):
        done = run_report(ibid, *wrong)
        assert done.returncode == 2 and done.stderr, wrong
    done = run_report(ibid, "--file", str(ibid.dir / "nothing"))
    assert done.returncode == 1 and "nothing" in done.stderr
    done = run_report(ibid, "--what-if", "--by", "day,model")
    assert done.returncode == 0 and "2023 frontier" in done.stdout and today in done.stdout


def svg_of(path):
    root = ET.parse(path).getroot()
    ns = "{http://www.w3.org/2000/svg}"
    assert root.tag == ns + "svg"
    rects, texts = root.findall(ns + "rect"), [t.text for t in root.findall(ns + "text")]
    for r in rects[1:]:
        x, y, w, h = (float(r.get(k)) for k in ("x", "y", "width", "height"))
        assert 0 <= x and x + w <= 860 and 0 <= y and y + h <= 520.5 and h > 0
    return rects, texts


def test_a_picture(make_ibid, upstream, tmp_path):
    ibid, picture = make_ibid(upstream, config=CONFIG), str(tmp_path / "days.svg")
    done = run_report(ibid, "--plot", picture)  # of nothing
    assert done.returncode == 0
    empty, _ = svg_of(picture)
    upstream.script = [metered("x", "big-1", 1000, 0, 500)]
    post(ibid, user("q", model="big-1"), key="k"), post(ibid, user("q", model="big-1"), key="k")
    assert run_report(ibid, "--plot", picture).returncode == 0
    rects, texts = svg_of(picture)
    assert len(rects) == len(empty) + 4 and time.strftime("%Y-%m-%d", time.gmtime()) in texts
    done = run_report(ibid, "--plot", str(tmp_path / "no/such/folder.svg"))
    assert done.returncode == 1 and "cannot write" in done.stderr


def test_a_ledger_that_is_harmed_is_set_aside(make_ibid, upstream):
    ibid = make_ibid(upstream, config=CONFIG)
    post(ibid, user("q"), key="k")
    ibid.stop()
    file = ibid.dir / "data/ledger.json"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    done = run_report(ibid, "--file", str(file))
    assert done.returncode == 1 and "not JSON" in done.stderr
    ibid.start()
    assert "ledger_unreadable" in ibid.read_log() and (ibid.dir / "data/ledger.json.bad").read_bytes() == whole[: len(whole) // 2]
    assert report_of(ibid)["totals"]["requests"] == 0


def test_a_folder_that_is_used_already(make_ibid, upstream):
    first = make_ibid(upstream, config=CONFIG)
    second = make_ibid(upstream, config=CONFIG, env={"IBID_DATA_DIR": str(first.dir / "data"), "IBID_STORE_URL": "memory:"})
    parts = second.admin("/readyz").json
    assert parts["status"] == "degraded" and "another ibid" in parts["parts"]["ledger"]
    post(first, user("q"), key="k")
    second.stop()
    assert report_of(first)["totals"]["requests"] == 1


def test_energy_by_counters(make_ibid, upstream, tmp_path):
    zone = tmp_path / "powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0\n"), ("energy_uj", "1000\n"), ("max_energy_range_uj", "262143328850\n")):
        (zone / name).write_text(text)
    ibid = make_ibid(upstream, config=CONFIG.replace('powercap_dir: ""', f'powercap_dir: "{tmp_path}/powercap"'))
    post(ibid, user("q"), key="k")
    (zone / "energy_uj").write_text("36000001000\n")  # 10 Wh of the whole machine
    r = report_of(ibid)
    assert ibid.metric("ibid_energy_measured") == 1
    assert 0 < r["own_work"]["measured_wh"] <= 10 and r["own_work"]["estimated_wh"] == 0


def test_the_list_prices_can_be_read(tmp_path):
    file = pathlib.Path(__file__).parents[2] / "deploy/prices.yaml"
    (tmp_path / "ibid.yaml").write_text(f"prices_file: {file}\n")
    done = subprocess.run([BIN, "check", "-c", str(tmp_path / "ibid.yaml")], env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout.count("input:") == file.read_text().count("- {model:") * 2 > 50, done.stderr
    for line in file.read_text().splitlines():
        assert not line.startswith("  - ") or ("https://" in line and "date: 20" in line), line


def test_prices_of_a_file(make_ibid, upstream, tmp_path):
    prices = tmp_path / "prices.yaml"
    prices.write_text("prices:\n  - {model: small, input: 99, output: 99, source: test, date: 2026-01-31}\n  - {model: other, input: 2, output: 4, source: test, date: 2026-01-31}\n")
    ibid = make_ibid(upstream, config=CONFIG + f"prices_file: {prices}\n")
    for model in ("small", "other"):
        upstream.script = [metered("x", model, 1000, 0, 1000)]
        post(ibid, user("q", model=model), key="k")
    paid = {line["model"]: line["paid_usd"] for line in report_of(ibid, "--by", "model")["lines"]}
    assert abs(paid["small"] - 0.002) < 1e-12 and abs(paid["other"] - 0.006) < 1e-12  # one's own count first
    for text, why in (("listen: 127.0.0.1:1\n", "prices:"), ("prices: 3\n", "prices.yaml:1"), (None, "prices.yaml")):
        if text is None:
            prices.unlink()
        else:
            prices.write_text(text)
        done = subprocess.run([BIN, "check", *ibid.args], env=ibid.env, capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and why in done.stderr, (text, done.stderr)
    bad = "prices:\n  - {model: m, input: 1, output: 1, source: s, date: 2026-01-31, request_wh: 1}\n"
    (tmp_path / "bad.yaml").write_text(bad)
    done = subprocess.run([BIN, "check", "-c", str(tmp_path / "bad.yaml")], env=ibid.env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "energy_source" in done.stderr


def test_a_trace_replayed(tmp_path):
    """bench/report.py on a trace in the form of Azure's: its sums are made from the trace alone."""
    rng, trace = random.Random(5), tmp_path / "trace.csv"
    rows = [(rng.randrange(1, 4000), rng.randrange(1, 500)) for _ in range(60)]
    rows += [rng.choice(rows) for _ in range(40)]
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(f"2023-11-16 18:17:03.9799600,{a},{b}\n" for a, b in rows))
    script, picture = pathlib.Path(__file__).parents[2] / "bench/report.py", tmp_path / "days.svg"
    done = subprocess.run([sys.executable, script, "--trace", trace, "--plot", picture], env={**os.environ, "IBID_BIN": BIN}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "every sum is right" in done.stdout, done.stdout + done.stderr
    svg_of(picture)
    assert subprocess.run([sys.executable, script, "--trace", tmp_path / "none"], env={**os.environ, "IBID_BIN": BIN}, capture_output=True).returncode == 77
