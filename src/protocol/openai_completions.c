/* OpenAI's POST /v1/completions, the older API: a text is continued, or several are. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/completions_live.h"
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

/* What the API gives who names no limit (its reference, "max_tokens"). */
#define MAX_TOKENS_PRESET 16

/* Fields that ask for what the built-in model does not do, unless they are off. */
static const char *refused(const struct json *body)
{
    static const struct span names[] = {
        {"echo", 4}, {"logit_bias", 10}, {"presence_penalty", 16}, {"frequency_penalty", 17}};
    uint64_t n;
    double v;

    if (json_u64(json_get(body, SPAN("best_of")), &n) && n > 1)
        return "the built-in model writes one text; best_of must be 1";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct json *x = json_get(body, names[i]);

        if (fields_filled(x) && !(json_double(x, &v) && v >= 0 && v <= 0))
            return "the built-in model has no echo, logit_bias, presence_penalty or "
                   "frequency_penalty";
    }
    return NULL;
}

/* A text that is continued, or filled in before `suffix`. */
static enum status read_texts(struct arena *arena, const struct json *body,
                              struct chat_request *q)
{
    const struct json *prompt = json_get(body, SPAN("prompt"));
    struct chat_turn *t = arena_alloc(arena, 2 * sizeof(*t), _Alignof(struct chat_turn));

    if (t == NULL)
        return ST_NOMEM;
    t[0] = (struct chat_turn){.text = json_str(prompt)};
    t[1] = (struct chat_turn){.text = json_str(json_get(body, SPAN("suffix")))};
    q->turns = t;
    q->turn_count = t[1].text.len > 0 ? 2 : 1;
    q->continues = true;
    q->unsupported = refused(body);
    if (prompt == NULL || prompt->type != JSON_STRING ||
        (t[0].text.len == 0 && q->turn_count == 1))
        q->unsupported =
            "the built-in model continues one text; prompt must be a string that is "
            "not empty";
    return ST_OK;
}

/* What the built-in model is asked for; what is odd is the upstream's to judge. */
static enum status read_wishes(struct arena *arena, const struct json *body,
                               struct chat_request *q, struct protocol_error *err)
{
    enum status st;

    if ((st = fields_number(body, "top_p", &q->has_top_p, &q->top_p, err)) != ST_OK ||
        (st = fields_count(body, "seed", &q->has_seed, &q->seed, err)) != ST_OK ||
        (st = fields_count(body, "max_tokens", &q->has_max_tokens, &q->max_tokens, err)) !=
            ST_OK ||
        (st = fields_texts(arena, body, "stop", &q->stop, &q->stop_count, err)) != ST_OK)
        return st;
    if (!q->has_max_tokens && json_get(body, SPAN("max_tokens")) == NULL) {
        q->has_max_tokens = true;
        q->max_tokens = MAX_TOKENS_PRESET;
    }
    q->wants_logprobs = fields_get(body, SPAN("logprobs")) != NULL;
    return read_texts(arena, body, q);
}

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
        (st = read_wishes(arena, body, &q, err)) != ST_OK ||
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
    .render = completions_live_render,
    .live = &completions_live,
    .write_error = openai_error_write,
    .write_stream_error = openai_error_write_event,
};
