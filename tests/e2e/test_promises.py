"""The promises of docs/architecture.md, a section each, over the real binary: what no change may
break. (That a broken store or stream costs nobody an answer is told in the tests of faults.)"""
import json
import os
import socket

import pytest

from client import CHAT, Gate, later, post, prove, reasons, said, serving, sse, store, until, user
from conftest import ENCODER, needs_encoder
from test_cli import run
from upstream import Reply, Upstream, answer, chunk, completion, events, stream


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("plain")) as both:
        yield both


@pytest.fixture(scope="module")
def meaning(tmp_path_factory):
    """With an encoder: near-duplicates count."""
    with serving(tmp_path_factory.mktemp("meaning"), encoder=True) as both:
        yield both


# --- 1. Nobody gets an answer that was not made for them -----------------------------------------
# Tenants: whoever authenticates otherwise sees nothing of the others.

TENANTS = [
    [], [("Authorization", "")], [("Authorization", "Bearer")], [("Authorization", "Bearer a")],
    [("Authorization", "Bearer b")], [("Authorization", "bearer a")], [("Authorization", "Bearer A")],
    [("Authorization", "Basic a")], [("Authorization", "a")], [("x-api-key", "a")], [("x-api-key", "")],
    [("api-key", "a")], [("x-goog-api-key", "a")], [("Cookie", "session=a")], [("Cookie", "session=b")],
    [("Ocp-Apim-Subscription-Key", "a")], [("Ocp-Apim-Subscription-Key", "b")],
    [("Authorization", "Bearer a"), ("x-api-key", "a")], [("Authorization", "Bearer a"), ("x-api-key", "b")],
    [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    [("Authorization", "Bearer b"), ("Authorization", "Bearer a")],
    [("Authorization", "Bearer a, Bearer b")], [("Authorization", "Bearer a"), ("Cookie", "session=a")],
    [("api-key", "a"), ("x-api-key", "a")], [("Authorization", "Bearer aa"), ("x-api-key", "")],
]
ALIKE = ["How do I reset my password?", "How can I reset my password?", "How do I reset my password"]


def test_tenants_do_not_share_exact_answers(plain):
    ibid, up = plain
    first = {}
    for i, headers in enumerate(TENANTS):
        for text in ALIKE:
            r = post(ibid, user(text), headers)
            assert (r.status, r.source) == (200, "upstream"), headers
            first[i, text] = r.text
    assert len(set(first.values())) == len(TENANTS) * len(ALIKE)
    for i, headers in enumerate(TENANTS):
        for text in ALIKE:
            r = post(ibid, user(text), headers)
            assert (r.source, r.text) == ("exact", first[i, text]), headers


def test_many_keys_one_prompt(plain):
    ibid, up = plain
    keys = [f"sk-{i}" for i in range(150)] + ["sk-1 ", "sk-1x", "sk-", "SK-1"]
    first = [post(ibid, user("one prompt"), [("Authorization", f"Bearer {k}")]) for k in keys]
    # "sk-1 " is "sk-1": white space around a field's value is no part of it.
    assert [r.source for r in first] == ["upstream"] * 150 + ["exact"] + ["upstream"] * 3
    for k, r in zip(keys, first):
        assert post(ibid, user("one prompt"), [("Authorization", f"Bearer {k}")]).text == r.text


def test_the_case_of_a_headers_name_is_nothing(plain):
    ibid, _ = plain
    for name in ("authorization", "Authorization", "AUTHORIZATION", "aUTHORIZATION"):
        r = post(ibid, user("case of a name"), [(name, "Bearer case")])
        assert r.source == ("upstream" if name == "authorization" else "exact")


@needs_encoder
def test_tenants_do_not_share_by_meaning(meaning):
    ibid, _ = meaning
    tenants = [h for h in TENANTS if h]
    for headers in tenants:
        prove(ibid, None, headers)
    for headers in tenants:
        assert post(ibid, user(ALIKE[0]), headers).source == "upstream", headers
    own = {}
    for i, headers in enumerate(tenants):
        until(lambda: post(ibid, user(ALIKE[1]), [*headers, ("x-ibid-cache", "only-if-cached")]).status == 200, "the index")
        own[i] = post(ibid, user(ALIKE[1]), headers)
    # Each found its own answer, which is nobody else's.
    assert {r.source for r in own.values()} == {"semantic"}
    assert len({r.text for r in own.values()}) == len(tenants)


def test_credentials_longer_than_any_buffer_stay_apart(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_HEAD_MAX_BYTES": "512KiB"})
    a, b = "a" * 70_000, "b" * 70_000
    one, two = post(ibid, user("x"), key=a), post(ibid, user("x"), key=b)
    assert (one.source, two.source) == ("upstream", "upstream")
    assert post(ibid, user("x"), key=a).text == one.text != two.text == post(ibid, user("x"), key=b).text
    # The last of many may not be the only one that counts.
    heads = [("x-api-key", "x" * 60_000), ("api-key", "x" * 60_000), ("x-goog-api-key", "same")]
    assert post(ibid, user("y"), heads).source == "upstream"
    assert post(ibid, user("y"), [("x-api-key", "y" * 60_000), *heads[1:]]).source == "upstream"


@pytest.mark.parametrize("users", [
    ("alice", "bob"), ("a" * 70_000, "b" * 70_000), (1, 2), ({"id": 1}, {"id": 2}), ("alice", None), ("1", 1),
], ids=["names", "long", "numbers", "objects", "absent", "kinds"])
@pytest.mark.parametrize("field", ["user", "safety_identifier"])
def test_end_users_are_apart_when_the_scope_is_the_user(scoped, field, users):
    ibid, _ = scoped
    text = f"{field} {users}"[:200]
    for key in ("k1", "k2"):
        bodies = [user(text, **({field: u} if u is not None else {})) for u in users]
        assert [post(ibid, b, key=key).source for b in bodies] == ["upstream"] * 2
        assert [post(ibid, b, key=key).source for b in bodies] == ["exact"] * 2


@pytest.fixture(scope="module")
def scoped(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("user"), env={"IBID_CACHE_SCOPE": "user"}) as both:
        yield both


def test_end_users_named_by_a_header(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_CACHE_SCOPE": "header", "IBID_CACHE_SCOPE_HEADER": "X-User"})
    people = ["alice", "bob", "", "a" * 60_000]
    for key in ("k1", "k2"):
        for who in people:
            assert post(ibid, user("mine"), [("x-user", who)], key=key).source == "upstream", who[:9]
        assert post(ibid, user("mine"), [("x-user", "alice"), ("x-user", "bob")], key=key).source == "upstream"
        assert post(ibid, user("mine"), [("X-USER", "bob")], key=key).source == "exact"


def test_a_shared_space_is_shared_by_those_who_are_accepted(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "team"})
    post(ibid, user("ours"), key="a")
    assert post(ibid, user("ours"), key="b").source == "upstream"  # not proven yet
    assert post(ibid, user("ours"), key="b").source == "exact"


# What is asked: each of these makes another question of the same last text. `a` and `b` are laid
# over BASE; "path" and "headers" go beside the body.

BASE = {
    "model": "stub-model", "temperature": 0.5,
    "messages": [{"role": "system", "content": "You are a helper of Acme."}, {"role": "user", "content": "Hello."},
                 {"role": "assistant", "content": "Hello, what can I do?"}, {"role": "user", "content": "?"}],
}


def turns(**changed):
    """BASE's messages, the named ones changed or gone (None): s, u, a."""
    out = []
    for name, m in zip("sua", BASE["messages"]):
        m = changed.get(name, m)
        out += [] if m is None else [m]
    return {"messages": out + BASE["messages"][-1:]}


def tool(description):
    return [{"type": "function", "function": {"name": "f", "description": description, "parameters": {"type": "object"}}}]


def image(url):
    return [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]


def last(content, **more):
    return {"messages": BASE["messages"][:-1] + [{"role": "user", "content": content, **more}]}


OTHER = {
    "model": ({}, {"model": "stub-model-2"}),
    "model's case": ({}, {"model": "Stub-Model"}),
    "system prompt": ({}, turns(s={"role": "system", "content": "You are a helper of Acme!"})),
    "no system prompt": ({}, turns(s=None)),
    "role of the system prompt": ({}, turns(s={"role": "developer", "content": "You are a helper of Acme."})),
    "history, user": ({}, turns(u={"role": "user", "content": "Hi."})),
    "history, assistant": ({}, turns(a={"role": "assistant", "content": "Hello, what may I do?"})),
    "history, shorter": ({}, turns(u=None, a=None)),
    "history, order": ({}, turns(u=BASE["messages"][2], a=BASE["messages"][1])),
    "name of the user": ({}, last("?", name="bob")),
    "tools": ({}, {"tools": tool("x")}),
    "tools, deep within": ({"tools": tool("x")}, {"tools": tool("y")}),
    "functions": ({}, {"functions": [{"name": "f"}]}),
    "tool_choice": ({"tool_choice": "auto"}, {"tool_choice": "none"}),
    "parallel_tool_calls": ({}, {"parallel_tool_calls": False}),
    # Not json_object: what these answers say is no JSON, so it would not be kept.
    "response_format": ({}, {"response_format": {"type": "grammar"}}),
    "temperature": ({}, {"temperature": 0.50000001}),
    "no temperature": ({}, {"temperature": None}),
    "top_p": ({"top_p": 0.9}, {"top_p": 0.91}),
    "seed": ({"seed": 1}, {"seed": 2}),
    "seed beyond 64 bits": ({"seed": 2**70}, {"seed": 2**70 + 1}),
    "stop": ({"stop": "\n"}, {"stop": ["\n", "."]}),
    "max_tokens": ({"max_tokens": 10}, {"max_tokens": 11}),
    "max_completion_tokens": ({}, {"max_completion_tokens": 10}),
    "logit_bias": ({"logit_bias": {"50256": -100}}, {"logit_bias": {"50256": 100}}),
    "presence_penalty": ({}, {"presence_penalty": 1}),
    "frequency_penalty": ({}, {"frequency_penalty": 1}),
    "logprobs": ({}, {"logprobs": True}),
    "reasoning_effort": ({"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    "an image": ({}, last(image("data:,a"))),
    "another image": (last(image("data:,a")), last(image("data:,b"))),
    "detail of an image": (last(image("data:,a")), last([{"type": "image_url", "image_url": {"url": "data:,a", "detail": "low"}}, {"type": "text", "text": "?"}])),
    "a file": (last([{"type": "file", "file": {"file_id": "a"}}, {"type": "text", "text": "?"}]), last([{"type": "file", "file": {"file_id": "b"}}, {"type": "text", "text": "?"}])),
    "unknown field": ({}, {"frobnicate": [1, {"deep": None}]}),
    "unknown field, deep within": ({"frobnicate": [1, {"deep": None}]}, {"frobnicate": [1, {"deep": False}]}),
    "query": ({}, {"path": CHAT + "?api-version=2"}),
    "query's value": ({"path": CHAT + "?v=1"}, {"path": CHAT + "?v=2"}),
    "OpenAI-Organization": ({}, {"headers": [("OpenAI-Organization", "o")]}),
    "OpenAI-Project": ({"headers": [("OpenAI-Project", "a")]}, {"headers": [("OpenAI-Project", "b")]}),
    "OpenAI-Beta": ({}, {"headers": [("OpenAI-Beta", "x=v1")]}),
    "anthropic-workspace-id": ({"headers": [("anthropic-workspace-id", "a")]}, {"headers": [("anthropic-workspace-id", "b")]}),
    "anthropic-user-profile-id": ({}, {"headers": [("anthropic-user-profile-id", "p")]}),
    "organisation for project": ({"headers": [("OpenAI-Project", "a")]}, {"headers": [("OpenAI-Organization", "a")]}),
    "x-ibid-namespace": ({}, {"headers": [("x-ibid-namespace", "n")]}),
    "x-ibid-namespace's case": ({"headers": [("x-ibid-namespace", "n")]}, {"headers": [("x-ibid-namespace", "N")]}),
}
SAME = {
    "stream_options": ({}, {"stream_options": {"include_usage": False}}),
    "user": ({"user": "alice"}, {"user": "bob"}),
    "metadata": ({}, {"metadata": {"trace": "1"}}),
    "prompt_cache_key": ({}, {"prompt_cache_key": "p"}),
    "service_tier": ({}, {"service_tier": "flex"}),
    "safety_identifier": ({}, {"safety_identifier": "s"}),
    "stream": ({}, {"stream": False}),
    "1.0 for 1": ({"top_p": 1}, {"top_p": 1.0}),
    "a header of nobody's": ({}, {"headers": [("traceparent", "00-1-2-01"), ("user-agent", "x/2"), ("x-stainless-retry-count", "1")]}),
}


def variant(over, text, **more):
    body = {**BASE, **over, **more}
    body["messages"] = json.loads(json.dumps(body["messages"]).replace('"?"', json.dumps(text)))
    return {k: v for k, v in body.items() if k not in ("path", "headers") and v is not None}, {
        "path": over.get("path", CHAT), "headers": over.get("headers", ())}


def ask(ibid, over, text, key, **more):
    body, beside = variant(over, text, **more)
    return post(ibid, body, key=key, **beside)


@pytest.mark.parametrize("name", OTHER)
def test_another_question_is_a_miss(plain, name):
    ibid, _ = plain
    a, b = OTHER[name]
    one = ask(ibid, a, "What is it?", name)
    two = ask(ibid, b, "What is it?", name)
    assert (one.source, two.source) == ("upstream", "upstream") and one.text != two.text
    assert ask(ibid, a, "What is it?", name).text == one.text
    assert (ask(ibid, b, "What is it?", name).source, ask(ibid, b, "What is it?", name).text) == ("exact", two.text)


@pytest.mark.parametrize("name", ["n", "the case of the text", "white space in the text", "a NUL in the text", "composed characters"])
def test_another_text_is_a_miss(plain, name):
    ibid, _ = plain
    texts = {"n": ("q", "q"), "the case of the text": ("what?", "What?"), "white space in the text": ("a b", "a  b"),
             "a NUL in the text": ("a", "a\0"), "composed characters": ("\u00e9", "e\u0301")}[name]
    assert post(ibid, user(texts[0]), key=name).source == "upstream"
    more = {"n": 2} if name == "n" else {}
    assert post(ibid, user(texts[1], **more), key=name).source == "upstream"


@needs_encoder
@pytest.mark.parametrize("name", OTHER)
def test_another_question_is_a_miss_by_meaning_too(meaning, name):
    ibid, _ = meaning
    a, b = OTHER[name]
    prove(ibid, name)
    searchable = "tools" not in a and "functions" not in a
    first = (store if searchable else post)(ibid, *variant(a, ALIKE[0])[:1], key=name, **variant(a, ALIKE[0])[1])
    assert ask(ibid, b, ALIKE[1], name).source == "upstream"
    near = ask(ibid, a, ALIKE[1], name)
    assert (near.source, near.text) == (("semantic", first.text) if searchable else ("upstream", near.text))


@pytest.mark.parametrize("name", SAME)
def test_what_only_the_transport_cares_for_is_the_same_question(plain, name):
    ibid, _ = plain
    a, b = SAME[name]
    one = ask(ibid, a, "What is it?", name)
    assert (ask(ibid, b, "What is it?", name).source, ask(ibid, b, "What is it?", name).text) == ("exact", one.text)


@needs_encoder
@pytest.mark.parametrize("name", SAME)
def test_what_only_the_transport_cares_for_is_the_same_by_meaning(meaning, name):
    ibid, _ = meaning
    a, b = SAME[name]
    prove(ibid, name)
    body, beside = variant(a, ALIKE[0])
    one = store(ibid, body, key=name, **beside)
    two = ask(ibid, b, ALIKE[1], name)
    assert (two.source, two.text) == ("semantic", one.text)


def test_spelling_of_json_is_nothing(plain):
    ibid, _ = plain
    same = [b'{"model":"m","temperature":1,"messages":[{"role":"user","content":"caf\xc3\xa9 /"}]}',
            b' {\n "messages" : [ { "content":"caf\\u00e9 \\/" , "role":"user"} ],\t"temperature":1.0,"model":"m"}\n',
            b'{"messages":[{"role":"user","content":"caf\\u00E9 \\u002f"}],"temperature":10e-1,"model":"\\u006d"}']
    assert [post(ibid, b, key="spelling").source for b in same] == ["upstream", "exact", "exact"]


def test_what_the_upstream_does_not_see_is_not_asked(plain):
    """A field that Connection names goes no further, so that nothing is kept under it."""
    ibid, up = plain
    one = post(ibid, user("hidden"), key="hidden")
    for name in ("OpenAI-Project", "x-api-key"):
        r = post(ibid, user("hidden"), [(name, "p"), ("Connection", f"keep-alive, {name}")], key="hidden")
        assert (r.source, r.text) == ("exact", one.text)
        assert post(ibid, user("hidden"), [(name, "p")], key="hidden").source == "upstream"
    before = len(up.requests)
    r = post(ibid, user("hidden"), [("Connection", "authorization")], key="hidden")
    assert r.text != one.text  # nobody vouched for that key this time
    assert len(up.requests) == before or up.requests[-1].header("authorization") == []


def test_an_answer_is_of_who_gave_it(make_ibid, upstream):
    """Another upstream, another name of it, another epoch: nothing is shared in the same store."""
    other = Upstream()
    try:
        one = make_ibid(upstream, name="one")
        data = str(one.dir / "data")
        assert post(one, user("who?"), key="k").source == "upstream"
        one.stop()
        for up, env in ((other, {}), (upstream, {"IBID_UPSTREAM_NAME": "second"})):
            i = make_ibid(up, env={"IBID_DATA_DIR": data, **env})
            i.dir = one.dir.parent / i.dir.name
            prove(i, "k")
            assert post(i, user("who?"), key="k").source == "upstream", env
            i.stop()
        again = make_ibid(upstream, env={"IBID_DATA_DIR": data})
        prove(again, "k")
        assert post(again, user("who?"), key="k").source == "exact"
    finally:
        other.close()


# --- 2. A hit only with evidence -------------------------------------------------------------------

PAIRS = [
    ("Is port 6379 open by default?", "Is port 6379 closed by default?", "antonym"),
    ("Is port 6379 open by default?", "Is port 6380 open by default?", "number"),
    ("Does this plan include support?", "Does this plan not include support?", "negation"),
    ("How do I migrate from MySQL to PostgreSQL?", "How do I migrate from PostgreSQL to MySQL?", "direction"),
    ("What is the capital of Austria?", "What is the capital of Australia?", "name"),
]


@needs_encoder
@pytest.mark.parametrize("stored,asked,why", PAIRS, ids=[p[2] for p in PAIRS])
def test_one_decisive_word_is_a_miss_that_says_why(meaning, stored, asked, why):
    ibid, _ = meaning
    prove(ibid, why)
    first = store(ibid, user(stored), key=why)
    r = post(ibid, user(asked), key=why)
    assert r.source == "upstream" and r.text != first.text
    status = r.headers["cache-status"]
    assert status.startswith("ibid; fwd=miss; detail=") and why in status, status
    assert float(r.headers["x-ibid-similarity"]) > 0.6  # it was near
    assert any(why in k for k in reasons(ibid, "ibid_cache_miss_total"))


@needs_encoder
def test_a_hit_shows_its_evidence(meaning):
    ibid, _ = meaning
    prove(ibid, "evidence")
    miss = store(ibid, user(ALIKE[0]), key="evidence")
    assert "x-ibid-entry" not in miss.headers and "age" not in miss.headers
    near, same = post(ibid, user(ALIKE[1]), key="evidence"), post(ibid, user(ALIKE[0]), key="evidence")
    assert (near.source, same.source) == ("semantic", "exact")
    assert near.headers["x-ibid-entry"] == same.headers["x-ibid-entry"] and len(near.headers["x-ibid-entry"]) == 64
    for r in (near, same):
        assert 0 <= int(r.headers["age"]) < 60 and r.headers["x-ibid-saved-tokens"] == "19"
        assert r.headers["cache-status"].startswith("ibid; hit; ttl=86")
    h = near.headers
    assert "detail=semantic" in h["cache-status"] and 0.6 < float(h["x-ibid-similarity"]) <= 1.0001
    assert float(h["x-ibid-threshold"]) == 0.88 <= float(h["x-ibid-confidence"]) <= 1
    assert "x-ibid-similarity" not in same.headers


# --- Who may see a stored answer --------------------------------------------------------------------

def needs_key(*good):
    """An upstream that knows its keys."""
    def reply(r):
        if (r.header("authorization") or [""])[0] in [f"Bearer {k}" for k in good]:
            return (stream if r.json.get("stream") else answer)("secret of " + r.header("authorization")[0], usage=(12, 7))
        return Reply(status=401, body=b'{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}')
    return reply


@pytest.mark.parametrize("headers", [[], [("Authorization", "Bearer bad")], [("Authorization", "")],
                                     [("Authorization", "Bearer good "), ("x-api-key", "z")], [("x-api-key", "good")]])
def test_an_unknown_key_on_a_warm_cache_sees_the_upstreams_401(make_ibid, upstream, headers):
    ibid = make_ibid(upstream, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "all"})
    upstream.default = needs_key("good")
    post(ibid, user("q"), key="good")
    assert post(ibid, user("q"), key="good").source == "exact"
    before = len(upstream.requests)
    for _ in range(2):
        r = post(ibid, user("q"), headers)
        if r.status == 200:  # the upstream itself took it
            assert r.source == "upstream" and headers[0][1] == "Bearer good "
            break
        assert r.status == 401 and b"invalid_api_key" in r.body
        assert "credential_unproven" in r.headers["cache-status"]
    assert len(upstream.requests) > before


def test_a_refusal_revokes_at_once(make_ibid, upstream):
    ibid = make_ibid(upstream)
    for status in (401, 403):
        upstream.default = needs_key("k")
        prove(ibid, "k")
        post(ibid, user("q"), key="k")
        assert post(ibid, user("q"), key="k").source == "exact"
        upstream.default = lambda r: Reply(status=status, body=b'{"error":{"message":"revoked"}}')
        assert post(ibid, user(f"another {status}"), key="k").status == status
        assert post(ibid, user("q"), key="k").status == status
        # And on a path that is not cached.
        upstream.default = needs_key("k")
        prove(ibid, "k")
        assert post(ibid, user("q"), key="k").source == "exact"
        upstream.default = lambda r: Reply(status=status, body=b"{}")
        assert post(ibid, None, key="k", path="/v1/files", method="GET").status == status
        assert post(ibid, user("q"), key="k").status == status


def test_acceptance_does_not_last(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_AUTH_TTL_S": "1"})
    upstream.default = needs_key("k")
    prove(ibid, "k")
    post(ibid, user("q"), key="k")
    upstream.default = needs_key()
    until(lambda: post(ibid, user("q"), key="k").status == 401, "the end of the acceptance", 5)


def test_no_time_at_all(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_AUTH_TTL_S": "0"})
    assert [post(ibid, user("q"), key="k").source for _ in range(3)] == ["upstream"] * 3


def test_the_operators_list(make_ibid, upstream, tmp_path):
    (tmp_path / "keys").write_text("# ours\nlisted\n\nsecond \r\n" + "x" * 5000 + "\n")
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "keys"), "IBID_CACHE_SCOPE": "shared",
                                    "IBID_CACHE_SCOPE_NAME": "s", "IBID_UPSTREAM_AUTH_TTL_S": "0"})
    post(ibid, user("q"), key="anyone")
    for key, source in (("listed", "exact"), ("second", "exact"), ("x" * 5000, "exact"), ("# ours", "upstream"), ("", "upstream"), ("listedx", "upstream")):
        assert post(ibid, user("q"), [("Authorization", f"Bearer {key}" if key else "")]).source == source, key[:9]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 302])
