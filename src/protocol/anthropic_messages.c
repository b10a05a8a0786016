/* Anthropic's POST /v1/messages: reading requests. Answers are in anthropic_answer.c,
 * streams are collected in anthropic_fold.c. */
#include "base/json.h"
#include "protocol/answer_form.h"
#include "protocol/anthropic_answer.h"
#include "protocol/anthropic_messages.h"
#include "protocol/fields.h"
#include "protocol/form.h"
#include "protocol/protocol.h"
#include "protocol/tools.h"
#include "protocol/turns.h"

/* Fields that do not change an answer (docs.anthropic.com/en/api/messages): docs/identity.md
 * says why. */
static const struct span ignored[] = {
    {"stream", 6}, {"metadata", 8}, {"service_tier", 12}, {"cache_control", 13}};

static bool is_text(struct span type)
{
    return span_eq(type, SPAN("text"));
}

static bool ends_in(struct span s, struct span tail)
{
    return s.len >= tail.len && memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len) == 0;
}

/* Of our tools and of theirs: tool_use, server_tool_use, mcp_tool_use; tool_result,
 * web_search_tool_result, ... */
static enum turns_part part_kind(struct span type)
{
    if (is_text(type))
        return PART_TEXT;
    if (ends_in(type, SPAN("tool_use")))
        return PART_CALL;
    if (ends_in(type, SPAN("tool_result")))
        return PART_TOOL_RESULT;
    return span_eq(type, SPAN("thinking")) || span_eq(type, SPAN("redacted_thinking"))
               ? PART_SILENT
               : PART_OTHER;
}

static const struct form_rules form = {
    .ignored = ignored,
    .ignored_count = ARRAY_LEN(ignored),
    .mark = {"cache_control", 13},
    .asked = {"messages", 8},
    .is_text = is_text,
    .text_type = {"text", 4},
};

static const struct tools_form tools = {.type = {"custom", 6},
                                        .parameters = {"input_schema", 12}};

/* {"type": "any"}, or {"type": "tool", "name": …}. */
static enum status read_tool_choice(struct arena *arena, const struct json *body,
                                    struct chat_request *q)
{
    const struct json *choice = json_get(body, SPAN("tool_choice"));
    struct span type = json_str(json_get(choice, SPAN("type")));
    bool named = span_eq(type, SPAN("tool"));

    if (!named && !span_eq(type, SPAN("any")))
        return ST_OK;
    return tools_read(arena, json_get(body, SPAN("tools")), &tools,
                      named ? json_str(json_get(choice, SPAN("name"))) : (struct span){"", 0},
                      q);
}

/* What the built-in model is asked for. */
static enum status read_wishes(struct arena *arena, const struct json *body,
                               struct chat_request *q)
{
    const struct json *format = fields_get(body, SPAN("output_format"));

    if (format == NULL)
        format = fields_get(json_get(body, SPAN("output_config")), SPAN("format"));
    answer_form_read(json_str(json_get(format, SPAN("type"))), json_get(format, SPAN("schema")),
                     q);
    if (format != NULL && q->form == CHAT_TEXT)
        q->form = CHAT_OTHER;
    return read_tool_choice(arena, body, q);
}

static enum status read_scalars(struct arena *arena, const struct json *body,
                                struct chat_request *q, struct protocol_error *err)
{
    enum status st;

    q->choices = 1;
    q->include_usage = true; /* their streams always tell */
    if ((st = fields_text(body, "model", &q->model, err)) != ST_OK ||
        (st = fields_flag(body, "stream", &q->stream, err)) != ST_OK ||
        (st = fields_number(body, "temperature", &q->has_temperature, &q->temperature, err)) !=
            ST_OK ||
        (st = fields_number(body, "top_p", &q->has_top_p, &q->top_p, err)) != ST_OK ||
        (st = fields_count(body, "max_tokens", &q->has_max_tokens, &q->max_tokens, err)) !=
            ST_OK)
        return st;
    return fields_texts(arena, body, "stop_sequences", &q->stop, &q->stop_count, err);
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
    if (content == NULL)
        return fields_refuse(err, turns_at(p, ".content"), "is missing");
    *out = (struct chat_turn){role, {NULL, 0}};
    q->ends_in_tool_result = false;
    return turns_content(arena, content, part_kind, p, q, &out->text, err);
}

/* The system prompt is a turn of its own for a model. */
static enum status read_messages(struct arena *arena, const struct json *body,
                                 struct chat_request *q, struct protocol_error *err)
{
    const struct json *system = fields_get(body, SPAN("system")), *list;
    struct turns_place at_system = {.list = "system"};
    struct chat_turn before = {SPAN("system"), {NULL, 0}};
    enum status st = turns_list(body, "messages", &list, err);

    if (st == ST_OK && system != NULL)
        st = turns_content(arena, system, part_kind, &at_system, q, &before.text, err);
    if (st != ST_OK)
        return st;
    return turns_read(arena, list, read_message, system != NULL ? &before : NULL, q, err);
}

enum status anthropic_messages_read(struct arena *arena, const struct json *body,
                                    struct chat_request *q, struct protocol_error *err)
{
    enum status st = read_messages(arena, body, q, err);

    return st == ST_OK ? read_wishes(arena, body, q) : st;
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
    /* A thread is kept under the answer's id, and a container with what was done in it. */
    q.has_state =
        fields_get(body, SPAN("container")) != NULL || fields_get(body, SPAN("thread")) != NULL;
    q.has_tools = fields_get(body, SPAN("tools")) != NULL ||
                  fields_get(body, SPAN("mcp_servers")) != NULL;
    if ((st = anthropic_messages_read(arena, body, &q, err)) != ST_OK ||
        (st = read_scalars(arena, body, &q, err)) != ST_OK ||
        (st = form_exact(arena, body, &form, &q.exact_form)) != ST_OK)
        return st;
    *out = q;
    return ST_OK;
}

static bool serves(struct span path)
{
    return span_eq(path, SPAN("/v1/messages"));
}

const struct protocol anthropic_messages_protocol = {
    .name = "anthropic.messages",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .comparable = &form,
    .judge = anthropic_answer_judge,
    .shape = &anthropic_answer_shape,
    .fold = &anthropic_fold,
    .replay = anthropic_answer_replay,
    .render = anthropic_answer_render,
    .live = &anthropic_answer_live,
    .write_error = anthropic_answer_error,
    .write_stream_error = anthropic_answer_error_event,
};
