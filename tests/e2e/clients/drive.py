"""Runs clients for tests: a job a line on stdin, as JSON; what the client made of the answer a line on
stdout. Runs in the virtual environment of the clients, so it uses nothing of the tests.

A job: client, mode (text, tools, structured, cancel), stream, url (without /v1), key, model, question,
timeout_s, retries, max_tokens, forced (a tool must be called). An answer: {"value": ...} or {"error": {"name", "status", "message"}}."""
import functools
import gc
import importlib
import json
import operator
import os
import sys
import warnings

os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LANGCHAIN_TRACING_V2="false", DO_NOT_TRACK="1")
warnings.simplefilter("ignore")

import pydantic


class City(pydantic.BaseModel):
    city: str


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"name": "weather", "description": "The weather of a city.", "parameters": PARAMETERS, "strict": True}
TOOL = {"type": "function", "function": WEATHER}
CLIENTS = {}


def client(name):
    def keep(run):
        CLIENTS[name] = run
        return run
    return keep


def user(job):
    return [{"role": "user", "content": job["question"]}]


def forced(job, choice="required"):
    """As the built-in model wants it: left to itself it calls nothing."""
    return {"tool_choice": choice} if job["forced"] else {}


def first(parts):
    """The first piece of a stream that is left after it; one that cannot be closed goes with its last reference."""
    parts = getattr(parts, "completion_stream", parts)  # LiteLLM's wrapper has no close() of its own
    parts = iter(parts)
    value = plain(next(parts))
    getattr(parts, "close", lambda: None)()
    return value


def plain(value):
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


@functools.cache
def made_once(module, name, **fields):
    return getattr(importlib.import_module(module), name)(**fields)


# --- official SDKs --------------------------------------------------------------------------------------

def openai_client(job):
    return made_once("openai", "OpenAI", base_url=job["url"] + "/v1", api_key=job["key"], timeout=job["timeout_s"], max_retries=job["retries"])


def azure_client(job):
    return made_once("openai", "AzureOpenAI", azure_endpoint=job["url"], api_key=job["key"], api_version="2026-01-01", timeout=job["timeout_s"], max_retries=job["retries"])


def beta(chat, name):
    """A helper, or where it was before it left beta; the first versions have none."""
    places = (chat.chat.completions, getattr(getattr(getattr(chat, "beta", None), "chat", None), "completions", None))
    return next((getattr(p, name) for p in places if hasattr(p, name)), None)


def by_hand(job, c, fields):
    """What programs did before there were helpers, and fields for all: deltas are added up."""
    schema = {"type": "json_schema", "json_schema": {"name": "City", "schema": PARAMETERS}}
    fields["extra_body"] = {"tools": {"tools": [TOOL], **forced(job)}, "structured": {"response_format": schema}}.get(job["mode"])
    if not job["stream"]:
        return plain(c.chat.completions.create(**fields))
    out, said, calls = {}, "", {}
    for part in map(plain, c.chat.completions.create(**fields, stream=True)):
        for choice in part.pop("choices"):
            said += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                calls.setdefault(call["index"], {"name": "", "arguments": ""})
                for name in ("name", "arguments"):
                    calls[call["index"]][name] += call["function"].get(name) or ""
            out["finish"] = choice["finish_reason"]
        out.update(part)
    return {**out, "content": said, "calls": calls}


def final(helper, get):
    """What a streaming helper made of the whole stream."""
    with helper as s:
        for _ in s:
            pass
        return plain(getattr(s, get)())


@client("openai.azure")
def openai_azure(job):
    return openai_chat(job, azure_client)


@client("openai.chat")
def openai_chat(job, made=openai_client):
    c = made(job)
    fields = {"model": job["model"], "messages": user(job), "max_tokens": job["max_tokens"]}
    if job["mode"] == "cancel":
        return first(c.chat.completions.create(**fields, stream=True))
    if beta(c, "stream") is None:
        return by_hand(job, c, fields)
    fields.update({"tools": {"tools": [TOOL], **forced(job)}, "structured": {"response_format": City}}.get(job["mode"], {}))
    if job["stream"]:
        return final(beta(c, "stream")(**fields, stream_options={"include_usage": True}), "get_final_completion")
    return plain(beta(c, "parse")(**fields) if job["mode"] == "structured" else c.chat.completions.create(**fields))


