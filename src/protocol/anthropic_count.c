/* Anthropic's POST /v1/messages/count_tokens: how many tokens a prompt has. */
#include "base/json_writer.h"
#include "protocol/anthropic_answer.h"
#include "protocol/anthropic_messages.h"
#include "protocol/answer.h"
#include "protocol/json_exact.h"
#include "protocol/protocol.h"

static const struct form_rules form = {.asked = {"", 0}};
static const struct answer_shape as_it_is = {.id = {"", 0}};

/* Of the conversation what a model here would be given. What makes reuse of an answer unsafe
 * does not make that of a count. */
static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q, m = {.choices = 1};
    enum status st = json_exact_decode(arena, in, &form, &q, err);

    if (st == ST_OK)
        st = anthropic_messages_read(arena, q.body, &m, err);
    if (st != ST_OK)
        return st;
    q.turns = m.turns;
    q.turn_count = m.turn_count;
    q.last_text = m.last_text;
    q.has_attachments = m.has_attachments;
    q.must_call_tool = m.must_call_tool;
    q.tools = m.tools;
    q.tool_count = m.tool_count;
    q.unsupported = m.unsupported;
    *out = q;
    return ST_OK;
}

static void judge(const struct json *root, struct answer *a)
{
    json_exact_judge(root, SPAN("input_tokens"), a);
}

static enum status write_count(struct buf *out, uint64_t tokens)
{
    struct json_writer w = {.out = out};

    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "input_tokens", tokens);
    json_writer_close(&w, '}');
    return w.st;
}

static bool serves(struct span path)
{
    return span_eq(path, SPAN("/v1/messages/count_tokens"));
}

const struct protocol anthropic_count_protocol = {
    .name = "anthropic.count_tokens",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .judge = judge,
    .shape = &as_it_is,
    .write_count = write_count,
    .write_error = anthropic_answer_error,
    .write_stream_error = anthropic_answer_error_event,
};
