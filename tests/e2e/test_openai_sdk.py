"""The official OpenAI SDK on ibid: what an application sees, on a miss and on a hit."""
import asyncio
import json

import pytest

openai = pytest.importorskip("openai")

from client import prove, serving, until
from conftest import needs_decoder, needs_encoder
from upstream import Reply, answer, chunk, completion, events, stream

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a cat?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
CALL = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("sdk")) as both:
        yield both


@pytest.fixture
def sdk(shared, request):
    """A client with a key of its own, so that no test sees another's answers."""
    ibid, up = shared
    up.script = []
    key = "sk-" + str(abs(hash(request.node.name)))
    prove(ibid, key)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key=key, max_retries=0, timeout=20) as c:
        yield c, up


def ask(c, **fields):
    return c.chat.completions.create(**{"model": "stub-model", "messages": MESSAGES, **fields})


def source(c, **fields):
    return c.chat.completions.with_raw_response.create(**{"model": "stub-model", "messages": MESSAGES, **fields}).headers["x-ibid-source"]


def fields(answer):
    """All of it but what is new for every answer."""
    return answer.model_dump(exclude={"id", "created"})


def fold(parts):
    """What a stream says in all: text, roles, ends, usage, and what else its events have."""
    out = {"text": "", "roles": [], "finish": [], "usage": None, "models": set(), "ids": set(), "fingerprints": set()}
    for e in parts:
        out["models"].add(e.model), out["ids"].add(e.id), out["fingerprints"].add(e.system_fingerprint)
        out["usage"] = e.usage.model_dump() if e.usage else out["usage"]
        for ch in e.choices:
            out["text"] += ch.delta.content or ""
            out["roles"] += [ch.delta.role] if ch.delta.role else []
            out["finish"] += [ch.finish_reason] if ch.finish_reason else []
    out["one id"] = len(out.pop("ids")) == 1
    return out


RICH = {
    **completion("A small animal.\n\nIt purrs: \u201cmrr\u201d \U0001f431", model="stub-model-2026-01-31", usage=(12, 7), refusal=None, annotations=[{"type": "x"}], reasoning_content="Hm, cats."),
    "system_fingerprint": "fp_1", "service_tier": "default", "provider_extra": {"a": [1, None]},
}
RICH["usage"]["completion_tokens_details"] = {"reasoning_tokens": 3}
RICH["choices"][0].update(logprobs={"content": [{"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": []}], "refusal": None},
                          content_filter_results={"hate": {"filtered": False}}, stop_reason=None)


def test_a_hit_equals_the_miss_field_by_field(sdk):
    c, up = sdk
    up.script = [Reply(body=json.dumps(RICH).encode())]
    miss, hit = ask(c), ask(c)
    assert fields(hit) == fields(miss) and len(up.posts()[-1:]) == 1
    assert hit.id != miss.id and hit.id.startswith("chatcmpl-") and hit.created > miss.created
    assert hit.choices[0].message.reasoning_content == "Hm, cats." and hit.usage.completion_tokens_details.reasoning_tokens == 3
    assert ask(c).id != hit.id


def test_a_streamed_hit_equals_the_miss(sdk):
    c, up = sdk
    up.script = [stream("A small animal.  It purrs.\n", usage=(12, 7))]
    options = {"stream": True, "stream_options": {"include_usage": True}}
    miss, hit = fold(ask(c, **options)), fold(ask(c, **options))
    assert hit == miss and miss["usage"]["total_tokens"] == 19 and miss["text"] == "A small animal.  It purrs.\n"
    assert source(c, **options) == "exact"
    assert fold(ask(c, stream=True))["usage"] is None  # not asked for