@client("openai.responses")
def openai_responses(job):
    c = openai_client(job)
    fields = {"model": job["model"], "input": job["question"], "max_output_tokens": job["max_tokens"]}
    if job["mode"] == "cancel":
        return first(c.responses.create(**fields, stream=True))
    fields.update({"tools": {"tools": [{"type": "function", **WEATHER}], **forced(job)}, "structured": {"text_format": City}}.get(job["mode"], {}))
    if job["stream"]:
        return final(c.responses.stream(**fields), "get_final_response")
    return plain(c.responses.parse(**fields) if job["mode"] == "structured" else c.responses.create(**fields))


@client("anthropic")
def anthropic_messages(job):
    c = made_once("anthropic", "Anthropic", base_url=job["url"], api_key=job["key"], timeout=job["timeout_s"], max_retries=job["retries"])
    fields = {"model": job["model"], "messages": user(job), "max_tokens": job["max_tokens"]}
    if job["mode"] == "cancel":
        return first(c.messages.create(**fields, stream=True))
    tool = {"name": "weather", "description": "Of a city.", "input_schema": PARAMETERS}
    fields.update({"tools": {"tools": [tool], **forced(job, {"type": "any"})}, "structured": {"output_format": City}}.get(job["mode"], {}))
    if job["stream"]:
        return final(c.messages.stream(**fields), "get_final_message")
    return plain(c.messages.parse(**fields) if job["mode"] == "structured" else c.messages.create(**fields))


def joined(parts):
    """The lines of an Ollama stream as the answer that would have come whole."""
    out, said = {}, {"content": "", "thinking": "", "tool_calls": []}
    for p in map(plain, parts):
        for name in said:
            said[name] += p["message"].get(name) or type(said[name])()
        out = p
    return {**out, "message": {**out["message"], **said}}


@functools.cache
def ollama_client(url, key, timeout_s):
    import ollama
    return ollama.Client(host=url, headers={"authorization": "Bearer " + key}, timeout=timeout_s)


@client("ollama")
def ollama_chat(job):
    c = ollama_client(job["url"], job["key"], job["timeout_s"])
    fields = {"model": job["model"], "messages": user(job), "options": {"num_predict": job["max_tokens"]}}
    if job["mode"] == "cancel":
        return first(c.chat(**fields, stream=True))
    fields.update({"tools": {"tools": [TOOL]}, "structured": {"format": PARAMETERS}}.get(job["mode"], {}))
    answer = joined(c.chat(**fields, stream=True)) if job["stream"] else plain(c.chat(**fields))
    return {**answer, "parsed": plain(City.model_validate_json(answer["message"]["content"]))} if job["mode"] == "structured" else answer


def gemini_joined(parts):
    """The pieces of a stream: texts and calls of all, the rest as the last says."""
    said, calls, out = {False: "", True: ""}, [], {}
    for p in map(plain, parts):
        for part in p["candidates"][0]["content"]["parts"] or []:
            said[bool(part["thought"])] += part["text"] or ""
            calls += [part["function_call"]] if part["function_call"] else []
        out = p
    return {**out, "said": said, "calls": calls}


@client("gemini")
def gemini(job):
    from google import genai
    from google.genai import types
    tries = types.HttpRetryOptions(attempts=job["retries"] + 1, initial_delay=0.01, max_delay=0.02)
    http = types.HttpOptions(base_url=job["url"], timeout=int(job["timeout_s"] * 1000), retry_options=tries)
    client = genai.Client(api_key=job["key"], http_options=http)  # closes with its last reference
    c = client.models
    config = {"max_output_tokens": job["max_tokens"]}
    tool = types.Tool(function_declarations=[{"name": "weather", "description": "Of a city.", "parameters_json_schema": PARAMETERS}])
    config.update({"tools": {"tools": [tool]}, "structured": {"response_mime_type": "application/json", "response_schema": City}}.get(job["mode"], {}))
    fields = {"model": job["model"], "contents": job["question"], "config": types.GenerateContentConfig(**config)}
    if job["mode"] == "cancel":
        return first(c.generate_content_stream(**fields))
    if job["stream"]:
        return gemini_joined(c.generate_content_stream(**fields))
    answer = c.generate_content(**fields)
    return {**plain(answer), "parsed": plain(answer.parsed)}


# --- frameworks -----------------------------------------------------------------------------------------

def total(parts):
    return functools.reduce(operator.add, parts)


