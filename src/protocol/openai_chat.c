/* OpenAI's POST /v1/chat/completions: reading requests. Answers are in
 * openai_answer.c, streams are collected in openai_fold.c. */
#include "base/json.h"
#include "protocol/answer_form.h"
#include "protocol/fields.h"
#include "protocol/form.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"
#include "protocol/tools.h"
#include "protocol/turns.h"

/* Top-level fields that do not change an answer (openai.com/docs/api-reference/chat):
 * docs/identity.md says why. */
static const struct span ignored[] = {
    {"stream", 6},        {"stream_options", 14},   {"user", 4},
    {"metadata", 8},      {"prompt_cache_key", 16}, {"safety_identifier", 17},
    {"service_tier", 12},
};

static bool is_text(struct span type)
{
    return span_eq(type, SPAN("text"));
}

static enum turns_part part_kind(struct span type)
{
    return is_text(type) ? PART_TEXT : PART_OTHER;
}

static const struct form_rules form = {
    .ignored = ignored,
    .ignored_count = ARRAY_LEN(ignored),
    .asked = {"messages", 8},
    .is_text = is_text,
    .text_type = {"text", 4},
};

static const struct tools_form tools = {
    .type = {"function", 8}, .inside = {"function", 8}, .parameters = {"parameters", 10}};

/* "required", or {"type": "function", "function": {"name": …}}. */
static enum status read_tool_choice(struct arena *arena, const struct json *body,
                                    struct chat_request *q)
{
    const struct json *choice = json_get(body, SPAN("tool_choice"));
    struct span name = json_str(json_get(json_get(choice, SPAN("function")), SPAN("name")));

    if (choice == NULL ||
        (choice->type != JSON_OBJECT && !span_eq(json_str(choice), SPAN("required"))))
        return ST_OK;
    if (choice->type == JSON_OBJECT && name.len == 0)
        q->unsupported = "the built-in model calls functions; tool_choice must be none, auto, "
                         "required, or name a function";
    return tools_read(arena, json_get(body, SPAN("tools")), &tools, name, q);
}

/* What the built-in model is asked for. */
static enum status read_wishes(struct arena *arena, const struct json *body,
                               struct chat_request *q)
{
    const struct json *format = json_get(body, SPAN("response_format"));

    answer_form_read(json_str(json_get(format, SPAN("type"))),
                     json_get(json_get(format, SPAN("json_schema")), SPAN("schema")), q);
    if (!json_bool(json_get(body, SPAN("logprobs")), &q->wants_logprobs))
        q->wants_logprobs = false; /* a wrong type is the upstream's to judge */
    return read_tool_choice(arena, body, q);
}

static enum status read_scalars(struct arena *arena, const struct json *body,
                                struct chat_request *q, struct protocol_error *err)
{
    const struct json *options = fields_get(body, SPAN("stream_options"));
    bool has_n = false, store = true;
    enum status st;

    q->choices = 1;
    if (options != NULL && options->type != JSON_OBJECT)
        return fields_refuse(err, "stream_options", "must be an object");
    if ((st = fields_text(body, "model", &q->model, err)) != ST_OK ||
        (st = fields_flag(body, "stream", &q->stream, err)) != ST_OK ||
        (st = fields_flag(body, "store", &store, err)) != ST_OK ||
        (st = fields_flag(options, "include_usage", &q->include_usage, err)) != ST_OK ||
        (st = fields_count(body, "n", &has_n, &q->choices, err)) != ST_OK ||
        (st = fields_number(body, "temperature", &q->has_temperature, &q->temperature, err)) !=
            ST_OK ||
        (st = fields_number(body, "top_p", &q->has_top_p, &q->top_p, err)) != ST_OK ||
        (st = fields_count(body, "seed", &q->has_seed, &q->seed, err)) != ST_OK ||
        (st = fields_count(body, "max_tokens", &q->has_max_tokens, &q->max_tokens, err)) !=
            ST_OK ||
        (st = fields_count(body, "max_completion_tokens", &q->has_max_tokens, &q->max_tokens,
                           err)) != ST_OK)
        return st;
    if (fields_get(body, SPAN("n")) != NULL && (!has_n || q->choices == 0))
        return fields_refuse(err, "n", "must be a positive integer");
    q->store_false = !store;
    return fields_texts(arena, body, "stop", &q->stop, &q->stop_count, err);
}

static enum status read_message(struct arena *arena, const struct json *m,
                                struct chat_request *q, struct turns_place *p,
                                struct chat_turn *out, struct protocol_error *err)
{
    const struct json *content = fields_get(m, SPAN("content"));
    struct span role;
    enum status st = turns_role(m, p, &role, err);

    if (st != ST_OK)
        return st;
    *out = (struct chat_turn){role, {NULL, 0}};
    q->ends_in_tool_result = span_eq(role, SPAN("tool")) || span_eq(role, SPAN("function"));
    if (q->ends_in_tool_result || fields_get(m, SPAN("tool_calls")) != NULL ||
        fields_get(m, SPAN("function_call")) != NULL)
        q->has_tool_turns = true;
    if (content != NULL)
        return turns_content(arena, content, part_kind, p, q, &out->text, err);
    /* Only an assistant's message may be something else than text. */
    if (!span_eq(role, SPAN("assistant")))
        return fields_refuse(err, turns_at(p, ".content"), "is missing");
    return ST_OK;
}

static enum status read_messages(struct arena *arena, const struct json *body,
                                 struct chat_request *q, struct protocol_error *err)
{
    const struct json *list;
    enum status st = turns_list(body, "messages", &list, err);

    return st != ST_OK ? st : turns_read(arena, list, read_message, NULL, q, err);
}

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q = {.model = {"", 0}};
    struct json *body;
    enum status st = fields_parse(arena, in, &body, err);

    if (st != ST_OK)
        return st;
    q.body = body;
    q.has_tools =
        fields_get(body, SPAN("tools")) != NULL || fields_get(body, SPAN("functions")) != NULL;
    if ((st = read_messages(arena, body, &q, err)) != ST_OK ||
        (st = read_scalars(arena, body, &q, err)) != ST_OK ||
        (st = form_exact(arena, body, &form, &q.exact_form)) != ST_OK ||
        (st = read_wishes(arena, body, &q)) != ST_OK)
        return st;
    *out = q;
    return ST_OK;
}

static bool serves(struct span path)
{
    return protocol_openai_path(path, SPAN("/chat/completions"));
}

const struct protocol openai_chat_protocol = {
    .name = "openai.chat",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .comparable = &form,
    .judge = openai_answer_judge,
    .shape = &openai_answer_shape,
    .fold = &openai_fold,
    .replay = openai_answer_replay,
    .render = openai_answer_render,
    .live = &openai_answer_live,
    .write_error = openai_error_write,
    .write_stream_error = openai_error_write_event,
};