def test_only_a_2xx_proves(make_ibid, upstream, status):
    ibid = make_ibid(upstream, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "s"})
    post(ibid, user("q"), key="good")
    upstream.default = lambda r: Reply(status=status, body=b'{"error":{"message":"no"}}')
    assert post(ibid, user("unproven"), key="stranger").status == status
    assert post(ibid, user("q"), key="stranger").status == status


def test_a_path_that_anybody_may_read_proves_nothing(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "s"})
    post(ibid, user("q"), key="good")
    upstream.default = lambda r: needs_key()(r) if r.method == "POST" else Reply(body=b'{"data":[]}')
    for path in ("/v1/models", "/v1/engines"):
        assert post(ibid, None, key="stranger", path=path, method="GET").status == 200
    assert post(ibid, user("q"), key="stranger").status == 401


def test_nobody_waits_for_an_answer_that_is_not_theirs(make_ibid, upstream):
    """In a shared space a stranger's question equals one in flight: the upstream judges the stranger."""
    ibid = make_ibid(upstream, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "s"})
    gate = Gate(needs_key("good"))
    upstream.default = lambda r: gate(r) if r.header("authorization") == ["Bearer good"] else needs_key("good")(r)
    leader = later(post, ibid, user("q"), key="good")
    assert gate.asked.wait(10)
    stranger = later(post, ibid, user("q"), key="bad")
    until(lambda: len(upstream.requests) == 2 or ibid.metric("ibid_requests_in_flight") == 2, "the stranger")
    gate.open()
    assert (leader().status, stranger().status) == (200, 401)


