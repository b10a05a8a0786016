"""Answers after their end (RFC 5861): given out while a fresh one is asked for, and in place of an outage; and the same
request again, which wants another answer."""
import json
import socket
import time

import pytest

from upstream import Reply, Upstream, answer, stream

TTL = {"IBID_STORE_TTL_S": "1"}
REVALIDATE = {**TTL, "IBID_CACHE_STALE_WHILE_REVALIDATE_S": "3600"}
ON_ERROR = {**TTL, "IBID_CACHE_STALE_IF_ERROR_S": "3600"}


def past_its_end():
    time.sleep(1.3)


def status_of(r):
    return r.headers["cache-status"]


@pytest.mark.parametrize("streamed", [False, True])
def test_stale_while_it_is_asked_anew(make_ibid, upstream, streamed):
    upstream.script = [(stream if streamed else answer)(f"answer {i}", usage=(1, 1)) for i in (1, 2, 3)]
    ibid = make_ibid(upstream, env=REVALIDATE)
    asked = {"stream": streamed, "headers": {"x-kept": "yes"}}
    assert b"answer" in ibid.chat("how are you?", **asked).body
    past_its_end()
    r = ibid.chat("how are you?", **asked)
    assert r.source == "exact" and (streamed or r.text == "answer 1")
    status = status_of(r)
    assert status.startswith("ibid; hit; ttl=-") and status.endswith("; detail=stale-while-revalidate"), status
    assert int(r.headers["age"]) >= 1 and r.headers["warning"].startswith("110 ")
    ibid.wait_metric('ibid_cache_refreshes_total{result="stored"}', 1)
    # The background's request is the client's own.
    first, second = upstream.requests
    assert first.body == second.body and first.target == second.target
    assert second.header("authorization") == ["Bearer sk-test"] and second.header("x-kept") == ["yes"]
    # And its answer is fresh.
    r = ibid.chat("how are you?", **asked)
    assert r.source == "exact" and status_of(r).startswith("ibid; hit; ttl=") and "ttl=-" not in status_of(r)
    assert "warning" not in r.headers and len(upstream.requests) == 2
    whole = ibid.chat("how are you?")
    assert whole.text == "answer 2" and whole.source == "exact"


@pytest.mark.parametrize("streamed", [False, True])
def test_popular_ones_are_asked_for_before_their_end(make_ibid, upstream, streamed):
    upstream.default = lambda r: (stream if streamed else answer)(f"answer {len(upstream.requests)}", usage=(1, 1))
    ibid = make_ibid(upstream, env={"IBID_STORE_TTL_S": "6", "IBID_CACHE_REFRESH_AHEAD": "0.5"})
    asked = {"stream": streamed}
    for q in ("popular", "asked once more"):
        assert ibid.chat(q, **asked).source == "upstream"
    for _ in range(3):  # not in the first half
        assert ibid.chat("popular", **asked).source == "exact"
    assert len(upstream.requests) == 2
    time.sleep(3.2)
    assert ibid.chat("asked once more", **asked).source == "exact"
    for _ in range(4):
        r = ibid.chat("popular", **asked)
        assert r.source == "exact" and "ttl=-" not in status_of(r)
    ibid.wait_metric('ibid_cache_refreshes_total{result="stored"}', 1)
    assert ibid.metric("ibid_cache_refreshes_ahead_total") == 1
    assert [r.json["messages"][0]["content"] for r in upstream.requests] == ["popular", "asked once more", "popular"]
    assert int(ibid.chat("popular", **asked).headers["age"]) <= 2
    time.sleep(3)  # beyond the first one's end
    assert ibid.chat("popular", **asked).source == "exact"
    assert ibid.chat("asked once more", **asked).source == "upstream"


