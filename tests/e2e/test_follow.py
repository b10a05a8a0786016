"""The same stream asked for at the same time: one call of the upstream, whose bytes all get as they come."""
import json
import socket
import threading
import time

import pytest

from client import until
from upstream import events
from wire import Answer, Peer, ask, chat_bytes, framed, read_all

WORDS = events(" ".join(f"w{i}" for i in range(20)), usage=(12, 7))
HALF = WORDS.find(b"w10")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Slow(Peer):
    """Answers with `body` up to `half`, and with the rest when it is let go: `end` is what comes behind it."""

    def __init__(self, body=WORDS, half=HALF, end=b"0\r\n\r\n"):
        self.body, self.half, self.end = body, half, end
        self.go, self.asked, self.left = threading.Event(), 0, 0
        super().__init__(self.answer)

    def answer(self, _, s, n):
        while self.read_request(s, n)[0]:
            if b'"stream": true' not in self.received[n]:
                s.sendall(framed(b'{"error":{"message":"proof"}}'))
                continue
            with self.lock:
                self.asked += 1
            s.sendall(HEAD + chunk(self.body[:self.half]))
            while not self.go.wait(0.02):
                s.settimeout(0.001)
                try:
                    if s.recv(1) == b"":
                        self.left += 1
                        return
                except TimeoutError:
                    pass
                s.settimeout(300)
            for at in range(self.half, len(self.body), 65536):
                s.sendall(chunk(self.body[at:at + 65536]))
            if self.end is None:
                return
            s.sendall(self.end)


@pytest.fixture
def slow():
    made = []

    def make(**kw):
        made.append(Slow(**kw))
        return made[-1]
    yield make
    for p in made:
        p.go.set()
        p.close()


def begin(ibid, question="q", stream=True, **kw):
    s = socket.create_connection(("127.0.0.1", ibid.port), 10)
    s.sendall(chat_bytes(question, stream=stream, **kw))
    return s


def read_until(s, words):
    """What has come when `words` have."""
    data = b""
    s.settimeout(10)
    while words not in data:
        part = s.recv(65536)
        assert part, data
        data += part
    return data


def rest_of(s, data):
    more, ended = read_all(s, 300)
    s.close()
    return Answer(data + more, ended)


def test_all_get_the_bytes_as_they_come(make_ibid, slow):
    up = slow()
    ibid = make_ibid(up)
    leader = begin(ibid)
    ibid.wait_metric("ibid_requests_in_flight", 1)
    early = begin(ibid)
    got = [(s, read_until(s, b"w9 ")) for s in (leader, early)]
    late = begin(ibid)  # what has come already it gets at once
    got.append((late, read_until(late, b"w9 ")))
    assert up.asked == 1 and not up.go.is_set()
    up.go.set()
    out = [rest_of(s, data) for s, data in got]
    assert [r.source for r in out] == ["upstream", "coalesced", "coalesced"]
    assert all(r.whole and r.status == 200 and r.body == WORDS for r in out)
    assert out[1].headers["cache-status"] == "ibid; fwd=miss; collapsed"
    assert up.asked == 1 and ibid.metric("ibid_streams_followed_total") == 2
    assert ask(ibid, "q", stream=True).source == "exact"


def test_two_hundred_and_the_first_one_leaves(make_ibid, slow):
    up = slow()
    ibid = make_ibid(up)
    leader = begin(ibid)
    read_until(leader, b"w9 ")
    others = [(s, read_until(s, b"w9 ")) for s in (begin(ibid) for _ in range(199))]
    leader.close()
    ibid.wait_metric("ibid_client_gone_total", 1)
    another = begin(ibid)
    others.append((another, read_until(another, b"w9 ")))
    up.go.set()
    out = [rest_of(s, data) for s, data in others]
    assert len(out) == 200 and all(r.whole and r.body == WORDS for r in out)
    assert up.asked == 1 and up.left == 0
    # And it is kept.
    assert ask(ibid, "q", stream=True).source == "exact"


def test_when_all_have_left_so_has_ibid(make_ibid, slow):
    up = slow()
    ibid = make_ibid(up)
    clients = [begin(ibid) for _ in range(3)]
    for s in clients:
        read_until(s, b"w9 ")
    waits = begin(ibid, stream=True, stream_options={"include_usage": True})  # it can not have these bytes
    ibid.wait_metric("ibid_requests_in_flight", 4)
    for n, s in enumerate(clients):
        assert up.left == 0
        s.close()
        ibid.wait_metric("ibid_client_gone_total", n + 1)
    until(lambda: up.left == 1, "the call to end")
    # Who has waited asks for itself.
    until(lambda: up.asked == 2, "another call")
    up.go.set()
    assert rest_of(waits, b"").source == "upstream"
    assert ibid.metric("ibid_cache_stored_total") == 1


