"""Stored answers that are streamed in their time (cache.replay_pace)."""
import json
import signal
import socket
import time

import pytest

from client import said, until
from upstream import Reply, events, stream
from wire import Answer, ask, chat_bytes, read_all

WORDS = " ".join(f"word{i}" for i in range(30))


def paced(make_ibid, upstream, pace, text=WORDS, **env):
    """An ibid that has the answer to `q`."""
    upstream.default = lambda r: stream(text, usage=(12, 7))
    ibid = make_ibid(upstream, env={"IBID_CACHE_REPLAY_PACE": str(pace), **env})
    assert ask(ibid, "q", stream=True).source == "upstream"
    ibid.wait_metric("ibid_cache_stored_total", 1)
    return ibid


def timed(ibid, data=None):
    """What came, and when: pairs of seconds and bytes."""
    with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:
        s.sendall(data or chat_bytes("q", stream=True))
        began, parts = time.monotonic(), []
        while part := s.recv(65536):
            parts.append((time.monotonic() - began, part))
    return parts


def test_words_come_one_after_the_other(make_ibid, upstream):
    ibid = paced(make_ibid, upstream, 40)
    parts = timed(ibid)
    r = Answer(b"".join(p for _, p in parts), "fin")
    assert r.whole and r.source == "exact" and said(r.body) == WORDS and r.body.endswith(b"data: [DONE]\n\n")
    # 30 words, the role before them and the end behind them, at 40 a second.
    assert len(parts) > 15, parts
    assert 0.7 < parts[-1][0] < 10 and parts[0][0] < 0.5
    # An event is never split between two pieces.
    assert all(p.rstrip(b"\r\n0").endswith(b"}") or b"[DONE]" in p or p.startswith(b"HTTP") or p.strip() == b"0" for _, p in parts), parts
    assert ibid.metric("ibid_replays_paced_total") == 1
    # A whole answer waits for nothing.
    began = time.monotonic()
    assert ask(ibid, "q").text == WORDS and time.monotonic() - began < 0.5
    assert ibid.metric("ibid_replays_paced_total") == 1 and len(upstream.requests) == 1


def test_off_by_default(make_ibid, upstream):
    ibid = paced(make_ibid, upstream, 0)
    r = ask(ibid, "q", stream=True)
    assert r.source == "exact" and said(r.body) == WORDS and ibid.metric("ibid_replays_paced_total") == 0


@pytest.mark.parametrize("value", ["1001", "-1", "fast"])
def test_nonsense_is_refused(make_ibid, upstream, value):
    with pytest.raises(AssertionError, match="IBID_CACHE_REPLAY_PACE: .* is not"):
        make_ibid(upstream, env={"IBID_CACHE_REPLAY_PACE": value})


def test_lines_are_paced_too(make_ibid, upstream):
    lines = [{"model": "m", "created_at": "2026-01-31T12:00:00.000000Z", "message": {"role": "assistant", "content": w + " "}, "done": False} for w in WORDS.split()]
    lines.append({"model": "m", "created_at": "2026-01-31T12:00:00.000000Z", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
                  "prompt_eval_count": 3, "eval_count": 30})
    body = b"".join(json.dumps(x).encode() + b"\n" for x in lines)
    upstream.default = Reply(body=body, content_type="application/x-ndjson", chunked=True)
    ibid = make_ibid(upstream, env={"IBID_CACHE_REPLAY_PACE": "40"})
    ask_ = json.dumps({"model": "m", "messages": [{"role": "user", "content": "q"}]}).encode()
    head = f"POST /api/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\nContent-Length: {len(ask_)}\r\n\r\n".encode()
    timed(ibid, head + ask_)
    ibid.wait_metric("ibid_cache_stored_total", 1)
    parts = timed(ibid, head + ask_)
    r = Answer(b"".join(p for _, p in parts), "fin")
    assert r.source == "exact" and r.whole and parts[-1][0] > 0.7
    assert "".join(json.loads(x)["message"]["content"] for x in r.body.splitlines()).split() == WORDS.split()


def test_a_client_that_leaves_ends_it(make_ibid, upstream):
    ibid = paced(make_ibid, upstream, 5)
    s = socket.create_connection(("127.0.0.1", ibid.port), 10)
    s.sendall(chat_bytes("q", stream=True))
    assert s.recv(65536)
    s.close()
    ibid.wait_metric("ibid_client_gone_total", 1)
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "its end")
    assert ask(ibid, "q").source == "exact"


def test_who_reads_slowly_gets_all_of_it_and_no_burst(make_ibid, upstream):
    """More than any buffer holds, so the client's reading is what it waits for."""
    text = " ".join("w" * 20_000 for _ in range(800))  # a piece of a word is 64 bytes
    ibid = paced(make_ibid, upstream, 1000, text=text, IBID_CACHE_ANSWER_MAX_BYTES="64MiB", IBID_LIMITS_BUFFER_BYTES="64KiB")
    with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        s.sendall(chat_bytes("q", stream=True))
        time.sleep(1)  # takes nothing
        data, began = b"", time.monotonic()
        while time.monotonic() - began < 2:
            data += s.recv(65536)
    # Of 1000 events a second, some 300 bytes each: what stood in buffers, and two seconds' worth.
    assert 20_000 < len(data) < 5_000_000, len(data)
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "its end")


def test_the_end_of_the_program_waits_for_no_pace(make_ibid, upstream):
    ibid = paced(make_ibid, upstream, 1)
    with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:
        s.sendall(chat_bytes("q", stream=True))
        first = s.recv(65536)
        began = time.monotonic()
        ibid.proc.send_signal(signal.SIGTERM)
        more, ended = read_all(s, 20)
    assert time.monotonic() - began < 8
    r = Answer(first + more, ended)
    assert r.whole and said(r.body) == WORDS
    ibid.stop()


def test_events_of_the_upstream_keep_their_own_time(make_ibid, upstream):
    upstream.default = lambda r: Reply(body=events(WORDS, usage=(1, 1)), content_type="text/event-stream", chunked=True)
    ibid = make_ibid(upstream, env={"IBID_CACHE_REPLAY_PACE": "1"})
    began = time.monotonic()
    assert said(ask(ibid, "q", stream=True).body) == WORDS and time.monotonic() - began < 2
