"""Streams of every dialect with every kind of event, in every spelling that the wire allows, and what they
say in all, so that two of them can be compared. The reading here is the tests' own."""
import gzip
import json
import pathlib
import zlib

import brotli
import zstandard

import dialects
from dialects import sse

STREAMS = pathlib.Path(__file__).resolve().parents[1] / "unit/streams"
ASKED = [{"role": "user", "content": "Cats?"}]
CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}

# Where a dialect is asked, and what for.
ROUTES = {
    "chat": ("/v1/chat/completions", {"messages": ASKED, "stream": True, "stream_options": {"include_usage": True}}),
    "completions": ("/v1/completions", {"prompt": ["a", "b"], "stream": True, "stream_options": {"include_usage": True}}),
    "responses": ("/v1/responses", {"input": ASKED, "stream": True}),
    "messages": ("/v1/messages", {"messages": ASKED, "max_tokens": 99, "stream": True}),
    "ollama": ("/api/chat", {"messages": ASKED}),
    "generate": ("/api/generate", {"prompt": "Cats?"}),
    "gemini": ("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": "Cats?"}]}]}),
}
RECORDED = {
    "openai_chat.sse": "chat", "openai_chat_tool.sse": "chat", "openai_completions.sse": "completions", "openai_responses.sse": "responses",
    "openai_responses_call.sse": "responses", "anthropic_messages.sse": "messages", "anthropic_tool_use.sse": "messages",
    "ollama_chat.ndjson": "ollama", "ollama_chat_tool.ndjson": "ollama", "ollama_generate.ndjson": "generate", "gemini_stream.sse": "gemini",
}
SAID = "Cats \u4e2d purr,\n\"all\" of \\ them \U0001f431. "


# --- made -----------------------------------------------------------------------------------------------

def chat_kinds():
    """Log-probabilities, a refusal field, annotations, audio's absence, unknown fields, and an empty choice before all."""
    head = {"id": "chatcmpl-u", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    out = [{**head, "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}]
    deltas = [{"role": "assistant", "content": "", "refusal": None}, {"reasoning": "Hm, ", "reasoning_details": [{"type": "reasoning.text", "text": "Hm, "}]}, {"reasoning": "cats."},
              *[{"content": x} for x in dialects.pieces(SAID)], {"annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.example"}}]}, {"provider": {"a": [1, None]}}]
    for n, d in enumerate(deltas):
        token = {"content": [{"token": d["content"], "logprob": -0.5, "bytes": [65], "top_logprobs": []}], "refusal": None} if d.get("content") else None
        out.append({**head, "obfuscation": "x" * n, "choices": [{"index": 0, "delta": d, "logprobs": token, "finish_reason": None}]})
    out.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": None, "content_filter_results": {"hate": {"filtered": False}}}]})
    out.append({**head, "choices": [], "usage": dialects.CHAT_USAGE})
    return sse(out, named=False) + b"data: [DONE]\n\n"


