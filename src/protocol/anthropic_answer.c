#include "protocol/anthropic_answer.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/event_run.h"
#include "protocol/event_writer.h"
#include "protocol/fields.h"
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
    answer_set_cached(a, json_get(usage, SPAN("cache_read_input_tokens")));
}

static enum answer_verdict verdict_of(const struct answer *a, bool calls)
{
    struct span why = a->finish_reason;

    if (span_eq(why, SPAN("refusal")))
        return ANSWER_REFUSED;
    if (span_eq(why, SPAN("max_tokens")) || span_eq(why, SPAN("model_context_window_exceeded")))
        return ANSWER_TRUNCATED;
    if (span_eq(why, SPAN("tool_use")))
        return ANSWER_TOOL_CALL;
    /* pause_turn is half an answer, and a reason we do not know may be. */
    if (!span_eq(why, SPAN("end_turn")) && !span_eq(why, SPAN("stop_sequence")))
        return ANSWER_INCOMPLETE;
    if (calls)
        return ANSWER_TOOL_CALL;
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

static struct event_writer open_block_event(struct buf *out, struct span name, size_t index)
{
    struct event_writer e = event_writer_begin(out, name);

    event_writer_put(&e, SPAN(",\"index\":"));
    event_writer_u64(&e, index);
    return e;
}

static enum status block_stop(struct buf *out, size_t index)
{
    struct event_writer e = open_block_event(out, SPAN("content_block_stop"), index);

    return event_writer_end(&e);
}

/* {"type": TYPE, NAME: text} */
static enum status text_delta(struct buf *out, size_t index, struct span type, struct span name,
                              struct span text)
{
    struct event_writer e = open_block_event(out, SPAN("content_block_delta"), index);

    event_writer_put(&e, SPAN(",\"delta\":{\"type\":"));
    event_writer_text(&e, type);
    event_writer_put(&e, SPAN(","));
    event_writer_text(&e, name);
    event_writer_put(&e, SPAN(":"));
    event_writer_text(&e, text);
    event_writer_put(&e, SPAN("}"));
    return event_writer_end(&e);
}

static enum status message_stop(struct buf *out)
{
    struct event_writer e = event_writer_begin(out, SPAN("message_stop"));

    return event_writer_end(&e);
}

/* --- the built-in model's text ---------------------------------------------------------- */

static struct span stop_reason(struct span finish)
{
    return span_eq(finish, SPAN("length")) ? SPAN("max_tokens") : SPAN("end_turn");
}

static void put_usage(struct event_writer *e, uint64_t in, uint64_t out)
{
    event_writer_put(e, SPAN(",\"usage\":{\"input_tokens\":"));
    event_writer_u64(e, in);
    event_writer_put(e, SPAN(",\"output_tokens\":"));
    event_writer_u64(e, out);
    event_writer_put(e, SPAN("}"));
}

static void put_tool_use(struct event_writer *e, const struct protocol_call *c)
{
    event_writer_put(e, SPAN("\"tool_use\",\"id\":\"toolu_"));
    event_writer_put(e, c->id);
    event_writer_put(e, SPAN("\",\"name\":"));
    event_writer_text(e, c->name);
    event_writer_put(e, SPAN(",\"input\":"));
    event_writer_put(e, c->arguments);
}

enum status anthropic_answer_render(struct buf *out, const struct protocol_text *t)
{
    bool calls = t->call != NULL && span_eq(t->finish, SPAN("stop"));
    struct event_writer e = {out, ST_OK};

