/* OpenAI's POST /v1/chat/completions: reading requests. Answers are in
 * openai_answer.c, streams are collected in collector.c.
 *
 * Only what the steps need is checked; unknown fields and odd values are the
 * upstream's to judge, and are part of the identity like everything else. */
#include <stdio.h>

#include "base/json.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

#define MESSAGES_MAX 16384
#define STOPS_MAX    16

/* Top-level fields that do not change an answer (openai.com/docs/api-reference/chat,
 * and our own). */
static const struct span transport_only[] = {
    {"stream", 6},        {"stream_options", 14},   {"user", 4},
    {"metadata", 8},      {"prompt_cache_key", 16}, {"safety_identifier", 17},
    {"service_tier", 12},
};

static enum status refuse(struct protocol_error *err, const char *param, const char *expected)
{
    snprintf(err->param, sizeof(err->param), "%s", param);
    snprintf(err->message, sizeof(err->message), "'%s' %s", param, expected);
    return ST_INVALID;
}

/* --- scalars ------------------------------------------------------------------------ */

/* Absent and null are the same to OpenAI. */
static const struct json *field(const struct json *body, struct span name)
{
    const struct json *v = json_get(body, name);

    return v != NULL && v->type == JSON_NULL ? NULL : v;
}

static enum status read_number(const struct json *body, const char *name, bool *has,
                               double *out, struct protocol_error *err)
{
    const struct json *v = field(body, span_of(name));

    if (v == NULL)
        return ST_OK;
    if (v->type != JSON_NUMBER)
        return refuse(err, name, "must be a number");
    *has = json_double(v, out);
    return ST_OK;
}

/* A negative or fractional one is odd, but not for us to refuse. */
static enum status read_count(const struct json *body, const char *name, bool *has,
                              uint64_t *out, struct protocol_error *err)
{
    const struct json *v = field(body, span_of(name));

    if (v == NULL)
        return ST_OK;
    if (v->type != JSON_NUMBER)
        return refuse(err, name, "must be a number");
    *has = json_u64(v, out);
    return ST_OK;
}

static enum status read_flag(const struct json *body, const char *name, bool *out,
                             struct protocol_error *err)
{
    const struct json *v = field(body, span_of(name));

    if (v != NULL && !json_bool(v, out))
        return refuse(err, name, "must be true or false");
    return ST_OK;
}

static enum status read_stop(struct arena *arena, const struct json *body,
                             struct chat_request *q, struct protocol_error *err)
{
    const struct json *v = field(body, SPAN("stop"));
    struct span *list;
    size_t n = 0;

    if (v == NULL)
        return ST_OK;
    list = arena_alloc(arena, STOPS_MAX * sizeof(*list), _Alignof(struct span));
    if (list == NULL)
        return ST_NOMEM;
    if (v->type == JSON_STRING) {
        list[n++] = v->text;
    } else if (v->type == JSON_ARRAY && v->count <= STOPS_MAX) {
        for (const struct json *s = v->child; s != NULL; s = s->next) {
            if (s->type != JSON_STRING)
                return refuse(err, "stop", "must be a string or an array of strings");
            list[n++] = s->text;
        }
    } else {
        return refuse(err, "stop", "must be a string or an array of at most 16 strings");
    }
    q->stop = list;
    q->stop_count = n;
    return ST_OK;
}

static enum status read_scalars(struct arena *arena, const struct json *body,
                                struct chat_request *q, struct protocol_error *err)
{
    const struct json *model = field(body, SPAN("model")), *options;
    bool has_n = false, store = true;
    enum status st;