def responses_kinds():
    """Every kind of item, with the events of its own."""
    items = [
        {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}], "encrypted_content": "e"},
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["cats"], "results": [{"file_id": "f", "text": "t", "score": 0.5}]},
        {"id": "ci_1", "type": "code_interpreter_call", "status": "completed", "container_id": "c", "code": "1 + 1", "outputs": [{"type": "logs", "logs": "2"}]},
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgo="},
        {"id": "ml_1", "type": "mcp_list_tools", "server_label": "s", "tools": [], "error": None},
        {"id": "mc_1", "type": "mcp_call", "name": "n", "server_label": "s", "arguments": "{}", "output": "o", "error": None},
        {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "shell", "input": "ls -l", "status": "completed"},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "phase": "final", "content": [
            {"type": "output_text", "text": SAID, "annotations": [{"type": "file_citation", "file_id": "f", "index": 1, "filename": "x"}], "logprobs": [{"token": "C", "logprob": -0.5, "bytes": [67], "top_logprobs": []}]}]},
    ]
    steps = {"file_search_call": ("in_progress", "searching", "completed"), "code_interpreter_call": ("in_progress", "interpreting", "completed"),
             "image_generation_call": ("in_progress", "generating", "completed"), "mcp_list_tools": ("in_progress", "completed"), "mcp_call": ("in_progress", "completed")}
    begun = {**dialects.RESPONSE, "status": "queued", "output": [], "usage": None}
    out = [{"type": f"response.{k}", "response": begun} for k in ("created", "queued", "in_progress")]
    for n, item in enumerate(items):
        place = {"item_id": item["id"], "output_index": n}
        out.append({"type": "response.output_item.added", "output_index": n, "item": {**item, **{k: v for k, v in (("content", []), ("input", ""), ("code", "")) if k in item}}})
        out += [{"type": f"response.{item['type']}.{k}", **place} for k in steps.get(item["type"], ())]
        out += {
            "reasoning": [{"type": "response.reasoning_text.delta", **place, "content_index": 0, "delta": "Hm."}, {"type": "response.reasoning_text.done", **place, "content_index": 0, "text": "Hm."}],
            "code_interpreter_call": [{"type": "response.code_interpreter_call_code.delta", **place, "delta": "1 + 1"}, {"type": "response.code_interpreter_call_code.done", **place, "code": "1 + 1"}],
            "image_generation_call": [{"type": "response.image_generation_call.partial_image", **place, "partial_image_index": 0, "partial_image_b64": "iVBO"}],
            "mcp_call": [{"type": "response.mcp_call_arguments.delta", **place, "delta": "{}"}, {"type": "response.mcp_call_arguments.done", **place, "arguments": "{}"}],
            "custom_tool_call": [{"type": "response.custom_tool_call_input.delta", **place, "delta": x} for x in ("ls ", "-l")] + [{"type": "response.custom_tool_call_input.done", **place, "input": "ls -l"}],
            "message": [{"type": "response.output_text.delta", **place, "content_index": 0, "delta": x, "logprobs": [], "obfuscation": "xx"} for x in dialects.pieces(SAID)],
        }.get(item["type"], [])
        out.append({"type": "response.output_item.done", "output_index": n, "item": item})
    out.append({"type": "response.completed", "response": {**dialects.RESPONSE, "output": items, "usage": dialects.RESPONSE_USAGE}})
    return sse([{**e, "sequence_number": n} for n, e in enumerate(out)])


def streams():
    """(name, dialect, bytes)"""
    for file, dialect in RECORDED.items():
        yield file, dialect, (STREAMS / file).read_bytes()
    for dialect, made in (("chat", dialects.chat_stream), ("responses", dialects.responses_stream), ("messages", dialects.messages_stream), ("ollama", dialects.ollama_stream)):
        yield f"{dialect}, text", dialect, made(SAID, usage=True)
        yield f"{dialect}, call", dialect, made(SAID, call="weather", usage=True)
    yield "chat, kinds", "chat", chat_kinds()
    yield "responses, kinds", "responses", responses_kinds()


# --- spelled otherwise ----------------------------------------------------------------------------------

def events_of(data):
    return [e for e in data.split(b"\n\n") if e]


def joined(events):
    return b"".join(e + b"\n\n" for e in events)


def apart(event):
    """Its data on two lines, which is one line break more in it."""
    return event.replace(b"data: {", b"data: {\ndata:  ", 1)


SSE = {
    "lf": lambda d: d,
    "crlf": lambda d: d.replace(b"\n", b"\r\n"),
    "cr": lambda d: d.replace(b"\n", b"\r"),
    "mixed ends": lambda d: b"".join(e.replace(b"\n", end) + 2 * end for e, end in zip(events_of(d), [b"\r\n", b"\r", b"\n"] * 1000)),
    "comments": lambda d: b": begin\n\n" + b"".join(b": keep-alive\n\n:\n" + e + b"\n:\n\n" for e in events_of(d)),
    "ids and retries": lambda d: b"retry: 100\n\n" + b"".join(b"id: %d\n" % n + e + b"\nretry: 7\nunknown: x\n\n" for n, e in enumerate(events_of(d))),
    "no space": lambda d: d.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
    "data on two lines": lambda d: joined(apart(e) for e in events_of(d)),
    "name behind data": lambda d: joined(b"\n".join(sorted(e.split(b"\n"))) for e in events_of(d)),
    "byte order mark": lambda d: b"\xef\xbb\xbf" + d,
    "blank lines": lambda d: b"\n\n" + d.replace(b"\n\n", b"\n\n\n\n"),
}
LINES = {
    "lf": SSE["lf"], "crlf": SSE["crlf"],
    "spaces": lambda d: d.replace(b"\n", b" \n").replace(b'{"model"', b' {"model"'),
    "blank lines": lambda d: d.replace(b"\n", b"\n\n"),
}


