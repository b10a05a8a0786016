"""The official Ollama client on ibid, in front of an Ollama and with the built-in model."""
import json
import pathlib

import pytest

ollama = pytest.importorskip("ollama")

from client import serving, until
from conftest import needs_decoder, needs_encoder
from upstream import Reply

STREAMS = pathlib.Path(__file__).resolve().parents[1] / "unit/streams"
CHAT = (STREAMS / "ollama_chat.ndjson").read_bytes()
CALL = (STREAMS / "ollama_chat_tool.ndjson").read_bytes()
GENERATE = (STREAMS / "ollama_generate.ndjson").read_bytes()
MESSAGES = [{"role": "user", "content": "What is a cat?"}]
COUNTS = {"done": True, "done_reason": "stop", "total_duration": 5, "prompt_eval_count": 12, "eval_count": 7}


def whole(text, **more):
    return Reply(body=json.dumps({"model": "m", "created_at": "2026-01-31T12:00:00.5Z", "message": {"role": "assistant", "content": text}, **COUNTS, **more}).encode())


def lines(data, **kw):
    return Reply(body=data, content_type="application/x-ndjson", chunked=True, **kw)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("ollama")) as both:
        yield both


def client(ibid, key, **headers):
    return ollama.Client(host=f"http://127.0.0.1:{ibid.port}", headers={"authorization": f"Bearer {key}", **headers}, timeout=20)


@pytest.fixture
def sdk(shared, request):
    ibid, up = shared
    key = "sk-" + str(abs(hash(request.node.name)))
    up.script = [whole("proof")]
    client(ibid, key, **{"x-ibid-cache": "no-store"}).chat(model="m", messages=MESSAGES)
    return client(ibid, key), up


def fold(parts):
    parts = [p.model_dump() for p in parts]
    out = {**parts[-1]}
    for name in ("message", "response", "thinking"):
        if isinstance(out.get(name), dict):
            said = [p[name] for p in parts]
            out[name] = {"role": said[0]["role"], "content": "".join(m.get("content") or "" for m in said), "thinking": "".join(m.get("thinking") or "" for m in said) or None}
        elif name in out:
            out[name] = "".join(p.get(name) or "" for p in parts) or None
    return {k: v for k, v in out.items() if k != "created_at"}


def said(r):
    m = r.message
    return {**r.model_dump(exclude={"created_at"}), "message": {"role": m.role, "content": m.content, "thinking": m.thinking}}


def test_chat_whole_and_stream_in_every_order(sdk):
    c, up = sdk
    up.script = [whole("A small animal.\nIt purrs.")]
    asked = len(up.posts())
    miss, hit = c.chat(model="m", messages=MESSAGES), c.chat(model="m", messages=MESSAGES)
    parts = list(c.chat(model="m", messages=MESSAGES, stream=True))
    assert said(miss) == said(hit) == fold(parts) and len(parts) == 6 and len(up.posts()) == asked + 1
    assert hit.created_at > miss.created_at and len(hit.created_at) == 27 and len({p.created_at for p in parts}) == 1
    up.script = [lines(CHAT)]
    miss = fold(c.chat(model="m", messages=MESSAGES, stream=True, options={"seed": 1}))
    hit = fold(c.chat(model="m", messages=MESSAGES, stream=True, options={"seed": 1}, keep_alive="1m"))
    once = c.chat(model="m", messages=MESSAGES, options={"seed": 1})
    assert miss == hit == said(once) and once.message.thinking == "Hm, cats." and len(up.posts()) == asked + 2


def test_generate(sdk):
    c, up = sdk
    up.script = [lines(GENERATE)]
    asked = len(up.posts())
    miss, hit = [fold(c.generate(model="m", prompt="What is a cat?", stream=True)) for _ in range(2)]
    once = c.generate(model="m", prompt="What is a cat?")
    assert miss == hit == {**once.model_dump(exclude={"created_at"})} and once.response == "Cats \u4e2d purr." and once.context == [1, 2, 3]
    assert len(up.posts()) == asked + 1


def test_calls_are_not_replayed(sdk):
    c, up = sdk
    up.script = [lines(CALL)]
    asked = len(up.posts())
    for _ in range(2):
        parts = list(c.chat(model="m", messages=MESSAGES, stream=True))
        assert parts[1].message.tool_calls[0].function.name == "weather"
    up.script = [whole("Cold.")]
    for _ in range(2):
        c.chat(model="m", messages=[*MESSAGES, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]}, {"role": "tool", "content": "3"}])
    assert len(up.posts()) == asked + 4


