#include "protocol/anthropic_answer.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/event_run.h"
#include "protocol/fields.h"
#include "protocol/members.h"
#include "protocol/protocol.h"

/* "msg_01" and 22 letters, as theirs. */
#define ID_PREFIX  "msg_01"
#define ID_LETTERS 22

const struct answer_shape anthropic_answer_shape = {
    .id = {"id", 2},
    .id_prefix = {ID_PREFIX, sizeof(ID_PREFIX) - 1},
    .id_letters = ID_LETTERS,
};

/* --- judging a whole answer ----------------------------------------------------------- */

static uint64_t tokens(const struct json *usage, struct span name)
{
    uint64_t n = 0;

    return json_u64(json_get(usage, name), &n) ? n : 0;
}

/* What was read from or written to their prompt cache was prompt all the same. */
static void read_usage(const struct json *usage, struct answer *a)
{
    a->has_usage = json_u64(json_get(usage, SPAN("input_tokens")), &a->prompt_tokens) &&
                   json_u64(json_get(usage, SPAN("output_tokens")), &a->completion_tokens);
    a->prompt_tokens += tokens(usage, SPAN("cache_creation_input_tokens")) +
                        tokens(usage, SPAN("cache_read_input_tokens"));
    a->total_tokens = a->prompt_tokens + a->completion_tokens;
}

static enum answer_verdict verdict_of(const struct answer *a, bool calls)
{
    struct span why = a->finish_reason;

    if (calls || span_eq(why, SPAN("tool_use")))
        return ANSWER_TOOL_CALL;
    if (span_eq(why, SPAN("refusal")))
        return ANSWER_REFUSED;
    if (span_eq(why, SPAN("max_tokens")) || span_eq(why, SPAN("model_context_window_exceeded")))
        return ANSWER_TRUNCATED;
    /* pause_turn is half an answer, and a reason we do not know may be. */
    if (!span_eq(why, SPAN("end_turn")) && !span_eq(why, SPAN("stop_sequence")))
        return ANSWER_INCOMPLETE;
    return a->text.len == 0 ? ANSWER_EMPTY : ANSWER_STORABLE;
}

void anthropic_answer_judge(const struct json *root, struct answer *a)
{
    const struct json *content = json_get(root, SPAN("content"));
    bool calls = false;

    if (span_eq(json_str(json_get(root, SPAN("type"))), SPAN("error")) ||
        fields_get(root, SPAN("error")) != NULL) {
        a->verdict = ANSWER_ERROR;
        return;
    }
    if (content == NULL || content->type != JSON_ARRAY) {
        a->verdict = ANSWER_MALFORMED;
        return;
    }
    for (const struct json *block = content->child; block != NULL; block = block->next) {
        calls |= span_eq(json_str(json_get(block, SPAN("type"))), SPAN("tool_use"));
        if (a->text.len == 0)
            a->text = json_str(json_get(block, SPAN("text")));
    }
    a->model = json_str(json_get(root, SPAN("model")));
    a->finish_reason = json_str(json_get(root, SPAN("stop_reason")));
    read_usage(json_get(root, SPAN("usage")), a);
    a->verdict = verdict_of(a, calls);
}

/* --- events ----------------------------------------------------------------------------- */

/* An event in the making: the first failure sticks. */
struct event {
    struct buf *out;
    enum status st;
};

static void put(struct event *e, struct span s)
{
    if (e->st == ST_OK)
        e->st = buf_append(e->out, s);
}

static void put_string(struct event *e, struct span s)
{
    if (e->st == ST_OK)
        e->st = json_write_string(e->out, s);
}

static void put_json(struct event *e, const struct json *v)
{
    if (e->st == ST_OK)
        e->st = json_write(e->out, v);
}

static void put_u64(struct event *e, uint64_t n)
{
    if (e->st == ST_OK)
        e->st = buf_append_u64(e->out, n, 1);
}

static void put_others(struct event *e, const struct json *v, const struct span *skip, size_t n)
{
    if (e->st == ST_OK)
        e->st = members_put_others(e->out, v, skip, n);
}

