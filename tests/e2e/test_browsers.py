"""What is said to browsers of other origins, and to the upstream about who asked: nothing, unless it is configured."""
import json

import pytest

from upstream import Reply, answer

APP = "https://app.example.com"


def preflight(ibid, origin, path="/v1/chat/completions"):
    return ibid.request("OPTIONS", path, headers={"origin": origin, "access-control-request-method": "POST",
                                                  "access-control-request-headers": "authorization, content-type"})


def test_nothing_by_default(ibid, upstream):
    upstream.default = lambda r: Reply(204 if r.method == "OPTIONS" else 200, b"" if r.method == "OPTIONS" else b"{}",
                                       headers=[("Access-Control-Allow-Origin", "https://theirs"), ("Vary", "X")])
    r = preflight(ibid, APP)
    assert r.headers["access-control-allow-origin"] == "https://theirs" and upstream.requests[0].method == "OPTIONS"
    r = ibid.request("GET", "/v1/files", headers={"origin": APP, "x-forwarded-for": "1.2.3.4"})
    assert r.headers["access-control-allow-origin"] == "https://theirs" and r.headers["vary"] == "X"
    seen = upstream.requests[1]
    assert seen.header("via") == [] and seen.header("x-forwarded-for") == ["1.2.3.4"] and seen.header("forwarded") == []


@pytest.mark.parametrize("origins, allowed", [(f"https://x.example {APP}", True), ("*", True), ("https://x.example", False),
                                              (APP + "m", False), (APP[:-1], False)])
def test_the_origins_that_are_named(make_ibid, upstream, origins, allowed):
    upstream.default = lambda r: answer("hi", headers=[("Access-Control-Allow-Origin", "https://theirs"),
                                                       ("Access-Control-Allow-Credentials", "true")])
    ibid = make_ibid(upstream, env={"IBID_CORS_ORIGINS": origins})
    r = preflight(ibid, APP)
    assert r.status == 204 and r.body == b"" and r.headers["vary"] == "Origin" and upstream.requests == []
    assert (r.headers.get("access-control-allow-origin") == APP) == allowed
    assert (r.headers.get("access-control-allow-headers") == "authorization, content-type") == allowed
    assert ("POST" in r.headers.get("access-control-allow-methods", "")) == allowed
    for source in ("upstream", "exact"):
        r = ibid.chat("hello", headers={"origin": APP})
        assert r.source == source and r.headers["vary"] == "Origin"
        assert r.headers.get("access-control-allow-origin") == (APP if allowed else None)
        assert "access-control-allow-credentials" not in r.headers
    r = ibid.request("POST", "/v1/chat/completions", b"{", {"origin": APP})
    assert r.status == 400 and r.headers.get("access-control-allow-origin") == (APP if allowed else None)
    # No page: as ever. An OPTIONS of another kind is the upstream's.
    assert "access-control-allow-origin" not in ibid.chat("hello").headers
    upstream.default = lambda r: Reply(body=b"{}")
    assert ibid.request("OPTIONS", "/v1/files").status == 200 and upstream.requests[-1].method == "OPTIONS"


def test_who_asked_when_it_is_configured(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_FORWARDED": "on"})
    assert ibid.chat("hello", headers={"x-forwarded-for": "1.2.3.4", "via": "1.0 fred"}).source == "upstream"
    assert ibid.chat("hello").source == "exact"  # no part of what makes two requests the same
    upstream.default = lambda r: Reply(body=b"{}")
    assert ibid.request("POST", "/v1/files", iter([b"a", b"b"])).status == 200
    first, second = upstream.requests
    assert first.header("via") == ["1.0 fred, 1.1 ibid"] and first.header("x-forwarded-for") == ["1.2.3.4, 127.0.0.1"]
    assert second.header("via") == ["1.1 ibid"] and second.header("x-forwarded-for") == ["127.0.0.1"] and second.body == b"ab"
    assert json.loads(first.body)["messages"][0]["content"] == "hello"
