#include "protocol/openai_answer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"

#define ID_PLACEHOLDER      "chatcmpl-00000000000000000000000000000"
#define CREATED_PLACEHOLDER "1000000000" /* JSON knows no leading zeros */
#define OBJECT_WHOLE        "chat.completion"
#define OBJECT_CHUNK        "chat.completion.chunk"
/* A piece of a replayed text without a space is cut here. */
#define PIECE_MAX_BYTES 64

/* --- rendering ---------------------------------------------------------------------- */

static enum status put(struct buf *b, struct span s)
{
    return buf_append(b, s);
}

enum status openai_answer_render(struct buf *out, const struct openai_answer_parts *p,
                                 struct answer *a)
{
    size_t start = out->len;
    enum status st = put(out, SPAN("{\"id\":\""));

    a->id_at = (uint32_t)(out->len - start);
    if (st == ST_OK)
        st = put(out, SPAN(ID_PLACEHOLDER "\",\"object\":\"" OBJECT_WHOLE "\",\"created\":"));
    a->created_at = (uint32_t)(out->len - start);
    if (st == ST_OK)
        st = put(out, SPAN(CREATED_PLACEHOLDER ",\"model\":"));
    if (st == ST_OK)
        st = json_write_string(out, p->model);
    if (st == ST_OK)
        st = put(out, p->head);
    if (st == ST_OK)
        st = put(out, SPAN(",\"choices\":[{\"index\":0,\"message\":{"));
    if (st == ST_OK)
        st = put(out, p->message);
    if (st == ST_OK)
        st = put(out, SPAN("},\"logprobs\":"));
    if (st == ST_OK)
        st = put(out, p->logprobs.len > 0 ? p->logprobs : SPAN("null"));
    if (st == ST_OK)
        st = put(out, SPAN(",\"finish_reason\":"));
    if (st == ST_OK)
        st = json_write_string(out, p->finish_reason);
    if (st == ST_OK)
        st = put(out, p->choice);
    if (st == ST_OK)
        st = put(out, SPAN("}]"));
    if (st == ST_OK && p->usage.len > 0) {
        st = put(out, SPAN(",\"usage\":"));
        if (st == ST_OK)
            st = put(out, p->usage);
    }
    return st == ST_OK ? put(out, SPAN("}")) : st;
}

enum status openai_answer_write(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp)
{
    size_t start = out->len;
    uint64_t s = stamp->created_s;
    enum status st = put(out, a->json);

    if (st != ST_OK)
        return st;
    memcpy(out->ptr + start + a->id_at, stamp->id, ANSWER_ID_BYTES);
    for (size_t i = ANSWER_CREATED_BYTES; i > 0; i--, s /= 10)
        out->ptr[start + a->created_at + i - 1] = (char)('0' + s % 10);
    return ST_OK;
}

/* --- reading a whole answer ----------------------------------------------------------- */

static void read_usage(const struct json *usage, struct answer *a)
{
    a->has_usage = json_u64(json_get(usage, SPAN("prompt_tokens")), &a->prompt_tokens) &&
                   json_u64(json_get(usage, SPAN("completion_tokens")), &a->completion_tokens);
    if (!json_u64(json_get(usage, SPAN("total_tokens")), &a->total_tokens))
        a->total_tokens = a->prompt_tokens + a->completion_tokens;
}

static bool is_filled(const struct json *v)
{
    switch (v != NULL ? v->type : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_STRING:
        return v->text.len > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return v->count > 0;
    case JSON_TRUE:
    case JSON_NUMBER:
        break;
    }
    return true;
}

static enum answer_verdict verdict_of(const struct json *message, const struct answer *a)
{
    if (is_filled(json_get(message, SPAN("tool_calls"))) ||
        is_filled(json_get(message, SPAN("function_call"))) ||
        span_eq(a->finish_reason, SPAN("tool_calls")) ||
        span_eq(a->finish_reason, SPAN("function_call")))
        return ANSWER_TOOL_CALL;
    if (is_filled(json_get(message, SPAN("refusal"))))
        return ANSWER_REFUSED;
    if (span_eq(a->finish_reason, SPAN("length")))
        return ANSWER_TRUNCATED;
    if (span_eq(a->finish_reason, SPAN("content_filter")))
        return ANSWER_FILTERED;
    if (!span_eq(a->finish_reason, SPAN("stop")))
        return ANSWER_INCOMPLETE;
    return a->text.len == 0 ? ANSWER_EMPTY : ANSWER_STORABLE;
}