# --- 4. On a miss the bytes are the upstream's -------------------------------------------------------

ODD = [
    json.dumps(completion("na\u00efve \u4e2d\u6587 \U0001f600 \u202e\u2028"), ensure_ascii=False).encode(),
    json.dumps(completion("\u4e2d\ud83d\ude00\\ \" / \b\f")).encode(),
    b'{"id":12345678901234567890123,"choices":[{"index":0,"message":{"role":"assistant","content":"x","n":1e400},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":18446744073709551616}}',
    b'\r\n\t{ "choices" : [ ] }\n\n', b'{"a":1,"a":2}', b"", b"null", b"\xff\xfe not json at all", b'{"half":', b"[]" * 3,
    b'{"error":null,"choices":[{"message":{"content":"\\ud800"},"finish_reason":"stop"}]}',
    b'{"choices":[{"message":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b',"finish_reason":"stop"}]}',
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_a_miss_is_the_upstreams_bytes_however_odd(plain, body):
    ibid, up = plain
    up.script = [Reply(body=body, headers=[("X-Odd", "a,b"), ("X-Odd", "c")])]
    try:
        r = post(ibid, user(f"odd {ODD.index(body)}"), key="odd")
        assert (r.status, r.body, r.source) == (200, body, "upstream")
    finally:
        up.script = []


