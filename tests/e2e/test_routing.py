"""Who answers where the settings leave it to ibid: rules, what was learned, and what happens when the small model fails."""
import json
import re

import pytest

from client import post, prove, said, user
from conftest import MODELS, needs_decoder, needs_encoder
from test_cli import run
from test_tune_router import labels, tune
from upstream import answer, stream

SUM = "A farmer sells 12 eggs a day for $3 each. How many dollars does he make in 7 days?"
FACT = "What is the capital of France?"
SHORT = {"max_tokens": 8}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Facts are for the small model, sums for the large one."""
    d = tmp_path_factory.mktemp("router")
    done = tune(labels(d / "labels", 400, 3), "--out", str(d / "router.json"))
    assert done.returncode == 0, done.stderr
    return str(d / "router.json")


def config(classifier="off", models="auto", routes=(), **route):
    return json.dumps({"route": {"models": models, "classifier": classifier, **route}, "routes": list(routes)})


def routed(ibid):
    lines = ibid.admin("/metrics").body.decode().splitlines()
    found = (re.match(r'ibid_routed_total\{tier="(\w+)",reason="(\w+)"\} (\d+)', line) for line in lines)
    return {(m[1], m[2]): int(m[3]) for m in found if m}


@needs_decoder
def test_rules(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(routes=[
        {"name": "secret", "header": "x-data: secret", "to": "local"},
        {"name": "long", "models": "auto gpt-*", "bytes_min": 200, "to": "upstream"},
        {"name": "small", "models": "gpt-small", "bytes_max": 100, "to": "local"},
        {"name": "invoices", "regex": "(?i)invoice", "to": "local"},
        {"name": "elsewhere", "path": "/v1/completions", "to": "upstream"}]))
    r = ibid.chat("Hello?", headers={"x-data": "secret"}, **SHORT)
    assert (r.source, r.headers["x-ibid-route"]) == ("local", 'local; reason=rule; rule="secret"')
    r = ibid.chat("Hello? " * 40, model="gpt-small")
    assert (r.source, r.headers["x-ibid-route"]) == ("upstream", 'upstream; reason=rule; rule="long"')
    assert ibid.chat("Hello?", model="gpt-small", **SHORT).source == "local"
    r = ibid.chat("Hello? " * 20, model="gpt-small")  # 140 bytes: no rule
    assert r.source == "upstream" and "x-ibid-route" not in r.headers
    r = ibid.chat("Hello?", model="auto")  # route.models, and no classifier
    assert (r.source, r.headers["x-ibid-route"]) == ("upstream", "upstream; reason=no_classifier")
    assert ibid.chat("Hello?", model="other").source == "upstream"
    assert ibid.chat("My INVOICE?", model="other", **SHORT).headers["x-ibid-route"] == 'local; reason=rule; rule="invoices"'
    # The client's own word goes first.
    assert ibid.chat("Hi?", model="gpt-small", headers={"x-ibid-route": "upstream"}).source == "upstream"
    # What the built-in model can not do is refused, not sent on.
    n = len(upstream.requests)
    r = ibid.chat("Hello?", headers={"x-data": "secret"}, n=2)
    assert r.status == 400 and r.json["error"]["code"] == "unsupported_by_local_model"
    assert len(upstream.requests) == n
    assert routed(ibid)[("local", "rule")] >= 2 and routed(ibid)[("upstream", "rule")] == 1
    # Nothing that one has answered is served in the name of the other.
    prove(ibid)
    one = ibid.chat("Same?", headers={"x-data": "secret"}, **SHORT)
    other = ibid.chat("Same?", **SHORT)
    assert (one.source, other.source) == ("local", "upstream")


@needs_decoder
@needs_encoder
def test_what_was_learned(make_ibid, upstream, learned):
    ibid = make_ibid(upstream, local=True, encoder=True, config=config(learned, upstream_share=0.4))
    upstream.default = lambda r: stream("from afar") if r.json.get("stream") else answer("from afar")
    for _ in range(2):  # the second time from the cache, whoever it was
        easy, hard = ibid.chat(FACT, model="auto", **SHORT), ibid.chat(SUM, model="auto", **SHORT)
        if easy.source == "local":
            assert re.fullmatch(r"local; reason=classifier; enough=0\.[5-9]\d+", easy.headers["x-ibid-route"])
            assert re.fullmatch(r"upstream; reason=classifier; enough=0\.[0-4]\d+", hard.headers["x-ibid-route"])
            assert hard.text == "from afar" and easy.text != "from afar"
            first = easy.text, hard.text
    assert (easy.source, hard.source) == ("exact", "exact") and (easy.text, hard.text) == first
    assert "x-ibid-route" not in easy.headers
    assert routed(ibid) == {("local", "classifier"): 1, ("upstream", "classifier"): 1}
    r = ibid.chat("What is the capital of Peru?", model="auto", stream=True, **SHORT)
    assert r.headers["x-ibid-route"].startswith("local; reason=classifier") and said(r.body)
    # Hard facts go before what was learned.
    for reason, more in (("tools", {"tools": [{"type": "function", "function": {"name": "f"}}]}), ("unsupported", {"n": 2}),
                         ("attachments", {"messages": [{"role": "user", "content": [
                             {"type": "text", "text": FACT}, {"type": "image_url", "image_url": {"url": "data:,"}}]}]}),
                         ("context", {"messages": [{"role": "system", "content": "Be brief. " * 2000}, {"role": "user", "content": FACT}]})):
        r = ibid.chat(FACT, model="auto", **SHORT | more)
        assert (r.source, r.headers["x-ibid-route"]) == ("upstream", f"upstream; reason={reason}")
    # In another dialect too, and not for what has no text to judge.
    r = post(ibid, {"model": "auto", "max_tokens": 8, "messages": [{"role": "user", "content": "Who wrote the anthem of Peru?"}]}, path="/v1/messages")
    assert r.source == "local" and r.headers["x-ibid-route"].startswith("local; reason=classifier")


@needs_decoder
def test_a_name_of_ones_own(make_ibid, upstream):
    ibid = make_ibid(local=True, config=json.dumps({
        "upstreams": [{"name": "u", "url": upstream.url, "aliases": {"auto": "large-1"}}],
        "route": {"models": "auto", "classifier": "off"},
        "routes": [{"name": "short", "models": "auto", "bytes_max": 20, "to": "local"}]}))
    assert ibid.chat("Hello?", model="auto", **SHORT).source == "local"
    r = ibid.chat("Is this longer than twenty bytes?", model="auto")
    assert r.headers["x-ibid-route"] == "upstream; reason=no_classifier" and upstream.requests[-1].json["model"] == "large-1"
    assert "x-ibid-route" not in ibid.chat("Hello?", model="large-1").headers


@needs_decoder
@needs_encoder
def test_a_small_model_that_fails_is_no_failure(make_ibid, upstream, learned):
    ibid = make_ibid(upstream, local=True, encoder=True, config=config(learned, upstream_share=0),
                     env={"IBID_LOCAL_CONTEXT_MAX": "64", "IBID_LOCAL_MAX_TOKENS": "16"})
    # Many tokens in few bytes: only the tokenizer knows.
    r = ibid.chat("1 2 3 4 5 6 7 8 9 " * 8, model="auto")
    assert (r.status, r.source) == (200, "upstream")
    assert r.headers["x-ibid-route"].startswith("upstream; reason=escalated_context")
    again = ibid.chat("1 2 3 4 5 6 7 8 9 " * 8, model="auto")
    assert again.source == "exact" and again.text == r.text
    assert routed(ibid) == {("local", "classifier"): 1, ("upstream", "escalated_context"): 1}


@needs_decoder
@needs_encoder
def test_without_a_vector_there_is_still_a_judgement(make_ibid, upstream, learned):
    ibid = make_ibid(upstream, local=True, config=config(learned, upstream_share=0.4))  # no encoder
    easy, hard = ibid.chat(FACT, model="auto", **SHORT), ibid.chat(SUM, model="auto")
    assert (easy.source, hard.source) == ("local", "upstream") and "reason=classifier" in easy.headers["x-ibid-route"]
    assert "another encoder" in ibid.admin("/readyz").body.decode()


def test_without_a_small_model_the_large_one_answers(make_ibid, upstream):
    ibid = make_ibid(upstream, config=config("default"))
    r = ibid.chat(FACT, model="auto")
    assert (r.source, r.headers["x-ibid-route"]) == ("upstream", "upstream; reason=not_served")


def test_what_is_wrong_is_named(tmp_path):
    def serve(text):
        (tmp_path / "c.yaml").write_text(text)
        return run("check", "-c", str(tmp_path / "c.yaml"))
    for text, word in (("routes: [{name: a}]", "routes: to is missing"), ("routes: [{name: a, to: mars}]", "mars"),
                       ("routes: [{name: a, to: local, path: v1}]", "routes: a: path"),
                       ("routes: [{name: a, to: local, header: x}]", "routes: a: header"),
                       ("routes: [{name: a, to: local, bytes_min: 5, bytes_max: 4}]", "bytes_max"),
                       ("routes: [{name: a, to: local}, {name: a, to: local}]", "twice"),
                       ("route: {quality_loss_max: 2}", "route.quality_loss_max")):
        done = serve(text)
        assert done.returncode == 2 and word in done.stderr, (text, done.stderr)
    (tmp_path / "no.json").write_text('{"kind": "other"}')
    for name, word in (("/nonexistent", "can not be read"), (str(tmp_path / "no.json"), "no file of 'ibid tune router'")):
        done = run("serve", IBID_ROUTE_MODELS="auto", IBID_ROUTE_CLASSIFIER=name, IBID_ENCODER_MODEL="off", IBID_LOCAL_MODEL="off",
                   IBID_DATA_DIR=str(tmp_path / "data"), IBID_LISTEN="127.0.0.1:0", IBID_ADMIN_LISTEN="127.0.0.1:0")
        assert done.returncode != 0 and word in done.stderr and "route.classifier" in done.stderr
    (tmp_path / "c.yaml").write_text("routes: [{name: a, to: local, regex: 'x(y'}]")
    done = run("serve", "-c", str(tmp_path / "c.yaml"), IBID_ENCODER_MODEL="off", IBID_LOCAL_MODEL="off", IBID_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode != 0 and "routes: a: regex: at byte 3" in done.stderr


@needs_encoder
def test_explained(tmp_path, learned):
    def explain(text, *args, **env):
        return run("route", "explain", *args, text, IBID_MODEL_DIR=MODELS, **{"IBID_ROUTE_MODELS": "auto", "IBID_ROUTE_CLASSIFIER": learned} | env)
    easy, hard = (json.loads(explain(t, "--json", IBID_ROUTE_UPSTREAM_SHARE="0.4").stdout) for t in (FACT, SUM))
    assert (easy["tier"], hard["tier"], easy["reason"]) == ("local", "upstream", "classifier")
    assert easy["enough"] > 0.6 > hard["enough"] and easy["loss"] <= easy["line"] < hard["loss"]
    assert len(easy["nearest"]) == 5 and all(n["text"].startswith(("What", "Who", "Which")) for n in easy["nearest"])
    assert all("farmer" in n["text"] for n in hard["nearest"]) and len(hard["features"]) == 26
    shown = explain(SUM).stdout
    assert "nearest labelled questions" in shown and "P(the small one is enough)" in shown
    (tmp_path / "c.yaml").write_text(config(routes=[{"name": "short", "bytes_max": 40, "to": "local"}]))
    done = explain("Hello?", "-c", str(tmp_path / "c.yaml"))
    assert done.stdout == "local; reason=rule; rule=short\n"
    assert "set route.models" in explain("Hello?", IBID_ROUTE_MODELS="").stderr
    assert run("route", "explain").returncode == run("route", "x", "y").returncode == 2