/* Some say "error": null beside an answer. */
bool openai_answer_has_error(const struct json *root)
{
    const struct json *error = json_get(root, SPAN("error"));

    return error != NULL && error->type != JSON_NULL;
}

void openai_answer_judge(const struct json *root, struct answer *a)
{
    const struct json *choices = json_get(root, SPAN("choices")), *choice;

    if (openai_answer_has_error(root)) {
        a->verdict = ANSWER_ERROR;
        return;
    }
    if (choices == NULL || choices->type != JSON_ARRAY) {
        a->verdict = ANSWER_MALFORMED;
        return;
    }
    if (choices->count != 1) {
        a->verdict = ANSWER_CHOICES;
        return;
    }
    choice = choices->child;
    a->model = json_str(json_get(root, SPAN("model")));
    a->text = json_str(json_get(json_get(choice, SPAN("message")), SPAN("content")));
    a->finish_reason = json_str(json_get(choice, SPAN("finish_reason")));
    read_usage(json_get(root, SPAN("usage")), a);
    a->verdict = verdict_of(json_get(choice, SPAN("message")), a);
}

/* The members of `v` but for those that are written elsewhere, each with a comma. */
static enum status put_others(struct buf *b, const struct json *v, const struct span *skip,
                              size_t n)
{
    enum status st = ST_OK;

    for (const struct json *m = v->child; st == ST_OK && m != NULL; m = m->next) {
        bool known = false;

        for (size_t i = 0; i < n; i++)
            known |= span_eq(m->key, skip[i]);
        if (known)
            continue;
        st = put(b, SPAN(","));
        if (st == ST_OK)
            st = json_write_string(b, m->key);
        if (st == ST_OK)
            st = put(b, SPAN(":"));
        if (st == ST_OK)
            st = json_write(b, m);
    }
    return st;
}

static const struct span written_at_top[] = {{"id", 2},    {"object", 6},  {"created", 7},
                                             {"model", 5}, {"choices", 7}, {"usage", 5}};
static const struct span written_in_choice[] = {
    {"index", 5}, {"message", 7}, {"logprobs", 8}, {"finish_reason", 13}};

/* Where a piece begins in the buffer that holds them one after the other. */
static struct span piece(const struct buf *b, size_t from, size_t until)
{
    return (struct span){b->ptr + from, until - from};
}

/* `pieces` and `out` are empty; both have room for what is usual. */
static enum status render_tree(struct buf *out, struct buf *pieces, const struct json *root,
                               struct answer *a)
{
    const struct json *choice = json_get(root, SPAN("choices"))->child;
    const struct json *logprobs = json_get(choice, SPAN("logprobs"));
    const struct json *usage = json_get(root, SPAN("usage"));
    struct openai_answer_parts p = {.model = a->model, .finish_reason = a->finish_reason};
    size_t message_at, choice_at, logprobs_at, usage_at;
    enum status st = put_others(pieces, root, written_at_top, ARRAY_LEN(written_at_top));

    message_at = pieces->len;
    if (st == ST_OK)
        st = put_others(pieces, json_get(choice, SPAN("message")), NULL, 0);
    choice_at = pieces->len;
    if (st == ST_OK)
        st = put_others(pieces, choice, written_in_choice, ARRAY_LEN(written_in_choice));
    logprobs_at = pieces->len;
    if (st == ST_OK && logprobs != NULL)
        st = json_write(pieces, logprobs);
    usage_at = pieces->len;
    if (st == ST_OK && usage != NULL)
        st = json_write(pieces, usage);
    if (st != ST_OK)
        return st;
    p.head = piece(pieces, 0, message_at);
    p.message = piece(pieces, message_at + 1, choice_at); /* without the first comma */
    p.choice = piece(pieces, choice_at, logprobs_at);
    p.logprobs = piece(pieces, logprobs_at, usage_at);
    p.usage = piece(pieces, usage_at, pieces->len);
    return openai_answer_render(out, &p, a);
}

/* A part of the body that gives its place to another text of a known length. */
struct splice {
    size_t at, len;
    struct span by;
    uint32_t *kept_at; /* where it is in what is kept */
};

/* As the upstream wrote it, but for what each replay gets anew. false: not written as most
 * do (no id, an escape in it, ...). */
static bool splices_of(struct span body, const struct json *root, struct answer *a,
                       struct splice s[2])
{
    const struct json *id = json_get(root, SPAN("id"));
    const struct json *created = json_get(root, SPAN("created"));
    uint64_t number;