    event_writer_put(
        &e, SPAN("{\"id\":\"\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    event_writer_text(&e, t->model);
    event_writer_put(&e, SPAN(",\"content\":[{\"type\":"));
    if (t->call != NULL) {
        put_tool_use(&e, t->call);
    } else {
        event_writer_put(&e, SPAN("\"text\",\"text\":"));
        event_writer_text(&e, t->text);
    }
    event_writer_put(&e, SPAN("}],\"stop_reason\":"));
    event_writer_text(&e, calls ? SPAN("tool_use") : stop_reason(t->finish));
    event_writer_put(&e, SPAN(",\"stop_sequence\":null"));
    put_usage(&e, t->prompt_tokens, t->completion_tokens);
    event_writer_put(&e, SPAN("}"));
    return e.st;
}

static void put_id(struct event_writer *e, const struct answer_stamp *stamp)
{
    event_writer_put(e, SPAN("\"" ID_PREFIX));
    event_writer_put(e, (struct span){stamp->letters, ID_LETTERS});
    event_writer_put(e, SPAN("\""));
}

/* What the prompt cost is not known yet; the end tells. */
static enum status write_begin(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, uint64_t *next)
{
    struct event_writer e = event_writer_begin(out, SPAN("message_start")), block;

    (void)next;
    event_writer_put(&e, SPAN(",\"message\":{\"id\":"));
    put_id(&e, stamp);
    event_writer_put(&e, SPAN(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    event_writer_text(&e, model);
    event_writer_put(&e, SPAN(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"));
    put_usage(&e, 0, 0);
    event_writer_put(&e, SPAN("}"));
    if (event_writer_end(&e) != ST_OK)
        return e.st;
    block = open_block_event(out, SPAN("content_block_start"), 0);
    event_writer_put(&block, SPAN(",\"content_block\":{\"type\":\"text\",\"text\":\"\"}"));
    return event_writer_end(&block);
}

static enum status write_delta(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span text,
                               uint64_t *next)
{
    (void)next;
    (void)model;
    (void)stamp;
    return text_delta(out, 0, SPAN("text_delta"), SPAN("text"), text);
}

static enum status write_finish(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage,
                                uint64_t *next)
{
    enum status st = block_stop(out, 0);
    struct event_writer e;

    (void)stamp;
    (void)include_usage;
    (void)next;
    if (st != ST_OK)
        return st;
    e = event_writer_begin(out, SPAN("message_delta"));
    event_writer_put(&e, SPAN(",\"delta\":{\"stop_reason\":"));
    event_writer_text(&e, a->finish_reason);
    event_writer_put(&e, SPAN(",\"stop_sequence\":null}"));
    put_usage(&e, a->prompt_tokens, a->completion_tokens);
    st = event_writer_end(&e);
    return st == ST_OK ? message_stop(out) : st;
}

const struct protocol_live anthropic_answer_live = {write_begin, write_delta, write_finish};

/* --- replay ----------------------------------------------------------------------------- */

/* All the message has but its content and how it ended. The count of output tokens grows
 * in a stream; the end tells it. */
static enum status message_start(struct buf *out, const struct json *root)
{
    static const struct span written[] = {
        {"id", 2}, {"content", 7}, {"stop_reason", 11}, {"stop_sequence", 13}, {"usage", 5}};
    static const struct span counted[] = {{"output_tokens", 13}};
    const struct json *usage = json_get(root, SPAN("usage"));
    struct event_writer e = event_writer_begin(out, SPAN("message_start"));

    event_writer_put(&e, SPAN(",\"message\":{\"id\":"));
    event_writer_json(&e, json_get(root, SPAN("id")));
    event_writer_others(&e, root, written, ARRAY_LEN(written));
    event_writer_put(&e, SPAN(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null"));
    if (usage != NULL && usage->type == JSON_OBJECT) {
        event_writer_put(&e, SPAN(",\"usage\":{\"output_tokens\":0"));
        event_writer_others(&e, usage, counted, ARRAY_LEN(counted));
        event_writer_put(&e, SPAN("}"));
    }
    event_writer_put(&e, SPAN("}"));
    return event_writer_end(&e);
}

static enum status message_delta(struct buf *out, const struct json *root)
{
    const struct json *reason = json_get(root, SPAN("stop_reason"));
    const struct json *sequence = json_get(root, SPAN("stop_sequence"));
    const struct json *usage = json_get(root, SPAN("usage"));
    struct event_writer e = event_writer_begin(out, SPAN("message_delta"));

    event_writer_put(&e, SPAN(",\"delta\":{\"stop_reason\":"));
    event_writer_json(&e, reason);
    event_writer_put(&e, SPAN(",\"stop_sequence\":"));
    if (sequence != NULL)
        event_writer_json(&e, sequence);
    else
        event_writer_put(&e, SPAN("null"));
    event_writer_put(&e, SPAN("}"));
    if (usage != NULL) {
        event_writer_put(&e, SPAN(",\"usage\":"));
        event_writer_json(&e, usage);
    }
    return event_writer_end(&e);
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
    struct event_writer e = open_block_event(out, SPAN("content_block_start"), index);
    bool comma = false;

    event_writer_put(&e, SPAN(",\"content_block\":{"));
    for (const struct json *m = block->child; m != NULL; m = m->next) {
        if (comma)
            event_writer_put(&e, SPAN(","));
        comma = true;
        event_writer_text(&e, m->key);
        event_writer_put(&e, SPAN(":"));
        if (is_streamed(m))
            event_writer_put(&e, SPAN("\"\""));
        else if (is_input(m))
            event_writer_put(&e, SPAN("{}"));
        else if (is_citations(m))
            event_writer_put(&e, SPAN("[]"));
        else
            event_writer_json(&e, m);
    }
    event_writer_put(&e, SPAN("}"));
    return event_writer_end(&e);
}

static enum status citation_delta(struct buf *out, size_t index, const struct json *citation)
{
    struct event_writer e = open_block_event(out, SPAN("content_block_delta"), index);

    event_writer_put(&e, SPAN(",\"delta\":{\"type\":\"citations_delta\",\"citation\":"));
    event_writer_json(&e, citation);
    event_writer_put(&e, SPAN("}"));
    return event_writer_end(&e);
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
        r->st = message_start(r->out, root);
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

static void put_error(struct event_writer *e, const struct protocol_failure *f)
{
    event_writer_put(e, SPAN("\"error\":{\"type\":"));
    event_writer_text(e, error_type(f));
    event_writer_put(e, SPAN(",\"message\":"));
    event_writer_text(e, f->message);
    /* Ours, for people: theirs has no such members, and their SDKs show the whole. */
    if (f->code.len > 0) {
        event_writer_put(e, SPAN(",\"code\":"));
        event_writer_text(e, f->code);
    }
    if (f->param.len > 0) {
        event_writer_put(e, SPAN(",\"param\":"));
        event_writer_text(e, f->param);
    }
    event_writer_put(e, SPAN("}"));
}

enum status anthropic_answer_error(struct buf *out, const struct protocol_failure *f)
{
    struct event_writer e = {out, ST_OK};

    event_writer_put(&e, SPAN("{\"type\":\"error\","));
    put_error(&e, f);
    event_writer_put(&e, SPAN("}"));
    return e.st;
}

enum status anthropic_answer_error_event(struct buf *out, const struct protocol_failure *f)
{
    struct event_writer e = event_writer_begin(out, SPAN("error"));

    event_writer_put(&e, SPAN(","));
    put_error(&e, f);
    return event_writer_end(&e);
}
