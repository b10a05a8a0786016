"""A function that a request wants to be called: the built-in model writes its arguments by their schema."""
import json

import anthropic
import jsonschema
import openai
import pytest

from client import post, serving, sse, user
from conftest import needs_decoder

pytestmark = needs_decoder
FRESH = {"x-ibid-cache": "no-cache, no-store"}
WEATHER = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}, "unit": {"enum": ["celsius", "fahrenheit"]}}, "required": ["city", "unit"], "additionalProperties": False}
# References are within the function's own schema, wherever ibid puts that.
TREE = {"type": "object", "properties": {"root": {"$ref": "#/$defs/node"}}, "required": ["root"], "additionalProperties": False,
        "$defs": {"node": {"type": "object", "properties": {"label": {"type": "string", "maxLength": 8}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2}},
                           "required": ["label", "kids"], "additionalProperties": False}}}
SCHEMAS = {"get_weather": WEATHER, "draw_tree": TREE, "now": {"type": "object", "additionalProperties": False}}
ASKED = "What is the weather in Paris, in celsius?"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("tool_choice"), upstream=False, local=True) as both:
        yield both[0]


def chat_tools(*names):
    return [{"type": "function", "function": {"name": n, "description": f"This is {n}.", **({} if n == "now" else {"parameters": SCHEMAS[n]})}} for n in names]


def check(name, arguments):
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(arguments)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_named_function(alone, name, stream):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{alone.port}/v1", api_key="sk-x", max_retries=0) as c:
        ask = dict(model="m", messages=[{"role": "user", "content": ASKED}], tools=chat_tools(*SCHEMAS), tool_choice={"type": "function", "function": {"name": name}},
                   max_tokens=200, extra_headers=FRESH)
        if stream:
            call, finish = None, None
            for e in c.chat.completions.create(stream=True, **ask):
                for part in e.choices[0].delta.tool_calls or []:
                    call = call or part
                finish = e.choices[0].finish_reason or finish
        else:
            choice = c.chat.completions.create(**ask).choices[0]
            call, finish = choice.message.tool_calls[0], choice.finish_reason
            assert choice.message.content is None and len(choice.message.tool_calls) == 1
    # What branches may run into max_tokens: it is ended then, and said to be cut.
    assert finish == "tool_calls" or (finish == "length" and name == "draw_tree")
    assert (call.type, call.function.name) == ("function", name) and len(call.id) == len("call_") + 24
    check(name, json.loads(call.function.arguments))


def test_any_of_several(alone):
    seen = set()
    for seed in range(6):
        r = post(alone, user(ASKED, tools=chat_tools(*SCHEMAS), tool_choice="required", max_tokens=200, temperature=1.5, seed=seed), list(FRESH.items()))
        assert (r.status, r.source) == (200, "local"), r.body
        call = r.json["choices"][0]["message"]["tool_calls"][0]
        check(call["function"]["name"], json.loads(call["function"]["arguments"]))
        seen.add(call["id"])
    assert len(seen) == 6  # each call has an id of its own


def test_the_model_is_told_of_the_functions(alone):
    """With and without a system text of the request's own."""
    plain = post(alone, user(ASKED, max_tokens=1), list(FRESH.items())).json["usage"]["prompt_tokens"]
    for messages in ([], [{"role": "system", "content": "Be brief."}]):
        r = post(alone, {**user(ASKED), "messages": messages + [{"role": "user", "content": ASKED}], "tools": chat_tools("get_weather"), "tool_choice": "required", "max_tokens": 60}, list(FRESH.items()))
        call = r.json["choices"][0]["message"]["tool_calls"][0]["function"]
        assert json.loads(call["arguments"])["city"] == "Paris" and json.loads(call["arguments"])["unit"] == "celsius"
        assert r.json["usage"]["prompt_tokens"] > plain + 40