    if (model != NULL && model->type != JSON_STRING)
        return refuse(err, "model", "must be a string");
    q->model = model != NULL ? model->text : (struct span){"", 0};
    q->choices = 1;
    options = field(body, SPAN("stream_options"));
    if (options != NULL && options->type != JSON_OBJECT)
        return refuse(err, "stream_options", "must be an object");
    if ((st = read_flag(body, "stream", &q->stream, err)) != ST_OK ||
        (st = read_flag(body, "store", &store, err)) != ST_OK ||
        (st = read_flag(options, "include_usage", &q->include_usage, err)) != ST_OK ||
        (st = read_count(body, "n", &has_n, &q->choices, err)) != ST_OK ||
        (st = read_number(body, "temperature", &q->has_temperature, &q->temperature, err)) !=
            ST_OK ||
        (st = read_number(body, "top_p", &q->has_top_p, &q->top_p, err)) != ST_OK ||
        (st = read_count(body, "seed", &q->has_seed, &q->seed, err)) != ST_OK ||
        (st = read_count(body, "max_tokens", &q->has_max_tokens, &q->max_tokens, err)) !=
            ST_OK ||
        (st = read_count(body, "max_completion_tokens", &q->has_max_tokens, &q->max_tokens,
                         err)) != ST_OK)
        return st;
    if (field(body, SPAN("n")) != NULL && (!has_n || q->choices == 0))
        return refuse(err, "n", "must be a positive integer");
    q->store_false = !store;
    return read_stop(arena, body, q, err);
}

/* --- messages ----------------------------------------------------------------------- */

struct place {
    size_t message;
    char text[64];
};

static const char *at(struct place *p, const char *what)
{
    snprintf(p->text, sizeof(p->text), "messages[%zu]%s", p->message, what);
    return p->text;
}

static bool is_text_part(const struct json *part)
{
    return span_eq(json_str(json_get(part, SPAN("type"))), SPAN("text"));
}

static enum status check_parts(const struct json *content, struct chat_request *q,
                               struct place *p, size_t *bytes, size_t *texts,
                               struct protocol_error *err)
{
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        const struct json *text = json_get(part, SPAN("text"));

        if (part->type != JSON_OBJECT || json_str(json_get(part, SPAN("type"))).ptr == NULL)
            return refuse(err, at(p, ".content"), "must hold objects with a 'type'");
        if (!is_text_part(part)) {
            q->has_attachments = true;
            continue;
        }
        if (text == NULL || text->type != JSON_STRING)
            return refuse(err, at(p, ".content"), "has a text part whose 'text' is no string");
        *bytes += text->text.len + 1;
        (*texts)++;
    }
    return ST_OK;
}

static enum status join_parts(struct arena *arena, const struct json *content,
                              struct chat_request *q, struct place *p, struct span *out,
                              struct protocol_error *err)
{
    size_t bytes = 0, texts = 0, len = 0;
    char *text;
    enum status st = check_parts(content, q, p, &bytes, &texts, err);

    *out = (struct span){NULL, 0};
    if (st != ST_OK || texts == 0)
        return st;
    text = arena_alloc(arena, bytes, 1);
    if (text == NULL)
        return ST_NOMEM;
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        struct span s = json_str(json_get(part, SPAN("text")));

        if (!is_text_part(part))
            continue;
        if (len > 0)
            text[len++] = '\n';
        if (s.len > 0)
            memcpy(text + len, s.ptr, s.len);
        len += s.len;
    }
    *out = (struct span){text, len};
    return ST_OK;
}

static enum status read_message(struct arena *arena, const struct json *m,
                                struct chat_request *q, struct place *p, struct chat_turn *out,
                                struct protocol_error *err)
{
    const struct json *role = json_get(m, SPAN("role")), *content = field(m, SPAN("content"));
    bool calls =
        field(m, SPAN("tool_calls")) != NULL || field(m, SPAN("function_call")) != NULL;

    if (m->type != JSON_OBJECT)
        return refuse(err, at(p, ""), "must be an object");
    if (role == NULL || role->type != JSON_STRING || role->text.len == 0)
        return refuse(err, at(p, ".role"), "must be a string that is not empty");
    *out = (struct chat_turn){role->text, {NULL, 0}};
    if (calls || span_eq(role->text, SPAN("tool")) || span_eq(role->text, SPAN("function")))
        q->has_tool_turns = true;
    if (content == NULL) {
        /* Only an assistant's message may be something else than text. */
        if (!span_eq(role->text, SPAN("assistant")))
            return refuse(err, at(p, ".content"), "is missing");
        return ST_OK;
    }
    if (content->type == JSON_STRING) {
        out->text = content->text;
        return ST_OK;
    }
    if (content->type != JSON_ARRAY)
        return refuse(err, at(p, ".content"), "must be a string or an array of parts");
    return join_parts(arena, content, q, p, &out->text, err);
}