def test_a_stream_of_an_answer_that_came_whole(sdk):
    c, up = sdk
    up.script = [Reply(body=json.dumps(RICH).encode())]
    whole = ask(c)
    parts = list(ask(c, stream=True, stream_options={"include_usage": True}))
    s = fold(parts)
    assert s == {"text": whole.choices[0].message.content, "roles": ["assistant"], "finish": ["stop"], "usage": whole.usage.model_dump(),
                 "models": {"stub-model-2026-01-31"}, "fingerprints": {"fp_1"}, "one id": True}
    assert "".join(ch.delta.model_dump().get("reasoning_content") or "" for e in parts for ch in e.choices) == "Hm, cats."
    assert [ch.logprobs.content[0].token for e in parts for ch in e.choices if ch.logprobs] == ["A"]
    extra = [ch.model_dump().get("content_filter_results") for e in parts for ch in e.choices]
    assert {"hate": {"filtered": False}} in extra
    assert len(parts) > 5  # in pieces, as a stream is


def test_a_whole_answer_of_a_stream(sdk):
    c, up = sdk
    chunks = [chunk({"role": "assistant", "content": ""}, system_fingerprint="fp_2"), chunk({"reasoning_content": "Hm, "}), chunk({"reasoning_content": "cats."}),
              chunk({"content": "A small "}), chunk({"content": "animal."}), chunk({}, "stop")]
    chunks[3]["choices"][0].update(logprobs={"content": [{"token": "A", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}, content_filter_results={"hate": {"filtered": False}})
    usage = {**chunk({}), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}}}
    up.script = [Reply(body=b"".join(b"data: %s\n\n" % json.dumps(x).encode() for x in [*chunks, usage]) + b"data: [DONE]\n\n", content_type="text/event-stream", chunked=True)]
    list(ask(c, stream=True, stream_options={"include_usage": True}))
    whole = ask(c)
    assert source(c) == "exact"
    m = whole.choices[0].message
    assert (m.content, m.role, m.reasoning_content, whole.choices[0].finish_reason) == ("A small animal.", "assistant", "Hm, cats.", "stop")
    assert whole.usage.total_tokens == 3 and whole.usage.prompt_tokens_details.cached_tokens == 0
    assert whole.choices[0].logprobs.content[0].token == "A" and whole.choices[0].content_filter_results == {"hate": {"filtered": False}}
    assert whole.object == "chat.completion" and whole.model == "stub-model"


def test_include_usage_is_honoured_in_every_order(sdk):
    c, up = sdk
    up.script = [answer("Hello.", usage=(5, 6))]
    ask(c)
    with_usage = list(ask(c, stream=True, stream_options={"include_usage": True}))
    assert with_usage[-1].choices == [] and with_usage[-1].usage.total_tokens == 11
    assert all(e.choices for e in ask(c, stream=True)) and all(e.choices for e in ask(c, stream=True, stream_options={"include_usage": False}))


def test_async_hit_and_miss(shared):
    ibid, up = shared
    up.script = []
    prove(ibid, "sk-async")

    async def go():
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-async", max_retries=0) as c:
            miss = await c.chat.completions.create(model="m", messages=MESSAGES)
            hits = await asyncio.gather(*[c.chat.completions.create(model="m", messages=MESSAGES) for _ in range(20)])
            parts = [e async for e in await c.chat.completions.create(model="m", messages=MESSAGES, stream=True)]
            return miss, hits, parts

    miss, hits, parts = asyncio.run(go())
    assert [fields(h) for h in hits] == [fields(miss)] * 20
    assert fold(parts)["text"] == miss.choices[0].message.content


def test_the_streaming_helper(sdk):
    c, up = sdk
    for _ in range(2):
        with c.chat.completions.stream(model="stub-model", messages=MESSAGES) as s:
            kinds = {e.type for e in s}
            final = s.get_final_completion()
        assert final.choices[0].message.content.startswith("answer") and "content.done" in kinds


def test_structured_answers_parse_on_a_hit(sdk):
    pydantic = pytest.importorskip("pydantic")
    c, up = sdk

    class Cat(pydantic.BaseModel):
        name: str

    up.script = [answer('{"name":"Tom"}')]
    for _ in range(2):
        r = c.chat.completions.parse(model="stub-model", messages=MESSAGES, response_format=Cat)
        assert r.choices[0].message.parsed == Cat(name="Tom")