    if (id == NULL || id->type != JSON_STRING || !json_u64(created, &number) ||
        !span_eq(json_str(json_get(root, SPAN("object"))), SPAN(OBJECT_WHOLE)))
        return false;
    s[0] = (struct splice){id->at, id->text.len, SPAN(ID_PLACEHOLDER), &a->id_at};
    s[1] = (struct splice){created->at, created->text.len, SPAN(CREATED_PLACEHOLDER),
                           &a->created_at};
    /* Nothing was decoded, or it would end elsewhere. */
    if (body.ptr[id->at + id->text.len] != '"' ||
        memcmp(body.ptr + id->at, id->text.ptr, id->text.len) != 0)
        return false;
    if (s[0].at > s[1].at) {
        struct splice first = s[1];

        s[1] = s[0];
        s[0] = first;
    }
    return true;
}

static enum status keep_spliced(struct arena *arena, struct span body, const struct splice s[2],
                                struct answer *a)
{
    char *p = arena_alloc(arena, body.len + s[0].by.len + s[1].by.len, 1), *to = p;
    size_t from = 0;

    if (p == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < 2; i++) {
        memcpy(to, body.ptr + from, s[i].at - from);
        to += s[i].at - from;
        *s[i].kept_at = (uint32_t)(to - p);
        memcpy(to, s[i].by.ptr, s[i].by.len);
        to += s[i].by.len;
        from = s[i].at + s[i].len;
    }
    memcpy(to, body.ptr + from, body.len - from);
    a->json = (struct span){p, (size_t)(to - p) + body.len - from};
    return ST_OK;
}

/* The answer as it is kept, in the arena. */
static enum status keep_json(struct arena *arena, struct span body, const struct json *root,
                             struct answer *a)
{
    struct buf json, pieces;
    struct splice s[2];
    enum status st;

    if (splices_of(body, root, a, s))
        return keep_spliced(arena, body, s, a);
    buf_init(&json, 8 * body.len + 65536);
    buf_init(&pieces, json.limit);
    st = buf_reserve(&pieces, body.len);
    if (st == ST_OK)
        st = buf_reserve(&json, body.len + 256);
    if (st == ST_OK)
        st = render_tree(&json, &pieces, root, a);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&json), &a->json);
    buf_release(&pieces);
    buf_release(&json);
    return st;
}

enum status openai_answer_read(struct arena *arena, struct span body, struct answer *out)
{
    struct answer a = {.verdict = ANSWER_MALFORMED};
    struct json_error why;
    struct json *root;
    enum status st = json_parse(arena, body, JSON_DEPTH_MAX, &root, &why);

    if (st == ST_NOMEM)
        return st;
    if (st == ST_OK)
        openai_answer_judge(root, &a);
    if (a.verdict == ANSWER_STORABLE) {
        st = keep_json(arena, body, root, &a);
        if (st != ST_OK)
            return st;
    }
    *out = a;
    return ST_OK;
}

/* --- streams ---------------------------------------------------------------------------- */

/* Everything of an event before its choices. `extra` as in openai_answer_parts.head. */
static enum status begin_event(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span extra)
{
    enum status st = buf_printf(out,
                                "data: {\"id\":\"%s\",\"object\":\"" OBJECT_CHUNK
                                "\",\"created\":%" PRIu64 ",\"model\":",
                                stamp->id, stamp->created_s);

    if (st == ST_OK)
        st = json_write_string(out, model);
    return st == ST_OK ? put(out, extra) : st;
}

/* An event with one choice; empty parts are left out, or null. */
struct event {
    struct span extra;  /* further top-level members, each after a comma */
    struct span delta;  /* the members of the delta */
    struct span choice; /* further members of the choice, each after a comma */
    struct span logprobs, finish;
};

static enum status delta_event(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, const struct event *e)
{
    enum status st = begin_event(out, model, stamp, e->extra);

    if (st == ST_OK)
        st = put(out, SPAN(",\"choices\":[{\"index\":0,\"delta\":{"));
    if (st == ST_OK)
        st = put(out, e->delta);
    if (st == ST_OK)
        st = put(out, SPAN("},\"logprobs\":"));
    if (st == ST_OK)
        st = put(out, e->logprobs.len > 0 ? e->logprobs : SPAN("null"));
    if (st == ST_OK)
        st = put(out, SPAN(",\"finish_reason\":"));
    if (st == ST_OK)
        st = e->finish.len > 0 ? json_write_string(out, e->finish) : put(out, SPAN("null"));
    if (st == ST_OK)
        st = put(out, e->choice);
    return st == ST_OK ? put(out, SPAN("}]}\n\n")) : st;
}