def test_errors_of_paths_that_are_only_relayed(sdk):
    c, up = sdk
    up.script = [Reply(at=-1, fault="rst")]
    for call in (c.list, c.ps, lambda: c.pull("m"), lambda: c.delete("m")):
        with pytest.raises(ollama.ResponseError) as e:
            call()
        assert e.value.status_code == 502 and e.value.error.startswith("the upstream did not answer")


def test_errors_and_cuts(sdk, shared):
    c, up = sdk
    with pytest.raises(ollama.ResponseError) as e:
        c._request_raw("POST", "/api/chat", json={"model": "m", "messages": [{"role": "user", "content": 7}]})
    assert e.value.status_code == 400 and e.value.error == "'messages[0].content' must be a string"
    up.script = [Reply(status=404, body=b'{"error":"model \'m\' not found"}')]
    with pytest.raises(ollama.ResponseError) as e:
        c.chat(model="m", messages=MESSAGES)
    assert (e.value.status_code, e.value.error) == (404, "model 'm' not found")
    up.script = [lines(CHAT[:200].rsplit(b"\n", 1)[0] + b'\n{"error":"out of memory"}\n')]
    for _ in range(2):
        with pytest.raises(ollama.ResponseError):
            list(c.chat(model="m", messages=MESSAGES, stream=True))
    stored = shared[0].metric("ibid_cache_stored_total")
    for at in range(1, len(GENERATE)):
        up.script = [lines(GENERATE, at=at, fault="fin")]
        with pytest.raises(Exception) as e:
            list(c.generate(model="m", prompt="cut", stream=True))
        if GENERATE[at - 1:at] == b"\n":
            assert isinstance(e.value, ollama.ResponseError) and "broke off" in e.value.error
    assert shared[0].metric("ibid_cache_stored_total") == stored


@needs_encoder
def test_a_semantic_hit_decodes_like_the_miss(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    c = client(ibid, "sk-sem")
    upstream.script = [whole("Paris.")]
    client(ibid, "sk-sem", **{"x-ibid-cache": "no-store"}).chat(model="m", messages=MESSAGES)
    before = ibid.metric("ibid_index_entries")
    asked = len(upstream.posts())
    miss = c.chat(model="m", messages=[{"role": "user", "content": "What is the capital city of France?"}])
    until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
    hit = list(c.chat(model="m", messages=[{"role": "user", "content": "what is the capital city of france"}], stream=True))
    assert fold(hit) == said(miss) and len(upstream.posts()) == asked + 1


@needs_encoder
@needs_decoder
def test_models_and_vectors_of_our_own(make_ibid):
    ibid = make_ibid(local=True, encoder=True)
    c = client(ibid, "sk-local")
    models = {m.model: m for m in c.list().models}
    assert set(models) == {"smollm2-135m-instruct", "all-minilm-l6-v2"} and models["smollm2-135m-instruct"].details.family == "llama"
    show = c.show("smollm2-135m-instruct:latest")
    assert show.capabilities == ["completion"] and show.modelinfo["general.parameter_count"] > 1e8
    assert {m.model for m in c.ps().models} == set(models) and ibid.request("GET", "/api/version").json["version"]
    with pytest.raises(ollama.ResponseError) as e:
        c.show("nobody")
    assert e.value.status_code == 404
    texts = ["a cat", "a small cat", "the stock market"]
    r = c.embed(model="all-minilm-l6-v2", input=texts)
    near, far = [sum(a * b for a, b in zip(r.embeddings[0], v)) for v in r.embeddings[1:]]
    assert [len(v) for v in r.embeddings] == [384] * 3 and near > 0.8 > far and r.prompt_eval_count > 9
    assert list(c.embeddings(model="all-minilm-l6-v2", prompt="a cat").embedding) == list(r.embeddings[0])


@needs_decoder
def test_local_answers(make_ibid):
    ibid = make_ibid(local=True)
    c = client(ibid, "sk-local")
    ask = {"model": "smollm2-135m-instruct:latest", "options": {"num_predict": 12}}
    once = c.chat(messages=MESSAGES, **ask)
    live = list(client(ibid, "sk-local", **{"x-ibid-cache": "no-cache"}).chat(messages=MESSAGES, stream=True, **ask))
    assert said(once) == fold(live) and once.message.content and once.eval_count > 0 and once.done and len(live) > 2
    text = c.generate(prompt="What is a cat?", **ask)
    assert text.response == once.message.content and text.done_reason in ("stop", "length")
    with pytest.raises(ollama.ResponseError) as e:
        c.generate(prompt="x", suffix="y", **ask)
    assert e.value.status_code == 400 and "suffix" in e.value.error