def error(c, kind, **fields):
    with pytest.raises(kind) as e:
        ask(c, **fields)
    return e.value


def test_errors_are_the_sdks_own(sdk):
    c, up = sdk
    e = error(c, openai.BadRequestError, temperature="hot")
    assert (e.status_code, e.param, e.type) == (400, "temperature", "invalid_request_error") and "temperature" in e.message
    e = error(c, openai.BadRequestError, extra_headers={"x-ibid-cache": "sometimes"})
    assert e.param == "x-ibid-cache"
    for status, kind in ((401, openai.AuthenticationError), (403, openai.PermissionDeniedError), (404, openai.NotFoundError), (422, openai.UnprocessableEntityError),
                         (429, openai.RateLimitError), (500, openai.InternalServerError), (503, openai.InternalServerError)):
        up.script = [Reply(status=status, body=b'{"error":{"message":"the upstream\'s words","type":"t","code":"c"}}', headers=[("retry-after", "7")])]
        e = error(c, kind, seed=status)
        assert "the upstream's words" in e.message and (e.code, e.response.headers["retry-after"]) == ("c", "7")
    up.script = [Reply(at=-1, fault="rst")]
    e = error(c, openai.InternalServerError, seed=1)
    assert (e.status_code, e.code) == (502, "upstream_failed")
    e = error(c, openai.InternalServerError, extra_headers={"x-ibid-cache": "only-if-cached"}, seed=2)
    assert (e.status_code, e.code) == (504, "not_cached")


@pytest.mark.parametrize("fault", ["fin", "rst"])
@pytest.mark.parametrize("between", [True, False], ids=["between events", "within an event"])
def test_a_stream_that_breaks_off_raises(sdk, fault, between):
    c, up = sdk
    body = events("one two three four five")
    at = body.index(b"\n\n", body.index(b"three")) + 2 if between else body.index(b"three")
    up.script = [stream("one two three four five", at=at, fault=fault)]
    with pytest.raises(Exception) as e:
        list(ask(c, stream=True))
    # Half an event cannot be taken back: the SDK stumbles over it, which is an error as well.
    assert isinstance(e.value, openai.APIError if between else ValueError), repr(e.value)
    assert not between or "broke off" in str(e.value)


def test_a_stream_cut_anywhere_raises_and_is_not_stored(sdk, shared):
    c, up = sdk
    body = events("a b", usage=(1, 2))
    stored = shared[0].metric("ibid_cache_stored_total")
    for at in range(1, len(body)):
        up.script = [stream("a b", usage=(1, 2), at=at, fault="fin")]
        # With [DONE] all was said; the SDK stops reading there, and what breaks off behind it is no harm.
        if b"data: [DONE]" in body[:at]:
            break
        try:
            list(ask(c, stream=True))
        except Exception:
            continue
        pytest.fail(f"no error at {at} of {len(body)}: {body[at - 40:at]}")
    assert at > len(body) - 10 and shared[0].metric("ibid_cache_stored_total") == stored


@needs_encoder
def test_a_semantic_hit_decodes_like_the_miss(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "sk-sem")
    upstream.script = [Reply(body=json.dumps(RICH).encode())]
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-sem", max_retries=0) as c:
        def question(text):
            return {"messages": [{"role": "user", "content": text}]}
        before = ibid.metric("ibid_index_entries")
        miss = ask(c, **question("What is the capital city of France?"))
        until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
        near = question("what is the capital city of france")
        assert source(c, **near) == "semantic" and fields(ask(c, **near)) == fields(miss)
        assert fold(ask(c, stream=True, **near))["text"] == miss.choices[0].message.content