def spellings(dialect):
    return LINES if dialect in ("ollama", "generate") else SSE


# --- what they say --------------------------------------------------------------------------------------

def parsed(dialect, data):
    """The JSON of each event; of bytes with LF alone."""
    if dialect in ("ollama", "generate"):
        return [json.loads(line) for line in data.decode().split("\n") if line.strip()]
    lines = [line for line in data.decode().split("\n") if line.startswith("data:")]
    return [json.loads(line[5:]) for line in lines if line[5:].strip() != "[DONE]"]


def add(total, name, value):
    """A piece of a member: texts and lists grow, members of members too, of anything else the last counts."""
    old = total.get(name)
    if value is None and old is not None:
        return
    if isinstance(value, dict) and isinstance(old, dict):
        for k, v in value.items():
            add(old, k, v)
    elif isinstance(value, (str, list)) and isinstance(old, type(value)) and name not in ("role", "type", "id", "name", "finish_reason"):
        total[name] = old + value
    else:
        total[name] = json.loads(json.dumps(value))


def filled(value):
    """Without what says nothing: null, and what is empty."""
    if isinstance(value, dict):
        return {k: f for k, v in value.items() if (f := filled(v)) not in (None, "", [], {})}
    return [filled(v) for v in value] if isinstance(value, list) else value


def choices(events):
    out = {"choices": {}}
    for e in events:
        for k, v in e.items():
            if k not in ("id", "created", "choices", "obfuscation", "object"):
                out[k] = v if v is not None else out.get(k)
        for c in e["choices"]:
            mine = out["choices"].setdefault(c["index"], {"calls": {}})
            for k, v in c.items():
                if k == "delta":
                    for call in v.pop("tool_calls", None) or []:
                        add(mine["calls"], call["index"], call)
                add(mine, k, v)
    return out


def blocks(events):
    out = {}
    for e in events:
        if e["type"] == "message_start":
            out = {**e["message"], "content": {}}
        elif e["type"] == "content_block_start":
            out["content"][e["index"]] = {**e["content_block"], "json": ""}
        elif e["type"] == "content_block_delta":
            d, block = e["delta"], out["content"][e["index"]]
            add(block, "json", d.get("partial_json", ""))
            block.setdefault("citations", [])
            block["citations"] += [d["citation"]] if "citation" in d else []
            for k in ("text", "thinking", "signature"):
                if k in d:
                    add(block, k, d[k])
        elif e["type"] == "message_delta":
            out.update(e["delta"])
            out["usage"].update(e["usage"])
    for block in out["content"].values():
        said = block.pop("json")
        block.update({"input": json.loads(said)} if said else {})
    out.pop("id")
    return out


def response(events):
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    last = events[-1]["response"]
    return {k: v for k, v in last.items() if k not in ("id", "created_at")}


def lines(events):
    out = {}
    for e in events:
        for k, v in e.items():
            if k in ("message", "response", "thinking"):
                add(out, k, v)
            elif k != "created_at":
                out[k] = v
    return out


def contents(events):
    out, parts = {}, []
    for e in events:
        for k, v in e.items():
            if k != "candidates":
                out[k] = v
        for c in e["candidates"]:
            parts += c["content"]["parts"]
            out.update({k: v for k, v in c.items() if k != "content"})
    out["said"] = ["".join(p["text"] for p in parts if p.get("thought")), "".join(p["text"] for p in parts if not p.get("thought"))]
    out.pop("responseId")
    return out


FOLDS = {"chat": choices, "completions": choices, "responses": response, "messages": blocks, "ollama": lines, "generate": lines, "gemini": contents}


def said(dialect, data):
    return filled(FOLDS[dialect](parsed(dialect, data)))