@client("langchain")
def langchain(job):
    from langchain_openai import ChatOpenAI
    c = ChatOpenAI(base_url=job["url"] + "/v1", api_key=job["key"], model=job["model"], timeout=job["timeout_s"], max_retries=job["retries"],
                   max_tokens=job["max_tokens"], stream_usage=True, use_responses_api=False)
    if job["mode"] == "tools":
        c = c.bind_tools([TOOL], **forced(job))
    if job["mode"] == "structured":
        c = c.with_structured_output(City, method="json_schema", include_raw=True)
        return {name: plain(v) for name, v in (total(c.stream(job["question"])) if job["stream"] else c.invoke(job["question"])).items()}
    if job["mode"] == "cancel":
        return first(c.stream(job["question"]))
    return plain(total(c.stream(job["question"])) if job["stream"] else c.invoke(job["question"]))


@client("llamaindex")
def llamaindex(job):
    from llama_index.core.llms import ChatMessage
    from llama_index.core.prompts import PromptTemplate
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai import OpenAI
    c = OpenAI(api_base=job["url"] + "/v1", api_key=job["key"], model=job["model"], timeout=job["timeout_s"], max_retries=job["retries"], max_tokens=job["max_tokens"])
    messages = [ChatMessage(role="user", content=job["question"])]

    def weather(city: str) -> str:
        """The weather of a city."""
        return city

    def whole(answer):
        return {"message": plain(answer.message), "raw": plain(answer.raw)}
    if job["mode"] == "tools":
        if job["stream"]:
            *_, last = c.stream_chat_with_tools([FunctionTool.from_defaults(weather)], chat_history=messages, tool_required=job["forced"])
            return plain(last.message)
        return whole(c.chat_with_tools([FunctionTool.from_defaults(weather)], chat_history=messages, tool_required=job["forced"]))
    if job["mode"] == "structured":
        if job["stream"]:
            *_, last = c.stream_structured_predict(City, PromptTemplate(job["question"]))
            return plain(last)
        return plain(c.structured_predict(City, PromptTemplate(job["question"])))
    if job["mode"] == "cancel":
        return first(part.message for part in c.stream_chat(messages))
    if job["stream"]:
        *_, last = c.stream_chat(messages)
        return plain(last.message)
    return whole(c.chat(messages))


@client("instructor")
def with_instructor(job):
    import instructor
    mode = instructor.Mode.TOOLS if job["mode"] == "tools" else instructor.Mode.JSON_SCHEMA
    fields = {"response_model": City, "model": job["model"], "messages": user(job), "max_tokens": job["max_tokens"], "max_retries": 0}
    raw = openai_client(job)
    c = instructor.from_openai(raw, mode=mode).chat.completions
    if job["stream"]:
        *_, last = c.create_partial(**fields)
        return plain(last)
    if job["mode"] == "cancel":
        return first(c.create_partial(**fields))
    made, answer = c.create_with_completion(**fields)
    return {"made": plain(made), "answer": plain(answer)}


@client("litellm")
def with_litellm(job):
    import litellm
    litellm.suppress_debug_info = True
    fields = {"model": "openai/" + job["model"], "messages": user(job), "max_tokens": job["max_tokens"], "api_base": job["url"] + "/v1", "api_key": job["key"],
              "timeout": job["timeout_s"], "max_retries": job["retries"]}
    if job["mode"] == "cancel":
        return first(litellm.completion(**fields, stream=True))
    fields.update({"tools": {"tools": [TOOL], **forced(job)}, "structured": {"response_format": City}}.get(job["mode"], {}))
    if job["stream"]:
        answer = litellm.stream_chunk_builder(list(litellm.completion(**fields, stream=True, stream_options={"include_usage": True})), messages=user(job))
    else:
        answer = litellm.completion(**fields)
    parsed = {"parsed": plain(City.model_validate_json(answer.choices[0].message.content))} if job["mode"] == "structured" else {}
    return {**plain(answer), **parsed}


def status_of(e):
    """Of the error, or of what it was made of."""
    while e is not None and getattr(e, "status_code", None) is None and not isinstance(getattr(e, "code", None), int):
        e = e.__cause__
    return e and getattr(e, "status_code", None) or getattr(e, "code", None)


def main():
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        job = json.loads(line)
        try:
            result = {"value": CLIENTS[job["client"]](job)}
        except Exception as e:
            result = {"error": {"name": type(e).__name__, "status": status_of(e), "message": str(e)}}
        if job["mode"] == "cancel":
            gc.collect()  # what was left ends
        print(json.dumps(result, default=str), file=out, flush=True)


main()
