/* Ollama's POST /api/show: what a model is. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/fields.h"
#include "protocol/json_exact.h"
#include "protocol/ollama_answer.h"
#include "protocol/protocol.h"

static const struct form_rules form = {.asked = {"", 0}};
static const struct answer_shape as_it_is = {.id = {"", 0}};

/* What a name means may change with the next pull: never reused. */
static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q;
    enum status st = json_exact_decode(arena, in, &form, &q, err);

    if (st == ST_OK && q.model.len == 0) /* the old spelling */
        st = fields_text(q.body, "name", &q.model, err);
    if (st != ST_OK)
        return st;
    q.model = ollama_answer_model(q.model);
    q.has_state = true;
    *out = q;
    return ST_OK;
}

static void judge(const struct json *root, struct answer *a)
{
    json_exact_judge(root, SPAN("details"), a);
}

static bool serves(struct span path)
{
    return span_eq(path, SPAN("/api/show"));
}

const struct protocol ollama_show_protocol = {
    .name = "ollama.show",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .judge = judge,
    .shape = &as_it_is,
    .about_model = true,
    .write_error = ollama_answer_error,
    .write_stream_error = ollama_answer_error_line,
};
