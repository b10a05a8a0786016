/* OpenAI's POST /v1/responses: reading requests. Answers are in responses_answer.c, streams
 * in responses_stream.c. */
#include "base/json.h"
#include "protocol/answer_form.h"
#include "protocol/fields.h"
#include "protocol/form.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"
#include "protocol/responses_answer.h"
#include "protocol/tools.h"
#include "protocol/turns.h"

/* Fields that do not change an answer (platform.openai.com/docs/api-reference/responses):
 * docs/identity.md says why. What the answer repeats (metadata, user, ...) is not among
 * them. */
static const struct span ignored[] = {
    {"stream", 6}, {"stream_options", 14}, {"prompt_cache_retention", 22}};

static bool is_text(struct span type)
{
    return span_eq(type, SPAN("input_text"));
}

static enum turns_part part_kind(struct span type)
{
    if (is_text(type) || span_eq(type, SPAN("output_text")))
        return PART_TEXT;
    return span_eq(type, SPAN("refusal")) ? PART_SILENT : PART_OTHER;
}

static const struct form_rules form = {
    .ignored = ignored,
    .ignored_count = ARRAY_LEN(ignored),
    .asked = {"input", 5},
    .is_text = is_text,
    .text_type = {"input_text", 10},
};

static const struct tools_form tools = {.type = {"function", 8},
                                        .parameters = {"parameters", 10}};

/* "required", or {"type": "function", "name": …}. */
static enum status read_tool_choice(struct arena *arena, const struct json *body,
                                    struct chat_request *q)
{
    const struct json *choice = json_get(body, SPAN("tool_choice"));
    struct span name = {"", 0};

    if (choice == NULL ||
        (choice->type != JSON_OBJECT && !span_eq(json_str(choice), SPAN("required"))))
        return ST_OK;
    if (choice->type == JSON_OBJECT)
        name = json_str(json_get(choice, SPAN("name")));
    if (choice->type == JSON_OBJECT &&
        (name.len == 0 || !span_eq(json_str(json_get(choice, SPAN("type"))), SPAN("function"))))
        q->unsupported = "the built-in model calls functions; tool_choice must be none, auto, "
                         "required, or name a function";
    return tools_read(arena, json_get(body, SPAN("tools")), &tools, name, q);
}

/* What the built-in model is asked for, and can not do. */
static enum status read_wishes(struct arena *arena, const struct json *body,
                               struct chat_request *q)
{
    const struct json *format = json_get(json_get(body, SPAN("text")), SPAN("format"));

    answer_form_read(json_str(json_get(format, SPAN("type"))), json_get(format, SPAN("schema")),
                     q);
    if (fields_get(body, SPAN("previous_response_id")) != NULL)
        q->unsupported = "the built-in model keeps no responses; previous_response_id must be "
                         "absent";
    else if (fields_get(body, SPAN("prompt")) != NULL)
        q->unsupported = "the built-in model knows no stored prompts; prompt must be absent";
    return read_tool_choice(arena, body, q);
}

static enum status read_scalars(const struct json *body, struct chat_request *q,
                                struct protocol_error *err)
{
    bool store = true, background = false;
    enum status st;

    q->choices = 1;
    q->include_usage = true; /* the last event always tells */
    if ((st = fields_text(body, "model", &q->model, err)) != ST_OK ||
        (st = fields_flag(body, "stream", &q->stream, err)) != ST_OK ||
        (st = fields_flag(body, "store", &store, err)) != ST_OK ||
        (st = fields_flag(body, "background", &background, err)) != ST_OK ||
        (st = fields_number(body, "temperature", &q->has_temperature, &q->temperature, err)) !=
            ST_OK ||
        (st = fields_number(body, "top_p", &q->has_top_p, &q->top_p, err)) != ST_OK ||
        (st = fields_count(body, "max_output_tokens", &q->has_max_tokens, &q->max_tokens,
                           err)) != ST_OK)
        return st;
    q->store_false = !store;
    /* A conversation grows with each request; a job in the background is waited for. */
    q->has_state = background || fields_get(body, SPAN("conversation")) != NULL;
    return ST_OK;
}

static bool ends_in(struct span s, struct span tail)
{
    return s.len >= tail.len && memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len) == 0;
}

static bool is_message(struct span type)
{
    return type.ptr == NULL || span_eq(type, SPAN("message"));
}

