"""Dialects whose answers are reused for the same request alone, and Azure's paths."""
import array
import gzip
import json
import pathlib
import socket
import time
import zlib

import pytest

openai = pytest.importorskip("openai")

from client import post, prove, reasons, said, serving, until, user
from conftest import needs_encoder
from upstream import Reply, answer, completion, events

STREAMS = pathlib.Path(__file__).resolve().parents[1] / "unit/streams"
COMPLETIONS = (STREAMS / "openai_completions.sse").read_bytes()
GEMINI = (STREAMS / "gemini_stream.sse").read_bytes()


def reply(value, **kw):
    return Reply(body=json.dumps(value).encode(), **kw)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("dialects")) as both:
        yield both


@pytest.fixture
def sdk(shared, request):
    ibid, up = shared
    up.script = []
    key = "sk-" + str(abs(hash(request.node.name)))
    prove(ibid, key)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key=key, max_retries=0, timeout=20) as c:
        yield c, up


def fields(r):
    return r.model_dump(exclude={"id", "created"})


def test_completions(sdk):
    c, up = sdk
    choices = [{"index": i, "text": t, "logprobs": None, "finish_reason": "stop"} for i, t in enumerate(["Once upon a time.", "Two."])]
    up.script = [reply({"id": "cmpl-u", "object": "text_completion", "created": 1, "model": "m", "choices": choices, "usage": {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}})]
    asked = len(up.posts())
    ask = {"model": "m", "prompt": ["a", "b"], "echo": True}
    miss, hit = [c.completions.create(**ask) for _ in range(2)]
    assert fields(miss) == fields(hit) and hit.id.startswith("cmpl-") and hit.id != miss.id and hit.created > 1
    parts = list(c.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert ["".join(ch.text for p in parts for ch in p.choices if ch.index == i) for i in (0, 1)] == ["Once upon a time.", "Two."]
    assert parts[-1].usage.total_tokens == 7 and all(p.usage is None for p in c.completions.create(**ask, stream=True))
    assert len(up.posts()) == asked + 1
    up.script = [Reply(body=COMPLETIONS, content_type="text/event-stream", chunked=True)]
    streamed = list(c.completions.create(**ask, suffix="x", stream=True, stream_options={"include_usage": True}))
    once = c.completions.create(**ask, suffix="x")
    assert [ch.text for ch in once.choices] == ["Once upon\na time.", "Two \u4e2d"] and len(up.posts()) == asked + 2
    assert once.choices[0].logprobs.tokens == ["upon"] and streamed[-1].usage == once.usage
    up.script = [reply({"id": "cmpl-u", "object": "text_completion", "created": 1, "model": "m", "choices": [{**choices[0], "finish_reason": "length"}]})]
    for _ in range(2):
        c.completions.create(model="m", prompt="short")
    assert len(up.posts()) == asked + 4


def test_embeddings_moderations_and_counts(sdk, shared):
    c, up = sdk
    ibid, _ = shared
    up.script = [reply({"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1e-9]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}})]
    asked = len(up.posts())
    a, b = [c.embeddings.create(model="e", input="x", encoding_format="float") for _ in range(2)]
    assert a == b and b.data[0].embedding == [0.5, -1e-9] and len(up.posts()) == asked + 1
    c.embeddings.create(model="e", input="x", encoding_format="float", dimensions=2)
    assert len(up.posts()) == asked + 2
    up.script = [reply({"id": "modr-1", "model": "omni", "results": [{"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}]})]
    a, b = [c.moderations.create(model="omni", input="x") for _ in range(2)]
    assert a.model_dump(exclude={"id"}) == b.model_dump(exclude={"id"}) and a.id != b.id and len(up.posts()) == asked + 3
    up.script = [reply({"input_tokens": 14})]
    ask = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    got = [post(ibid, ask, path="/v1/messages/count_tokens", key=c.api_key) for _ in range(2)]
    assert [r.source for r in got] == ["upstream", "exact"] and got[1].json == {"input_tokens": 14} and len(up.posts()) == asked + 4


def test_azure_paths(shared):
    ibid, up = shared
    up.script = [answer("Hello.")]
    azure = openai.AzureOpenAI(azure_endpoint=f"http://127.0.0.1:{ibid.port}", api_key="azure-key", api_version="2024-10-21", azure_deployment="prod", max_retries=0)
    ask = {"model": "prod", "messages": [{"role": "user", "content": "hi"}]}
    sources = [azure.chat.completions.with_raw_response.create(**ask).headers["x-ibid-source"] for _ in range(3)]
    assert sources == ["upstream", "exact", "exact"]
    assert up.posts()[-1].target.endswith("/openai/deployments/prod/chat/completions?api-version=2024-10-21")
    other = openai.AzureOpenAI(azure_endpoint=f"http://127.0.0.1:{ibid.port}", api_key="azure-key", api_version="2024-10-21", azure_deployment="test", max_retries=0)
    assert other.chat.completions.with_raw_response.create(**ask).headers["x-ibid-source"] == "upstream"


def gemini(ibid, verb, body, key="g-key", query=""):
    return post(ibid, body, [("x-goog-api-key", key)], path=f"/v1beta/models/gemini-x:{verb}{query}")


def test_gemini(shared):
    ibid, up = shared
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    whole = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}], "modelVersion": "g-1", "responseId": "r", "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 3}}
    up.script = [reply(whole)]
    got = [gemini(ibid, "generateContent", body) for _ in range(3)]
    assert [r.source for r in got] == ["upstream", "exact", "exact"]
    without = [{k: v for k, v in r.json.items() if k != "responseId"} for r in got]
    assert without[0] == without[1] and len({r.json["responseId"] for r in got}) == 3 and got[1].headers["x-ibid-saved-tokens"] == "3"
    up.script = [Reply(body=GEMINI, content_type="text/event-stream", chunked=True)]
    got = [gemini(ibid, "streamGenerateContent", body, query="?alt=sse") for _ in range(2)]
    parts = [[json.loads(line[6:]) for line in r.body.split(b"\n") if line.startswith(b"data: ")] for r in got]
    assert [r.source for r in got] == ["upstream", "exact"] and parts[0] == parts[1] and len(parts[0]) == 3
    assert got[0].body == GEMINI
    up.script = [reply([whole, whole])]
    got = [gemini(ibid, "streamGenerateContent", body) for _ in range(2)]
    assert [r.source for r in got] == ["upstream", "exact"] and got[0].json == got[1].json
    call = {**whole, "candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}, "finishReason": "STOP"}]}
    for n, bad in enumerate([call, {**whole, "candidates": [{**whole["candidates"][0], "finishReason": "MAX_TOKENS"}]}, {"promptFeedback": {"blockReason": "SAFETY"}}]):
        up.script = [reply(bad)]
        assert [gemini(ibid, "generateContent", {**body, "labels": {"n": str(n)}}).source for _ in range(2)] == ["upstream"] * 2
    r = gemini(ibid, "generateContent", {**body, "generationConfig": {"temperature": "hot"}})
    assert (r.status, r.json["error"]["status"], r.json["error"]["code"]) == (400, "INVALID_ARGUMENT", 400)


def test_the_built_in_model_serves_chats_alone(make_ibid):
    ibid = make_ibid()
    for path, body in (("/v1/completions", {"prompt": "x"}), ("/v1/embeddings", {"input": "x"}), ("/v1/moderations", {"input": "x"})):
        r = post(ibid, {"model": "m", **body}, path=path)
        assert r.status in (400, 503) and r.json["error"]["code"] in ("unsupported_by_local_model", "no_answerer")


def vectors(request):
    """Each input has a vector of its own: its length, and how often it was asked for."""
    if "input" not in request.json:
        return answer("proof")
    given = request.json["input"]
    given = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    data = [{"object": "embedding", "index": i, "embedding": [len(x), len(vectors.seen.setdefault(str(x), []))]} for i, x in enumerate(given)]
    for x in given:
        vectors.seen[str(x)].append(1)
    return reply({"object": "list", "model": "e-1", "data": data, "usage": {"prompt_tokens": 10 * len(given), "total_tokens": 10 * len(given)}})


def test_each_input_is_kept_on_its_own(sdk, shared):
    c, up = sdk
    ibid, _ = shared
    vectors.seen = {}
    up.script = [vectors]

    def embed(inputs, **more):
        raw = c.embeddings.with_raw_response.create(model="e", input=inputs, encoding_format="float", **more)
        r = raw.parse()
        assert [d.index for d in r.data] == list(range(len(r.data))) and r.model == "e-1"
        return raw.headers["x-ibid-source"], [d.embedding for d in r.data], r.usage.prompt_tokens

    asked = len(up.posts())
    assert embed(["a", "bb", "ccc"]) == ("upstream", [[1, 0], [2, 0], [3, 0]], 30)
    assert embed(["ccc", "a"]) == ("exact", [[3, 0], [1, 0]], 14 + 6)  # shares of 30: 6, 10, 14
    source, got, _ = embed("bb")
    assert (source, got) == ("exact", [[2, 0]]) and embed(["bb"])[:2] == (source, got)
    assert len(up.posts()) == asked + 1 and ibid.metric("ibid_cache_inputs_reused_total") >= 2
    # Only what is not known is asked for; then it is known.
    source, got, _ = embed(["x", "a", "yy", "bb", "x"])
    assert (source, got) == ("upstream", [[1, 0], [1, 0], [2, 0], [2, 0], [1, 0]]) and up.posts()[-1].json == {"model": "e", "input": ["x", "yy", "x"], "encoding_format": "float"}
    assert embed(["yy", "x", "ccc"])[0] == "exact" and len(up.posts()) == asked + 2
    # Another form, another vector; tokens are inputs too.
    assert embed(["a", "bb"], dimensions=2)[0] == "upstream"
    assert [embed([[1, 2], [3]])[0], embed([[3], [4, 5]])[0], embed([1, 2])[0], embed([[1, 2]])[0]] == ["upstream", "upstream", "exact", "exact"]
    assert up.posts()[-1].json["input"] == [[4, 5]]
    # An upstream that refuses keeps its words, and one that gives too little is not believed.
    up.script = [Reply(status=429, body=b'{"error":{"message":"theirs"}}', headers=[("retry-after", "7")])]
    with pytest.raises(openai.RateLimitError) as e:
        embed(["a", "new"])
    assert e.value.response.headers["retry-after"] == "7" and "theirs" in e.value.message
    up.script = [reply({"object": "list", "model": "e-1", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})]
    with pytest.raises(openai.InternalServerError):
        embed(["a", "new"])
    up.script = [Reply(at=5, fault="rst")]
    with pytest.raises(openai.InternalServerError):
        embed(["a", "new"])
    assert post(ibid, {"model": "e", "input": ["a", "new"], "encoding_format": "float"}, [("x-ibid-cache", "only-if-cached")], path="/v1/embeddings", key=c.api_key).status == 504
    up.script = [vectors]
    assert embed(["a", "new"])[1] == [[1, 0], [3, 0]]


@pytest.mark.parametrize("store", ["lmdb:", "redis"])
def test_inputs_are_fetched_from_the_store(make_ibid, upstream, redis, store):
    vectors.seen = {}
    upstream.script = [vectors]
    env = {"IBID_STORE_DEADLINE_MS": "10000", **({"IBID_STORE_URL": redis.url} if store == "redis" else {})}
    ibid = make_ibid(upstream, name="one", env=env)
    prove(ibid, "k")
    ask = {"model": "e", "input": [f"text {i}" for i in range(30)]}
    first = post(ibid, ask, path="/v1/embeddings", key="k")
    assert first.status == 200
    until(lambda: ibid.metric("ibid_store_puts_total") >= 31, "the store")  # the inputs, and all at once
    ibid.stop()
    ibid.start()
    prove(ibid, "k")
    asked = len(upstream.posts())
    again = post(ibid, {**ask, "input": ask["input"][::-1]}, path="/v1/embeddings", key="k")
    assert again.source == "exact" and len(upstream.posts()) == asked
    assert [d["embedding"] for d in again.json["data"]] == [d["embedding"] for d in first.json["data"]][::-1]


@needs_encoder
def test_vectors_of_the_built_in_encoder(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="k", max_retries=0) as c:
        ask = c.embeddings.with_raw_response.create
        texts = [f"text number {i} \u4e2d" for i in range(50)]
        raw = ask(model="all-minilm-l6-v2", input=texts, encoding_format="float")
        assert raw.headers["x-ibid-source"] == "local" and upstream.posts() == []
        floats = raw.parse()
        coded = ask(model="all-minilm-l6-v2", input=texts).parse()  # the SDK asks for base64
        assert [d.index for d in floats.data] == list(range(50)) and [array.array("f", d.embedding) for d in coded.data] == [array.array("f", d.embedding) for d in floats.data]
        assert abs(sum(x * x for x in floats.data[0].embedding) - 1) < 1e-5 and floats.usage.prompt_tokens > 200
        assert ask(model="all-minilm-l6-v2", input=texts, encoding_format="float").headers["x-ibid-source"] == "exact"
        assert c.embeddings.create(model="all-minilm-l6-v2", input=texts[7], dimensions=384, encoding_format="float").data[0].embedding == floats.data[7].embedding
        for bad, param in (({"input": "word " * 2000}, "input[0]"), ({"input": ["ok", "word " * 2000]}, "input[1]"), ({"input": [[1, 2]]}, None), ({"input": "x", "dimensions": 64}, None)):
            with pytest.raises(openai.BadRequestError) as e:
                c.embeddings.create(model="all-minilm-l6-v2", **bad)
            assert e.value.param == param
        upstream.script = [reply({"object": "list", "model": "e", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})]
        assert ask(model="another", input="x").headers["x-ibid-source"] == "upstream"
    alone = make_ibid(encoder=True)
    r = post(alone, {"model": "another", "input": "x"}, path="/v1/embeddings")
    assert r.status == 400 and "all-minilm-l6-v2" in r.json["error"]["message"]


@needs_encoder
def test_a_client_that_leaves_while_vectors_are_made(make_ibid):
    ibid = make_ibid(encoder=True)
    body = json.dumps({"model": "all-minilm-l6-v2", "input": [f"text number {i} " * 20 for i in range(400)]}).encode()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", ibid.port)) as s:
            s.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            time.sleep(0.05)
    assert post(ibid, {"model": "all-minilm-l6-v2", "input": "still here"}, path="/v1/embeddings").status == 200


def stream_reply(name):
    kind = "application/x-ndjson" if name.endswith("ndjson") else "text/event-stream"
    return Reply(body=(STREAMS / name).read_bytes(), content_type=kind, chunked=True)


def test_calls_are_reused_where_the_operator_says_so(make_ibid, upstream):
    """A call and what follows its result: for the very same request, in both modes."""
    ibid = make_ibid(upstream, env={"IBID_CACHE_TOOL_CALLS": "exact"})
    prove(ibid, "k")
    question = {"role": "user", "content": "Weather in Oslo?"}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    with openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="k", max_retries=0) as c:
        upstream.script = [stream_reply("openai_chat_tool.sse")]
        asked = len(upstream.posts())
        ask = {"model": "m", "messages": [question], "tools": tools}
        for _ in range(2):
            with c.chat.completions.stream(**ask, stream_options={"include_usage": True}) as s:
                m = s.get_final_completion().choices[0].message
            assert [(t.function.name, t.function.arguments, t.id) for t in m.tool_calls] == [("weather", '{"city": "Oslo"}', "call_1"), ("now", "{}", "call_2")]
        once = c.chat.completions.create(**ask)
        assert once.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}' and len(upstream.posts()) == asked + 1
        upstream.script = [answer("3 C.")]
        after = [question, {"role": "assistant", "content": None, "tool_calls": [t.model_dump() for t in once.choices[0].message.tool_calls[:1]]}, {"role": "tool", "tool_call_id": "call_1", "content": "3"}]
        assert [c.chat.completions.with_raw_response.create(**{**ask, "messages": after}).headers["x-ibid-source"] for _ in range(2)] == ["upstream", "exact"]
    for name, path, body in (("anthropic_tool_use.sse", "/v1/messages", {"messages": [question]}), ("openai_responses_call.sse", "/v1/responses", {"input": "x"}), ("ollama_chat_tool.ndjson", "/api/chat", {"messages": [question]})):
        upstream.script = [stream_reply(name)]
        got = [post(ibid, {"model": "m", "stream": True, **body}, path=path, key="k") for _ in range(2)]
        assert [r.source for r in got] == ["upstream", "exact"] and b"Oslo" in got[1].body


def coded(coding, data):
    if coding == "gzip":
        return gzip.compress(data)
    if coding == "deflate":
        return zlib.compress(data)
    return pytest.importorskip({"br": "brotli", "zstd": "zstandard"}[coding]).compress(data)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_coded_answer_is_relayed_as_it_is_and_kept_decoded(shared, coding):
    ibid, up = shared
    key = "sk-" + coding
    prove(ibid, key)
    whole, streamed = json.dumps(completion("Hello.")).encode(), events("Hello.", usage=(12, 7))
    for data, kw, extra in ((whole, {}, {}), (streamed, {"content_type": "text/event-stream", "chunked": True, "pieces": 7}, {"stream": True, "stream_options": {"include_usage": True}, "seed": 1})):
        body = coded(coding, data)
        up.script = [Reply(body=body, headers=[("Content-Encoding", coding)], **kw)]
        ask = user("coded", **extra)
        miss, hit = [post(ibid, ask, [("Accept-Encoding", coding)], key=key) for _ in range(2)]
        assert up.posts()[-1].header("accept-encoding") == [coding]
        assert miss.body == body and miss.headers["content-encoding"] == coding and miss.source == "upstream"
        assert hit.source == "exact" and "content-encoding" not in hit.headers
        assert (said(hit.body) if "stream" in extra else hit.text) == "Hello."
        # Cut within, or with something behind: relayed, never kept.
        before = reasons(ibid, "ibid_cache_unstored_total").get("content_encoding", 0)
        for bad in (body[:-3], body + b"x"):
            up.script = [Reply(body=bad, headers=[("Content-Encoding", coding)], **kw)]
            got = [post(ibid, {**ask, "top_p": 0.5}, key=key) for _ in range(2)]
            assert [r.source for r in got] == ["upstream"] * 2 and got[0].body == bad
        assert reasons(ibid, "ibid_cache_unstored_total")["content_encoding"] == before + 4
