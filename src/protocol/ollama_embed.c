/* Ollama's POST /api/embed, and the older /api/embeddings for one text. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/event_writer.h"
#include "protocol/fields.h"
#include "protocol/json_exact.h"
#include "protocol/ollama_answer.h"
#include "protocol/protocol.h"
#include "protocol/vector_text.h"

static const struct span ignored[] = {{"keep_alive", 10}};
static const struct form_rules form = {.ignored = ignored, .ignored_count = ARRAY_LEN(ignored)};
static const struct answer_shape as_it_is = {.id = {"", 0}};

static enum status decode_from(struct arena *arena, const struct protocol_request *in,
                               struct span input, struct chat_request *out,
                               struct protocol_error *err)
{
    struct chat_request q;
    enum status st = json_exact_decode(arena, in, &form, &q, err);

    if (st == ST_OK)
        st = fields_count(q.body, "dimensions", &q.has_dimensions, &q.dimensions, err);
    if (st == ST_OK)
        st = fields_inputs(arena, json_get(q.body, input), &q.inputs, &q.input_count);
    if (st != ST_OK)
        return st;
    q.model = ollama_answer_model(q.model);
    if (q.input_count == 0)
        q.unsupported = "the built-in encoder reads texts; the input must be a string or an "
                        "array of at most 2048 strings";
    *out = q;
    return ST_OK;
}

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    return decode_from(arena, in, SPAN("input"), out, err);
}

static enum status decode_old(struct arena *arena, const struct protocol_request *in,
                              struct chat_request *out, struct protocol_error *err)
{
    return decode_from(arena, in, SPAN("prompt"), out, err);
}

static void judge(const struct json *root, struct answer *a)
{
    json_exact_judge(root, SPAN("embeddings"), a);
    a->has_usage = json_u64(json_get(root, SPAN("prompt_eval_count")), &a->prompt_tokens);
    a->total_tokens = a->prompt_tokens;
}

static void judge_old(const struct json *root, struct answer *a)
{
    json_exact_judge(root, SPAN("embedding"), a);
}

static enum status write_vectors(struct buf *out, const struct protocol_vectors *v)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"model\":"));
    event_writer_text(&w, v->model);
    event_writer_put(&w, SPAN(",\"embeddings\":["));
    for (size_t i = 0; w.st == ST_OK && i < v->count; i++) {
        event_writer_put(&w, i > 0 ? SPAN(",") : (struct span){"", 0});
        if (w.st == ST_OK)
            w.st = vector_text_numbers(out, v->list[i], v->dimensions);
    }
    event_writer_put(&w, SPAN("],\"prompt_eval_count\":"));
    event_writer_u64(&w, v->prompt_tokens);
    event_writer_put(&w, SPAN("}"));
    return w.st;
}

static enum status write_vector(struct buf *out, const struct protocol_vectors *v)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"embedding\":"));
    if (w.st == ST_OK)
        w.st = vector_text_numbers(out, v->list[0], v->dimensions);
    event_writer_put(&w, SPAN("}"));
    return w.st;
}

static bool serves(struct span path)
{
    return span_eq(path, SPAN("/api/embed"));
}

static bool serves_old(struct span path)
{
    return span_eq(path, SPAN("/api/embeddings"));
}

const struct protocol ollama_embed_protocol = {
    .name = "ollama.embed",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .judge = judge,
    .shape = &as_it_is,
    .write_vectors = write_vectors,
    .write_error = ollama_answer_error,
    .write_stream_error = ollama_answer_error_line,
};

const struct protocol ollama_embed_old_protocol = {
    .name = "ollama.embeddings",
    .method = "POST",
    .serves = serves_old,
    .decode = decode_old,
    .judge = judge_old,
    .shape = &as_it_is,
    .write_vectors = write_vector,
    .write_error = ollama_answer_error,
    .write_stream_error = ollama_answer_error_line,
};
