"""GET /v1/models of several upstreams: one list of what a request would really reach, whoever fails left out, and no
credential sent to an upstream that did not have it before."""
import json
import threading
import time

import openai
import pytest

from client import post, until
from test_upstreams import config, make_upstream, record  # noqa: F401 (a fixture)
from upstream import Reply, answer


def listing(*names, **kw):
    return Reply(body=json.dumps({"object": "list", "data": [{"id": n, "object": "model", "created": 7, "owned_by": "it", "x": [1]} for n in names]}).encode(), **kw)


def serves(u, *names, status=200, text="hi"):
    refusal = Reply(status, b'{"error":{"message":"not you"}}')
    u.default = lambda r: (listing(*names) if status == 200 else refusal) if r.method == "GET" else answer(text, model=r.json["model"])


def names(ibid, key="k", **kw):
    r = post(ibid, None, path="/v1/models", method="GET", key=key, **kw)
    assert r.status == 200, r.body
    assert r.json["object"] == "list"
    return [m["id"] for m in r.json["data"]]


def gets(u):
    return [r for r in u.requests if r.method == "GET"]


@pytest.fixture
def three(make_ibid, make_upstream):
    a, b, rest = make_upstream(), make_upstream(), make_upstream()
    serves(a, "claude-1", "claude-2", "gpt-4")
    serves(b, "gpt-4", "gpt-5")
    serves(rest, "other", "claude-1")
    ibid = make_ibid(rest, env={"A_KEY": "sk-a", "B_KEY": "sk-b"}, config=config(
        record("a", a, models=["claude-*"], credential="env:A_KEY", aliases={"smart": "claude-2"}),
        record("b", b, models=["gpt-*"], credential="env:B_KEY")))
    return ibid, a, b, rest


def test_one_list_of_what_can_be_reached(three):
    ibid, a, b, rest = three
    # The rest has no credential of its own: it is asked once it has accepted this one.
    assert names(ibid) == ["claude-1", "claude-2", "smart", "gpt-4", "gpt-5"]
    assert not rest.requests
    assert ibid.chat("hi", key="k", model="other").status == 200
    assert names(ibid) == ["claude-1", "claude-2", "smart", "gpt-4", "gpt-5", "other"]
    assert gets(rest)[0].header("authorization") == ["Bearer k"]
    assert gets(a)[0].header("authorization") == ["Bearer sk-a"] and gets(b)[0].header("authorization") == ["Bearer sk-b"]
    assert names(ibid, key="another") == ["claude-1", "claude-2", "smart", "gpt-4", "gpt-5"]
    # Kept for a while, and for each caller where the caller's own credential was sent.
    assert (len(gets(a)), len(gets(b)), len(gets(rest))) == (1, 1, 1)
    r = post(ibid, None, path="/v1/models", method="GET", key="k").json
    assert r["data"][0] == {"id": "claude-1", "object": "model", "created": 7, "owned_by": "it", "x": [1]}
    assert r["data"][2] == {"id": "smart", "object": "model", "created": 0, "owned_by": "a", "parent": "claude-2"}


def test_the_sdk_reads_it(three):
    ibid = three[0]
    c = openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="k", max_retries=0)
    assert [m.id for m in c.models.list()] == ["claude-1", "claude-2", "smart", "gpt-4", "gpt-5"]
    assert c.models.retrieve("smart").id == "smart"


def test_each_model_is_asked_of_its_own_upstream(three):
    ibid, a, b, rest = three
    b.default = lambda r: Reply(body=b'{"id":"gpt-5","object":"model"}')
    assert post(ibid, None, path="/v1/models/gpt-5", method="GET", key="k").json["id"] == "gpt-5"
    assert gets(b)[-1].target == "/v1/models/gpt-5" and not a.requests and not rest.requests
    r = post(ibid, None, path="/v1/models/smart", method="GET", key="k")
    assert r.json["parent"] == "claude-2" and not a.requests
    rest.default = lambda r: Reply(404, b'{"error":{"message":"none"}}')
    assert post(ibid, None, path="/v1/models/unknown", method="GET", key="k").status == 404 and len(rest.requests) == 1


def test_who_fails_is_left_out(three):
    ibid, a, b, rest = three
    for fault in (Reply(500, b"{}"), Reply(body=b"no json"), Reply(body=b'{"data":'), Reply(body=b"[]"), listing("gpt-5", at=20, fault="rst"), Reply(401, b"{}")):
        a.default = lambda r, fault=fault: fault
        assert names(ibid) == ["smart", "gpt-4", "gpt-5"] or names(ibid) == ["gpt-4", "gpt-5"], fault.status
    assert ibid.metric("ibid_models_list_failures_total") >= 6
    assert "models_list_failed" in ibid.read_log() and "sk-a" not in ibid.read_log()
    serves(a, "claude-9")
    assert names(ibid)[0] == "claude-9"


def test_who_is_silent_is_left_out(three):
    ibid, a, b, rest = three
    a.default = lambda r: listing("claude-1", delay=8)
    t0 = time.monotonic()
    assert "gpt-5" in names(ibid) and 4 < time.monotonic() - t0 < 7.5


def test_all_of_them_fail(three):
    ibid, a, b, rest = three
    serves(a, status=429)
    serves(b, status=500)
    r = post(ibid, None, path="/v1/models", method="GET", key="k")
    assert r.status == 429 and r.json["error"]["message"] == "not you"
    a.default = b.default = lambda r: Reply(body=b"xxxx", at=2, fault="rst")
    r = post(ibid, None, path="/v1/models", method="GET", key="k")
    assert r.status == 502 and r.json["error"]["code"] == "upstream_failed"


def test_a_refusal_revokes_and_nothing_kept_is_given_out(make_ibid, make_upstream):
    a, b = make_upstream(), make_upstream()
    serves(a, "a-1")
    serves(b, "b-1")
    ibid = make_ibid(config=config(record("a", a, models=["a-*"]), record("b", b, models=["b-*"])))
    for model in ("a-1", "b-1"):
        assert ibid.chat("hi", key="k", model=model).status == 200
    assert names(ibid) == names(ibid) == ["a-1", "b-1"] and len(gets(b)) == 1
    b.default = lambda r: Reply(401, b'{"error":{"message":"revoked"}}')
    assert ibid.chat("again", key="k", model="b-1").status == 401
    assert names(ibid) == ["a-1"] and len(gets(b)) == 1  # neither kept nor sent


def test_a_sole_upstream_is_relayed_untouched(make_ibid, make_upstream):
    u = make_upstream()
    u.default = lambda r: Reply(body=b'{"object" : "list", "data":[ ]}', headers=[("x-odd", "1")])
    ibid = make_ibid(u)
    r = post(ibid, None, path="/v1/models", method="GET", key="k")
    assert r.body == b'{"object" : "list", "data":[ ]}' and r.headers["x-odd"] == "1"


def test_clients_that_leave(three):
    ibid, a, b, rest = three
    a.default = lambda r: listing("claude-1", delay=0.5)
    def leave():
        with pytest.raises(Exception):
            ibid.request("GET", "/v1/models", timeout=0.1)
    threads = [threading.Thread(target=leave) for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "requests to end")
    assert "claude-1" in names(ibid)