static enum status usage_event(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span extra,
                               struct span usage)
{
    enum status st = begin_event(out, model, stamp, extra);

    if (st == ST_OK)
        st = put(out, SPAN(",\"choices\":[],\"usage\":"));
    if (st == ST_OK)
        st = put(out, usage);
    return st == ST_OK ? put(out, SPAN("}\n\n")) : st;
}

enum status openai_answer_write_begin(struct buf *out, struct span model,
                                      const struct answer_stamp *stamp)
{
    return delta_event(
        out, model, stamp,
        &(struct event){.delta = SPAN("\"role\":\"assistant\",\"content\":\"\"")});
}

static enum status string_delta(struct buf *out, struct span model,
                                const struct answer_stamp *stamp, struct span extra,
                                struct span name, struct span text)
{
    struct buf delta;
    enum status st;

    buf_init(&delta, 8 * (name.len + text.len) + 64);
    st = json_write_string(&delta, name);
    if (st == ST_OK)
        st = put(&delta, SPAN(":"));
    if (st == ST_OK)
        st = json_write_string(&delta, text);
    if (st == ST_OK)
        st = delta_event(out, model, stamp,
                         &(struct event){.extra = extra, .delta = buf_span(&delta)});
    buf_release(&delta);
    return st;
}

enum status openai_answer_write_delta(struct buf *out, struct span model,
                                      const struct answer_stamp *stamp, struct span text)
{
    return string_delta(out, model, stamp, (struct span){"", 0}, SPAN("content"), text);
}

enum status openai_answer_write_finish(struct buf *out, const struct answer *a,
                                       const struct answer_stamp *stamp, bool include_usage)
{
    struct span none = {"", 0};
    char usage[128];
    int n = snprintf(usage, sizeof(usage),
                     "{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64
                     ",\"total_tokens\":%" PRIu64 "}",
                     a->prompt_tokens, a->completion_tokens, a->total_tokens);
    enum status st =
        delta_event(out, a->model, stamp, &(struct event){.finish = a->finish_reason});

    if (st == ST_OK && include_usage)
        st = usage_event(out, a->model, stamp, none, (struct span){usage, (size_t)n});
    return st == ST_OK ? put(out, SPAN("data: [DONE]\n\n")) : st;
}

/* A replay in progress: events are numbered, those before `from` are passed over. */
struct replay {
    struct buf *out;
    const struct answer *answer;
    const struct answer_stamp *stamp;
    struct span extra;
    size_t from, next, end_bytes;
    enum status st;
    bool full;
};

/* Should the event at hand be written? Counts it. */
static bool due(struct replay *r)
{
    if (r->st != ST_OK || r->full)
        return false;
    if (r->next < r->from) {
        r->next++;
        return false;
    }
    if (r->out->len >= r->end_bytes) {
        r->full = true;
        return false;
    }
    r->next++;
    return true;
}

static void replay_event(struct replay *r, struct event e)
{
    e.extra = r->extra;
    if (due(r))
        r->st = delta_event(r->out, r->answer->model, r->stamp, &e);
}

/* The next piece: a word with the spaces after it. Characters are never split. */
static size_t piece_length(struct span s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] != ' ' && s.ptr[n] != '\n' && n < PIECE_MAX_BYTES)
        n++;
    while (n < s.len && (s.ptr[n] == ' ' || s.ptr[n] == '\n'))
        n++;
    while (n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
        n++;
    return n;
}

static void replay_text(struct replay *r, struct span name, struct span text)
{
    while (text.len > 0 && r->st == ST_OK && !r->full) {
        size_t n = piece_length(text);

        if (due(r))
            r->st = string_delta(r->out, r->answer->model, r->stamp, r->extra, name,
                                 (struct span){text.ptr, n});
        text.ptr += n;
        text.len -= n;
    }
}

/* Members of the message other than role and content: strings in pieces (reasoning),
 * the rest whole. */
static void replay_others(struct replay *r, const struct json *message)
{
    for (const struct json *m = message->child; m != NULL; m = m->next) {
        struct buf delta;

        if (span_eq(m->key, SPAN("role")) || span_eq(m->key, SPAN("content")) || !is_filled(m))
            continue;
        if (m->type == JSON_STRING) {
            replay_text(r, m->key, m->text);
            continue;
        }
        buf_init(&delta, SIZE_MAX / 4);
        if (json_write_string(&delta, m->key) != ST_OK || put(&delta, SPAN(":")) != ST_OK ||
            json_write(&delta, m) != ST_OK)
            r->st = ST_NOMEM;
        replay_event(r, (struct event){.delta = buf_span(&delta)});
        buf_release(&delta);
    }
}

