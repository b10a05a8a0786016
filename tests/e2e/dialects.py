"""What the APIs say, by dialect: answers with all that is usual in them, whole and as a stream, of any
text or call of a tool. `reply` is a behaviour of the upstream that answers in the dialect it is asked in."""
import json

from upstream import Reply

ARGUMENTS = {"city": "Oslo"}
DEEP = "Hm, let me see."  # what a model thinks before it speaks
USAGE = (12, 7)


def pieces(text):
    words = [w + " " for w in text.split(" ")]
    return [*words[:-1], words[-1].rstrip(" ")]


def sse(events, named=True):
    return b"".join((f"event: {e['type']}\n" if named else "").encode() + b"data: " + json.dumps(e).encode() + b"\n\n" for e in events)


# --- OpenAI chat ----------------------------------------------------------------------------------------

CHAT_HEAD = {"id": "chatcmpl-upstream", "created": 1700000000, "model": "m-2026-01-31", "service_tier": "default", "system_fingerprint": "fp_1"}
CHAT_USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19, "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
              "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}


def chat_call(name):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(ARGUMENTS)}}


def chat_whole(text, call=None):
    message = {"role": "assistant", "content": None if call else text, "refusal": None, "annotations": []}
    message.update({"tool_calls": [chat_call(call)]} if call else {"reasoning_content": DEEP})
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if call else "stop"}
    return {**CHAT_HEAD, "object": "chat.completion", "choices": [choice], "usage": CHAT_USAGE}


def chat_stream(text, call=None, usage=False):
    deltas = [{"role": "assistant", "content": None if call else "", "refusal": None}]
    if call:
        whole = chat_call(call)
        said = whole["function"]["arguments"]
        deltas.append({"tool_calls": [{"index": 0, **whole, "function": {"name": call, "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": x}}]} for x in (said[:5], said[5:])]
    else:
        deltas += [{"reasoning_content": x} for x in pieces(DEEP)] + [{"content": x} for x in pieces(text)]
    head = {**CHAT_HEAD, "object": "chat.completion.chunk"}
    last = {"usage": None} if usage else {}
    out = [{**head, "choices": [{"index": 0, "delta": d, "logprobs": None, "finish_reason": None}], **last} for d in deltas]
    out.append({**head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls" if call else "stop"}], **last})
    out += [{**head, "choices": [], "usage": CHAT_USAGE}] if usage else []
    return sse(out, named=False) + b"data: [DONE]\n\n"


# --- OpenAI responses -----------------------------------------------------------------------------------

RESPONSE = {"id": "resp_upstream", "object": "response", "created_at": 1700000000, "status": "completed", "background": False, "error": None,
            "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": "m-2026-01-31", "parallel_tool_calls": True,
            "previous_response_id": None, "reasoning": {"effort": "low", "summary": None}, "store": False, "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled", "user": None, "metadata": {}}
RESPONSE_USAGE = {"input_tokens": 12, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 19}


def responses_items(text, call=None):
    if call:
        return [{"id": "fc_1", "type": "function_call", "status": "completed", "name": call, "call_id": "call_1", "arguments": json.dumps(ARGUMENTS)}]
    return [{"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": DEEP}]},
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}]


def responses_whole(text, call=None):
    return {**RESPONSE, "output": responses_items(text, call), "usage": RESPONSE_USAGE}


def responses_stream(text, call=None, usage=False):
    begun = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    out = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for n, item in enumerate(responses_items(text, call)):
        out += item_events(n, item)
    out.append({"type": "response.completed", "response": responses_whole(text, call)})
    return sse([{**e, "sequence_number": n} for n, e in enumerate(out)])


