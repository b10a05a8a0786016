"""POST /v1/completions of a model on this machine: a text goes on, or is filled in before a suffix."""
import json

import pytest

from client import post, sse
from conftest import needs_decoder
from test_architectures import FAMILIES, tiny

PATH = "/v1/completions"
FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
FRESH = (("x-ibid-cache", "no-cache, no-store"),)


def model(path, name, extra=()):
    pre, template, controls, *_ = FAMILIES["chatml"] if "chatml" in FAMILIES else next(iter(FAMILIES.values()))
    return {"name": name, "model": str(tiny(path / f"{name}.gguf", pre, template, (*controls, *extra))), "context_max": 256, "max_tokens": 64}


@pytest.fixture
def ibid(make_ibid, tmp_path):
    return make_ibid(config=json.dumps({"models": [model(tmp_path, "plain"), model(tmp_path, "filling", FIM)]}))


def complete(ibid, name, prompt, headers=FRESH, **fields):
    return post(ibid, {"model": name, "prompt": prompt, **fields}, list(headers), path=PATH)


def test_a_text_goes_on(ibid):
    r = complete(ibid, "plain", "abc")
    c = r.json["choices"][0]
    assert r.source == "local" and r.json["object"] == "text_completion" and r.json["model"] == "plain" and r.json["id"].startswith("cmpl-")
    assert c["index"] == 0 and c["logprobs"] is None and c["finish_reason"] in ("stop", "length")
    u = r.json["usage"]
    assert u["completion_tokens"] <= 16 and u["total_tokens"] == u["prompt_tokens"] + u["completion_tokens"]
    longer = complete(ibid, "plain", "abcd").json["usage"]["prompt_tokens"]
    assert longer == u["prompt_tokens"] + 1  # no template around it
    assert complete(ibid, "plain", "abc").json["choices"] == r.json["choices"]


def test_a_stream_says_the_same(ibid):
    whole = complete(ibid, "plain", "abc", max_tokens=24)
    events, done = sse(complete(ibid, "plain", "abc", max_tokens=24, stream=True, stream_options={"include_usage": True}).body)
    texts = [c for e in events for c in e["choices"]]
    assert done and "".join(c["text"] for c in texts) == whole.json["choices"][0]["text"]
    assert texts[-1]["finish_reason"] == whole.json["choices"][0]["finish_reason"] and all(c["finish_reason"] is None for c in texts[:-1])
    assert events[-1]["choices"] == [] and events[-1]["usage"] == whole.json["usage"]
    assert len({e["id"] for e in events}) == 1 and events[0]["id"].startswith("cmpl-") and {e["object"] for e in events} == {"text_completion"}


def test_a_text_is_filled_in(ibid):
    """Three tokens stand around both texts, which are a token a byte here."""
    alone = complete(ibid, "filling", "ab").json["usage"]["prompt_tokens"]
    r = complete(ibid, "filling", "ab", suffix="cde")
    assert r.status == 200 and r.json["usage"]["prompt_tokens"] == alone + 3 + 3
    assert complete(ibid, "filling", "", suffix="cde").json["usage"]["prompt_tokens"] == alone + 3 + 1
    r = complete(ibid, "plain", "ab", suffix="cde")
    assert r.status == 400 and r.json["error"]["param"] == "suffix" and r.json["error"]["code"] == "unsupported_by_local_model"
    assert complete(ibid, "plain", "ab", suffix="").status == 200


def test_only_what_is_new_is_computed(ibid):
    text = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return "
    complete(ibid, "plain", text)
    before = ibid.metric("ibid_local_reused_tokens_total")
    complete(ibid, "plain", text + "a")
    assert ibid.metric("ibid_local_reused_tokens_total") - before >= 32  # whole pages of what was typed before


@needs_decoder
def test_it_ends_where_it_is_told(make_ibid):
    ibid = make_ibid(local=True)
    ask = lambda **more: complete(ibid, "smollm2-135m-instruct", "Count: one, two, three,", headers=(), max_tokens=24, **more)
    text = ask().json["choices"][0]["text"]
    assert "," in text[3:]
    cut = text[: text.index(",", 3)]
    first, again = ask(stop=[","] if "," not in text[:3] else [text[len(cut):len(cut) + 4]]), None
    assert first.source == "local" and first.json["choices"][0]["finish_reason"] == "stop" and text.startswith(first.json["choices"][0]["text"])
    again = ask(stop=[","] if "," not in text[:3] else [text[len(cut):len(cut) + 4]])
    assert again.source == "exact" and again.json["choices"] == first.json["choices"]


@pytest.mark.parametrize("fields", [{"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": ""}, {"echo": True}, {"best_of": 3}, {"n": 2}, {"logprobs": 3}, {"logit_bias": {"1": 2}}, {"presence_penalty": 0.5}])
def test_what_it_can_not_do_is_refused(ibid, fields):
    r = post(ibid, {"model": "plain", "prompt": "abc", **fields}, list(FRESH), path=PATH)
    assert r.status == 400 and r.json["error"]["code"] == "unsupported_by_local_model", r.body
    assert complete(ibid, "plain", "abc", best_of=1, echo=False, presence_penalty=0, logit_bias={}).status == 200


@needs_decoder
def test_a_real_one_goes_on(make_ibid):
    ibid = make_ibid(local=True)
    r = complete(ibid, "smollm2-135m-instruct", "The capital of France is", max_tokens=4)
    assert r.source == "local" and "Paris" in r.json["choices"][0]["text"]


def test_the_upstream_has_the_others(make_ibid, upstream, tmp_path):
    """A request that names no model of ours is the upstream's, whatever it says, byte for byte."""
    from upstream import Reply
    ibid = make_ibid(upstream, config=json.dumps({"models": [model(tmp_path, "plain")]}))
    upstream.default = lambda r: Reply(body=json.dumps({"id": "x", "object": "text_completion", "model": "m", "choices": [{"index": 0, "text": "far", "finish_reason": "stop", "logprobs": None}]}).encode(), headers=[("content-type", "application/json")])
    r = complete(ibid, "gpt-3.5-turbo-instruct", ["a"], echo=True, suffix="b")
    assert r.source == "upstream" and r.json["choices"][0]["text"] == "far"
    assert upstream.posts()[-1].json == {"model": "gpt-3.5-turbo-instruct", "prompt": ["a"], "echo": True, "suffix": "b"}