def test_one_refresh_at_a_time_and_within_the_budget(make_ibid, upstream):
    upstream.default = lambda r: answer("slow", delay=1.0 if len(upstream.requests) > 2 else 0)
    ibid = make_ibid(upstream, env={**REVALIDATE, "IBID_CACHE_REFRESH_MAX": "1"})
    for q in ("one", "two"):
        assert ibid.chat(q).status == 200
    past_its_end()
    for q in ("one", "one", "two", "one"):
        assert ibid.chat(q).source == "exact"
    assert ibid.metric('ibid_cache_refreshes_total{result="skipped"}') == 1  # of "two"
    ibid.wait_metric('ibid_cache_refreshes_total{result="stored"}', 1)
    assert len(upstream.requests) == 3


def test_a_refresh_that_fails_leaves_what_there_is(make_ibid, upstream):
    upstream.script = [answer("first"), Reply(500, b"{}"), answer("half", at=9, fault="rst"), answer("later")]
    ibid = make_ibid(upstream, env=REVALIDATE)
    assert ibid.chat("q").text == "first"
    past_its_end()
    for n in (1, 2):
        assert ibid.chat("q").text == "first"
        ibid.wait_metric('ibid_cache_refreshes_total{result="failed"}', n)
    assert ibid.chat("q").text == "first"
    ibid.wait_metric('ibid_cache_refreshes_total{result="stored"}', 1)
    assert ibid.chat("q").text == "later" and len(upstream.requests) == 4


def test_a_refused_key_gets_nothing_stale_any_more(make_ibid, upstream):
    upstream.script = [answer("first"), Reply(401, b"{}")]
    ibid = make_ibid(upstream, env={**REVALIDATE, "IBID_CACHE_STALE_IF_ERROR_S": "3600"})
    assert ibid.chat("q").text == "first"
    past_its_end()
    assert ibid.chat("q").text == "first"
    ibid.wait_metric('ibid_cache_refreshes_total{result="failed"}', 1)
    assert ibid.chat("q").status == 401


@pytest.mark.parametrize("outage", [Reply(500, b"{}"), Reply(503, b"{}", headers=[("Retry-After", "9")]),
                                    Reply(529, b"x" * 100000, chunked=True), Reply(at=-1, fault="rst"), Reply(at=-1, fault="fin")],
                         ids=["500", "503", "529", "reset", "closed"])
@pytest.mark.parametrize("streamed", [False, True])
def test_stale_in_place_of_an_outage(make_ibid, upstream, outage, streamed):
    upstream.script = [(stream if streamed else answer)("all is well", usage=(1, 1)), outage]
    ibid = make_ibid(upstream, env=ON_ERROR)
    assert ibid.chat("q", stream=streamed).status == 200
    past_its_end()
    for _ in range(2):
        r = ibid.chat("q", stream=streamed)
        assert r.status == 200 and r.source == "exact" and b"well" in r.body, r.body
        assert "retry-after" not in r.headers and r.headers["warning"].startswith("111 ")
        want = f"; fwd-status={outage.status}" if outage.at is None else ""
        assert status_of(r) == f"ibid; fwd=stale{want}; detail=stale-if-error"
    assert ibid.metric('ibid_cache_stale_total{why="error"}') == 2
    # What was never asked gets the upstream's own word.
    r = ibid.chat("another", stream=streamed)
    assert r.status == (outage.status if outage.at is None else 502)
    assert len(ibid.request("GET", "/v1/files").body) > 0


def test_an_upstream_that_is_gone(make_ibid):
    u = Upstream()
    u.default = lambda r: answer("before")
    ibid = make_ibid(u, env=ON_ERROR)
    assert ibid.chat("q").text == "before"
    port = u.port
    for s in (u.sock, *u.conns):
        s.shutdown(socket.SHUT_RDWR)
    u.close()
    past_its_end()
    r = ibid.chat("q")
    assert r.status == 200 and r.text == "before" and status_of(r) == "ibid; fwd=stale; detail=stale-if-error"
    u = Upstream(port)
    u.default = lambda r: answer("after")
    try:
        assert ibid.chat("q").text == "after"
    finally:
        u.close()