def test_bytes_of_requests_are_the_clients(plain):
    ibid, up = plain
    for body in (b'{"model":"m","messages":[{"role":"user","content":"\\ud83d\\ude00 \xf0\x9f\x98\x80"}],"seed":123456789012345678901234567890,"x":1.50e+2}\n',
                 b'{"messages":[{"content":"a\\u0000b","role":"user"}],"model":""}'):
        assert post(ibid, body, key="bytes").status == 200
        assert up.requests[-1].body == body


# --- 5. A broken or unusual answer is relayed and never kept -----------------------------------------

def raw_stream(*datas, tail=b""):
    return Reply(body=b"".join(b"data: " + (d if isinstance(d, bytes) else json.dumps(d).encode()) + b"\n\n" for d in datas) + tail,
                 content_type="text/event-stream", chunked=True)


def whole(body):
    return Reply(body=json.dumps(body).encode())


def parts(*deltas, finish="stop", done=True):
    return raw_stream(*[chunk(d) for d in deltas], chunk({}, finish), *([b"[DONE]"] if done else []))


CALL = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
HI = ({"role": "assistant", "content": ""}, {"content": "Hello."})
UNSTORED = {
    # name: (a whole answer or None, a stream or None, the reason counted)
    "length": (answer("Hello", finish="length"), stream("Hello", finish="length"), "truncated"),
    "content_filter": (answer("Hello", finish="content_filter"), stream("Hello", finish="content_filter"), "filtered"),
    "tool_calls": (answer("x", finish="tool_calls", tool_calls=CALL), parts({"role": "assistant"}, {"tool_calls": CALL}, finish="tool_calls"), "tool_call"),
    "tool calls that end with stop": (answer("x", tool_calls=CALL), parts({"tool_calls": CALL}), "tool_call"),
    "function_call": (whole(completion(None, function_call={"name": "f"}, finish="function_call")), parts({"function_call": {"name": "f"}}, finish="function_call"), "tool_call"),
    "refusal": (answer(None, refusal="I can't help with that."), parts({"role": "assistant", "refusal": "I can't"}), "refused"),
    "no content": (answer(""), parts({"role": "assistant", "content": ""}), "empty"),
    "null content": (answer(None), parts({"role": "assistant", "content": None}), "empty"),
    "an unknown end": (answer("Hello", finish="weather"), stream("Hello", finish="weather"), "incomplete"),
    "no end": (answer("Hello", finish=None), raw_stream(chunk({"content": "Hello"}), b"[DONE]"), "incomplete"),
    "an error in a 200": (whole({"error": {"message": "boom"}}), raw_stream({"error": {"message": "boom"}}, b"[DONE]"), "error"),
    "an error after some text": (None, raw_stream(chunk({"content": "Hel"}), {"error": {"message": "boom"}}), "error"),
    "an error event": (None, raw_stream(chunk({"content": "Hel"}), chunk({}, "stop"), tail=b"event: error\ndata: {}\n\n"), "error"),
    "no [DONE]": (None, parts(*HI, done=False), "incomplete"),
    "half an event at the end": (None, raw_stream(chunk(HI[1]), chunk({}, "stop"), b"[DONE]", tail=b"data: {"), "incomplete"),
    "an event after [DONE]": (None, raw_stream(chunk(HI[1]), chunk({}, "stop"), b"[DONE]", chunk(HI[1])), "malformed"),
    "two answers in one": (None, raw_stream(chunk(HI[1]), chunk({}, "stop"), chunk(HI[1]), chunk({}, "stop"), b"[DONE]"), "malformed"),
    "nothing but [DONE]": (None, raw_stream(b"[DONE]"), "incomplete"),
    "no events": (None, Reply(body=b"", content_type="text/event-stream", chunked=True), "incomplete"),
    "broken JSON": (Reply(body=b'{"choices":[{'), raw_stream(b'{"choices":', b"[DONE]"), "malformed"),
    "no JSON": (Reply(body=b"<html>busy</html>"), None, "malformed"),
    "no object": (Reply(body=b"[1]"), None, "malformed"),
    "no choices": (whole({"id": "x"}), None, "malformed"),
    "two choices": (whole({**completion("a"), "choices": completion("a")["choices"] * 2}), raw_stream({**chunk(HI[1]), "choices": chunk(HI[1])["choices"] * 2}, b"[DONE]"), "choices"),
    "the second choice": (None, raw_stream({**chunk(HI[1]), "choices": [{"index": 1, "delta": HI[1], "finish_reason": "stop"}]}, b"[DONE]"), "choices"),
    "a coded answer": (Reply(body=b"\x1f\x8b\x08", headers=[("Content-Encoding", "gzip")]), Reply(body=b"\x1f\x8b", headers=[("Content-Encoding", "gzip")], content_type="text/event-stream", chunked=True), "content_encoding"),
    "another type": (Reply(body=json.dumps(completion("a")).encode(), content_type="text/html"), None, "content_type"),
    "JSON for a stream": (None, Reply(body=json.dumps(completion("a")).encode(), content_type="text/event-stream"), "incomplete"),
    "another status": (Reply(status=202, body=json.dumps(completion("a")).encode()), Reply(status=201, body=events("a"), content_type="text/event-stream", chunked=True), "status"),
    "beyond the limit": (answer("word " * 20_000), stream("word " * 20_000, pieces=8192), "too_large"),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("small"), env={"IBID_CACHE_ANSWER_MAX_BYTES": "64KiB"}) as both:
        prove(both[0], "k")
        yield both