@pytest.mark.parametrize("leader_leaves", [False, True])
def test_a_stream_that_breaks_off_breaks_off_for_all(make_ibid, slow, leader_leaves):
    up = slow(end=None, body=WORDS[:-30])
    ibid = make_ibid(up)
    got = [(s, read_until(s, b"w9 ")) for s in (begin(ibid) for _ in range(3))]
    if leader_leaves:
        got.pop(0)[0].close()
        ibid.wait_metric("ibid_client_gone_total", 1)
    up.go.set()
    for s, data in got:
        r = rest_of(s, data)
        assert not r.whole and r.body.startswith(WORDS[:HALF])
        assert b"[DONE]" not in r.body and json.loads(r.body.split(b"data: ")[-1])["error"]["message"]
    assert ibid.metric("ibid_cache_stored_total") == 0 and up.asked == 1
    assert ibid.metric('ibid_cache_unstored_total{reason="incomplete"}') == 1


@pytest.mark.parametrize("what", ["usage", "tools", "metadata", "whole"])
def test_who_can_not_have_these_bytes_waits_for_the_end(make_ibid, slow, what):
    up = slow()
    ibid = make_ibid(up)
    tools = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]} if what == "tools" else {}
    leader = begin(ibid, **tools)
    data = read_until(leader, b"w9 ")
    other = begin(ibid, stream=what != "whole", headers=["x-ibid-metadata: on"] if what == "metadata" else [], **tools,
                  **({"stream_options": {"include_usage": True}} if what == "usage" else {}))
    ibid.wait_metric("ibid_requests_in_flight", 2)
    other.settimeout(0.3)
    with pytest.raises(TimeoutError):
        other.recv(1)
    up.go.set()
    assert rest_of(leader, data).body == WORDS
    r = rest_of(other, b"")
    assert r.source == "coalesced" and r.whole and ibid.metric("ibid_streams_followed_total") == 0 and up.asked == 1


def test_who_reads_slowly_holds_back_the_upstream_and_no_memory(make_ibid, slow):
    body = events("word " * 200_000)  # beyond any buffer
    up = slow(body=body, half=1000)
    ibid = make_ibid(up, env={"IBID_LIMITS_BUFFER_BYTES": "64KiB", "IBID_CACHE_ANSWER_MAX_BYTES": "64MiB", "IBID_LIMITS_WRITE_TIMEOUT_MS": "60000"})
    leader = begin(ibid)
    got = read_until(leader, b"word")
    follower = begin(ibid)
    mine = read_until(follower, b"word")
    assert up.asked == 1, mine[:600]
    up.go.set()
    done = []
    t = threading.Thread(target=lambda: done.append(rest_of(leader, got)))
    t.start()
    time.sleep(1)
    assert not done  # it waits for the slowest
    r = rest_of(follower, mine)
    t.join(60)
    assert r.whole and r.body == body and done[0].whole and done[0].body == body and up.asked == 1
    # One who reads nothing more and leaves lets the others go on.
    up.go.clear()
    leader = begin(ibid, question="again")
    got = read_until(leader, b"word")
    follower = begin(ibid, question="again")
    read_until(follower, b"word")
    up.go.set()
    time.sleep(0.3)
    follower.close()
    assert rest_of(leader, got).body == body


def test_ending_while_they_follow(make_ibid, slow):
    up = slow()
    ibid = make_ibid(up, env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "300"})
    got = [(s, read_until(s, b"w9 ")) for s in (begin(ibid) for _ in range(3))]
    got.pop(0)[0].close()
    ibid.wait_metric("ibid_client_gone_total", 1)
    ibid.stop()
    for s, data in got:
        assert not rest_of(s, data).whole


def test_what_is_kept_of_all_streams_is_bounded(make_ibid, slow):
    """Thousands of streams at once must not each keep what somebody might ask for."""
    body = events("word " * 2000)
    half = body.rfind(b"data:", 0, 30_000)
    assert half > 25_000
    up = slow(body=body, half=half)
    ibid = make_ibid(up)
    got = []
    for i in range(150):
        s = begin(ibid, question=f"q{i}")
        data = b""
        while data.count(b"word ") < body[:half].count(b"word "):
            data += s.recv(65536)
        got.append((s, data))
    kept = ibid.metric("ibid_streams_kept_bytes")
    assert 2**20 < kept <= 4 * 2**20, kept
    follower = begin(ibid, question="q0")
    data = read_until(follower, b"word ")
    late = begin(ibid, question="q149")
    late.settimeout(0.3)
    with pytest.raises(TimeoutError):
        late.recv(1)
    assert ibid.metric("ibid_streams_followed_total") == 1 and up.asked == 150
    up.go.set()
    out = [rest_of(s, data) for s, data in (*got, (follower, data), (late, b""))]
    assert all(r.whole for r in out) and all(r.body == body for r in out[:-1]) and out[-1].source == "coalesced"
    until(lambda: ibid.metric("ibid_streams_kept_bytes") == 0, "what was kept to go")