/* Items other than messages: a call of a tool, what it said, reasoning, ... */
static void note_item(struct chat_request *q, struct span type)
{
    q->ends_in_tool_result = ends_in(type, SPAN("_output"));
    if (q->ends_in_tool_result || ends_in(type, SPAN("_call")))
        q->has_tool_turns = true;
    else if (!span_eq(type, SPAN("reasoning")))
        q->has_attachments = true; /* item_reference, and what we do not know */
}

/* A turn for a message; anything else leaves *n as it is. */
static enum status read_item(struct arena *arena, const struct json *m, struct chat_request *q,
                             struct turns_place *p, struct chat_turn *turns, size_t *n,
                             struct protocol_error *err)
{
    struct span type = json_str(json_get(m, SPAN("type")));
    const struct json *content = fields_get(m, SPAN("content"));
    enum status st;

    if (m->type != JSON_OBJECT)
        return fields_refuse(err, turns_at(p, ""), "must be an object");
    if (!is_message(type)) {
        note_item(q, type);
        return ST_OK;
    }
    st = turns_role(m, p, &turns[*n].role, err);
    if (st != ST_OK)
        return st;
    if (content == NULL)
        return fields_refuse(err, turns_at(p, ".content"), "is missing");
    q->ends_in_tool_result = false;
    return turns_content(arena, content, part_kind, p, q, &turns[(*n)++].text, err);
}

static bool ends_in_user_message(const struct json *input)
{
    const struct json *last = input->child;

    while (last->next != NULL)
        last = last->next;
    return is_message(json_str(json_get(last, SPAN("type")))) &&
           span_eq(json_str(json_get(last, SPAN("role"))), SPAN("user"));
}

static enum status read_items(struct arena *arena, const struct json *body,
                              struct chat_request *q, struct chat_turn *turns, size_t *n,
                              struct protocol_error *err)
{
    struct turns_place p = {.list = "input"};
    const struct json *list;
    enum status st = turns_list(body, "input", &list, err);

    if (st != ST_OK)
        return st;
    for (const struct json *m = list->child; st == ST_OK && m != NULL; m = m->next, p.index++)
        st = read_item(arena, m, q, &p, turns, n, err);
    if (st == ST_OK && ends_in_user_message(list))
        q->last_text = turns[*n - 1].text;
    return st;
}

/* The input is a list of items, or one message of the user as a text; the instructions are
 * a turn of their own for a model. */
static enum status read_input(struct arena *arena, const struct json *body,
                              struct chat_request *q, struct protocol_error *err)
{
    const struct json *input = fields_get(body, SPAN("input"));
    size_t n = 0, room = input != NULL ? input->count + (size_t)2 : 2;
    struct chat_turn *turns =
        arena_alloc(arena, room * sizeof(*turns), _Alignof(struct chat_turn));
    struct span instructions = json_str(json_get(body, SPAN("instructions")));
    enum status st = ST_OK;

    if (turns == NULL)
        return ST_NOMEM;
    if (instructions.ptr != NULL)
        turns[n++] = (struct chat_turn){SPAN("system"), instructions};
    if (input != NULL && input->type == JSON_STRING) {
        q->last_text = input->text;
        turns[n++] = (struct chat_turn){SPAN("user"), input->text};
    } else if (input != NULL) {
        st = read_items(arena, body, q, turns, &n, err);
    }
    q->turns = turns;
    q->turn_count = n;
    return st;
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
    q.has_tools = fields_filled(json_get(body, SPAN("tools")));
    if ((st = read_input(arena, body, &q, err)) != ST_OK ||
        (st = read_scalars(body, &q, err)) != ST_OK ||
        (st = form_exact(arena, body, &form, &q.exact_form)) != ST_OK ||
        (st = read_wishes(arena, body, &q)) != ST_OK)
        return st;
    if (q.turn_count == 0)
        q.unsupported = "the built-in model needs an input to answer";
    *out = q;
    return ST_OK;
}

static bool serves(struct span path)
{
    return protocol_openai_path(path, SPAN("/responses"));
}

const struct protocol openai_responses_protocol = {
    .name = "openai.responses",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .comparable = &form,
    .judge = responses_answer_judge,
    .shape = &responses_answer_shape,
    .fold = &responses_stream_fold,
    .replay = responses_stream_replay,
    .render = responses_answer_render,
    .live = &responses_stream_live,
    .write_error = openai_error_write,
    .write_stream_error = responses_stream_error,
};