static enum status read_messages(struct arena *arena, const struct json *body,
                                 struct chat_request *q, struct protocol_error *err)
{
    const struct json *list = json_get(body, SPAN("messages"));
    struct chat_turn *turns;
    struct place p = {0, ""};
    enum status st = ST_OK;

    if (list == NULL)
        return refuse(err, "messages", "is missing");
    if (list->type != JSON_ARRAY || list->count == 0)
        return refuse(err, "messages", "must be an array that is not empty");
    if (list->count > MESSAGES_MAX)
        return refuse(err, "messages", "has too many elements");
    turns = arena_alloc(arena, list->count * sizeof(*turns), _Alignof(struct chat_turn));
    if (turns == NULL)
        return ST_NOMEM;
    for (const struct json *m = list->child; st == ST_OK && m != NULL; m = m->next, p.message++)
        st = read_message(arena, m, q, &p, &turns[p.message], err);
    if (st != ST_OK)
        return st;
    q->turns = turns;
    q->turn_count = list->count;
    if (span_eq(turns[list->count - 1].role, SPAN("user")))
        q->last_text = turns[list->count - 1].text;
    return ST_OK;
}

/* --- identity ------------------------------------------------------------------------- */

static struct json *copy_of(struct arena *arena, const struct json *v)
{
    struct json *c = ARENA_NEW(arena, struct json);

    if (c != NULL) {
        *c = *v;
        c->next = NULL;
    }
    return c;
}

/* A copy of `v` whose members are copies too (one level); *tail: where the list ends. */
static void append(struct json *parent, struct json **tail, struct json *member)
{
    if (*tail == NULL)
        parent->child = member;
    else
        (*tail)->next = member;
    *tail = member;
    parent->count++;
}

static bool is_transport_only(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(transport_only); i++) {
        if (span_eq(key, transport_only[i]))
            return true;
    }
    return false;
}

/* The body with one member replaced (NULL: none) and the transport's left out. */
static const struct json *identity_form(struct arena *arena, const struct json *body,
                                        struct json *messages)
{
    struct json *form = copy_of(arena, body), *tail = NULL;

    if (form == NULL)
        return NULL;
    form->child = NULL;
    form->count = 0;
    for (const struct json *m = body->child; m != NULL; m = m->next) {
        struct json *c;

        if (is_transport_only(m->key))
            continue;
        c = messages != NULL && span_eq(m->key, SPAN("messages")) ? messages
                                                                  : copy_of(arena, m);
        if (c == NULL)
            return NULL;
        append(form, &tail, c);
    }
    return form;
}

/* A text part with its text taken out; what else it has stays. */
static struct json *hollow_part(struct arena *arena, const struct json *part)
{
    struct json *c = copy_of(arena, part), *tail = NULL;

    if (c == NULL)
        return NULL;
    c->child = NULL;
    c->count = 0;
    for (const struct json *m = part->child; m != NULL; m = m->next) {
        struct json *x = copy_of(arena, m);

        if (x == NULL)
            return NULL;
        if (span_eq(m->key, SPAN("text")))
            x->text = (struct span){"", 0};
        append(c, &tail, x);
    }
    return c;
}

/* A bare string is the same as one text part. */
static struct json *part_from_string(struct arena *arena)
{
    struct json *part = ARENA_NEW(arena, struct json), *type = ARENA_NEW(arena, struct json),
                *text = ARENA_NEW(arena, struct json);

    if (part == NULL || type == NULL || text == NULL)
        return NULL;
    *type = (struct json){JSON_STRING, 0, SPAN("type"), SPAN("text"), 0, NULL, text};
    *text = (struct json){JSON_STRING, 0, SPAN("text"), {"", 0}, 0, NULL, NULL};
    *part = (struct json){JSON_OBJECT, 2, {NULL, 0}, {NULL, 0}, 0, type, NULL};
    return part;
}

