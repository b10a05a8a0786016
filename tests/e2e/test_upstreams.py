"""Several upstreams: which one a request goes to, under which name of the model, with whose credential; that no two
share anything; and where it goes when a place is down."""
import json

import pytest

from conftest import free_port
from upstream import Reply, Upstream, answer


@pytest.fixture
def make_upstream():
    made = []

    def make(text=None):
        u = Upstream()
        if text:
            u.default = lambda r: answer(text, model=r.json["model"])
        made.append(u)
        return u

    yield make
    for u in made:
        u.close()


def record(name, u, **fields):
    return {"name": name, "url": u if isinstance(u, str) else u.url, **fields}


def config(*records, **sections):
    return json.dumps({"upstreams": list(records), **sections})  # JSON is YAML


def test_by_model_with_the_short_way_for_all_others(make_ibid, make_upstream):
    a, b, rest = make_upstream("from a"), make_upstream("from b"), make_upstream("from the rest")
    ibid = make_ibid(rest, config=config(record("a", a, models=["gpt-*", "*-turbo*"]), record("b", b, models="claude-3 claude-4*")))
    for model, text in (("gpt-4o", "from a"), ("x-turbo-1", "from a"), ("claude-3", "from b"), ("claude-4-large", "from b"),
                        ("claude-35", "from the rest"), ("gpt", "from the rest"), ("other", "from the rest")):
        assert ibid.chat("who are you?", model=model).text == text, model
    # A path that is only relayed names no model: the first takes it.
    a.default = lambda r: Reply(body=b"{}")
    assert ibid.request("GET", "/v1/files").status == 200 and a.requests[-1].target == "/v1/files"
    # Unless its query does.
    b.default = lambda r: Reply(body=b"{}")
    assert ibid.request("GET", "/v1/realtime?x=1&model=claude-4-live").status == 200
    assert b.requests[-1].target == "/v1/realtime?x=1&model=claude-4-live"
    assert 'ibid_upstream_up{upstream="b",place="0"} 1' in ibid.admin("/metrics").body.decode()


def test_a_model_that_none_takes_is_not_sent_anywhere(make_ibid, make_upstream):
    a = make_upstream("a")
    ibid = make_ibid(config=config(record("a", a, models=["gpt-*"])))
    r = ibid.chat("hello", model="claude-3")
    assert r.status == 404 and r.json["error"]["code"] == "model_not_found" and "claude-3" in r.json["error"]["message"]
    # Nor is a body whose model was not read.
    r = ibid.request("POST", "/v1/chat/completions", b"\x1f\x8b", {"content-encoding": "gzip"})
    assert r.status == 404 and r.json["error"]["code"] == "unknown_path", r.body
    assert a.requests == []


def test_by_path_and_its_prefix_taken_off(make_ibid, make_upstream):
    a, b, rest = make_upstream("a"), make_upstream("b"), make_upstream("rest")
    ibid = make_ibid(rest, config=config(record("a", a, path="/team/a", strip_path="on"), record("b", b, path="/v1/messages")))
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
    h = {"content-type": "application/json", "authorization": "Bearer k"}
    for path in ("/team/a/v1/chat/completions", "/team/a/v1/chat/completions?x=1"):
        assert ibid.request("POST", path, body, h).text == "a"
        assert ibid.request("POST", path, body, h).source == "exact"  # a dialect like any other
    assert [r.target for r in a.requests] == ["/v1/chat/completions", "/v1/chat/completions?x=1"]
    assert ibid.request("POST", "/v1/chat/completions", body, h).text == "rest"
    b.default = lambda r: Reply(body=b"{}")
    assert ibid.request("POST", "/v1/messages", body, h).status == 200
    assert [r.target for r in b.requests] == ["/v1/messages"]
    # Whole segments only.
    rest.default = lambda r: Reply(body=b"{}")
    for path in ("/team/ab/v1/files", "/v1/messages2", "/team/a"):
        assert ibid.request("GET", path).status == 200 and rest.requests[-1].target.endswith(path.removeprefix("/v1")), path