/* event: NAME, data: {"type":"NAME" */
static struct event open_event(struct buf *out, struct span name)
{
    struct event e = {out, ST_OK};

    put(&e, SPAN("event: "));
    put(&e, name);
    put(&e, SPAN("\ndata: {\"type\":\""));
    put(&e, name);
    put(&e, SPAN("\""));
    return e;
}

static enum status close_event(struct event *e)
{
    put(e, SPAN("}\n\n"));
    return e->st;
}

static struct event open_block_event(struct buf *out, struct span name, size_t index)
{
    struct event e = open_event(out, name);

    put(&e, SPAN(",\"index\":"));
    put_u64(&e, index);
    return e;
}

static enum status block_stop(struct buf *out, size_t index)
{
    struct event e = open_block_event(out, SPAN("content_block_stop"), index);

    return close_event(&e);
}

/* {"type": TYPE, NAME: text} */
static enum status text_delta(struct buf *out, size_t index, struct span type, struct span name,
                              struct span text)
{
    struct event e = open_block_event(out, SPAN("content_block_delta"), index);

    put(&e, SPAN(",\"delta\":{\"type\":"));
    put_string(&e, type);
    put(&e, SPAN(","));
    put_string(&e, name);
    put(&e, SPAN(":"));
    put_string(&e, text);
    put(&e, SPAN("}"));
    return close_event(&e);
}

static enum status message_stop(struct buf *out)
{
    struct event e = open_event(out, SPAN("message_stop"));

    return close_event(&e);
}

/* --- the built-in model's text ---------------------------------------------------------- */

static struct span stop_reason(struct span finish)
{
    return span_eq(finish, SPAN("length")) ? SPAN("max_tokens") : SPAN("end_turn");
}

static void put_usage(struct event *e, uint64_t in, uint64_t out)
{
    put(e, SPAN(",\"usage\":{\"input_tokens\":"));
    put_u64(e, in);
    put(e, SPAN(",\"output_tokens\":"));
    put_u64(e, out);
    put(e, SPAN("}"));
}

enum status anthropic_answer_render(struct buf *out, const struct protocol_text *t)
{
    struct event e = {out, ST_OK};