static struct json *hollow_content(struct arena *arena, const struct json *content)
{
    struct json *c = copy_of(arena, content), *tail = NULL;

    if (c == NULL)
        return NULL;
    c->type = JSON_ARRAY;
    c->child = NULL;
    c->count = 0;
    if (content->type == JSON_STRING) {
        struct json *part = part_from_string(arena);

        if (part == NULL)
            return NULL;
        append(c, &tail, part);
        return c;
    }
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        struct json *x = is_text_part(part) ? hollow_part(arena, part) : copy_of(arena, part);

        if (x == NULL)
            return NULL;
        append(c, &tail, x);
    }
    return c;
}

static struct json *hollow_message(struct arena *arena, const struct json *m)
{
    struct json *c = copy_of(arena, m), *tail = NULL;

    if (c == NULL)
        return NULL;
    c->child = NULL;
    c->count = 0;
    for (const struct json *x = m->child; x != NULL; x = x->next) {
        struct json *y =
            span_eq(x->key, SPAN("content")) ? hollow_content(arena, x) : copy_of(arena, x);

        if (y == NULL)
            return NULL;
        append(c, &tail, y);
    }
    return c;
}

static struct json *hollow_messages(struct arena *arena, const struct json *list)
{
    struct json *c = copy_of(arena, list), *tail = NULL;

    if (c == NULL)
        return NULL;
    c->child = NULL;
    c->count = 0;
    for (const struct json *m = list->child; m != NULL; m = m->next) {
        struct json *x = m->next == NULL ? hollow_message(arena, m) : copy_of(arena, m);

        if (x == NULL)
            return NULL;
        append(c, &tail, x);
    }
    return c;
}

static enum status hollow(struct arena *arena, struct chat_request *q)
{
    struct json *messages;

    if (q->last_text.ptr == NULL)
        return ST_INVALID;
    messages = hollow_messages(arena, json_get(q->body, SPAN("messages")));
    if (messages == NULL)
        return ST_NOMEM;
    q->partition_form = identity_form(arena, q->body, messages);
    return q->partition_form != NULL ? ST_OK : ST_NOMEM;
}

static enum status decode(struct arena *arena, struct span body, unsigned depth_max,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q = {0};
    struct json_error why;
    struct json *root;
    enum status st;

    *err = (struct protocol_error){{0}, {0}};
    if (body.len == 0) {
        snprintf(err->message, sizeof(err->message), "the body is empty; it must be JSON");
        return ST_INVALID;
    }
    st = json_parse(arena, body, depth_max, &root, &why);
    if (st != ST_OK) {
        snprintf(err->message, sizeof(err->message), "the body is not usable: %s", why.text);
        return st == ST_LIMIT ? ST_INVALID : st;
    }
    if (root->type != JSON_OBJECT) {
        snprintf(err->message, sizeof(err->message), "the body must be a JSON object");
        return ST_INVALID;
    }
    q.body = root;
    q.has_tools = field(root, SPAN("tools")) != NULL || field(root, SPAN("functions")) != NULL;
    st = read_messages(arena, root, &q, err);
    if (st == ST_OK)
        st = read_scalars(arena, root, &q, err);
    if (st != ST_OK)
        return st;
    q.exact_form = identity_form(arena, root, NULL);
    if (q.exact_form == NULL)
        return ST_NOMEM;
    *out = q;
    return ST_OK;
}

const struct protocol openai_chat_protocol = {
    .name = "openai.chat",
    .method = "POST",
    .path = "/v1/chat/completions",
    .decode = decode,
    .hollow = hollow,
    .read_answer = openai_answer_read,
    .write_answer = openai_answer_write,
    .write_stream = openai_answer_write_stream,
    .write_begin = openai_answer_write_begin,
    .write_delta = openai_answer_write_delta,
    .write_finish = openai_answer_write_finish,
    .write_error = openai_answer_write_error,
    .write_stream_error = openai_answer_write_stream_error,
};
