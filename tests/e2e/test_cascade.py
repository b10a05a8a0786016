"""The built-in model first, and the upstream where it is not sure: of two answers one is seen."""
import json
import re

import pytest

from client import prove, said, until
from conftest import needs_decoder, needs_encoder
from test_routing import config, routed
from upstream import Reply, answer, stream

pytestmark = needs_decoder
SURE, UNSURE = "What is the capital of France?", "Who won the 1987 Tour de France, and by how much?"


def both(up):
    up.default = lambda r: stream("from afar") if r.json.get("stream") else answer("from afar")


def test_what_the_model_is_sure_of_stays_here(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.7))
    both(upstream)
    for streamed in (False, True):
        near, far = (ibid.chat(q, model="auto", stream=streamed, max_tokens=60, headers={"x-ibid-cache": "no-cache, no-store"}) for q in (SURE, UNSURE))
        assert (near.source, far.source) == ("local", "upstream")
        assert (said(near.body), said(far.body)) == ("The capital of France is Paris.", "from afar") if streamed else far.text == "from afar" and "Paris" in near.text
        assert re.fullmatch(r"local; reason=first; sure=0\.[7-9]\d+", near.headers["x-ibid-route"])
        assert re.fullmatch(r"upstream; reason=escalated_unsure; sure=0\.[0-6]\d+", far.headers["x-ibid-route"])
    assert len(upstream.posts()) == 2  # nothing of what the model was sure of went out
    counts = routed(ibid)
    assert counts[("local", "first")] == 4 and counts[("upstream", "escalated_unsure")] == 2
    # What it tried in vain has cost something, and is no answer of its own.
    assert ibid.metric('ibid_requests_total{source="local"}') == 2


def test_nothing_of_an_answer_that_is_not_given_out_is_seen(make_ibid, upstream):
    """Every byte of the stream is the upstream's."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1))
    both(upstream)
    direct = ibid.chat(UNSURE, model="other", stream=True)
    r = ibid.chat(UNSURE, model="auto", stream=True, max_tokens=60)
    assert r.source == "upstream" and said(r.body) == said(direct.body) == "from afar" and r.body.count(b"[DONE]") == 1


def test_both_are_kept_as_one(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.7))
    both(upstream)
    prove(ibid)
    for q in (SURE, UNSURE):
        first, again = ibid.chat(q, model="auto", max_tokens=60), ibid.chat(q, model="auto", max_tokens=60)
        assert again.source == "exact" and again.text == first.text and "x-ibid-route" not in again.headers


def test_what_would_be_cut_here_is_asked_for_elsewhere(make_ibid, upstream):
    """What the client's own limit cuts would be cut there too."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01), env={"IBID_LOCAL_MAX_TOKENS": "6"})
    both(upstream)
    assert ibid.chat("Count from one to twenty.", model="auto").headers["x-ibid-route"].startswith("upstream; reason=escalated_length")
    r = ibid.chat("Count from one to twenty.", model="auto", max_tokens=6)
    assert r.source == "local" and r.json["choices"][0]["finish_reason"] == "length"


def test_a_model_that_is_too_slow_is_not_waited_for(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, deadline_ms=10))
    both(upstream)
    r = ibid.chat("Write a long story about a river. " * 20, model="auto")
    assert r.source == "upstream" and r.headers["x-ibid-route"].startswith("upstream; reason=escalated_timeout")


def test_an_upstream_that_fails_then_says_so(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1))
    upstream.default = lambda r: Reply(status=429, body=b"{}")
    r = ibid.chat(UNSURE, model="auto", max_tokens=20)
    assert r.status == 429 and r.headers["x-ibid-route"].startswith("upstream; reason=escalated_unsure")


