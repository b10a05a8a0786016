/* OpenAI's POST /v1/embeddings. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/json_exact.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

static const struct span ignored[] = {{"user", 4}};
static const struct form_rules form = {.ignored = ignored, .ignored_count = ARRAY_LEN(ignored)};
static const struct answer_shape as_it_is = {.id = {"", 0}};

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    return json_exact_decode(arena, in, &form, out, err);
}

static void judge(const struct json *root, struct answer *a)
{
    const struct json *usage = json_get(root, SPAN("usage"));

    json_exact_judge(root, SPAN("data"), a);
    a->has_usage = json_u64(json_get(usage, SPAN("prompt_tokens")), &a->prompt_tokens);
    a->total_tokens = a->prompt_tokens;
}

static bool serves(struct span path)
{
    return protocol_openai_path(path, SPAN("/embeddings"));
}

const struct protocol openai_embeddings_protocol = {
    .name = "openai.embeddings",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .judge = judge,
    .shape = &as_it_is,
    .write_error = openai_error_write,
    .write_stream_error = openai_error_write_event,
};
