"""The official Anthropic SDK on ibid: a miss, an exact hit, a semantic hit and a local answer decode
to the same kind of object, streamed or whole."""
import json
import pathlib

import pytest

anthropic = pytest.importorskip("anthropic")

from client import reasons, serving, until
from conftest import needs_decoder, needs_encoder
from upstream import Reply

STREAMS = pathlib.Path(__file__).resolve().parents[1] / "unit/streams"
RICH = (STREAMS / "anthropic_messages.sse").read_bytes()
CALL = (STREAMS / "anthropic_tool_use.sse").read_bytes()
ASK = {"model": "claude-x", "max_tokens": 100, "system": "Be brief.", "messages": [{"role": "user", "content": "What is a cat?"}]}
TOOLS = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


def message(text, stop="end_turn", **more):
    return {"id": "msg_01Upstream", "type": "message", "role": "assistant", "model": "claude-x", "content": [{"type": "text", "text": text}],
            "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 12, "output_tokens": 7}, **more}


def whole(text, **more):
    return Reply(body=json.dumps(message(text, **more)).encode())


def events(body, **kw):
    return Reply(body=body, content_type="text/event-stream; charset=utf-8", chunked=True, **kw)


def short(text):
    out = [("message_start", {"message": {**message(text), "content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}}),
           ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}), ("ping", {}),
           *[("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": w}}) for w in text.split("|")],
           ("content_block_stop", {"index": 0}),
           ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}}), ("message_stop", {})]
    return "".join(f"event: {k}\ndata: {json.dumps({'type': k, **v})}\n\n" for k, v in out).encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("anthropic")) as both:
        yield both


def client(ibid, key):
    return anthropic.Anthropic(base_url=f"http://127.0.0.1:{ibid.port}", api_key=key, max_retries=0, timeout=20)


@pytest.fixture
def sdk(shared, request):
    """A client with a key of its own, which the upstream has accepted."""
    ibid, up = shared
    up.script = [whole("proof")]
    with client(ibid, "sk-ant-" + str(abs(hash(request.node.name)))) as c:
        c.messages.create(**ASK, extra_headers={"x-ibid-cache": "no-store"})
        yield c, up


def source(c, **more):
    return c.messages.with_raw_response.create(**{**ASK, **more}).headers["x-ibid-source"]


def streamed(c, **more):
    with c.messages.stream(**{**ASK, **more}) as s:
        kinds = [e.type for e in s]
        return s.get_final_message(), kinds


def fields(m):
    return {**m.model_dump(exclude={"id"}), "content": [b.model_dump(exclude={"parsed_output"}) for b in m.content]}


def test_whole_and_stream_in_every_order(sdk):
    c, up = sdk
    up.script = [whole("A small animal.\nIt purrs.", container={"id": "c", "expires_at": "2026-01-01T00:00:00Z"})]
    asked = len(up.posts())
    miss, hit = c.messages.create(**ASK), c.messages.create(**ASK)
    again, kinds = streamed(c)
    assert fields(miss) == fields(hit) == fields(again) and len(up.posts()) == asked + 1
    assert len({miss.id, hit.id, again.id}) == 3 and hit.id.startswith("msg_01") and len(hit.id) == 28
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and kinds.count("content_block_delta") == 5
    up.script = [events(RICH)]
    miss, _ = streamed(c, stop_sequences=["zz"])
    hit, kinds = streamed(c, stop_sequences=["zz"])
    once = c.messages.create(**ASK, stop_sequences=["zz"])
    assert fields(miss) == fields(hit) == fields(once) and len(up.posts()) == asked + 2
    assert [b.type for b in hit.content] == ["thinking", "redacted_thinking", "server_tool_use", "web_search_tool_result", "text", "text"]
    assert hit.content[0].signature == "EqQBCg==" and hit.content[2].input == {"query": "cats \u4e2d"} and hit.content[4].citations[0].cited_text == "purr"
    assert hit.usage.cache_read_input_tokens == 20 and hit.usage.server_tool_use.web_search_requests == 1
    assert {"thinking", "signature", "citation", "input_json", "text"} <= set(kinds)


def test_what_only_steers_their_prompt_cache_keeps_the_hit(sdk):
    c, up = sdk
    up.script = [whole("A small animal.")]
    assert source(c, metadata={"user_id": "u"}) == "upstream"
    block = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    assert source(c) == "exact"
    assert [source(c, system=[block]), source(c, system=[{**block, "cache_control": {"type": "ephemeral", "ttl": "1h"}}])] == ["upstream", "exact"]
    assert up.posts()[-1].json["system"][0]["cache_control"] == {"type": "ephemeral"}  # the upstream still gets it
    assert source(c, max_tokens=101) == "upstream" and source(c, extra_headers={"anthropic-beta": "x-2026"}) == "upstream"