    put(&e, SPAN("{\"id\":\"\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    put_string(&e, t->model);
    put(&e, SPAN(",\"content\":[{\"type\":\"text\",\"text\":"));
    put_string(&e, t->text);
    put(&e, SPAN("}],\"stop_reason\":"));
    put_string(&e, stop_reason(t->finish));
    put(&e, SPAN(",\"stop_sequence\":null"));
    put_usage(&e, t->prompt_tokens, t->completion_tokens);
    put(&e, SPAN("}"));
    return e.st;
}

static void put_id(struct event *e, const struct answer_stamp *stamp)
{
    put(e, SPAN("\"" ID_PREFIX));
    put(e, (struct span){stamp->letters, ID_LETTERS});
    put(e, SPAN("\""));
}

/* What the prompt cost is not known yet; the end tells. */
static enum status write_begin(struct buf *out, struct span model,
                               const struct answer_stamp *stamp)
{
    struct event e = open_event(out, SPAN("message_start")), block;

    put(&e, SPAN(",\"message\":{\"id\":"));
    put_id(&e, stamp);
    put(&e, SPAN(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    put_string(&e, model);
    put(&e, SPAN(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"));
    put_usage(&e, 0, 0);
    put(&e, SPAN("}"));
    if (close_event(&e) != ST_OK)
        return e.st;
    block = open_block_event(out, SPAN("content_block_start"), 0);
    put(&block, SPAN(",\"content_block\":{\"type\":\"text\",\"text\":\"\"}"));
    return close_event(&block);
}

static enum status write_delta(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span text)
{
    (void)model;
    (void)stamp;
    return text_delta(out, 0, SPAN("text_delta"), SPAN("text"), text);
}

static enum status write_finish(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage)
{
    enum status st = block_stop(out, 0);
    struct event e;

    (void)stamp;
    (void)include_usage;
    if (st != ST_OK)
        return st;
    e = open_event(out, SPAN("message_delta"));
    put(&e, SPAN(",\"delta\":{\"stop_reason\":"));
    put_string(&e, a->finish_reason);
    put(&e, SPAN(",\"stop_sequence\":null}"));
    put_usage(&e, a->prompt_tokens, a->completion_tokens);
    st = close_event(&e);
    return st == ST_OK ? message_stop(out) : st;
}

const struct protocol_live anthropic_answer_live = {write_begin, write_delta, write_finish};

/* --- replay ----------------------------------------------------------------------------- */

/* All the message has but its content and how it ended. The count of output tokens grows
 * in a stream; the end tells it. */
static enum status message_start(struct buf *out, const struct answer_stamp *stamp,
                                 const struct json *root)
{
    static const struct span written[] = {
        {"id", 2}, {"content", 7}, {"stop_reason", 11}, {"stop_sequence", 13}, {"usage", 5}};
    static const struct span counted[] = {{"output_tokens", 13}};
    const struct json *usage = json_get(root, SPAN("usage"));
    struct event e = open_event(out, SPAN("message_start"));

    put(&e, SPAN(",\"message\":{\"id\":"));
    put_id(&e, stamp);
    put_others(&e, root, written, ARRAY_LEN(written));
    put(&e, SPAN(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"));
    if (usage != NULL && usage->type == JSON_OBJECT) {
        put(&e, SPAN(",\"usage\":{\"output_tokens\":0"));
        put_others(&e, usage, counted, ARRAY_LEN(counted));
        put(&e, SPAN("}"));
    }
    put(&e, SPAN("}"));
    return close_event(&e);
}

static enum status message_delta(struct buf *out, const struct json *root)
{
    const struct json *reason = json_get(root, SPAN("stop_reason"));
    const struct json *sequence = json_get(root, SPAN("stop_sequence"));
    const struct json *usage = json_get(root, SPAN("usage"));
    struct event e = open_event(out, SPAN("message_delta"));

    put(&e, SPAN(",\"delta\":{\"stop_reason\":"));
    put_json(&e, reason);
    put(&e, SPAN(",\"stop_sequence\":"));
    if (sequence != NULL)
        put_json(&e, sequence);
    else
        put(&e, SPAN("null"));
    put(&e, SPAN("}"));
    if (usage != NULL) {
        put(&e, SPAN(",\"usage\":"));
        put_json(&e, usage);
    }
    return close_event(&e);
}

/* The members of a block that come in pieces, and the deltas they come in. */
struct streamed {
    struct span name, delta;
};

static const struct streamed streamed[] = {
    {{"text", 4}, {"text_delta", 10}},
    {{"thinking", 8}, {"thinking_delta", 14}},
    {{"signature", 9}, {"signature_delta", 15}},
};

static bool is_streamed(const struct json *m)
{
    for (size_t i = 0; i < ARRAY_LEN(streamed); i++) {
        if (span_eq(m->key, streamed[i].name))
            return m->type == JSON_STRING;
    }
    return false;
}

/* A call's input: {} at first, then its JSON in pieces. */
static bool is_input(const struct json *m)
{
    return span_eq(m->key, SPAN("input")) && m->type == JSON_OBJECT;
}

static bool is_citations(const struct json *m)
{
    return span_eq(m->key, SPAN("citations")) && m->type == JSON_ARRAY;
}

static enum status block_start(struct buf *out, size_t index, const struct json *block)
{
    struct event e = open_block_event(out, SPAN("content_block_start"), index);
    bool comma = false;

    put(&e, SPAN(",\"content_block\":{"));
    for (const struct json *m = block->child; m != NULL; m = m->next) {
        if (comma)
            put(&e, SPAN(","));
        comma = true;
        put_string(&e, m->key);
        put(&e, SPAN(":"));
        if (is_streamed(m))
            put(&e, SPAN("\"\""));
        else if (is_input(m))
            put(&e, SPAN("{}"));
        else if (is_citations(m))
            put(&e, SPAN("[]"));
        else
            put_json(&e, m);
    }
    put(&e, SPAN("}"));
    return close_event(&e);
}

static enum status citation_delta(struct buf *out, size_t index, const struct json *citation)
{
    struct event e = open_block_event(out, SPAN("content_block_delta"), index);

    put(&e, SPAN(",\"delta\":{\"type\":\"citations_delta\",\"citation\":"));
    put_json(&e, citation);
    put(&e, SPAN("}"));
    return close_event(&e);
}

static void replay_text(struct event_run *r, size_t index, struct span type, struct span name,
                        struct span text)
{
    while (text.len > 0 && r->st == ST_OK && !r->full) {
        struct span piece = event_run_piece(&text);

        if (event_run_due(r))
            r->st = text_delta(r->out, index, type, name, piece);
    }
}

static void replay_input(struct event_run *r, size_t index, const struct json *input)
{
    struct buf text;

    if (input->count == 0)
        return;
    buf_init(&text, SIZE_MAX / 4);
    if (r->st == ST_OK)
        r->st = json_write(&text, input);
    if (r->st == ST_OK)
        replay_text(r, index, SPAN("input_json_delta"), SPAN("partial_json"), buf_span(&text));
    buf_release(&text);
}

static void replay_block(struct event_run *r, size_t index, const struct json *block)
{
    if (event_run_due(r))
        r->st = block_start(r->out, index, block);
    for (size_t i = 0; i < ARRAY_LEN(streamed); i++)
        replay_text(r, index, streamed[i].delta, streamed[i].name,
                    json_str(json_get(block, streamed[i].name)));
    for (const struct json *m = block->child; m != NULL; m = m->next) {
        if (is_input(m))
            replay_input(r, index, m);
        if (!is_citations(m))
            continue;
        for (const struct json *c = m->child; c != NULL; c = c->next) {
            if (event_run_due(r))
                r->st = citation_delta(r->out, index, c);
        }
    }
    if (event_run_due(r))
        r->st = block_stop(r->out, index);
}

void anthropic_answer_replay(struct event_run *r, const struct json *root)
{
    size_t index = 0;

    if (event_run_due(r))
        r->st = message_start(r->out, r->stamp, root);
    for (const struct json *b = json_get(root, SPAN("content"))->child; b != NULL; b = b->next)
        replay_block(r, index++, b);
    if (event_run_due(r))
        r->st = message_delta(r->out, root);
    if (event_run_due(r))
        r->st = message_stop(r->out);
}

/* --- errors ------------------------------------------------------------------------------ */

/* docs.anthropic.com/en/api/errors */
static struct span error_type(const struct protocol_failure *f)
{
    if (span_eq(f->code, SPAN("overloaded")))
        return SPAN("overloaded_error");
    switch (f->status) {
    case 400:
        return SPAN("invalid_request_error");
    case 401:
        return SPAN("authentication_error");
    case 403:
        return SPAN("permission_error");
    case 404:
        return SPAN("not_found_error");
    case 413:
        return SPAN("request_too_large");
    case 429:
        return SPAN("rate_limit_error");
    case 504:
        return SPAN("timeout_error");
    default:
        return SPAN("api_error");
    }
}

static void put_error(struct event *e, const struct protocol_failure *f)
{
    put(e, SPAN("\"error\":{\"type\":"));
    put_string(e, error_type(f));
    put(e, SPAN(",\"message\":"));
    put_string(e, f->message);
    /* Ours, for people: theirs has no such members, and their SDKs show the whole. */
    if (f->code.len > 0) {
        put(e, SPAN(",\"code\":"));
        put_string(e, f->code);
    }
    if (f->param.len > 0) {
        put(e, SPAN(",\"param\":"));
        put_string(e, f->param);
    }
    put(e, SPAN("}"));
}

enum status anthropic_answer_error(struct buf *out, const struct protocol_failure *f)
{
    struct event e = {out, ST_OK};

    put(&e, SPAN("{\"type\":\"error\","));
    put_error(&e, f);
    put(&e, SPAN("}"));
    return e.st;
}

enum status anthropic_answer_error_event(struct buf *out, const struct protocol_failure *f)
{
    struct event e = open_event(out, SPAN("error"));

    put(&e, SPAN(","));
    put_error(&e, f);
    return close_event(&e);
}