def test_by_header(make_ibid, make_upstream):
    a, rest = make_upstream("a"), make_upstream("rest")
    ibid = make_ibid(rest, config=config(record("a", a, header="X-Team: blue")))
    assert ibid.chat("hi", headers={"x-team": "blue"}).text == "a"
    for h in ({}, {"x-team": "red"}, {"x-team": "blue2"}, {"x-teams": "blue"}):
        assert ibid.chat("hi", headers=h).text == "rest", h


def test_an_alias_is_the_model_itself(make_ibid, make_upstream):
    u = make_upstream("hello")
    ibid = make_ibid(config=config(record("a", u, models=["real-*"], aliases={"fast": "real-mini", "smart": "real-max"})))
    r = ibid.chat('a "question" \u4e2d', model="fast", temperature=0.50, n=1)
    assert r.status == 200 and r.json["model"] == "real-mini"
    assert u.requests[0].json == {"model": "real-mini", "messages": [{"role": "user", "content": 'a "question" \u4e2d'}],
                                  "temperature": 0.5, "n": 1}
    assert u.requests[0].header("content-length") == [str(len(u.requests[0].body))]
    # One request by either name; another model is another.
    assert ibid.chat('a "question" \u4e2d', model="real-mini", temperature=0.5, n=1).source == "exact"
    assert ibid.chat('a "question" \u4e2d', model="smart", temperature=0.5, n=1).json["model"] == "real-max"
    # A name that merely begins like one is none.
    assert ibid.chat("x", model="fas").status == 404 and ibid.chat("x", model="fast=").status == 404


def test_no_two_share_an_answer_nor_what_they_know_of_a_client(make_ibid, make_upstream):
    """Two that are alike but for their names, in one space shared by all: what the first accepts says nothing about
    who may read what the second answered."""
    open_one, closed = make_upstream("open"), make_upstream("closed")
    ibid = make_ibid(config=config(record("open", open_one, header="x-to: open"), record("closed", closed),
                                   cache={"scope": "shared", "scope_name": "all"}))
    to_open = {"x-to": "open"}
    assert ibid.chat("secret?", key="good").text == "closed"
    assert ibid.chat("secret?", key="good").source == "exact"
    assert ibid.chat("secret?", key="bad", headers=to_open).text == "open"
    assert ibid.chat("secret?", key="bad", headers=to_open).source == "exact"
    closed.default = lambda r: Reply(401, b'{"error": {"message": "who?"}}')
    r = ibid.chat("secret?", key="bad")
    assert r.status == 401 and len(closed.requests) == 2


@pytest.mark.parametrize("header, sent", [("authorization", "Bearer sk-operator"), ("x-api-key", "sk-operator")])
def test_its_credential_goes_in_place_of_the_clients(make_ibid, make_upstream, tmp_path, header, sent):
    a, b, rest = make_upstream("a"), make_upstream("b"), make_upstream("rest")
    (tmp_path / "key").write_text("sk-operator\n")
    ibid = make_ibid(rest, env={"SOME_KEY": "sk-operator"}, config=config(
        record("a", a, models=["a"], credential="env:SOME_KEY", credential_header=header),
        record("b", b, models=["b"], credential=f"file:{tmp_path}/key", credential_header=header)))
    mine = {"x-api-key": "mine", "api-key": "mine", "x-kept": "yes"}
    for model, u in (("a", a), ("b", b)):
        assert ibid.chat("hi", model=model, headers=mine).text == model
        seen = u.requests[0]
        assert seen.header(header) == [sent] and seen.header("x-kept") == ["yes"]
        assert "mine" not in str(seen.headers) and "sk-test" not in str(seen.headers)
        # Clients are still kept apart by what they authenticate with.
        assert ibid.chat("hi", model=model, headers=mine).source == "exact"
        assert ibid.chat("hi", model=model, key="another").source == "upstream"
    assert ibid.chat("hi", headers=mine).text == "rest"
    assert rest.requests[0].header("x-api-key") == ["mine"] and rest.requests[0].header("authorization") == ["Bearer sk-test"]
    token = ibid.token()
    for page in ("/admin/v1/config", "/admin/v1/models", "/metrics", "/readyz"):
        assert b"sk-operator" not in ibid.admin(page, token).body
    assert "sk-operator" not in ibid.read_log()


