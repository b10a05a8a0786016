/* OpenAI's POST /v1/embeddings. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/embeddings_batch.h"
#include "protocol/event_writer.h"
#include "protocol/fields.h"
#include "protocol/json_exact.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"
#include "protocol/vector_text.h"

static const struct span ignored[] = {{"user", 4}};
static const struct form_rules form = {.ignored = ignored, .ignored_count = ARRAY_LEN(ignored)};
static const struct answer_shape as_it_is = {.id = {"", 0}};

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q;
    enum status st = json_exact_decode(arena, in, &form, &q, err);

    if (st == ST_OK)
        st = fields_count(q.body, "dimensions", &q.has_dimensions, &q.dimensions, err);
    if (st == ST_OK)
        st = fields_inputs(arena, json_get(q.body, SPAN("input")), &q.inputs, &q.input_count);
    if (st != ST_OK)
        return st;
    st = embeddings_batch_normal(arena, q.exact_form, &q.exact_form);
    if (st != ST_OK)
        return st;
    q.batch_count = embeddings_batch_count(json_get(q.body, SPAN("input")));
    q.base64 = span_eq(json_str(json_get(q.body, SPAN("encoding_format"))), SPAN("base64"));
    if (q.input_count == 0)
        q.unsupported = "the built-in encoder reads texts; input must be a string or an array "
                        "of at most 2048 strings";
    *out = q;
    return ST_OK;
}

static void put_vector(struct event_writer *w, const struct protocol_vectors *v, size_t i)
{
    event_writer_put(w, i > 0 ? SPAN(",") : (struct span){"", 0});
    event_writer_put(w, SPAN("{\"object\":\"embedding\",\"index\":"));
    event_writer_u64(w, i);
    event_writer_put(w, SPAN(",\"embedding\":"));
    if (w->st == ST_OK)
        w->st = v->base64 ? vector_text_base64(w->out, v->list[i], v->dimensions)
                          : vector_text_numbers(w->out, v->list[i], v->dimensions);
    event_writer_put(w, SPAN("}"));
}

static enum status write_vectors(struct buf *out, const struct protocol_vectors *v)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; w.st == ST_OK && i < v->count; i++)
        put_vector(&w, v, i);
    event_writer_put(&w, SPAN("],\"model\":"));
    event_writer_text(&w, v->model);
    event_writer_put(&w, SPAN(",\"usage\":{\"prompt_tokens\":"));
    event_writer_u64(&w, v->prompt_tokens);
    event_writer_put(&w, SPAN(",\"total_tokens\":"));
    event_writer_u64(&w, v->prompt_tokens);
    event_writer_put(&w, SPAN("}}"));
    return w.st;
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
    .write_vectors = write_vectors,
    .batched = true,
    .write_error = openai_error_write,
    .write_stream_error = openai_error_write_event,
};