def test_what_the_vendor_keeps_under_an_id_is_asked_anew(sdk):
    """A replay has a new id, by which nothing could be continued."""
    c, up = sdk
    up.script = [whole("A small animal.")]
    for thread in ({"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}):
        assert [source(c, extra_body={"thread": thread}) for _ in range(2)] == ["upstream"] * 2
    assert source(c, extra_headers={"anthropic-workspace-id": "a"}) == "upstream"
    assert [source(c, extra_headers={"anthropic-workspace-id": "b"}) for _ in range(2)] == ["upstream", "exact"]


def test_tools_are_relayed_and_never_replayed(sdk):
    c, up = sdk
    up.script = [events(CALL)]
    for _ in range(2):
        m, _ = streamed(c, tools=TOOLS)
        assert m.stop_reason == "tool_use" and m.content[1].input == {"city": "Oslo"}
        assert source(c, tools=TOOLS, stream=True) == "upstream"
    result = [*ASK["messages"], {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {}}]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "3 C"}, {"type": "text", "text": "So?"}]}]
    up.script = [whole("Cold.")]
    assert [source(c, messages=result, tools=TOOLS) for _ in range(2)] == ["upstream"] * 2
    assert [source(c, tools=TOOLS) for _ in range(2)] == ["upstream", "exact"]  # words are reused


def error(c, kind, **more):
    with pytest.raises(kind) as e:
        c.messages.create(**{**ASK, **more})
    return e.value


def test_errors_are_the_sdks_own(sdk):
    c, up = sdk
    e = error(c, anthropic.BadRequestError, extra_body={"temperature": "hot"})
    assert e.body["error"]["type"] == "invalid_request_error" and "temperature" in e.body["error"]["message"]
    e = error(c, anthropic.BadRequestError, messages=[])
    assert e.body["error"]["param"] == "messages"
    up.script = [Reply(status=429, body=b'{"type":"error","error":{"type":"rate_limit_error","message":"theirs"}}', headers=[("retry-after", "7")])]
    e = error(c, anthropic.RateLimitError)
    assert "theirs" in e.message and e.response.headers["retry-after"] == "7"
    up.script = [Reply(status=529, body=b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')]
    assert error(c, anthropic.APIStatusError).status_code == 529
    up.script = [Reply(at=-1, fault="rst")]
    e = error(c, anthropic.InternalServerError)
    assert (e.status_code, e.body["error"]["type"], e.body["error"]["code"]) == (502, "api_error", "upstream_failed")
    with pytest.raises(anthropic.InternalServerError) as e:  # of a path that is only relayed
        c.messages.batches.list()
    assert (e.value.status_code, e.value.body["type"], e.value.body["error"]["type"]) == (502, "error", "api_error")


def test_a_stream_cut_anywhere_raises_and_is_not_stored(sdk, shared):
    c, up = sdk
    ibid, _ = shared
    body, stored = short("a|b"), ibid.metric("ibid_cache_stored_total")
    for at in range(1, len(body)):
        up.script = [events(body, at=at, fault="fin")]
        with pytest.raises(Exception) as e:
            for _ in c.messages.create(**ASK, stream=True):
                pass
        assert not isinstance(e.value, AssertionError)
    assert ibid.metric("ibid_cache_stored_total") == stored


def test_an_error_within_a_stream_is_relayed_and_not_stored(sdk, shared):
    c, up = sdk
    body = short("a|b")
    cut = body.index(b"event: content_block_stop")
    bad = body[:cut] + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    up.script = [events(bad)]
    for _ in range(2):
        with pytest.raises(anthropic.APIStatusError) as e:
            list(c.messages.create(**ASK, stream=True))
        assert e.value.body["error"]["message"] == "busy"
    until(lambda: reasons(shared[0], "ibid_cache_unstored_total").get("error", 0) >= 2, "two that are not stored")


@needs_encoder
def test_a_semantic_hit_decodes_like_the_miss(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    upstream.script = [whole("Paris.")]
    with client(ibid, "sk-ant-semantic") as c:
        def ask(text, **more):
            return {"messages": [{"role": "user", "content": text}], **more}
        c.messages.create(**{**ASK, **ask("proof")}, extra_headers={"x-ibid-cache": "no-store"})
        before = ibid.metric("ibid_index_entries")
        miss = c.messages.create(**{**ASK, **ask("What is the capital city of France?")})
        until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
        assert source(c, **ask("what is the capital city of france")) == "semantic"
        hit, _ = streamed(c, **ask([{"type": "text", "text": "what is the capital city of france", "cache_control": {"type": "ephemeral"}}]))
        assert fields(hit) == fields(miss)
        # Another system prompt is another question.
        assert source(c, **ask("what is the capital city of france", system="Be long.")) == "upstream"


@needs_decoder
def test_a_local_answer(make_ibid):
    ibid = make_ibid(local=True)
    with client(ibid, "sk-ant-local") as c:
        ask = {"model": "smollm2-135m-instruct", "max_tokens": 12}
        once = c.messages.create(**{**ASK, **ask})
        live, kinds = streamed(c, **ask, extra_headers={"x-ibid-cache": "no-cache"})
        assert fields(once) == fields(live) and once.content[0].text and once.stop_reason in ("max_tokens", "end_turn")
        assert once.usage.input_tokens > 5 and live.usage.output_tokens == once.usage.output_tokens > 0
        assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
        for more in ({"tool_choice": {"type": "tool", "name": "unknown"}, "tools": TOOLS}, {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://x.example"}}]}]}):
            assert "built-in model" in error(c, anthropic.BadRequestError, **ask, **more).body["error"]["message"]
