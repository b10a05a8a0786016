/* OpenAI's POST /v1/completions, the older API: a text is continued, or several are. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/completions_stream.h"
#include "protocol/fields.h"
#include "protocol/form.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

/* Fields that do not change an answer: docs/identity.md says why. */
static const struct span ignored[] = {{"stream", 6}, {"stream_options", 14}, {"user", 4}};

static const struct form_rules form = {.ignored = ignored, .ignored_count = ARRAY_LEN(ignored)};

static const struct answer_shape shape = {
    .object = {"text_completion", 15},
    .id = {"id", 2},
    .id_prefix = {"cmpl-", 5},
    .id_letters = ANSWER_ID_LETTERS,
    .time = {"created", 7},
    .time_form = ANSWER_TIME_UNIX,
};

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q = {.model = {"", 0}, .choices = 1};
    const struct json *options;
    struct json *body;
    bool has_n = false;
    enum status st = fields_parse(arena, in, &body, err);

    if (st != ST_OK)
        return st;
    q.body = body;
    options = fields_get(body, SPAN("stream_options"));
    if ((st = fields_text(body, "model", &q.model, err)) != ST_OK ||
        (st = fields_flag(body, "stream", &q.stream, err)) != ST_OK ||
        (st = fields_flag(options, "include_usage", &q.include_usage, err)) != ST_OK ||
        (st = fields_count(body, "n", &has_n, &q.choices, err)) != ST_OK ||
        (st = fields_number(body, "temperature", &q.has_temperature, &q.temperature, err)) !=
            ST_OK ||
        (st = form_exact(arena, body, &form, &q.exact_form)) != ST_OK)
        return st;
    *out = q;
    return ST_OK;
}

static enum answer_verdict verdict_of(struct span finish)
{
    if (span_eq(finish, SPAN("length")))
        return ANSWER_TRUNCATED;
    if (span_eq(finish, SPAN("content_filter")))
        return ANSWER_FILTERED;
    return span_eq(finish, SPAN("stop")) ? ANSWER_STORABLE : ANSWER_INCOMPLETE;
}

/* A choice of several says which it is, and stands in its place. */
static bool in_place(const struct json *c, size_t at, size_t count)
{
    const struct json *index = json_get(c, SPAN("index"));
    uint64_t n;

    return index == NULL ? count == 1 : json_u64(index, &n) && n == at;
}

/* Several prompts have a choice each; one that is not whole spoils all. */
static void judge(const struct json *root, struct answer *a)
{
    size_t at = 0;
    const struct json *choices = json_get(root, SPAN("choices"));

    if (openai_answer_has_error(root)) {
        a->verdict = ANSWER_ERROR;
        return;
    }
    if (choices == NULL || choices->type != JSON_ARRAY || choices->count == 0) {
        a->verdict = ANSWER_MALFORMED;
        return;
    }
    a->model = json_str(json_get(root, SPAN("model")));
    openai_answer_usage(json_get(root, SPAN("usage")), a);
    a->verdict = ANSWER_STORABLE;
    for (const struct json *c = choices->child; c != NULL; c = c->next) {
        if (!in_place(c, at++, choices->count)) {
            a->verdict = ANSWER_MALFORMED;
            return;
        }
        a->finish_reason = json_str(json_get(c, SPAN("finish_reason")));
        if (a->text.len == 0)
            a->text = json_str(json_get(c, SPAN("text")));
        if (a->verdict == ANSWER_STORABLE)
            a->verdict = verdict_of(a->finish_reason);
    }
    if (a->verdict == ANSWER_STORABLE && a->text.len == 0)
        a->verdict = ANSWER_EMPTY;
}

static bool serves(struct span path)
{
    return protocol_openai_path(path, SPAN("/completions"));
}

const struct protocol openai_completions_protocol = {
    .name = "openai.completions",
    .method = "POST",
    .serves = serves,
    .decode = decode,
    .judge = judge,
    .shape = &shape,
    .fold = &completions_stream_fold,
    .replay = completions_stream_replay,
    .write_error = openai_error_write,
    .write_stream_error = openai_error_write_event,
};
