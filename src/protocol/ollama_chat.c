/* Ollama's POST /api/chat and /api/generate: reading requests. Answers are in
 * ollama_answer.c, streams are collected in ollama_fold.c. */
#include "base/json.h"
#include "protocol/answer_form.h"
#include "protocol/fields.h"
#include "protocol/form.h"
#include "protocol/ollama_answer.h"
#include "protocol/protocol.h"
#include "protocol/turns.h"

/* Fields that do not change an answer (github.com/ollama/ollama, docs/api.md):
 * docs/identity.md says why. */
static const struct span ignored[] = {{"stream", 6}, {"keep_alive", 10}};

/* A content is always a text. */
static bool is_text(struct span type)
{
    (void)type;
    return false;
}

static enum turns_part part_kind(struct span type)
{
    (void)type;
    return PART_OTHER;
}

static const struct form_rules chat_form = {
    .ignored = ignored,
    .ignored_count = ARRAY_LEN(ignored),
    .asked = {"messages", 8},
    .is_text = is_text,
    .text_type = {"text", 4},
};

static const struct form_rules generate_form = {
    .ignored = ignored, .ignored_count = ARRAY_LEN(ignored), .asked = {"prompt", 6}};

static enum status read_options(struct arena *arena, const struct json *body,
                                struct chat_request *q, struct protocol_error *err)
{
    const struct json *o = fields_get(body, SPAN("options"));
    enum status st;

    if (o != NULL && o->type != JSON_OBJECT)
        return fields_refuse(err, "options", "must be an object");
    if ((st = fields_number(o, "temperature", &q->has_temperature, &q->temperature, err)) !=
            ST_OK ||
        (st = fields_number(o, "top_p", &q->has_top_p, &q->top_p, err)) != ST_OK ||
        (st = fields_count(o, "seed", &q->has_seed, &q->seed, err)) != ST_OK ||
        (st = fields_count(o, "num_predict", &q->has_max_tokens, &q->max_tokens, err)) != ST_OK)
        return st;
    return fields_texts(arena, o, "stop", &q->stop, &q->stop_count, err);
}

/* "json", or a schema. */
static void read_form(const struct json *format, struct chat_request *q)
{
    if (!fields_filled(format))
        q->form = CHAT_TEXT;
    else if (format->type == JSON_OBJECT)
        answer_form_read(SPAN("json_schema"), format, q);
    else
        answer_form_read(span_eq(json_str(format), SPAN("json")) ? SPAN("json_object")
                                                                 : SPAN("other"),
                         NULL, q);
}

static enum status read_common(struct arena *arena, const struct json *body,
                               struct chat_request *q, struct protocol_error *err)
{
    enum status st;

    q->choices = 1;
    q->include_usage = true; /* the last line always tells */
    q->stream = true;        /* unless it says otherwise */
    q->has_tools = fields_filled(json_get(body, SPAN("tools")));
    read_form(json_get(body, SPAN("format")), q);
    if ((st = fields_text(body, "model", &q->model, err)) != ST_OK ||
        (st = fields_flag(body, "stream", &q->stream, err)) != ST_OK)
        return st;
    q->model = ollama_answer_model(q->model);
    if (!json_bool(json_get(body, SPAN("logprobs")), &q->wants_logprobs))
        q->wants_logprobs = false;
    return read_options(arena, body, q, err);
}

/* --- chat --------------------------------------------------------------------------------- */

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
    q->ends_in_tool_result = span_eq(role, SPAN("tool"));
    q->has_tool_turns |=
        q->ends_in_tool_result || fields_filled(json_get(m, SPAN("tool_calls")));
    q->has_attachments |= fields_filled(json_get(m, SPAN("images")));
    if (content == NULL)
        return ST_OK;
    if (content->type != JSON_STRING)
        return fields_refuse(err, turns_at(p, ".content"), "must be a string");
    return turns_content(arena, content, part_kind, p, q, &out->text, err);
}

/* Without messages a model is only loaded. */
static enum status read_messages(struct arena *arena, const struct json *body,
                                 struct chat_request *q, struct protocol_error *err)
{
    const struct json *list = fields_get(body, SPAN("messages"));
    enum status st;

    if (list == NULL || list->count == 0) {
        q->unsupported = "the built-in model needs a message to answer";
        return ST_OK;
    }
    st = turns_list(body, "messages", &list, err);
    return st != ST_OK ? st : turns_read(arena, list, read_message, NULL, q, err);
}