@needs_decoder
def test_a_local_answer(make_ibid):
    ibid = make_ibid(local=True)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-local", max_retries=0) as c:
        once = ask(c, model="smollm2-135m-instruct", max_tokens=12)
        live = fold(ask(c, model="smollm2-135m-instruct", max_tokens=12, stream=True, stream_options={"include_usage": True}, extra_headers={"x-ibid-cache": "no-cache"}))
        assert live["text"] == once.choices[0].message.content and live["finish"] == [once.choices[0].finish_reason]
        assert live["usage"]["total_tokens"] == once.usage.total_tokens > 0 and once.id.startswith("chatcmpl-")


def test_retries_of_the_sdk_meet_the_upstream(shared):
    ibid, up = shared
    up.script = [Reply(status=429, body=b"{}", headers=[("retry-after-ms", "1")]), Reply(status=500, body=b"{}", headers=[("retry-after-ms", "1")]), answer("third")]
    before = len(up.requests)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-retry", max_retries=3) as c:
        assert ask(c, seed=77).choices[0].message.content == "third"
    assert len(up.requests) == before + 3
    up.script = []


def test_tools_are_relayed_and_never_replayed(sdk):
    c, up = sdk
    up.script = [Reply(body=json.dumps(completion(None, finish="tool_calls", tool_calls=[{k: v for k, v in CALL[0].items() if k != "index"}])).encode())]
    before = len(up.posts())
    for _ in range(2):
        r = ask(c, tools=TOOLS, tool_choice="auto")
        assert r.choices[0].message.tool_calls[0].function.arguments == '{"city":"Oslo"}'
    assert len(up.posts()) == before + 2 and up.posts()[-1].json["tools"] == TOOLS
    up.script = [Reply(body=b"".join(b"data: %s\n\n" % json.dumps(x).encode() for x in [chunk({"role": "assistant", "content": None, "tool_calls": CALL}), chunk({}, "tool_calls")]) + b"data: [DONE]\n\n",
                       content_type="text/event-stream", chunked=True)]
    for _ in range(2):
        first = list(ask(c, tools=TOOLS, stream=True))[0]
        assert first.choices[0].delta.tool_calls[0].function.name == "weather"
    assert len(up.posts()) == before + 4
    # What follows a call is not reused either; but an answer in words is.
    sequel = [*MESSAGES, {"role": "assistant", "content": None, "tool_calls": [{k: v for k, v in CALL[0].items() if k != "index"}]}, {"role": "tool", "tool_call_id": "call_1", "content": "3 C"}]
    up.script = []
    assert [source(c, messages=sequel, tools=TOOLS) for _ in range(2)] == ["upstream"] * 2
    assert [source(c, tools=TOOLS, tool_choice="none") for _ in range(2)] == ["upstream", "exact"]


def test_other_endpoints_go_through(sdk):
    c, up = sdk
    up.script = [Reply(body=b'{"object":"list","data":[{"id":"stub-model","object":"model","created":1,"owned_by":"x"}]}')]
    assert [m.id for m in c.models.list()] == ["stub-model"]
    up.script = [Reply(body=json.dumps({"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1e-9]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode())]
    assert c.embeddings.create(model="e", input="x", encoding_format="float").data[0].embedding == [0.5, -1e-9]
    up.script = [Reply(body=b"ID3audio", content_type="audio/mpeg", chunked=True)]
    assert c.audio.speech.create(model="tts", voice="x", input="x").read() == b"ID3audio"
    up.script = [Reply(status=404, body=b'{"error":{"message":"no such file"}}')]
    with pytest.raises(openai.NotFoundError):
        c.files.retrieve("file-x")


def test_uploads_go_through(sdk):
    c, up = sdk
    up.script = [Reply(body=b'{"id":"file-1","object":"file","bytes":3,"created_at":1,"filename":"x","purpose":"batch"}')]
    assert c.files.create(file=("x.jsonl", b"\x00\xff\n"), purpose="batch").id == "file-1"
    assert b"\x00\xff\n" in up.requests[-1].body and up.requests[-1].header("content-type")[0].startswith("multipart/form-data; boundary=")
