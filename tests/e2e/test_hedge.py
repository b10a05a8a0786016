"""A second call for an upstream that says nothing: the first good answer wins, whole, and the other one is cut; never
for what may not be asked twice, never more than a share."""
import http.client
import json
import threading
import time

import pytest

from client import post, sse, until, user
from test_upstreams import make_upstream  # noqa: F401 (a fixture)
from upstream import Reply, answer, stream

ALWAYS = {"IBID_UPSTREAM_HEDGE_AFTER_MS": "150", "IBID_UPSTREAM_HEDGE_SHARE": "1"}


def hedges(ibid):
    return {line.split('"')[1]: int(line.rsplit(" ", 1)[1]) for line in ibid.admin("/metrics").body.decode().splitlines()
            if line.startswith("ibid_upstream_hedges_total{")}


def quiet(ibid):
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0 and ibid.metric("ibid_upstream_connections") <= 2, "calls to end")


def test_off_by_default(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.script = [answer("late", delay=0.8)]
    assert ibid.chat("q").text == "late" and len(upstream.requests) == 1


def test_another_place_answers(make_ibid, make_upstream):
    slow, fast = make_upstream(), make_upstream("fast")
    slow.default = lambda r: answer("slow", delay=3)
    ibid = make_ibid(slow, env={**ALWAYS, "IBID_UPSTREAM_FALLBACK_URLS": fast.url})
    t0 = time.monotonic()
    r = ibid.chat("q")
    assert r.text == "fast" and time.monotonic() - t0 < 2
    assert slow.requests[0].body == fast.requests[0].body and slow.requests[0].headers[1:] == fast.requests[0].headers[1:]
    assert ibid.chat("q").source == "exact" and ibid.chat("q").text == "fast"
    assert hedges(ibid) == {"won": 1, "lost": 0, "failed": 0, "skipped": 0}
    quiet(ibid)
    # The first one is asked first again.
    slow.default = lambda r: answer("slow")
    assert ibid.chat("q2").text == "slow"


def test_another_connection_of_a_sole_place(make_ibid, upstream):
    ibid = make_ibid(upstream, env=ALWAYS)
    upstream.script = [answer("first", delay=3), answer("second")]
    assert ibid.chat("q").text == "second" and len(upstream.requests) == 2
    upstream.script = [answer("a", delay=0.4), answer("b", delay=5)]
    t0 = time.monotonic()
    assert ibid.chat("q3").text == "a" and time.monotonic() - t0 < 2
    assert hedges(ibid) == {"won": 1, "lost": 1, "failed": 0, "skipped": 0}
    quiet(ibid)


def test_streams_are_never_spliced(make_ibid, make_upstream):
    """Both answer at about the same time, many times over: every stream is one of the two, whole."""
    one, two = make_upstream(), make_upstream()
    texts = {u: " ".join([word] * 200) for u, word in ((one, "one"), (two, "two"))}
    one.default = lambda r: stream(texts[one], delay=0.16, pieces=7)
    two.default = lambda r: stream(texts[two], pieces=7)
    ibid = make_ibid(one, env={**ALWAYS, "IBID_UPSTREAM_FALLBACK_URLS": two.url})
    seen, lock = [], threading.Lock()

    def ask(i):
        r = ibid.chat(f"question {i}", stream=True)
        events, done = sse(r.body)
        text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
        with lock:
            seen.append((r.status, done, text))

    for batch in range(4):
        threads = [threading.Thread(target=ask, args=(batch * 12 + i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert len(seen) == 48 and all(status == 200 and done and text in texts.values() for status, done, text in seen)
    h = hedges(ibid)
    assert h["won"] > 0 and h["won"] + h["lost"] == len(two.requests)
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "calls to end")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_bad_answer_waits_for_the_other(make_ibid, make_upstream, status):
    first, second = make_upstream(), make_upstream()
    first.default = lambda r: Reply(status, b'{"error":{"message":"down"}}', delay=0.4)
    second.default = lambda r: answer("good", delay=0.8)
    ibid = make_ibid(first, env={**ALWAYS, "IBID_UPSTREAM_FALLBACK_URLS": second.url})
    r = ibid.chat("q")
    assert r.status == 200 and r.text == "good" and hedges(ibid)["won"] == 1
    quiet(ibid)


def test_after_its_head_an_answer_is_the_one(make_ibid, make_upstream):
    first, second = make_upstream(), make_upstream()
    first.default = lambda r: Reply(body=b"x" * 50, delay=0.4, at=20, fault="rst")
    second.default = lambda r: answer("good", delay=0.8)
    ibid = make_ibid(first, env={**ALWAYS, "IBID_UPSTREAM_FALLBACK_URLS": second.url})
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ibid.chat("q")
    assert hedges(ibid)["lost"] == 1
    quiet(ibid)


def test_a_connection_cut_before_the_head(make_ibid, make_upstream):
    first, second = make_upstream(), make_upstream()
    first.default = lambda r: Reply(raw=b"", delay=0.5, fault="rst", at=0)
    second.default = lambda r: answer("good", delay=1)
    ibid = make_ibid(first, env={**ALWAYS, "IBID_UPSTREAM_FALLBACK_URLS": second.url})
    assert ibid.chat("q").text == "good"
    # And the other way round: the second one is cut, the first one goes on.
    first.default = lambda r: answer("first", delay=1)
    second.default = lambda r: Reply(raw=b"", fault="rst", at=0)
    assert ibid.chat("q2").text == "first"
    quiet(ibid)


def test_both_fail(make_ibid, make_upstream):
    first, second = make_upstream(), make_upstream()
    first.default = lambda r: Reply(503, b'{"error":{"message":"first"}}', delay=0.4)
    second.default = lambda r: Reply(500, b'{"error":{"message":"second"}}', delay=0.6)
    ibid = make_ibid(first, env={**ALWAYS, "IBID_UPSTREAM_FALLBACK_URLS": second.url})
    r = ibid.chat("q")
    assert r.status == 500 and r.json["error"]["message"] == "second"
    assert ibid.chat("q").source != "exact"
    quiet(ibid)


def test_what_is_not_asked_twice(make_ibid, upstream):
    ibid = make_ibid(upstream, env=ALWAYS)
    upstream.default = lambda r: answer("late", delay=0.5)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert ibid.chat("q", headers={"x-ibid-cache": "no-store"}).status == 200
    assert ibid.chat("q", messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "r"}], tools=tools).status == 200
    assert post(ibid, b"data", path="/v1/files", key="k").status == 200
    assert len(upstream.requests) == 3 and sum(hedges(ibid).values()) == 0


def test_a_share_is_the_most(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_HEDGE_AFTER_MS": "50", "IBID_UPSTREAM_HEDGE_SHARE": "0.25"})
    upstream.default = lambda r: answer("late", delay=0.2)
    for i in range(16):
        assert ibid.chat(f"q {i}").status == 200
    h = hedges(ibid)
    assert len(upstream.requests) == 16 + h["won"] + h["lost"] and h["won"] + h["lost"] == 4 and h["skipped"] == 12


def test_a_client_that_leaves_ends_both(make_ibid, upstream):
    ibid = make_ibid(upstream, env=ALWAYS)
    upstream.default = lambda r: answer("late", delay=3)
    c = http.client.HTTPConnection("127.0.0.1", ibid.port, timeout=0.6)
    c.request("POST", "/v1/chat/completions", json.dumps(user("q")), {"content-type": "application/json", "authorization": "Bearer k"})
    with pytest.raises(TimeoutError):
        c.getresponse()
    assert len(upstream.requests) == 2
    c.close()
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "the request to end")
    until(lambda: ibid.metric("ibid_upstream_connections") == 0, "both calls to end")
