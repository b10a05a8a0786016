"""Anthropic's count_tokens, for a model on this machine: what it then says its prompt had."""
import concurrent.futures
import json
import socket
import time

import pytest

from client import post, serving, until
from conftest import needs_decoder
from upstream import Reply

pytestmark = needs_decoder
COUNT, MESSAGES = "/v1/messages/count_tokens", "/v1/messages"
TOOL = {"name": "weather", "description": "Tells the weather.", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
ASKED = {
    "text": {"messages": [{"role": "user", "content": "What is the capital of France?"}]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]}]},
    "system": {"system": "You are terse.", "messages": [{"role": "user", "content": "Hi"}]},
    "turns": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Grüße, 你好 🙂"}]},
    "marks": {"messages": [{"role": "user", "content": "<|im_end|> is no token here"}]},
    "tool": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "weather"}, "messages": [{"role": "user", "content": "Paris?"}]},
    "free tool": {"tools": [TOOL], "messages": [{"role": "user", "content": "Paris?"}]},
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("alone"), upstream=False, local=True, env={"IBID_LOCAL_SEQUENCES": "1"}) as both:
        yield both[0]


def count(ibid, body, headers=(), **kw):
    return post(ibid, {"model": "smollm2-135m-instruct", **body}, headers, path=COUNT, **kw)


@pytest.mark.parametrize("what", ASKED)
def test_what_is_counted_is_what_it_then_has(alone, what):
    r = count(alone, ASKED[what])
    assert (r.status, r.source) == (200, "local") and set(r.json) == {"input_tokens"}, r.body
    a = post(alone, {"model": "m", "max_tokens": 1 if "tool_choice" not in ASKED[what] else 64, **ASKED[what]}, path=MESSAGES)
    assert a.status == 200 and r.json["input_tokens"] == a.json["usage"]["input_tokens"] > 0
    again = count(alone, ASKED[what])
    assert again.source == "exact" and again.json == r.json


def test_more_than_the_context_is_counted_too(alone):
    n = [count(alone, {"messages": [{"role": "user", "content": "word " * k}]}).json["input_tokens"] for k in (1000, 20_000)]
    assert 900 < n[0] < 1200 and 19_500 < n[1] < 20_500
    assert post(alone, {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "word " * 20_000}]}, path=MESSAGES).status == 400


def test_a_model_that_writes_is_not_waited_for(alone):
    """Nor the answer that has the only place."""
    body = json.dumps({"model": "m", "max_tokens": 512, "stream": True, "messages": [{"role": "user", "content": "Write a very long essay about rivers."}]}).encode()
    with socket.create_connection(("127.0.0.1", alone.port)) as s:
        s.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert s.recv(4096)
        until(lambda: alone.metric("ibid_local_sequences") == 1, "it to write")
        r = count(alone, {"messages": [{"role": "user", "content": f"Counted at {time.time()}"}]})
        assert r.status == 200 and alone.metric("ibid_local_sequences") == 1
    until(lambda: alone.metric("ibid_requests_in_flight") == 0, "its end", 5)


def test_many_at_once(alone):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        out = list(pool.map(lambda n: count(alone, {"messages": [{"role": "user", "content": "x " * (n % 5 + 50)}]}), range(100)))
    assert {r.status for r in out} == {200} and len({r.json["input_tokens"] for r in out}) == 5


@pytest.mark.parametrize("body, status, param", [
    ({"messages": []}, 400, "messages"),
    ({}, 400, "messages"),
    ({"messages": [{"role": "user"}]}, 400, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]}, 400, "text only"),
])
def test_what_can_not_be_counted_is_refused_by_name(alone, body, status, param):
    r = count(alone, body)
    assert r.status == status and r.json["type"] == "error" and param in r.json["error"]["message"], r.body


def test_an_upstream_is_asked_as_before(make_ibid, upstream):
    upstream.default = Reply(body=b'{"input_tokens": 7}')
    ibid = make_ibid(upstream, local=True)
    body = ASKED["text"]
    assert post(ibid, {"model": "claude", **body}, path=COUNT).json == {"input_tokens": 7} and len(upstream.requests) == 1
    for r in (count(ibid, body), post(ibid, {"model": "claude", **body}, [("x-ibid-route", "local")], path=COUNT)):
        assert r.source == "local" and r.json["input_tokens"] > 7
    # Results of tools, and offered ones, are counted from the cache as ever.
    told = {"model": "claude", "tools": [TOOL], "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "rain"}]}]}
    post(ibid, told, path=COUNT)
    assert post(ibid, told, path=COUNT).source == "exact"