def test_what_the_client_says_counts(make_ibid, upstream):
    """max-age, no-cache and a ttl of the client's own: nothing stale."""
    upstream.script = [answer("first"), Reply(500, b"{}")]
    ibid = make_ibid(upstream, env={**REVALIDATE, "IBID_CACHE_STALE_IF_ERROR_S": "3600"})
    assert ibid.chat("q").text == "first"
    past_its_end()
    for control in ("max-age=1000", "no-cache"):
        assert ibid.chat("q", headers={"x-ibid-cache": control}).status == 500, control
    assert ibid.chat("q").text == "first"
    ibid.wait_metric('ibid_cache_refreshes_total{result="failed"}', 1)
    upstream.script = [answer("second"), Reply(500, b"{}")]
    assert ibid.chat("q2", headers={"x-ibid-cache": "ttl=1"}).text == "second"
    past_its_end()
    assert ibid.chat("q2").status == 500


def test_without_the_settings_an_answer_ends_at_its_end(make_ibid, upstream):
    upstream.script = [answer("first"), Reply(500, b"{}")]
    ibid = make_ibid(upstream, env=TTL)
    assert ibid.chat("q").text == "first"
    past_its_end()
    assert ibid.chat("q").status == 500


def test_each_upstream_has_its_own_word(make_ibid, upstream):
    upstream.script = [answer("first"), answer("first"), Reply(500, b"{}")]
    config = json.dumps({"upstreams": [{"name": "a", "url": upstream.url, "models": ["a"], "stale_if_error_s": 3600},
                                       {"name": "b", "url": upstream.url, "models": ["b"], "stale_while_revalidate_s": 0}],
                         "cache": {"stale_while_revalidate_s": 3600}, "store": {"ttl_s": 1}})
    ibid = make_ibid(config=config)
    for model in ("a", "b"):
        assert ibid.chat("q", model=model).text == "first"
    past_its_end()
    assert "stale-while-revalidate" in status_of(ibid.chat("q", model="a"))
    assert ibid.chat("q", model="b").status == 500


def test_a_stale_answer_survives_a_restart(make_ibid, upstream):
    upstream.script = [answer("first"), Reply(500, b"{}")]
    ibid = make_ibid(upstream, env={**ON_ERROR, "IBID_UPSTREAM_AUTH_TTL_S": "300"})
    (ibid.dir / "keys").write_text("sk-test\n")
    ibid.env["IBID_UPSTREAM_ACCEPT_FILE"] = str(ibid.dir / "keys")
    assert ibid.chat("q").text == "first"
    ibid.wait_metric("ibid_store_entries", 1)
    ibid.stop()
    past_its_end()
    ibid.start()
    r = ibid.chat("q")
    assert r.status == 200 and r.text == "first" and "stale-if-error" in status_of(r)


def test_the_same_again_wants_another(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_CACHE_REGENERATE_AFTER_S": "3600"})
    said = [ibid.chat("tell me a joke") for _ in range(5)]
    assert [r.source for r in said] == ["upstream", "exact", "upstream", "exact", "upstream"]
    assert said[1].text == said[0].text and said[3].text == said[2].text != said[0].text
    assert status_of(said[2]) == "ibid; fwd=request; detail=again"
    # Not another's, and not after another question.
    assert ibid.chat("tell me a joke", key="other").source == "upstream"
    assert ibid.metric("ibid_cache_regenerated_total") == 2
    assert json.loads(upstream.requests[-1].body)["messages"][0]["content"] == "tell me a joke"


def test_ending_with_a_refresh_under_way(make_ibid, upstream):
    upstream.script = [answer("first"), Reply(at=-1, fault="stall")]
    ibid = make_ibid(upstream, env=REVALIDATE)
    assert ibid.chat("q").text == "first"
    past_its_end()
    assert ibid.chat("q").text == "first"
    end = time.time() + 10
    while len(upstream.requests) < 2:
        assert time.time() < end
        time.sleep(0.01)
    ibid.stop()
    upstream.release.set()
