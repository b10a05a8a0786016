"""OpenAI's responses through the official SDK: miss, exact hit, semantic hit and local answer."""
import json
import pathlib

import pytest

openai = pytest.importorskip("openai")

from client import prove, serving, until
from conftest import needs_decoder, needs_encoder
from upstream import Reply

STREAMS = pathlib.Path(__file__).resolve().parents[1] / "unit/streams"
RICH = (STREAMS / "openai_responses.sse").read_bytes()
CALL = (STREAMS / "openai_responses_call.sse").read_bytes()
WHOLE = json.loads(RICH.decode().split("data: ")[-1])["response"]


def body(text, **more):
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}
    return {**WHOLE, "output": [item], **more}


def whole(text, **more):
    return Reply(body=json.dumps(body(text, **more)).encode())


def events(data, **kw):
    return Reply(body=data, content_type="text/event-stream; charset=utf-8", chunked=True, **kw)


def short(text):
    """A stream with little in it, for cutting it at every byte."""
    item = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    response = {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [item]}
    out = [{"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
           {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": text}, {"type": "response.completed", "response": response}]
    return "".join(f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': n})}\n\n" for n, e in enumerate(out)).encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("responses")) as both:
        yield both


def client(ibid, key):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key=key, max_retries=0, timeout=20)


@pytest.fixture
def sdk(shared, request):
    ibid, up = shared
    up.script = []
    key = "sk-" + str(abs(hash(request.node.name)))
    prove(ibid, key)
    with client(ibid, key) as c:
        yield c, up


def ask(c, **more):
    return c.responses.create(**{"model": "m", "input": "What is a cat?", **more})


def source(c, **more):
    return c.responses.with_raw_response.create(**{"model": "m", "input": "What is a cat?", **more}).headers["x-ibid-source"]


def streamed(c, **more):
    """The final object, after checking that the pieces add up to it."""
    es = list(ask(c, stream=True, **more))
    assert [e.sequence_number for e in es] == list(range(len(es)))
    final, texts, items = es[-1].response, {}, {}
    for e in es:
        if e.type in ("response.output_text.delta", "response.function_call_arguments.delta"):
            texts[e.output_index] = texts.get(e.output_index, "") + e.delta
        if e.type == "response.output_item.done":
            items[e.output_index] = e.item.model_dump()
    assert es[0].type == "response.created" and es[0].response.status == "in_progress" and es[0].response.output == []
    assert [items[i] for i in sorted(items)] == [x.model_dump() for x in final.output]
    for i, t in texts.items():
        assert t == (final.output[i].content[0].text if final.output[i].type == "message" else final.output[i].arguments)
    return final, [e.type for e in es]


def test_whole_and_stream_in_every_order(sdk):
    c, up = sdk
    up.script = [whole("A small animal.\nIt purrs.")]
    asked = len(up.posts())
    miss, hit = ask(c), ask(c)
    again, kinds = streamed(c)
    assert miss.model_dump() == hit.model_dump() == again.model_dump() and len(up.posts()) == asked + 1
    assert hit.output_text == "A small animal.\nIt purrs." and hit.id == "resp_1"  # what previous_response_id may name
    assert kinds.count("response.output_text.delta") == 5 and kinds[-1] == "response.completed"
    up.script = [events(RICH)]
    miss = list(ask(c, stream=True, temperature=0.5))
    hit, kinds = streamed(c, temperature=0.5)
    assert hit.model_dump() == miss[-1].response.model_dump() == ask(c, temperature=0.5).model_dump() and len(up.posts()) == asked + 2
    assert {"response.reasoning_summary_text.delta", "response.output_text.annotation.added", "response.reasoning_summary_part.done"} <= set(kinds)
    assert hit.usage.input_tokens_details.cached_tokens == 20 and hit.output[1].type == "web_search_call"
    with c.responses.stream(model="m", input="What is a cat?", temperature=0.5) as s:
        assert [e.type for e in s][-1] == "response.completed" and s.get_final_response().output_text == "Cats \u4e2d purr.\nAll of them."


def test_state_of_the_upstream(sdk):
    c, up = sdk
    up.script = [lambda r: whole(f"answer {len(up.requests)}", id=f"resp_{len(up.requests)}")]
    first = ask(c, previous_response_id="resp_a")
    assert ask(c, previous_response_id="resp_a").id == first.id and ask(c, previous_response_id="resp_b").id != first.id
    assert [source(c, conversation="conv_1") for _ in range(2)] == ["upstream"] * 2
    assert [source(c, background=True) for _ in range(2)] == ["upstream"] * 2
    assert [source(c, store=False) for _ in range(2)] == ["upstream"] * 2
    assert [source(c, metadata={"a": "1"}), source(c, metadata={"a": "2"}), source(c, metadata={"a": "1"})] == ["upstream", "upstream", "exact"]


def test_tools_are_relayed_and_never_replayed(sdk):
    c, up = sdk
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}]
    up.script = [events(CALL)]
    for _ in range(2):
        assert list(ask(c, tools=tools, stream=True))[-1].response.output[1].arguments == '{"city": "Oslo"}'
        assert source(c, tools=tools, stream=True) == "upstream"
    up.script = [whole("Cold.")]
    result = [{"role": "user", "content": "q"}, {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": "3"}]
    assert [source(c, input=result, tools=tools) for _ in range(2)] == ["upstream"] * 2


def test_what_is_no_answer_is_not_stored(sdk, shared):
    c, up = sdk
    for n, reply in enumerate([whole("x", status="incomplete", incomplete_details={"reason": "max_output_tokens"}), whole("x", status="failed", error={"code": "server_error", "message": "m"}),
                               whole("x", status="queued"), whole("")]):
        up.script = [reply]
        assert [source(c, top_p=0.1 + n / 100) for _ in range(2)] == ["upstream"] * 2


def test_errors_and_cuts(sdk, shared):
    c, up = sdk
    with pytest.raises(openai.BadRequestError) as e:
        ask(c, input=[{"role": "user"}])
    assert e.value.param == "input[0].content"
    stored = shared[0].metric("ibid_cache_stored_total")
    for at in range(1, len(small := short("a b"))):
        up.script = [events(small, at=at, fault="fin")]
        with pytest.raises(Exception):
            list(ask(c, stream=True))
    assert shared[0].metric("ibid_cache_stored_total") == stored
    up.script = [events(small)]  # whole, it is kept
    assert [list(ask(c, stream=True))[-1].response.output_text for _ in range(2)] == ["a b"] * 2
    assert shared[0].metric("ibid_cache_stored_total") == stored + 1


@needs_encoder
def test_a_semantic_hit_decodes_like_the_miss(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "sk-sem")
    upstream.script = [whole("Paris.")]
    with client(ibid, "sk-sem") as c:
        before = ibid.metric("ibid_index_entries")
        miss = ask(c, input="What is the capital city of France?")
        until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
        assert source(c, input="what is the capital city of france") == "semantic"
        assert streamed(c, input="what is the capital city of france")[0].model_dump() == miss.model_dump()
        assert source(c, input="what is the capital city of france", instructions="Be long.") == "upstream"


@needs_decoder
def test_a_local_answer(make_ibid):
    ibid = make_ibid(local=True)
    with client(ibid, "sk-local") as c:
        fields = {"model": "smollm2-135m-instruct", "max_output_tokens": 12}
        once = ask(c, **fields)
        live, kinds = streamed(c, **fields, extra_headers={"x-ibid-cache": "no-cache"})
        without = {"id", "created_at"}
        assert once.model_dump(exclude=without) == live.model_dump(exclude=without) and once.output_text and once.id != live.id and len(once.id) == 34
        assert kinds[-1] in ("response.completed", "response.incomplete") and once.usage.output_tokens > 0
        with pytest.raises(openai.BadRequestError) as e:
            ask(c, **fields, previous_response_id="resp_1")
        assert "previous_response_id" in e.value.message