@pytest.mark.parametrize("name,streamed", [(n, s) for n in UNSTORED for s in (False, True) if UNSTORED[n][s]])
def test_what_is_never_kept(small, name, streamed):
    ibid, up = small
    reply, why = UNSTORED[name][streamed], UNSTORED[name][2]
    body = user(f"never kept: {name} {streamed}", stream=streamed)
    before, seen = reasons(ibid, "ibid_cache_unstored_total").get(why, 0), len(up.requests)
    up.script = [reply]
    try:
        first, second = post(ibid, body, key="k"), post(ibid, body, key="k")
    finally:
        up.script = []
    assert first.body == second.body == reply.body and first.source == second.source == "upstream"
    assert len(up.requests) == seen + 2
    assert reasons(ibid, "ibid_cache_unstored_total")[why] == before + 2
    # Nor is it there for who asks in the other way.
    assert post(ibid, {**body, "stream": not streamed}, key="k").source == "upstream"


KEPT = {
    "an error that is null": whole({**completion("Hello."), "error": None}),
    "comments, ids, CRLF": Reply(body=b": hi\r\n\r\nid: 1\r\n" + events("Hello.").replace(b"\n", b"\r\n"), content_type="text/event-stream", chunked=True, pieces=1),
    "usage after the end": stream("Hello.", usage=(1, 2)),
    "no space after data:": Reply(body=events("Hello.").replace(b"data: ", b"data:"), content_type="text/event-stream; charset=utf-8", chunked=True),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(small, name):
    ibid, up = small
    body = user(f"kept: {name}", stream=KEPT[name].chunked)
    up.script = [KEPT[name]]
    try:
        assert post(ibid, body, key="k").source == "upstream"
    finally:
        up.script = []
    r = post(ibid, body, key="k")
    assert r.source == "exact" and (said(r.body) if body["stream"] else r.text) == "Hello."


def test_usage_that_nobody_asked_for_is_not_made_up(plain):
    """A stream without usage is no answer for who would be told what it cost."""
    ibid, up = plain
    prove(ibid, "usage")
    body = user("usage?")
    up.script = [stream("Streamed.")]
    post(ibid, {**body, "stream": True}, key="usage")
    up.script = []
    assert said(post(ibid, {**body, "stream": True}, key="usage").body) == "Streamed."
    for more in ({}, {"stream": True, "stream_options": {"include_usage": True}}):
        up.script = [stream("Streamed.")]
        post(ibid, {**body, "stream": True}, headers=[("x-ibid-cache", "no-cache")], key="usage")
        up.script = []
        r = post(ibid, {**body, **more}, key="usage")
        assert (r.source, r.headers["cache-status"]) == ("upstream", "ibid; fwd=miss; detail=usage_unknown")
        # The answer that says it takes the place of the one that does not.
        r = post(ibid, {**body, **more}, key="usage")
        assert r.source == "exact" and b'"total_tokens":19' in r.body.replace(b" ", b"")


# --- 6. A caller can only tighten ----------------------------------------------------------------------

@needs_encoder
def test_a_threshold_only_counts_when_it_is_higher(meaning):
    ibid, _ = meaning
    prove(ibid, "thr")
    store(ibid, user(ALIKE[0]), key="thr")
    store(ibid, user("How do I bake sourdough bread at home?"), key="thr")
    for value, source in (("0", "semantic"), ("0.1", "semantic"), ("0.88", "semantic"), ("1", "upstream"), ("1.0", "upstream")):
        r = post(ibid, user(ALIKE[1]), [("x-ibid-threshold", value), ("x-ibid-cache", "no-store")], key="thr")
        assert r.source == source, value
        assert float(r.headers["x-ibid-threshold"]) == max(0.88, float(value))
    # What is not similar enough does not become so.
    far = user("How do I store sourdough bread at home?")
    one = post(ibid, far, [("x-ibid-cache", "no-store")], key="thr")
    assert one.source == "upstream" and "x-ibid-similarity" in one.headers
    for value in ("0", "0.5"):
        assert post(ibid, far, [("x-ibid-threshold", value), ("x-ibid-cache", "no-store")], key="thr").source == "upstream"
    # Twice: the stricter.
    for two in (("1", "0"), ("0", "1")):
        assert post(ibid, user(ALIKE[1]), [("x-ibid-threshold", t) for t in two] + [("x-ibid-cache", "no-store")], key="thr").source == "upstream"


NONSENSE = [
    ("x-ibid-threshold", "high"), ("x-ibid-threshold", "1.1"), ("x-ibid-threshold", "-0.5"), ("x-ibid-threshold", "nan"),
    ("x-ibid-threshold", "0x1"), ("x-ibid-threshold", ""), ("x-ibid-threshold", "."), ("x-ibid-threshold", "1e-1"), ("x-ibid-threshold", "0.9,0.1"),
    ("x-ibid-cache", "no-cash"), ("x-ibid-cache", "no-cache no-store"), ("x-ibid-cache", "max-age"), ("x-ibid-cache", "max-age=-1"),
    ("x-ibid-cache", "ttl=soon"), ("x-ibid-cache", "ttl=99999999999999999999"), ("x-ibid-cache", "no-cache=1"), ("x-ibid-cache", "public"),
    ("x-ibid-route", "moon"), ("x-ibid-route", ""), ("x-ibid-namespace", ""), ("x-ibid-namespace", "n" * 129),
    ("x-ibid-cahce", "no-store"), ("x-ibid-source", "exact"),
    ("cf-aig-skip-cache", "perhaps"), ("cf-aig-cache-ttl", "long"), ("x-bf-cache-type", "fuzzy"), ("x-bf-cache-ttl", "5y"), ("op-cache", "x"),
]


@pytest.mark.parametrize("name,value", NONSENSE)
def test_a_control_that_is_not_understood_is_refused_by_name(plain, name, value):
    ibid, up = plain
    prove(ibid, "nonsense")
    before = len(up.requests)
    r = post(ibid, user("nonsense"), [(name, value)], key="nonsense")
    assert r.status == 400 and name in r.json["error"]["message"] and r.json["error"]["param"] == name
    assert r.json["error"]["type"] == "invalid_request_error" and len(up.requests) == before


SKIP = [("x-ibid-cache", "no-cache, no-store"), ("X-Ibid-Cache", " NO-STORE ,, no-cache "), ("x-vsr-cache-control", "bypass"), ("cf-aig-skip-cache", "true"),
        ("cf-skip-cache", "true"), ("helicone-cache-enabled", "false"), ("X-OpenRouter-Cache", "false"), ("x-higress-skip-ai-cache", "on")]
REFRESH = [("x-ibid-cache", "no-cache"), ("Cache-Control", "no-cache"), ("Cache-Control", "max-age=x, no-transform"), ("x-portkey-cache-force-refresh", "true"),
           ("X-OpenRouter-Cache-Clear", "true"), ("X-OmniRoute-No-Cache", "true"), ("op-cache", "writeOnly"), ("x-vsr-cache-control", "no-cache")]
KEEP_OUT = [("x-ibid-cache", "no-store"), ("Cache-Control", "private, no-store"), ("x-bf-cache-no-store", "true"), ("op-cache", "readOnly"),
            ("x-ibid-cache", "ttl=0"), ("cf-aig-cache-ttl", "0"), ("x-bf-cache-ttl", "0s"), ("x-openrouter-cache-ttl", "0")]
NOTHING = [("cf-aig-skip-cache", "false"), ("helicone-cache-enabled", "true"), ("X-OpenRouter-Cache", "true"), ("x-portkey-cache-force-refresh", "false"),
           ("Cache-Control", "max-age=3600"), ("Cache-Control", "max-stale=1, x=\"no-cache\""), ("x-bf-cache-type", "semantic"), ("x-bf-cache-type", "direct"),
           ("x-ibid-cache", "max-age=60, ttl=60"), ("x-ibid-cache", ""), ("op-cache", "readWrite"), ("x-bf-cache-threshold", "0.1"), ("x-bf-cache-ttl", "5m")]


def named(header):
    return "key of " + " ".join(header).replace(",", " ")


@pytest.mark.parametrize("header", SKIP, ids=named)
def test_neither_read_nor_kept(plain, header):
    ibid, _ = plain
    one = post(ibid, user("skip"), key=named(header))
    two = post(ibid, user("skip"), [header], key=named(header))
    assert two.source == "upstream" and two.text != one.text and "fwd=request; detail=no_cache" in two.headers["cache-status"]
    assert post(ibid, user("skip"), key=named(header)).text == one.text


@pytest.mark.parametrize("header", REFRESH, ids=named)
def test_not_read_but_kept_anew(plain, header):
    ibid, _ = plain
    one = post(ibid, user("refresh"), key=named(header))
    two = post(ibid, user("refresh"), [header], key=named(header))
    assert two.source == "upstream" and two.text != one.text
    three = post(ibid, user("refresh"), key=named(header))
    assert (three.source, three.text) == ("exact", two.text)


@pytest.mark.parametrize("header", KEEP_OUT, ids=named)
def test_read_but_not_kept(plain, header):
    ibid, _ = plain
    key = named(header)
    prove(ibid, key)
    assert post(ibid, user("keep out"), [header], key=key).source == "upstream"
    one = post(ibid, user("keep out"), key=key)
    assert one.source == "upstream"
    assert post(ibid, user("keep out"), [header], key=key).text == one.text  # read


@pytest.mark.parametrize("header", NOTHING, ids=named)
def test_what_asks_for_no_less_than_there_is(plain, header):
    ibid, _ = plain
    one = post(ibid, user("nothing"), [header], key=named(header))
    two = post(ibid, user("nothing"), [header], key=named(header))
    assert (one.source, two.source, two.text) == ("upstream", "exact", one.text)


IN_THE_BODY = {
    # name: (the fields, does the second one meet the first one's answer)
    "LiteLLM no-cache": ({"cache": {"no-cache": True}}, False), "LiteLLM no-store": ({"cache": {"no-store": True}}, False),
    "LiteLLM ttl": ({"cache": {"ttl": 0}}, False), "LiteLLM false": ({"cache": {"no-cache": False, "ttl": 600, "s-maxage": 600}}, True),
    "TensorZero off": ({"tensorzero::cache_options": {"enabled": "off"}}, False), "TensorZero on": ({"tensorzero::cache_options": {"enabled": "on", "max_age_s": 60}}, True),
    "TensorZero read": ({"tensorzero::cache_options": {"enabled": "read_only"}}, False), "TensorZero write": ({"tensorzero::cache_options": {"enabled": "write_only"}}, False),
    "GPTCache": ({"cache_skip": True}, False), "production-stack": ({"skip_cache": True}, False),
    "LiteLLM not used": ({"cache": {"use-cache": False}}, False), "a threshold": ({"cache_similarity_threshold": 0.99}, True),
    "misspelt": ({"cache": {"no-store": True, "no_cache": True}}, False), "somebody's": ({"cache": "yes", "tensorzero::cache_options": 1, "cache_skip": "x", "skip_cache": None}, True), "orq": ({"cache": {"type": "exact_match", "ttl": 600}}, True),
}


@pytest.mark.parametrize("name", IN_THE_BODY)
def test_wishes_in_the_body(plain, name):
    ibid, up = plain
    fields, hit = IN_THE_BODY[name]
    prove(ibid, name.replace("'", ""))
    sources = [post(ibid, user("in the body", **fields), key=name.replace("'", "")).source for _ in range(2)]
    assert sources == ["upstream", "exact" if hit else "upstream"]
    # APIs refuse what they do not know; what we do not is theirs to judge.
    assert up.requests[-1].json == (user("in the body", **fields) if name in ("misspelt", "somebody's") else user("in the body"))


def test_a_wish_in_the_body_is_no_part_of_the_question(plain):
    ibid, up = plain
    one = post(ibid, user("with or without", cache={"ttl": 600}), key="wish")
    assert post(ibid, user("with or without"), key="wish").text == one.text
    a = post(ibid, user("with or without", cache={"namespace": "a"}), key="wish")
    assert a.source == "upstream" and post(ibid, user("with or without"), [("x-ibid-namespace", "a")], key="wish").text == a.text
    r = post(ibid, user("with or without", cache={"namespace": "a"}), [("x-ibid-namespace", "b")], key="wish")
    assert r.status == 400 and "cache.namespace" in r.json["error"]["message"]


FOREIGN = [("x-portkey-cache-force-refresh", "true"), ("Helicone-Cache-Enabled", "false"), ("cf-aig-cache-ttl", "60"), ("x-bf-cache-no-store", "true"),
           ("X-OpenRouter-Cache", "false"), ("x-higress-skip-ai-cache", "on"), ("op-cache", "readOnly")]


def test_only_a_gateway_sees_what_is_said_to_gateways(make_ibid, upstream):
    said = user("in the body", cache={"no-cache": True}, skip_cache=True)
    others = [("Cache-Control", "no-cache"), ("x-portkey-api-key", "pk")]
    for gateway in ("off", "on"):
        ibid = make_ibid(upstream, env={"IBID_UPSTREAM_GATEWAY": gateway})
        for path in ("/v1/chat/completions", "/v1/other"):
            assert post(ibid, said, [*FOREIGN, *others], path=path, key="gateway").status == 200
            r = upstream.requests[-1]
            assert [r.header(name) for name, _ in FOREIGN] == [[value] if gateway == "on" else [] for _, value in FOREIGN]
            assert [r.header(name) for name, _ in others] == [[value] for _, value in others]
            assert r.json == (said if gateway == "on" or path == "/v1/other" else user("in the body"))


@pytest.mark.parametrize("name", ["x-ibid-namespace", "x-portkey-cache-namespace", "helicone-cache-seed", "cf-aig-cache-key", "x-bf-cache-key"])
def test_a_namespace_narrows(plain, name):
    ibid, up = plain
    one = post(ibid, user("space"), key=name)
    a = post(ibid, user("space"), [(name, "a")], key=name)
    b = post(ibid, user("space"), [(name, "b")], key=name)
    assert {one.source, a.source, b.source} == {"upstream"}
    assert post(ibid, user("space"), [(name, "a")], key=name).text == a.text
    # It never widens: another's space of that name is another space, whatever the question.
    assert post(ibid, user("space"), [(name, "a")], key=name + "2").source == "upstream"
    assert post(ibid, user("something else"), [(name, "a")], key=name).source == "upstream"
    assert post(ibid, user("space"), [(name, "a"), ("x-ibid-namespace", "b")], key=name).status == 400


@needs_encoder
def test_exact_only(meaning):
    ibid, _ = meaning
    prove(ibid, "direct")
    store(ibid, user(ALIKE[0]), key="direct")
    r = post(ibid, user(ALIKE[1]), [("x-bf-cache-type", "direct"), ("x-ibid-cache", "no-store")], key="direct")
    assert r.source == "upstream" and "detail=exact_only" in r.headers["cache-status"]
    assert post(ibid, user(ALIKE[0]), [("x-bf-cache-type", "direct")], key="direct").source == "exact"


@pytest.mark.parametrize("header", [("x-ibid-cache", "only-if-cached"), ("Cache-Control", "only-if-cached")])
def test_only_if_cached(plain, header):
    ibid, up = plain
    key = "oic" + header[0]
    prove(ibid, key)
    before = len(up.requests)
    r = post(ibid, user("only"), [header], key=key)
    assert (r.status, r.json["error"]["code"]) == (504, "not_cached") and "fwd" not in r.headers["cache-status"]
    # Nor on a path that is never cached, nor with a body that is too odd to be.
    assert post(ibid, {"input": "x"}, [header], path="/v1/embeddings", key=key).status == 504
    assert post(ibid, b"\x1f\x8b", [header, ("Content-Encoding", "gzip")], key=key).status == 504
    assert len(up.requests) == before
    post(ibid, user("only"), key=key)
    assert post(ibid, user("only"), [header], key=key).source == "exact"
    # A key that is not proven learns nothing this way.
    assert post(ibid, user("only"), [header], key=key + "x").status == 504


@pytest.mark.parametrize("header", ["x-ibid-cache", "Cache-Control"])
def test_max_age(plain, header):
    ibid, _ = plain
    post(ibid, user("age"), key=header)
    until(lambda: post(ibid, user("age"), [(header, "max-age=0, only-if-cached")], key=header).status == 504, "an answer older than now")
    assert post(ibid, user("age"), [(header, "max-age=100")], key=header).source == "exact"
    r = post(ibid, user("age"), [(header, "max-age=100, max-age=0")], key=header)
    assert r.source == "upstream" and "detail=stale" in r.headers["cache-status"]


def test_ttl(plain):
    ibid, _ = plain
    prove(ibid, "ttl")
    post(ibid, user("short"), [("x-ibid-cache", "ttl=1")], key="ttl")
    r = post(ibid, user("short"), key="ttl")
    assert r.source == "exact" and r.headers["cache-status"] in ("ibid; hit; ttl=0", "ibid; hit; ttl=1")
    post(ibid, user("long"), [("x-ibid-cache", "ttl=99999999")], key="ttl")  # no longer than configured
    assert int(post(ibid, user("long"), key="ttl").headers["cache-status"].split("=")[1]) <= 86400
    until(lambda: post(ibid, user("short"), [("x-ibid-cache", "only-if-cached")], key="ttl").status == 504, "the end of its life", 3)


def test_what_must_not_go_upstream_does_not(plain):
    ibid, up = plain
    before = len(up.requests)
    local = [("x-ibid-route", "local")]
    assert post(ibid, user("private"), local, key="k").status == 503  # there is no model here
    assert post(ibid, {"input": "private"}, local, path="/v1/moderations", key="k").status == 400
    assert post(ibid, b"\x1f\x8bprivate", [*local, ("Content-Encoding", "gzip")], key="k").status == 400
    assert post(ibid, user("private" * 3_000_000), local, key="k").status == 413
    assert len(up.requests) == before


def test_a_caller_cannot_speak_for_ibid(plain):
    """What looks like ours in the upstream's answer is not passed on."""
    ibid, up = plain
    up.script = [Reply(body=json.dumps(completion("x")).encode(), headers=[("x-ibid-source", "exact"), ("X-Ibid-Saved-Usd", "9"), ("Age", "3")])]
    r = post(ibid, user("forged"), key="forged")
    up.script = []
    assert r.source == "upstream" and "x-ibid-saved-usd" not in r.headers


def test_requests_that_ask_for_variety_get_it(plain):
    ibid, _ = plain
    for more in ({"temperature": 1.01}, {"n": 2}, {"store": False}):
        body = user("variety", **more)
        assert [post(ibid, body, key="variety").source for _ in range(3)] == ["upstream"] * 3, more
    for more in ({"temperature": 1}, {"temperature": 0}, {"n": 1}, {"store": True}, {"temperature": None}):
        body = user("sameness", **more)
        assert [post(ibid, body, key="variety").source for _ in range(2)] == ["upstream", "exact"], more


# --- 7. No prompt, answer or credential where it does not belong ------------------------------------------

CANARY = {
    "prompt": "CANARYPROMPT", "answer": "CANARYANSWER", "key": "CANARYKEY", "user": "CANARYUSER", "system": "CANARYSYSTEM",
    "namespace": "CANARYSPACE", "query": "CANARYQUERY", "org": "CANARYORG", "error": "CANARYERROR", "model": "CANARYMODEL",
}


def test_nothing_private_in_any_output(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=ENCODER.exists(), env={"IBID_LOG_LEVEL": "debug", "IBID_LIMITS_BODY_MAX_BYTES": "64KiB"})
    headers = [("x-ibid-namespace", CANARY["namespace"]), ("OpenAI-Organization", CANARY["org"])]
    path = CHAT + "?x=" + CANARY["query"]

    def say(text=CANARY["prompt"], key=CANARY["key"], **more):
        body = {"model": CANARY["model"], "user": CANARY["user"],
                "messages": [{"role": "system", "content": CANARY["system"]}, {"role": "user", "content": text}], **more}
        return post(ibid, body, headers, path=path, key=key)

    upstream.default = lambda r: (stream if r.json.get("stream") else answer)(CANARY["answer"], model=CANARY["model"])
    assert [say().status for _ in range(3)] == [200] * 3
    say(CANARY["prompt"] + " please?"), say(stream=True), say(n=2), say(CANARY["prompt"] * 8000)
    kept = [say(messages=1), say(n=CANARY["prompt"]), post(ibid, b'{"' + CANARY["prompt"].encode() + b'":', headers, path=path, key=CANARY["key"])]
    kept.append(post(ibid, user(CANARY["prompt"]), [("x-ibid-cache", CANARY["prompt"])], key=CANARY["key"]))
    upstream.script = [Reply(status=401, body=b'{"error":{"message":"%s"}}' % CANARY["error"].encode())]
    say("another " + CANARY["prompt"])
    for fault in ("fin", "rst"):
        upstream.script = [Reply(at=-1, fault=fault), Reply(at=-1, fault=fault)]
        kept.append(say(f"{fault} " + CANARY["prompt"]))
        upstream.script = [stream(CANARY["answer"], at=300, fault=fault)]
        try:
            say(f"cut {fault} " + CANARY["prompt"], stream=True)
        except Exception:
            pass
    upstream.script = [Reply(raw=b"HTTP/1.1 200 OK\r\nBad Header " + CANARY["answer"].encode() + b"\r\n\r\n", close=True)]
    kept.append(say("bad head " + CANARY["prompt"]))
    for raw in (b"GET /%s HTTP/9.9\r\n\r\n" % CANARY["prompt"].encode(), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: %s\r\n\r\n" % CANARY["key"].encode()):
        with socket.create_connection(("127.0.0.1", ibid.port)) as s:
            s.sendall(raw)
            s.settimeout(5)
            kept.append(s.recv(4096))
    token = ibid.token()
    outputs = {"log": ibid.read_log().encode(), "command line": open(f"/proc/{ibid.proc.pid}/cmdline", "rb").read()}
    for view in ("/metrics", "/readyz", "/healthz", "/admin/v1/stats", "/admin/v1/savings", "/admin/v1/ledger", "/admin/v1/models", "/admin/v1/config"):
        outputs[view] = ibid.admin(view, token).body
    assert b"upstream_failed" in outputs["log"] and b"exact" in outputs["/metrics"]
    outputs["names of files"] = "\n".join(os.path.join(d, f) for d, _, fs in os.walk(ibid.dir / "data") for f in fs).encode()
    for i, r in enumerate(kept):
        # To who sent it: a broken body is told by place, a bad value by the name of its field.
        outputs[f"error page {i}"] = r if isinstance(r, bytes) else r.body
        assert isinstance(r, bytes) or r.status >= 400, (i, r.body)
    for where, text in outputs.items():
        for what, canary in CANARY.items():
            # The ledger is by model, for those with the token.
            assert canary.encode() not in text or (what, where) == ("model", "/admin/v1/ledger"), f"{what} in {where}: {text[-2000:]}"
        assert token.encode() not in text and (ibid.dir / "data/secret").read_bytes().strip() not in text
    # What is stored is stored under digests: no credential and no name at rest.
    ibid.stop()
    for d, _, files in os.walk(ibid.dir / "data"):
        for f in files:
            data = open(os.path.join(d, f), "rb").read()
            for what in ("key", "user", "org", "namespace", "query", "system"):
                assert CANARY[what].encode() not in data, f"{what} in {f}"


def test_secrets_are_for_their_owner_only(ibid):
    for name in ("secret", "admin.token"):
        assert (ibid.dir / "data" / name).stat().st_mode & 0o077 == 0


def test_the_configuration_shown_has_no_password(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_STORE_URL": "redis://someone:CANARYPASS@127.0.0.1:1/0"})
    shown = ibid.admin("/admin/v1/config", ibid.token()).body + ibid.read_log().encode()
    assert b"127.0.0.1:1" in shown and b"CANARYPASS" not in shown


# --- 8. Everything is bounded, and overload is refused by name ---------------------------------------------

def error_of(r, status, code=None):
    assert r.status == status, r.body
    e = r.json["error"]
    assert set(e) == {"message", "type", "param", "code"} and e["message"] and e["type"]
    assert code is None or e["code"] == code
    return e


def test_a_body_beyond_the_limit_without_an_upstream(make_ibid):
    ibid = make_ibid(env={"IBID_LIMITS_BODY_MAX_BYTES": "1KiB"})
    e = error_of(post(ibid, user("x" * 2000)), 413, "request_too_large")
    assert "limits.body_max_bytes" in e["message"]


def test_depth_is_bounded_by_its_setting(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_JSON_DEPTH_MAX": "10"})
    deep = lambda n: b'{"messages":[{"role":"user","content":"x"}],"d":' + b"[" * n + b"]" * n + b"}"
    assert post(ibid, deep(9)).status == 200
    assert "10 levels" in error_of(post(ibid, deep(10)), 400)["message"]
    for n in (100, 100_000, 4_000_000):  # and the stack is not the limit
        assert post(ibid, deep(n)).status == 400
    assert len(upstream.requests) == 1


def test_a_head_beyond_the_limit(plain):
    ibid, _ = plain
    error_of(post(ibid, user("x"), [("x-long", "y" * 70_000)]), 431)
    error_of(post(ibid, user("x"), [("x-many", "y")] * 200), 431)


def test_requests_in_flight_are_bounded(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_REQUESTS_MAX": "2"})
    gate = Gate(answer("late"))
    upstream.default = gate
    waiting = [later(post, ibid, user(f"slow {i}"), key="k") for i in range(2)]
    until(lambda: ibid.metric("ibid_requests_in_flight") == 2, "two in flight")
    r = post(ibid, user("one more"), key="k")
    assert "limits.requests_max" in error_of(r, 503, "overloaded")["message"] and r.headers["retry-after"] == "1"
    gate.open()
    assert [w().status for w in waiting] == [200, 200]
    assert ibid.metric("ibid_refused_total") == 1 and post(ibid, user("again"), key="k").status == 200


def test_waiting_for_the_upstream_is_bounded(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_CONNECTIONS_MAX": "1", "IBID_UPSTREAM_WAITING_MAX": "1"})
    gate = Gate(answer("late"))
    upstream.default = gate
    first = later(post, ibid, user("first"), key="k")
    assert gate.asked.wait(10)
    second = later(post, ibid, user("second"), key="k")
    until(lambda: ibid.metric("ibid_upstream_waiting") == 1, "one that waits")
    assert "upstream.waiting_max" in error_of(post(ibid, user("third"), key="k"), 503, "overloaded")["message"]
    gate.open()
    assert (first().status, second().status) == (200, 200)


def test_entries_in_memory_are_bounded(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_STORE_MEMORY_ENTRIES_MAX": "4", "IBID_STORE_URL": "memory:", "IBID_STORE_ENTRIES_MAX": "8"})
    for i in range(30):
        post(ibid, user(f"{i}"), key="k")
    assert ibid.metric("ibid_cache_memory_entries") <= 4 and ibid.metric("ibid_cache_memory_evictions_total") >= 26
    assert post(ibid, user("29"), key="k").source == "exact"


# --- 9. Numbers are honest -----------------------------------------------------------------------------------

PRICES = """
prices:
  - {model: stub-*, input: 1000, output: 2000, source: test, date: 2026-01-31}
"""


def test_savings_are_of_true_hits_only(make_ibid, upstream):
    ibid = make_ibid(upstream, config=PRICES)
    seen = {}

    def count(r):
        seen[r.source or "none"] = seen.get(r.source or "none", 0) + 1
        return r

    count(post(ibid, user("proof of k"), key="k")), count(post(ibid, user("proof of k"), key="k"))
    hit = [count(post(ibid, user("q"), key="k")) for _ in range(3)][2]
    assert (hit.headers["x-ibid-saved-tokens"], hit.headers["x-ibid-saved-usd"]) == ("19", "0.02600000")
    count(post(ibid, user("q", stream=True), key="k"))
    count(post(ibid, user("q"), [("x-ibid-cache", "no-cache")], key="k"))  # a fresh one saves nothing
    count(post(ibid, user("q", n=0), key="k"))
    count(post(ibid, b"{", key="k"))
    upstream.script = [Reply(status=500, body=b"{}")]
    count(post(ibid, user("fails"), key="k"))
    upstream.script = [answer("x", model="other", usage=(100, 50))]
    count(post(ibid, user("unpriced", model="other"), key="k"))
    r = count(post(ibid, user("unpriced", model="other"), key="k"))
    assert r.headers["x-ibid-saved-tokens"] == "150" and "x-ibid-saved-usd" not in r.headers
    gate, upstream.script = Gate(answer("together", usage=(12, 7))), []
    upstream.default = gate
    one = later(post, ibid, user("together"), key="k")
    assert gate.asked.wait(10)
    two = later(post, ibid, user("together"), key="k")
    until(lambda: ibid.metric("ibid_requests_in_flight") == 2, "the second")
    gate.open()
    assert {count(one()).source, count(two()).source} == {"upstream", "coalesced"}
    s = ibid.savings()
    hits = 5  # the proof again, twice "q", "q" as a stream, together
    assert s["requests"] == {**{k: 0 for k in s["requests"]}, **seen}
    assert s["answered_from_cache"] == hits + 1 == seen["exact"] + seen["coalesced"]
    assert (s["saved"]["prompt_tokens"], s["saved"]["completion_tokens"]) == (12 * hits + 100, 7 * hits + 50)
    assert s["saved"]["unpriced_tokens"] == 150 and abs(s["saved"]["usd"] - 0.026 * hits) < 1e-9
    # The same everywhere.
    for source, n in seen.items():
        assert f'ibid_requests_total{{source="{source}"}} {n}\n'.encode() in ibid.admin("/metrics").body
    assert ibid.stats()["requests"]["by_source"] == s["requests"]
    assert ibid.metric("ibid_saved_tokens_total") == 19 * hits + 150 and abs(ibid.metric("ibid_saved_usd") - 0.026 * hits) < 1e-6
    done = run("report", "--json", **ibid.env)
    totals = json.loads(done.stdout)["totals"]
    assert done.returncode == 0 and totals["saved_tokens"] == 19 * hits + 150 and abs(totals["saved_usd"] - 0.026 * hits) < 1e-9


def test_a_client_that_leaves_counts_for_nothing(ibid, upstream):
    long = "word " * 400_000
    upstream.default = lambda r: answer(long, usage=(10, 400_000))
    for _ in range(2):
        post(ibid, user("proof of sk-test"), key="sk-test")
    body = json.dumps(user("proof of sk-test", stream=True)).encode()
    before = ibid.savings()
    with socket.create_connection(("127.0.0.1", ibid.port)) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert s.recv(100)
    ibid.wait_metric("ibid_client_gone_total", 1)
    after = ibid.savings()
    assert after["saved"]["completion_tokens"] == before["saved"]["completion_tokens"]
    assert after["requests"] == before["requests"]


@needs_encoder
def test_our_own_work_is_a_negative_line(meaning):
    ibid, _ = meaning
    before = ibid.savings()["own_cost_cpu_seconds"]
    prove(ibid, "cost")
    for i in range(3):
        post(ibid, user(f"What does it cost to ask number {i}?"), key="cost")
    until(lambda: ibid.savings()["own_cost_cpu_seconds"]["encoder"] < before["encoder"], "its cost")
    s = ibid.savings()["own_cost_cpu_seconds"]
    assert s["encoder"] < before["encoder"] <= 0 and s["lookup"] < before["lookup"] <= 0
    assert abs(s["total"] - s["encoder"] - s["lookup"] - s["local_model"]) < 1e-6