def test_anthropic(alone):
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{alone.port}", api_key="sk-x", max_retries=0) as c:
        tools = [{"name": n, "description": f"This is {n}.", "input_schema": SCHEMAS[n]} for n in ("get_weather", "now")]
        for choice in ({"type": "tool", "name": "get_weather"}, {"type": "any"}):
            ask = dict(model="m", max_tokens=200, messages=[{"role": "user", "content": ASKED}], tools=tools, tool_choice=choice, extra_headers=FRESH)
            whole = c.messages.create(**ask)
            with c.messages.stream(**ask) as s:
                streamed = s.get_final_message()
            for m in (whole, streamed):
                use = m.content[0]
                assert (m.stop_reason, use.type, len(m.content)) == ("tool_use", "tool_use", 1) and use.id.startswith("toolu_")
                check(use.name, use.input)
            assert whole.content[0].input == streamed.content[0].input


def test_responses(alone):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{alone.port}/v1", api_key="sk-x", max_retries=0) as c:
        tools = [{"type": "function", "name": n, "parameters": SCHEMAS[n], "strict": True} for n in ("get_weather", "draw_tree")]
        for choice in ({"type": "function", "name": "draw_tree"}, "required"):
            ask = dict(model="m", input=ASKED, tools=tools, tool_choice=choice, max_output_tokens=200, extra_headers=FRESH)
            whole = c.responses.create(**ask)
            with c.responses.create(stream=True, **ask) as s:
                streamed = [e for e in s][-1].response
            for r in (whole, streamed):
                item = r.output[0]
                assert (item.type, len(r.output)) == ("function_call", 1) and item.call_id.startswith("call_")
                check(item.name, json.loads(item.arguments))
            assert whole.output[0].arguments == streamed.output[0].arguments


def test_a_call_that_is_cut_is_valid_still(alone):
    """Its arguments are ended in the shortest way, and it is said to be cut."""
    r = post(alone, user("Draw a large tree.", tools=chat_tools("draw_tree"), tool_choice="required", max_tokens=30, temperature=1.3, seed=5), list(FRESH.items()))
    choice = r.json["choices"][0]
    assert r.status == 200 and choice["finish_reason"] in ("length", "tool_calls")
    check("draw_tree", json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]))


def test_calls_are_kept_only_where_that_is_wanted(tmp_path):
    body = user(ASKED, tools=chat_tools("get_weather"), tool_choice="required", max_tokens=60)
    for wanted in (False, True):
        with serving(tmp_path, upstream=False, local=True, env={"IBID_CACHE_TOOL_CALLS": "exact" if wanted else "off"}) as both:
            first, again = post(both[0], body), post(both[0], body)
            assert (first.source, again.source) == ("local", "exact" if wanted else "local")
            assert first.json["choices"][0]["message"]["tool_calls"][0]["function"] == again.json["choices"][0]["message"]["tool_calls"][0]["function"]
            events, done = sse(post(both[0], {**body, "stream": True}).body)
            calls = [c for e in events for x in e["choices"] for c in x["delta"].get("tool_calls", [])]
            assert done and calls[0]["function"] == first.json["choices"][0]["message"]["tool_calls"][0]["function"]


@pytest.mark.parametrize("more, word", [
    ({"tool_choice": "required"}, "tools must have one"),
    ({"tools": [], "tool_choice": "required"}, "tools must have one"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}], "tool_choice": "required"}, "tools must have one"),
    ({"tools": chat_tools("now"), "tool_choice": {"type": "function", "function": {"name": "later"}}}, "must name one"),
    ({"tools": chat_tools("now"), "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}}, "name a function"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"not": {}}}}}}], "tool_choice": "required"}, "'not'"),
], ids=["none", "empty", "custom", "unknown", "allowed", "schema"])
def test_what_can_not_be_called_is_refused_by_name(alone, more, word):
    r = post(alone, user(ASKED, **more))
    assert (r.status, r.json["error"]["code"]) == (400, "unsupported_by_local_model") and word in r.json["error"]["message"], r.body
