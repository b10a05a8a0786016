"""Who made an answer and when: a header of every answer, and in the bodies that ibid writes."""
import json
import re
import time

import pytest

from client import post, sse, user
from conftest import needs_decoder, needs_encoder
from dialects import dialect
from upstream import Reply, answer

ASK = [("x-ibid-metadata", "on")]
TURNS = [{"role": "user", "content": "What is a mark?"}]
QUESTIONS = {
    "/v1/chat/completions": {"model": "m", "messages": TURNS},
    "/v1/responses": {"model": "m", "input": "What is a mark?"},
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": TURNS},
    "/api/chat": {"model": "m", "messages": TURNS, "stream": False},
}


def made(r):
    """RFC 9651: a dictionary of strings and a date."""
    text = r'"((?:[^"\\]|\\["\\])*)"'
    found = re.fullmatch(rf'by={text}(?:, model={text})?, at=@(\d+)', r.headers["x-ibid-made"])
    assert found, r.headers["x-ibid-made"]
    return found[1], found[2], int(found[3])


def is_recent(at):
    return abs(at - time.time()) <= 180


def check_metadata(found, source, by, model):
    assert {k: v for k, v in found.items() if k != "ibid_made_at"} == {"ibid_source": source, "ibid_made_by": by, "ibid_model": model}
    at = time.strptime(found["ibid_made_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert is_recent(time.mktime(at) - time.timezone)


def test_every_answer_says_who_and_when(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_NAME": "openai"})
    upstream.script = [answer("x", model="stub-2026")]
    one, two = (post(ibid, user("q"), key="k") for _ in range(2))
    assert one.source == "upstream" and made(one)[:2] == ("openai", "stub-model") and is_recent(made(one)[2])
    assert two.source == "exact" and made(two)[:2] == ("openai", "stub-2026")
    assert made(two)[2] == int(time.time()) - int(two.headers["age"]) or abs(made(two)[2] - made(one)[2]) <= 1
    # Relayed untouched; and an error of ibid's own, that nobody made.
    upstream.script = [Reply(body=b"{}")]
    assert made(post(ibid, {}, key="k", path="/v1/files"))[:2] == ("openai", None)
    assert "x-ibid-made" not in post(ibid, b"{", key="k").headers


def test_names_can_not_break_out_of_the_header(make_ibid, upstream):
    ibid = make_ibid(upstream)
    name = 'a"b\\c, by="x" \u00fc\x7f' + "y" * 300
    upstream.script = [answer("x", model=name)]
    post(ibid, user("q", model=name), key="k")
    r = post(ibid, user("q", model=name), key="k")
    by, model, _ = made(r)
    assert r.source == "exact" and by == "upstream" and model.startswith('a\\"b\\\\c, by=\\"x\\" ??') and len(model) < 110


@pytest.mark.parametrize("path", QUESTIONS)
def test_bodies_say_it_on_request(make_ibid, upstream, path):
    ibid, ask, body = make_ibid(upstream), QUESTIONS[path], dialect(path)[0]("A sign.")
    upstream.script = [Reply(body=json.dumps(body).encode())]
    miss = post(ibid, ask, ASK, path=path, key="k")
    assert miss.source == "upstream" and b"ibid_" not in miss.body  # the upstream's bytes
    plain, marked = post(ibid, ask, path=path, key="k"), post(ibid, ask, ASK, path=path, key="k")
    assert plain.source == marked.source == "exact" and b"ibid_" not in plain.body
    found = marked.json["metadata"]
    by, model, _ = made(marked)
    own = body.get("metadata") or {}
    check_metadata({k: v for k, v in found.items() if k not in own}, "exact", by, model)
    volatile = {"metadata", "id", "created", "created_at"}
    assert {k: v for k, v in marked.json.items() if k not in volatile} == {k: v for k, v in plain.json.items() if k not in volatile}


def test_own_metadata_stay(make_ibid, upstream):
    ibid = make_ibid(upstream)
    body = {**dialect("/v1/responses")[0]("A sign."), "metadata": {"team": "blue", "n": "1"}}
    upstream.script = [Reply(body=json.dumps(body).encode())]
    ask = QUESTIONS["/v1/responses"]
    post(ibid, ask, path="/v1/responses", key="k")
    r = post(ibid, ask, ASK, path="/v1/responses", key="k")
    assert r.source == "exact" and r.json["metadata"]["team"] == "blue" and r.json["metadata"]["n"] == "1" and r.json["metadata"]["ibid_source"] == "exact"
    assert len(re.findall(rb'"metadata"', r.body)) == 1


def test_a_stream_says_it_in_its_first_event(make_ibid, upstream):
    ibid = make_ibid(upstream)
    post(ibid, user("q"), key="k")
    r = post(ibid, user("q", stream=True), ASK, key="k")
    events, done = sse(r.body)
    assert r.source == "exact" and done and all("metadata" not in e for e in events[1:])
    check_metadata(events[0]["metadata"], "exact", "upstream", "stub-model")
    assert all("metadata" not in e for e in sse(post(ibid, user("q", stream=True), key="k").body)[0])


def test_an_operator_can_require_it(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_ANSWERS_METADATA": "always"})
    post(ibid, user("q"), key="k")
    for headers in ([], [("x-ibid-metadata", "off")]):  # a caller can not take it away
        r = post(ibid, user("q"), headers, key="k")
        assert r.source == "exact" and r.json["metadata"]["ibid_source"] == "exact"


def test_what_is_not_understood_is_refused(make_ibid, upstream):
    ibid = make_ibid(upstream)
    r = post(ibid, user("q"), [("x-ibid-metadata", "maybe")], key="k")
    assert r.status == 400 and "x-ibid-metadata" in r.body.decode()


@needs_decoder
def test_the_built_in_model_signs(make_ibid):
    ibid = make_ibid(None, local=True)
    short = {"max_tokens": 4}
    r = post(ibid, user("Say yes.", **short), ASK)
    assert r.source == "local" and made(r)[:2] == ("local", "smollm2-135m-instruct") and is_recent(made(r)[2])
    check_metadata(r.json["metadata"], "local", "local", "smollm2-135m-instruct")
    events, _ = sse(post(ibid, user("Say no.", stream=True, **short), ASK).body)
    check_metadata(events[0]["metadata"], "local", "local", "smollm2-135m-instruct")
    lines = post(ibid, {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Say so."}], "options": {"num_predict": 4}}, ASK, path="/api/chat").body.decode().splitlines()
    check_metadata(json.loads(lines[0])["metadata"], "local", "local", "smollm2-135m-instruct")
    assert all("metadata" not in json.loads(line) for line in lines[1:])


@needs_encoder
def test_the_built_in_encoder_signs(make_ibid):
    ibid = make_ibid(None, encoder=True)
    r = post(ibid, {"model": "all-minilm-l6-v2", "input": ["a cat"]}, ASK, path="/v1/embeddings")
    assert r.source == "local" and made(r)[:2] == ("local", "all-minilm-l6-v2")
    check_metadata(r.json["metadata"], "local", "local", "all-minilm-l6-v2")