def test_a_schema_does_not_look_like_doubt(make_ibid, upstream):
    """How sure the model is, is asked before the schema takes out what may not be."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01))
    both(upstream)
    r = ibid.chat("Is Paris in France?", model="auto", max_tokens=40, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["qqq"]}}})
    assert r.source == "upstream" and r.headers["x-ibid-route"].startswith("upstream; reason=escalated_unsure")


def test_only_where_it_is_ours_to_choose(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, routes=[{"name": "here", "header": "x-data: secret", "to": "local"}]))
    both(upstream)
    assert ibid.chat(UNSURE, model="auto", headers={"x-data": "secret"}, max_tokens=20).source == "local"
    assert ibid.chat(UNSURE, model="auto", headers={"x-ibid-route": "local"}, max_tokens=20).source == "local"
    assert len(upstream.posts()) == 0


@pytest.mark.parametrize("odd", [1.5, -0.1, "much"])
def test_the_line_is_a_chance(tmp_path, odd):
    from test_cli import run
    (tmp_path / "ibid.yaml").write_text(json.dumps({"route": {"confidence_min": odd}}))
    done = run("check", "--config", str(tmp_path / "ibid.yaml"))
    assert done.returncode != 0 and "route.confidence_min" in done.stderr + done.stdout


ABOUT = ["How do I reset my password?", "How do I reset my account password?", "How can I reset my password?"]


@needs_encoder
def test_what_the_upstream_answered_shows_the_model_what_is_wanted(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, encoder=True, config=config(confidence_min=1, examples=4))
    upstream.default = lambda r: answer("Open the settings and press the red button.")
    for key in ("k1", "k2"):
        prove(ibid, key=key)
    ask = lambda text, key="k1": ibid.chat(text, model="auto", key=key, max_tokens=30, headers={"x-ibid-threshold": "1"})
    tokens = {}
    for i, q in enumerate(ABOUT):
        before = ibid.metric("ibid_index_entries")
        r = ask(q)  # x-ibid-threshold: none of them is the other's answer
        until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
        assert r.source == "upstream" and (f"; examples={i};" in r.headers["x-ibid-route"]) == (i > 0), r.headers
    # Another tenant's are nobody's example, nor is what was asked after other turns.
    assert "examples" not in ask("How do I change my password?", key="k2").headers["x-ibid-route"]
    r = ibid.chat("", model="auto", key="k1", max_tokens=30, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How do I change my password?"}])
    assert "examples" not in r.headers["x-ibid-route"]


@needs_encoder
def test_the_model_does_not_learn_from_itself(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, encoder=True, config=config(confidence_min=1e-9, examples=4))
    both(upstream)
    prove(ibid)
    for i, q in enumerate([SURE, "What is the capital city of France?"]):
        r = ibid.chat(q, model="auto", max_tokens=60, headers={"x-ibid-threshold": "1"})
        assert r.source == "local" and "examples" not in r.headers["x-ibid-route"]
        if i == 0:
            until(lambda: ibid.metric("ibid_index_entries") > 0, "the index")


@needs_encoder
def test_an_example_is_followed(make_ibid, upstream):
    """Shown what the upstream says to such questions, the model says it too."""
    said_ = "Please call 555-0100 and ask for Nora."
    plain = make_ibid(upstream, local=True, config=config(confidence_min=1e-9))
    ibid = make_ibid(upstream, local=True, encoder=True, config=config(confidence_min=0.9, examples=4))
    upstream.default = lambda r: answer(said_)
    prove(ibid)
    for q in ABOUT:
        before = ibid.metric("ibid_index_entries")
        if ibid.chat(q, model="auto", max_tokens=40, headers={"x-ibid-threshold": "1"}).source == "upstream":
            until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
    r = ibid.chat("How do I change my password?", model="auto", max_tokens=40, headers={"x-ibid-threshold": "1"})
    assert said_ not in plain.chat("How do I change my password?", model="auto", max_tokens=40).text
    assert r.source == "local" and r.text == said_ and "examples=" in r.headers["x-ibid-route"], (r.headers, r.text)
