"""Answers of the built-in model that are valid of a schema, whatever the model would rather say."""
import concurrent.futures
import json

import jsonschema
import pytest

from client import post, prove, serving, sse, user
from conftest import needs_decoder
from schemas import schemas
from upstream import answer
from upstream import stream as stream_of

pytestmark = needs_decoder
FRESH = [("x-ibid-cache", "no-cache, no-store")]
CAT = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 30}, "colours": {"type": "array",
       "items": {"enum": ["black", "white", "ginger"]}, "maxItems": 3}}, "required": ["name", "age", "colours"], "additionalProperties": False}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("structured"), upstream=False, local=True) as both:
        yield both[0]


def by_schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def ask(ibid, schema, text="Describe a cat as JSON.", **fields):
    return post(ibid, user(text, response_format=by_schema(schema), **fields), FRESH)


def check(schema, text):
    v = json.loads(text)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(v)
    return v


def test_an_answer_is_valid_of_its_schema(alone):
    before = alone.metric("ibid_local_schema_answers_total")
    for fields in ({}, {"temperature": 1, "seed": 7}, {"temperature": 2, "top_p": 0.5, "seed": 1}):
        r = ask(alone, CAT, max_tokens=200, **fields)
        assert (r.status, r.source) == (200, "local")
        check(CAT, r.text)
    assert alone.metric("ibid_local_schema_answers_total") == before + 3


def test_any_schema(alone):
    """Where the tokens run out the text is ended before: valid, and said to be cut."""
    list_ = list(schemas(40))

    def one(i):
        hot = {"temperature": 1.5, "seed": i} if i % 3 == 0 else {}
        return ask(alone, list_[i], "Fill in the form with facts about a small town.", max_tokens=120, **hot)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for schema, r in zip(list_, pool.map(one, range(len(list_)))):
            assert r.status == 200, (schema, r.body)
            check(schema, r.text)
            assert r.json["choices"][0]["finish_reason"] in ("stop", "length")


def test_an_object_of_any_kind(alone):
    for fields in ({}, {"temperature": 1, "seed": 3}):
        r = post(alone, user("Give me some JSON about Paris.", response_format={"type": "json_object"}, max_tokens=80, **fields), FRESH)
        assert r.status == 200 and isinstance(json.loads(r.text), dict)


def test_a_stream_says_the_same(alone):
    whole = ask(alone, CAT, max_tokens=100)
    events, done = sse(post(alone, user("Describe a cat as JSON.", response_format=by_schema(CAT), max_tokens=120, stream=True), FRESH).body)
    assert done and "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"]) == whole.text


def test_an_answer_is_kept_and_found_again(alone):
    schema = {"type": "object", "properties": {"sky": {"enum": ["blue", "green"]}}, "required": ["sky"]}
    body = user("Which colour has the sky? Answer as JSON.", response_format=by_schema(schema))
    first, again = post(alone, body), post(alone, body)
    assert (first.source, again.source) == ("local", "exact") and first.text == again.text and first.json["choices"][0]["finish_reason"] == "stop"
    # Another form is another question.
    assert post(alone, user("Which colour has the sky? Answer as JSON.", response_format={"type": "json_object"}, max_tokens=60)).source == "local"


def test_too_few_tokens_for_any_text_are_a_cut_one(alone):
    r = ask(alone, CAT, max_tokens=3)
    assert r.status == 200 and r.json["choices"][0]["finish_reason"] == "length" and r.json["usage"]["completion_tokens"] == 3


def test_other_dialects_ask_for_it_too(alone):
    def text(path, body, *where):
        v = alone.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **dict(FRESH)}).json
        for k in where:
            v = v[k]
        return v
    cat = [{"role": "user", "content": "Describe a cat as JSON."}]
    check(CAT, text("/api/chat", {"model": "any", "messages": cat, "format": CAT, "stream": False}, "message", "content"))
    check(CAT, text("/api/generate", {"model": "any", "prompt": "Describe a cat as JSON.", "format": CAT, "stream": False}, "response"))
    assert isinstance(json.loads(text("/api/generate", {"model": "any", "prompt": "A cat.", "format": "json", "stream": False, "options": {"num_predict": 60}}, "response")), dict)
    check(CAT, text("/v1/responses", {"model": "any", "input": "Describe a cat as JSON.", "text": {"format": {"type": "json_schema", "name": "cat", "schema": CAT}}}, "output", 0, "content", 0, "text"))
    check(CAT, text("/v1/messages", {"model": "any", "max_tokens": 200, "messages": cat, "output_config": {"format": {"type": "json_schema", "schema": CAT}}}, "content", 0, "text"))


@pytest.mark.parametrize("schema, named", [
    ({"type": "array", "uniqueItems": True}, "uniqueItems"), ({"type": "string", "pattern": "(?<!a)b"}, "pattern"), ({"type": "object", "properties": {"a": {"if": {}}}}, "#/properties/a"),
    ({"type": "integer", "minimum": 2, "maximum": 1}, "bounds"), ({"$ref": "#/$defs/none"}, "$ref"), ([], "schema")], ids=str)
def test_what_it_cannot_write_by_is_named(alone, schema, named):
    r = ask(alone, schema)
    assert (r.status, r.json["error"]["code"]) == (400, "unsupported_by_local_model") and named in r.json["error"]["message"]


@pytest.mark.parametrize("form", [{"type": "grammar"}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {"name": "x"}}], ids=str)
def test_another_form_is_refused(alone, form):
    r = post(alone, user("x", response_format=form))
    assert (r.status, r.json["error"]["code"]) == (400, "unsupported_by_local_model")


def test_pydantic_models_through_the_sdk(alone):
    import typing

    import openai
    import pydantic

    class Address(pydantic.BaseModel):
        street: str = pydantic.Field(max_length=30)
        number: int = pydantic.Field(ge=1, le=999)

    class Person(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=20)
        mood: typing.Literal["glad", "sad"]
        home: typing.Optional[Address]

    c = openai.OpenAI(base_url=f"http://127.0.0.1:{alone.port}/v1", api_key="sk-x")
    r = c.chat.completions.parse(model="any", messages=[{"role": "user", "content": "Invent a person."}], response_format=Person, extra_headers={"x-ibid-cache": "no-store"})
    assert isinstance(r.choices[0].message.parsed, Person)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("form, said, kept", [
    (by_schema(CAT), '{"name": "Tom", "age": 3, "colours": []}', True),
    (by_schema(CAT), '{"name": "Tom", "age": 31, "colours": []}', False),
    (by_schema(CAT), 'Here it is: {"name": "Tom"}', False),
    (by_schema({"type": "string", "pattern": "^a"}), '"b"', True),  # not judged
    ({"type": "json_object"}, "{}", True), ({"type": "json_object"}, "{", False),
    ({"type": "text"}, "{", True),
], ids=["valid", "too old", "prose", "open", "object", "no object", "text"])
def test_what_an_upstream_says_is_kept_if_it_has_the_form(tmp_path, stream, form, said, kept):
    """Its client has it either way."""
    with serving(tmp_path) as (ibid, up):
        prove(ibid)
        up.default = lambda r: (stream_of if r.json.get("stream") else answer)(said)
        body = user("Describe a cat as JSON.", response_format=form, stream=stream)
        first, again = post(ibid, body), post(ibid, body)
        assert (first.source, again.source) == ("upstream", "exact" if kept else "upstream")
        assert ("".join(e["choices"][0]["delta"].get("content") or "" for e in sse(again.body)[0] if e["choices"]) if stream else again.text) == said
        assert ibid.metric('ibid_cache_unstored_total{reason="wrong_form"}') == (0 if kept else 2)