static enum status decode_chat(struct arena *arena, const struct protocol_request *in,
                               struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q = {.model = {"", 0}};
    struct json *body;
    enum status st = fields_parse(arena, in, &body, err);

    if (st != ST_OK)
        return st;
    q.body = body;
    if ((st = read_messages(arena, body, &q, err)) != ST_OK ||
        (st = read_common(arena, body, &q, err)) != ST_OK ||
        (st = form_exact(arena, body, &chat_form, &q.exact_form)) != ST_OK)
        return st;
    *out = q;
    return ST_OK;
}

/* --- generate ----------------------------------------------------------------------------- */

/* What shapes a prompt in a way that the built-in model's own template does not. */
static const char *unsupported(const struct json *body)
{
    bool raw = false;

    if (json_bool(json_get(body, SPAN("raw")), &raw) && raw)
        return "the built-in model has a template of its own; raw must be false";
    if (fields_filled(json_get(body, SPAN("template"))))
        return "the built-in model has a template of its own; template must be absent";
    if (fields_filled(json_get(body, SPAN("suffix"))))
        return "the built-in model does not fill in; suffix must be absent";
    if (fields_filled(json_get(body, SPAN("context"))))
        return "the built-in model keeps no context; context must be absent";
    return NULL;
}

static enum status read_prompt(struct arena *arena, const struct json *body,
                               struct chat_request *q, struct protocol_error *err)
{
    struct chat_turn *turns =
        arena_alloc(arena, 2 * sizeof(*turns), _Alignof(struct chat_turn));
    struct span system = {NULL, 0}, prompt = {NULL, 0};
    enum status st;

    if (turns == NULL)
        return ST_NOMEM;
    if ((st = fields_text(body, "system", &system, err)) != ST_OK ||
        (st = fields_text(body, "prompt", &prompt, err)) != ST_OK)
        return st;
    q->unsupported = unsupported(body);
    q->has_attachments = fields_filled(json_get(body, SPAN("images")));
    if (prompt.len == 0) {
        q->unsupported = "the built-in model needs a prompt to answer";
        return ST_OK;
    }
    if (system.len > 0)
        turns[q->turn_count++] = (struct chat_turn){SPAN("system"), system};
    turns[q->turn_count++] = (struct chat_turn){SPAN("user"), prompt};
    q->turns = turns;
    /* The beginning of a text is no question. */
    if (q->unsupported == NULL)
        q->last_text = prompt;
    return ST_OK;
}

static enum status decode_generate(struct arena *arena, const struct protocol_request *in,
                                   struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q = {.model = {"", 0}};
    struct json *body;
    enum status st = fields_parse(arena, in, &body, err);

    if (st != ST_OK)
        return st;
    q.body = body;
    if ((st = read_prompt(arena, body, &q, err)) != ST_OK ||
        (st = read_common(arena, body, &q, err)) != ST_OK ||
        (st = form_exact(arena, body, &generate_form, &q.exact_form)) != ST_OK)
        return st;
    *out = q;
    return ST_OK;
}

static bool serves_chat(struct span path)
{
    return span_eq(path, SPAN("/api/chat"));
}

static bool serves_generate(struct span path)
{
    return span_eq(path, SPAN("/api/generate"));
}

const struct protocol ollama_chat_protocol = {
    .name = "ollama.chat",
    .method = "POST",
    .serves = serves_chat,
    .framing = FRAMING_LINES,
    .decode = decode_chat,
    .comparable = &chat_form,
    .judge = ollama_answer_judge,
    .shape = &ollama_answer_shape,
    .fold = &ollama_fold,
    .replay = ollama_answer_replay,
    .render = ollama_answer_render_chat,
    .live = &ollama_answer_live_chat,
    .write_error = ollama_answer_error,
    .write_stream_error = ollama_answer_error_line,
};

const struct protocol ollama_chat_generate_protocol = {
    .name = "ollama.generate",
    .method = "POST",
    .serves = serves_generate,
    .framing = FRAMING_LINES,
    .decode = decode_generate,
    .comparable = &generate_form,
    .judge = ollama_answer_judge,
    .shape = &ollama_answer_shape,
    .fold = &ollama_fold,
    .replay = ollama_answer_replay,
    .render = ollama_answer_render_generate,
    .live = &ollama_answer_live_generate,
    .write_error = ollama_answer_error,
    .write_stream_error = ollama_answer_error_line,
};