def item_events(n, item):
    place = {"item_id": item["id"], "output_index": n}
    empty = {**item, **{k: v for k, v in (("summary", []), ("content", []), ("arguments", "")) if k in item}}
    out = [{"type": "response.output_item.added", "output_index": n, "item": {**empty, **({"status": "in_progress"} if "status" in item else {})}}]
    if item["type"] == "reasoning":
        out.append({"type": "response.reasoning_summary_part.added", **place, "summary_index": 0, "part": {"type": "summary_text", "text": ""}})
        out += [{"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": x} for x in pieces(DEEP)]
        out.append({"type": "response.reasoning_summary_text.done", **place, "summary_index": 0, "text": DEEP})
        out.append({"type": "response.reasoning_summary_part.done", **place, "summary_index": 0, "part": item["summary"][0]})
    elif item["type"] == "message":
        place["content_index"] = 0
        text = item["content"][0]["text"]
        out.append({"type": "response.content_part.added", **place, "part": {**item["content"][0], "text": ""}})
        out += [{"type": "response.output_text.delta", **place, "delta": x, "logprobs": []} for x in pieces(text)]
        out.append({"type": "response.output_text.done", **place, "text": text, "logprobs": []})
        out.append({"type": "response.content_part.done", **place, "part": item["content"][0]})
    else:
        said = item["arguments"]
        out += [{"type": "response.function_call_arguments.delta", **place, "delta": x} for x in (said[:5], said[5:])]
        out.append({"type": "response.function_call_arguments.done", **place, "name": item["name"], "arguments": said})
    return [*out, {"type": "response.output_item.done", "output_index": n, "item": item}]


# --- Anthropic messages ---------------------------------------------------------------------------------

MESSAGE = {"id": "msg_01Upstream", "type": "message", "role": "assistant", "model": "m-2026-01-31", "stop_sequence": None}
MESSAGE_USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "service_tier": "standard"}


def messages_blocks(text, call=None):
    if call:
        return [{"type": "tool_use", "id": "toolu_1", "name": call, "input": ARGUMENTS}]
    return [{"type": "thinking", "thinking": DEEP, "signature": "EqQBCg=="}, {"type": "text", "text": text}]


def messages_whole(text, call=None):
    return {**MESSAGE, "content": messages_blocks(text, call), "stop_reason": "tool_use" if call else "end_turn", "usage": {**MESSAGE_USAGE, "output_tokens": 7}}


def messages_stream(text, call=None, usage=False):
    out = [{"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {**MESSAGE_USAGE, "output_tokens": 1}}}]
    for n, block in enumerate(messages_blocks(text, call)):
        out += block_events(n, block)
    out.append({"type": "message_delta", "delta": {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}})
    return sse([*out, {"type": "message_stop"}])


def block_events(n, block):
    if block["type"] == "thinking":
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": x} for x in pieces(DEEP)] + [{"type": "signature_delta", "signature": block["signature"]}]
    elif block["type"] == "text":
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": x} for x in pieces(block["text"])]
    else:
        empty, said = {**block, "input": {}}, json.dumps(block["input"])
        deltas = [{"type": "input_json_delta", "partial_json": x} for x in ("", said[:5], said[5:])]
    return [{"type": "content_block_start", "index": n, "content_block": empty}, *([{"type": "ping"}] if n == 0 else []),
            *[{"type": "content_block_delta", "index": n, "delta": d} for d in deltas], {"type": "content_block_stop", "index": n}]


# --- Ollama chat ----------------------------------------------------------------------------------------

OLLAMA = {"model": "m", "created_at": "2026-01-31T12:00:00.123456Z"}
OLLAMA_END = {"done": True, "done_reason": "stop", "total_duration": 5, "load_duration": 1, "prompt_eval_count": 12, "prompt_eval_duration": 2, "eval_count": 7, "eval_duration": 2}


def ollama_said(text, call=None):
    return {"content": "", "tool_calls": [{"function": {"name": call, "arguments": ARGUMENTS}}]} if call else {"content": text, "thinking": DEEP}


def ollama_whole(text, call=None):
    return {**OLLAMA, "message": {"role": "assistant", **ollama_said(text, call)}, **OLLAMA_END}


def ollama_stream(text, call=None, usage=False):
    said = [ollama_said(text, call)] if call else [*[{"content": "", "thinking": x} for x in pieces(DEEP)], *[{"content": x} for x in pieces(text)]]
    out = [{**OLLAMA, "message": {"role": "assistant", **m}, "done": False} for m in said]
    out.append({**OLLAMA, "message": {"role": "assistant", "content": ""}, **OLLAMA_END})
    return b"".join(json.dumps(e).encode() + b"\n" for e in out)


# --- Gemini ---------------------------------------------------------------------------------------------

GEMINI = {"modelVersion": "m-2026-01-31", "responseId": "upstreamupstreamupstre"}
GEMINI_USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 7, "totalTokenCount": 22, "thoughtsTokenCount": 3}


def gemini_answer(parts, last=True):
    end = {"finishReason": "STOP"} if last else {}
    return {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **end}], **GEMINI, "usageMetadata": GEMINI_USAGE}


