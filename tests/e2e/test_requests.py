"""What is refused at the door, in OpenAI's shape and by the field's name; and what only looks odd."""
import json

import pytest

from client import post, serving, store, prove, user
from conftest import needs_encoder
from upstream import Reply


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("requests")) as both:
        yield both


def turn(content="x", role="user", **more):
    return {"role": role, "content": content, **more}


def body(*messages, **fields):
    return {"model": "m", "messages": list(messages) or [turn()], **fields}


BROKEN = {
    # name: (the body, the param, a word of the message)
    "empty": (b"", None, "empty"), "white space": (b" \n", None, ""), "half": (b'{"messages":[', None, ""), "two values": (b"{}{}", None, ""),
    "array": (b"[]", None, "object"), "string": (b'"x"', None, "object"), "null": (b"null", None, "object"), "form": (b"a=1&b=2", None, ""),
    "trailing comma": (b'{"messages":[],}', None, ""), "comment": (b'{/*x*/"messages":[]}', None, ""), "single quotes": (b"{'messages':[]}", None, ""),
    "NaN": (b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}', None, ""), "leading zero": (b'{"messages":[{"role":"user","content":"x"}],"n":01}', None, ""),
    "beyond a double": (b'{"messages":[{"role":"user","content":"x"}],"x":1e999}', None, "too big"), "byte-order mark of UTF-16": ('{"messages":[]}'.encode("utf-16"), None, ""), "bad UTF-8": (b'{"messages":[{"role":"user","content":"\xff"}]}', None, ""),
    "overlong UTF-8": (b'{"messages":[{"role":"user","content":"\xc0\xaf"}]}', None, ""), "raw surrogate": (b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', None, ""),
    "lone surrogate": (b'{"messages":[{"role":"user","content":"\\ud800"}]}', None, ""), "swapped surrogates": (b'{"messages":[{"role":"user","content":"\\ude00\\ud83d"}]}', None, ""),
    "raw control": (b'{"messages":[{"role":"user","content":"a\nb"}]}', None, ""), "bad escape": (b'{"messages":[{"role":"user","content":"\\x41"}]}', None, ""),
    "duplicate key": (b'{"model":"a","messages":[{"role":"user","content":"x"}],"model":"b"}', None, "duplicate"),
    "duplicate key within": (b'{"messages":[{"role":"system","role":"user","content":"x"}]}', None, "duplicate"),
    "duplicate key, escaped": (b'{"messages":[{"role":"user","content":"x"}],"m\\u006fdel":"a","model":"b"}', None, "duplicate"),
    "duplicate among many": (json.dumps({**body(), **{f"k{i}": i for i in range(100)}}).encode()[:-1] + b',"k50":1}', None, "duplicate"),
    "deep": (b'{"messages":[{"role":"user","content":"x"}],"d":' + b"[" * 3000 + b"]" * 3000 + b"}", None, "64 levels"),
    "no messages": ({"model": "m"}, "messages", "missing"), "null messages": ({"messages": None}, "messages", "array"), "no message": ({"messages": []}, "messages", "empty"),
    "object of messages": ({"messages": {"role": "user"}}, "messages", "array"), "text for messages": ({"messages": "hi"}, "messages", "array"),
    "message is text": (body("hi"), "messages[0]", "object"), "message is null": (body(turn(), None), "messages[1]", "object"),
    "no role": (body({"content": "x"}), "messages[0].role", "string"), "role is a number": (body(turn(role=1)), "messages[0].role", "string"), "role is empty": (body(turn(role="")), "messages[0].role", "empty"),
    "no content": (body({"role": "user"}), "messages[0].content", "missing"), "null content": (body(turn(), turn(None)), "messages[1].content", "missing"),
    "content is a number": (body(turn(7)), "messages[0].content", "string"), "content is an object": (body(turn({"text": "x"})), "messages[0].content", "string"),
    "part is text": (body(turn(["x"])), "messages[0].content", "objects"), "part without type": (body(turn([{"text": "x"}])), "messages[0].content", "type"),
    "text part without text": (body(turn([{"type": "text"}])), "messages[0].content", "text"), "text is a number": (body(turn([{"type": "text", "text": 1}])), "messages[0].content", "text"),
    "model is a number": (body(model=1), "model", "string"), "stream is text": (body(stream="yes"), "stream", "true"), "stream is a number": (body(stream=1), "stream", "true"),
    "options are true": (body(stream_options=True), "stream_options", "object"), "include_usage is text": (body(stream_options={"include_usage": "yes"}), "include_usage", "true"),
    "temperature is text": (body(temperature="hot"), "temperature", "number"), "top_p is a list": (body(top_p=[1]), "top_p", "number"), "seed is text": (body(seed="1"), "seed", "number"),
    "n is 0": (body(n=0), "n", "positive"), "n is negative": (body(n=-1), "n", "positive"), "n is half": (body(n=1.5), "n", "positive"), "n is text": (body(n="1"), "n", "number"),
    "max_tokens is text": (body(max_tokens="many"), "max_tokens", "number"), "max_completion_tokens is true": (body(max_completion_tokens=True), "max_completion_tokens", "number"),
    "stop is a number": (body(stop=1), "stop", "string"), "stop holds a number": (body(stop=["a", 1]), "stop", "string"), "seventeen stops": (body(stop=["a"] * 17), "stop", "16"),
    "store is text": (body(store="no"), "store", "true"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refused_by_name(shared, name):
    ibid, up = shared
    data, param, word = BROKEN[name]
    before = len(up.requests)
    r = post(ibid, data, key="k")
    assert r.status == 400 and r.headers["content-type"] == "application/json", r.body
    e = r.json["error"]
    assert set(e) == {"message", "type", "param", "code"} and e["type"] == "invalid_request_error" and e["param"] == param, e
    assert word in e["message"] and (param is None or param in e["message"]) and len(e["message"]) < 200
    assert len(up.requests) == before and "x-ibid-source" not in r.headers


ODD = {
    "a number beyond 64 bits": b'{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":123456789012345678901234567890}}}]}',
    "a number below a double": b'{"messages":[{"role":"user","content":"x"}],"y":-1e-999}',
    "a long number": b'{"messages":[{"role":"user","content":"x"}],"x":0.' + b"1234567890" * 100 + b"}",
    "a seed beyond 64 bits": b'{"messages":[{"role":"user","content":"x"}],"seed":-99999999999999999999999}',
    "NUL": b'{"messages":[{"role":"user","content":"a\\u0000b"}],"\\u0000":1}',
    "every escape": b'{"messages":[{"role":"user","content":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00"}]}',
    "not a character": b'{"messages":[{"role":"user","content":"\\uffff\xef\xbf\xbe"}]}',
    "an empty key": b'{"messages":[{"role":"user","content":"x"}],"":{"":[]}}',
    "no model": b'{"messages":[{"role":"user","content":"x"}]}',
    "nulls": b'{"model":null,"messages":[{"role":"user","content":"x","name":null}],"stream":null,"n":null,"stop":null,"temperature":null,"tools":null,"stream_options":null,"store":null}',
    "empty content": b'{"messages":[{"role":"user","content":""}]}',
    "no parts": b'{"messages":[{"role":"user","content":[]}]}',
    "a role of tomorrow": b'{"messages":[{"role":"critic","content":"x"}]}',
    "a part of tomorrow": b'{"messages":[{"role":"user","content":[{"type":"smell","smell":"rose"}]}]}',
    "an assistant that only calls": b'{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"y"}]}',
    "the last word is the assistant's": b'{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"He"}]}',
    "a fraction of tokens": b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1.5,"seed":-1}',
    "a byte-order mark": b'{"messages":[{"role":"user","content":"\xef\xbb\xbfx"}]}',
    "as deep as allowed": b'{"messages":[{"role":"user","content":"x"}],"d":' + b"[" * 63 + b"]" * 63 + b"}",
    "many keys": json.dumps({"messages": [turn()], **{f"k{i}": i for i in range(20_000)}}).encode(),
    "many messages": json.dumps({"messages": [turn(), turn(role="assistant")] * 5000 + [turn()]}).encode(),
    "a long text": json.dumps({"messages": [turn("word " * 500_000)]}).encode(),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_is_the_upstreams_to_judge(shared, name):
    ibid, up = shared
    r = post(ibid, ODD[name], key="k")
    assert (r.status, r.source) == (200, "upstream"), r.body
    assert up.requests[-1].body == ODD[name]
    again = post(ibid, ODD[name], key="k")
    if "tool_call_id" in ODD[name].decode(errors="replace"):  # the sequel of a call is nobody's answer
        assert again.source == "upstream" and "detail=tool_result" in again.headers["cache-status"]
    else:
        assert (again.status, again.json["choices"]) == (200, r.json["choices"])


def test_text_in_parts_is_text(shared):
    """Joined by a newline for comparing; exactly the same only when spelt the same."""
    ibid, up = shared
    parts = body(turn([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]))
    assert [post(ibid, parts, key="parts").source for _ in range(2)] == ["upstream", "exact"]
    for other in (body(turn("one\ntwo")), body(turn([{"type": "text", "text": "one\ntwo"}])), body(turn([{"type": "text", "text": "two"}, {"type": "text", "text": "one"}]))):
        assert post(ibid, other, key="parts").source == "upstream"


@needs_encoder
def test_a_bare_string_is_one_text_part(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    text = "How do I reset my password?"
    one = store(ibid, user(text), key="k")
    for part in ({"type": "text", "text": text}, {"text": text, "type": "text"}):
        r = post(ibid, user([part]), key="k")
        assert (r.source, r.text) == ("semantic", one.text) and float(r.headers["x-ibid-similarity"]) > 0.999
    # One more member of the part, or one more part, is something else.
    for content in ([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}], [{"type": "text", "text": "How do I reset"}, {"type": "text", "text": "my password?"}]):
        assert post(ibid, user(content), [("x-ibid-cache", "no-store")], key="k").source == "upstream"


@pytest.mark.parametrize("method,path", [("GET", "/v1/chat/completions"), ("POST", "/v1/chat/completions/"), ("POST", "/v1/Chat/completions"), ("POST", "//v1/chat/completions"), ("PUT", "/v1/chat/completions")])
def test_almost_the_path_is_another_path(shared, method, path):
    ibid, up = shared
    up.script = [Reply(body=b"{}")]
    r = post(ibid, b"not json", key="k", path=path, method=method)  # relayed: nobody looked into it
    up.script = []
    assert up.requests[-1].method == method and up.requests[-1].body == b"not json"
    assert "detail=passthrough" in r.headers["cache-status"]


def test_without_an_upstream_unknown_paths_are_named(make_ibid):
    ibid = make_ibid()
    for method, path in (("POST", "/v1/audio/speech"), ("GET", "/"), ("DELETE", "/v1/files/x")):
        r = post(ibid, b"{}", path=path, method=method)
        assert (r.status, r.json["error"]["code"]) == (404, "unknown_path")
    r = post(ibid, user("x"))
    assert (r.status, r.json["error"]["code"]) == (503, "no_answerer") and "upstream.url" in r.json["error"]["message"]
