"""A line of each request, with what the operator listed and nothing else, at nobody's expense."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import BIN
from test_reload import hang_up, reload, write
from upstream import answer, stream


def lines(path, n, timeout=10):
    end = time.monotonic() + timeout
    while True:
        got = path.read_text().splitlines() if path.exists() else []
        if len(got) >= n:
            assert len(got) == n
            return [json.loads(g) for g in got]
        assert time.monotonic() < end, got
        time.sleep(0.02)


def test_lines_are_what_happened(tmp_path, make_ibid, upstream):
    log = tmp_path / "access.log"
    ibid = make_ibid(upstream, env={"IBID_ACCESS_LOG_PATH": str(log)})
    upstream.default = lambda r: stream("a b", usage=(3, 4)) if r.json.get("stream") else answer("a", usage=(12, 7), delay=0.03)
    ibid.chat("a secret question")
    ibid.chat("a secret question")
    ibid.chat("streamed", stream=True, stream_options={"include_usage": True})
    ibid.request("POST", "/v1/chat/completions?key=abc", "{")
    ibid.request("DELETE", "/v1/files/file-private", headers={"authorization": "Bearer sk-test"})
    one, two, three, four, five = lines(log, 5)
    assert list(one) == "time method path status source model duration_ms prompt_tokens completion_tokens".split()
    assert (one["method"], one["path"], one["status"], one["source"], one["model"]) == ("POST", "/v1/chat/completions", 200, "upstream", "stub-model")
    assert (one["prompt_tokens"], one["completion_tokens"]) == (12, 7) and 25 < one["duration_ms"] < 5000
    assert two["source"] == "exact" and two["duration_ms"] < one["duration_ms"]
    assert (three["prompt_tokens"], three["completion_tokens"]) == (3, 4)
    assert four["status"] == 400 and "prompt_tokens" not in four
    assert five["method"] == "DELETE" and "path" not in five
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
    text = log.read_text()
    for word in ("secret", "sk-test", "abc", "private"):
        assert word not in text
    assert ibid.metric("ibid_access_log_lines_total") == 5 and ibid.metric("ibid_access_log_dropped_total") == 0
    assert log.stat().st_mode & 0o007 == 0


def test_only_what_is_listed_in_its_order(tmp_path, make_ibid, upstream):
    log = tmp_path / "access.log"
    fields = ["whole", "tenant", "peer", "usd", "upstream", "dialect", "miss_reason", "status"]
    prices = "prices:\n  - {model: stub-model, input: 1, output: 1, source: a page, date: 2026-01-01}\n"
    ibid = make_ibid(upstream, config=f"access_log: {{path: {log}, fields: [{', '.join(fields)}]}}\n" + prices)
    upstream.default = lambda r: answer("a", usage=(500000, 500000))
    ibid.chat("one")
    (one,) = lines(log, 1)
    assert list(one) == [f for f in fields if f in one] and one["whole"] is True and one["usd"] == 1
    assert one["peer"] == "127.0.0.1" and re.fullmatch("[0-9a-f]{16}", one["tenant"]) and one["dialect"] == "openai.chat"
    write(ibid, f"access_log: {{path: {log}, fields: status}}\n")
    reload(ibid)
    ibid.chat("one")
    assert lines(log, 2)[1] == {"status": 200}


def test_a_file_that_was_moved_away_is_opened_anew(tmp_path, make_ibid, upstream):
    log = tmp_path / "access.log"
    ibid = make_ibid(upstream, config=f"access_log: {{path: {log}}}\n")
    ibid.chat("one")
    os.rename(log, tmp_path / "access.log.1")
    ibid.chat("two")
    hang_up(ibid)
    ibid.chat("three")
    assert len(lines(log, 1)) == 1 and len(lines(tmp_path / "access.log.1", 2)) == 2
    write(ibid, "access_log: {path: ''}\n")
    reload(ibid)
    ibid.chat("four")
    write(ibid, "access_log: {path: /nowhere/access.log}\n")
    assert "access_log.path: '/nowhere/access.log'" in reload(ibid, 422)["error"]["reasons"][0]
    ibid.stop()
    assert len(lines(log, 1)) == 1


def test_a_reader_that_does_not_read_costs_lines_and_no_request(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream)
    ibid.kill(signal.SIGTERM)
    read, written = os.pipe()
    env = {**ibid.env, "IBID_ACCESS_LOG_PATH": "-", "IBID_ACCESS_LOG_QUEUE_BYTES_MAX": "16KiB"}
    ibid.log = open(ibid.dir / "log", "ab")
    ibid.proc = subprocess.Popen([BIN, "serve"], env=env, stdout=written, stderr=ibid.log)
    os.close(written)
    ibid.wait_ready()
    ibid.chat("one")
    for _ in range(1500):
        assert ibid.chat("one").status == 200
    ibid.wait_metric("ibid_access_log_dropped_total", 1)
    ibid.proc.send_signal(signal.SIGTERM)
    t0 = time.monotonic()
    assert ibid.proc.wait(20) == 0 and time.monotonic() - t0 < 10
    data = b""
    while (more := os.read(read, 65536)):
        data += more
    os.close(read)
    # What was written is whole.
    assert data.endswith(b"\n") and all(json.loads(x)["status"] == 200 for x in data.splitlines())


def test_what_waits_is_written_at_the_end(tmp_path, make_ibid, upstream):
    log = tmp_path / "access.log"
    ibid = make_ibid(upstream, env={"IBID_ACCESS_LOG_PATH": str(log)})
    for i in range(20):
        ibid.chat("one")
    ibid.stop()
    assert len(log.read_text().splitlines()) == 20


def test_a_field_that_there_is_not(tmp_path, make_ibid, upstream):
    with pytest.raises(AssertionError, match="ended with 2"):
        make_ibid(upstream, name="bad", env={"IBID_ACCESS_LOG_FIELDS": "time prompt"})
    assert "access_log.fields: there is no 'prompt'" in (tmp_path / "bad/log").read_text()