def gemini_parts(text, call=None):
    if call:
        return [{"functionCall": {"name": call, "args": ARGUMENTS}, "thoughtSignature": "EqQBCg=="}]
    return [{"text": DEEP, "thought": True}, {"text": text}]


def gemini_whole(text, call=None):
    return gemini_answer(gemini_parts(text, call))


def gemini_stream(text, call=None, usage=False):
    parts = gemini_parts(text, call) if call else [*[{"text": x, "thought": True} for x in pieces(DEEP)], *[{"text": x} for x in pieces(text)]]
    return sse([gemini_answer([p], last=p is parts[-1]) for p in parts], named=False)


# --- all ------------------------------------------------------------------------------------------------

DIALECTS = {
    "/chat/completions": (chat_whole, chat_stream, "text/event-stream"),
    "/responses": (responses_whole, responses_stream, "text/event-stream; charset=utf-8"),
    "/messages": (messages_whole, messages_stream, "text/event-stream; charset=utf-8"),
    "/api/chat": (ollama_whole, ollama_stream, "application/x-ndjson"),
    ":generateContent": (gemini_whole, gemini_stream, "text/event-stream"),
    ":streamGenerateContent": (gemini_whole, gemini_stream, "text/event-stream"),
}


def dialect(path):
    return next(v for k, v in DIALECTS.items() if path.split("?")[0].endswith(k))


def error(path, words):
    """The body of an error."""
    if path == "/api/chat":
        return {"error": words}
    if path == ":generateContent":
        return {"error": {"code": 400, "message": words, "status": "S"}}
    if path == "/messages":
        return {"type": "error", "error": {"type": "api_error", "message": words}}
    return {"error": {"message": words, "type": "t", "param": None, "code": "c"}}


ENDS = (b"data: [DONE]", b'"type": "response.completed"', b'"type": "message_stop"', b'"done": true', b'"finishReason"')


def said_at(body):
    """The first byte of a stream behind which all is said: within the event that ends it."""
    return max(body.find(end) for end in ENDS)


def tool_named(body):
    """The first tool that a request offers, in any dialect's spelling."""
    for tool in body.get("tools") or []:
        return tool.get("function", tool.get("functionDeclarations", [tool])[0])["name"]


def wants_json(body):
    formats = [body.get("response_format"), body.get("output_format"), body.get("output_config", {}).get("format"), body.get("text", {}).get("format")]
    formats.append({"type": body.get("generationConfig", {}).get("responseMimeType", "text")})
    return bool(body.get("format")) or any(f and f["type"] != "text" for f in formats)


def reply(request, text="Paris, number %d.", number=0, made=ARGUMENTS, **kw):
    """`text`, or `made` where JSON is asked for, or a call of a tool where one is offered."""
    body = request.json
    whole, stream, kind = dialect(request.target)
    said = json.dumps(made) if wants_json(body) else text.replace("%d", str(number))
    call = tool_named(body)
    if body.get("stream", "/api/" in request.target or ":stream" in request.target):
        usage = (body.get("stream_options") or {}).get("include_usage", False)
        return Reply(body=stream(said, call, usage), content_type=kind, chunked=True, **kw)
    return Reply(body=json.dumps(whole(said, call)).encode(), **kw)