static void replay_tree(struct replay *r, const struct json *root, bool include_usage)
{
    const struct json *choice = json_get(root, SPAN("choices"))->child;
    const struct json *message = json_get(choice, SPAN("message"));
    const struct json *logprobs = json_get(choice, SPAN("logprobs"));
    const struct json *usage = json_get(root, SPAN("usage"));
    struct buf scratch;

    buf_init(&scratch, SIZE_MAX / 4);
    replay_event(r, (struct event){.delta = SPAN("\"role\":\"assistant\",\"content\":\"\"")});
    replay_others(r, message);
    replay_text(r, SPAN("content"), json_str(json_get(message, SPAN("content"))));
    if (is_filled(logprobs)) {
        if (json_write(&scratch, logprobs) != ST_OK)
            r->st = ST_NOMEM;
        replay_event(r, (struct event){.logprobs = buf_span(&scratch)});
    }
    buf_clear(&scratch);
    if (put_others(&scratch, choice, written_in_choice, ARRAY_LEN(written_in_choice)) != ST_OK)
        r->st = ST_NOMEM;
    replay_event(
        r, (struct event){.finish = r->answer->finish_reason, .choice = buf_span(&scratch)});
    if (include_usage && usage != NULL && due(r)) {
        buf_clear(&scratch);
        r->st = json_write(&scratch, usage);
        if (r->st == ST_OK)
            r->st =
                usage_event(r->out, r->answer->model, r->stamp, r->extra, buf_span(&scratch));
    }
    if (due(r))
        r->st = put(r->out, SPAN("data: [DONE]\n\n"));
    buf_release(&scratch);
}

enum status openai_answer_write_stream(struct buf *out, const struct answer *a,
                                       const struct answer_stamp *stamp, bool include_usage,
                                       size_t *cursor, size_t budget, bool *done)
{
    struct replay r = {.out = out,
                       .answer = a,
                       .stamp = stamp,
                       .from = *cursor,
                       .end_bytes = out->len + (budget > 0 ? budget : 1)};
    struct json_error why;
    struct json *root;
    struct arena arena;
    struct buf extra;

    arena_init(&arena, 16384, 64 * a->json.len + (1u << 20));
    buf_init(&extra, a->json.len + 64);
    r.st = json_parse(&arena, a->json, JSON_DEPTH_MAX, &root, &why);
    if (r.st == ST_OK)
        r.st = put_others(&extra, root, written_at_top, ARRAY_LEN(written_at_top));
    if (r.st == ST_OK) {
        r.extra = buf_span(&extra);
        replay_tree(&r, root, include_usage);
    }
    buf_release(&extra);
    arena_release(&arena);
    if (r.st != ST_OK)
        return r.st;
    *cursor = r.next;
    *done = !r.full;
    return ST_OK;
}

/* --- errors ------------------------------------------------------------------------------ */

static enum status put_or_null(struct buf *out, struct span s)
{
    return s.len > 0 ? json_write_string(out, s) : put(out, SPAN("null"));
}

enum status openai_answer_write_error(struct buf *out, unsigned status, struct span type,
                                      struct span code, struct span param, struct span message)
{
    enum status st = put(out, SPAN("{\"error\":{\"message\":"));

    (void)status; /* it is in the head; OpenAI's body does not repeat it */
    if (st == ST_OK)
        st = json_write_string(out, message);
    if (st == ST_OK)
        st = put(out, SPAN(",\"type\":"));
    if (st == ST_OK)
        st = json_write_string(out, type);
    if (st == ST_OK)
        st = put(out, SPAN(",\"param\":"));
    if (st == ST_OK)
        st = put_or_null(out, param);
    if (st == ST_OK)
        st = put(out, SPAN(",\"code\":"));
    if (st == ST_OK)
        st = put_or_null(out, code);
    return st == ST_OK ? put(out, SPAN("}}")) : st;
}

enum status openai_answer_write_stream_error(struct buf *out, struct span type,
                                             struct span message)
{
    struct span none = {"", 0};
    enum status st = put(out, SPAN("data: "));

    if (st == ST_OK)
        st = openai_answer_write_error(out, 0, type, none, none, message);
    return st == ST_OK ? put(out, SPAN("\n\n")) : st;
}
