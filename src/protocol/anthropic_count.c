/* Anthropic's POST /v1/messages/count_tokens: how many tokens a prompt has. */
#include "protocol/anthropic_answer.h"
#include "protocol/answer.h"
#include "protocol/json_exact.h"
#include "protocol/protocol.h"

static const struct form_rules form = {.asked = {"", 0}};
static const struct answer_shape as_it_is = {.id = {"", 0}};

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    return json_exact_decode(arena, in, &form, out, err);
}

static void judge(const struct json *root, struct answer *a)
{
    json_exact_judge(root, SPAN("input_tokens"), a);
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
    .write_error = anthropic_answer_error,
    .write_stream_error = anthropic_answer_error_event,
};