def test_places_in_order_and_health(make_ibid, make_upstream):
    third = make_upstream("third")
    down = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    ibid = make_ibid(config=config(record("a", down[0], fallback_urls=[down[1], third.url])))
    assert ibid.admin("/readyz").json == {"parts": {}, "status": "ready"}
    for i in range(3):
        assert ibid.chat(f"who? {i}").text == "third"
    assert ibid.chat("who? 1").source == "exact"
    ready = ibid.admin("/readyz")
    assert ready.status == 200 and ready.json["status"] == "degraded"
    assert ready.json["parts"] == {"upstream a": "can not be reached at one of its places"}
    page = ibid.admin("/metrics").body.decode()
    assert [f'ibid_upstream_up{{upstream="a",place="{i}"}} {up}' in page for i, up in enumerate((0, 0, 1))] == [True] * 3
    models = ibid.admin("/admin/v1/models", ibid.token()).json
    assert [p["state"] for p in models["upstreams"][0]["places"]] == ["down", "down", "up"]


BAD = [
    ({"name": "a"}, "url is missing"),
    ({"name": "", "url": "http://x"}, "name is empty"),
    ({"name": "a", "url": "ftp://x"}, "upstreams: a: url: expected http"),
    ({"name": "a", "url": "http://u:p@x"}, "no query, fragment, user"),
    ({"name": "a", "url": "http://x", "fallback_urls": ["http://y", "z"]}, "upstreams: a: fallback_urls: expected http"),
    ({"name": "a", "url": "http://x", "ca_file": "/ca"}, "only an https"),
    ({"name": "a", "url": "http://x", "path": "v1"}, "path: begins with"),
    ({"name": "a", "url": "http://x", "path": "/v1/"}, "path: begins with"),
    ({"name": "a", "url": "http://x", "strip_path": "on"}, "strip_path: there is no path"),
    ({"name": "a", "url": "http://x", "header": "x-team"}, "header: expected"),
    ({"name": "a", "url": "http://x", "credential": "sk-123"}, "credential: expected env"),
    ({"name": "a", "url": "http://x", "credential": "env:NOT_THERE"}, "credential: 'env:NOT_THERE' has none"),
    ({"name": "a", "url": "http://x", "credential": "file:/not/there"}, "credential: 'file:/not/there' has none"),
    ({"name": "a", "url": "http://x", "credential_header": "a b"}, "credential_header: is no header name"),
    ({"name": "a", "url": "http://x", "aliases": "fast"}, "aliases: 'fast' is not NAME=MODEL"),
    ({"name": "a", "url": "http://x", "models": ["a b"]}, "models: expected a word without blanks"),
    ({"name": "a", "url": "http://x", "model": "x"}, "unknown key 'model'"),
    ({"name": "a", "url": "http://x", "stale_if_error_s": "soon"}, "stale_if_error_s: 'soon' is not within"),
    ({"name": "upstream", "url": "http://x"}, "is the name of upstream.url too"),
]


@pytest.mark.parametrize("bad, says", BAD, ids=lambda x: x if isinstance(x, str) else "")
def test_mistakes_are_named(make_ibid, bad, says):
    with pytest.raises(AssertionError) as e:
        make_ibid("http://127.0.0.1:1", config=config(bad))
    assert says in str(e.value)


def test_the_same_name_twice(make_ibid):
    with pytest.raises(AssertionError, match="name 'a' is there twice"):
        make_ibid(config=config(record("a", "http://x"), record("a", "http://y")))
