/* OpenAI's POST /v1/moderations. */
#include "protocol/answer.h"
#include "protocol/json_exact.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

static const struct form_rules form = {.asked = {"", 0}};

static const struct answer_shape shape = {
    .id = {"id", 2}, .id_prefix = {"modr-", 5}, .id_letters = ANSWER_ID_LETTERS};

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    return json_exact_decode(arena, in, &form, out, err);
}

static void judge(const struct json *root, struct answer *a)
{
    json_exact_judge(root, SPAN("results"), a);
}

static bool serves(struct span path)
{
    return protocol_openai_path(path, SPAN("/moderations"));
}

const struct protocol openai_moderations_protocol = {
    .name = "openai.moderations",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .judge = judge,
    .shape = &shape,
    .write_error = openai_error_write,
    .write_stream_error = openai_error_write_event,
};
