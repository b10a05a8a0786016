#include "protocol/gemini_answer.h"

#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/collector.h"
#include "protocol/event_run.h"
#include "protocol/event_writer.h"
#include "protocol/fields.h"
#include "protocol/protocol.h"

/* Ids of theirs are of this length too. */
#define ID_LETTERS 22

const struct answer_shape gemini_answer_shape = {.id = {"responseId", 10},
                                                 .id_letters = ID_LETTERS};
const struct answer_shape gemini_answer_list = {.id = {"", 0}};

/* --- judging ---------------------------------------------------------------------------- */

struct seen {
    bool blocked, call, several, error;
};

static void look_at(const struct json *response, struct answer *a, struct seen *seen)
{
    const struct json *list = json_get(response, SPAN("candidates"));
    const struct json *candidate = list != NULL ? list->child : NULL;
    const struct json *parts = json_get(json_get(candidate, SPAN("content")), SPAN("parts"));
    const struct json *usage = fields_get(response, SPAN("usageMetadata"));
    struct span finish = json_str(json_get(candidate, SPAN("finishReason")));

    seen->error |= fields_get(response, SPAN("error")) != NULL;
    seen->blocked |=
        json_get(json_get(response, SPAN("promptFeedback")), SPAN("blockReason")) != NULL;
    seen->several |= list != NULL && list->count > 1;
    for (const struct json *p = parts != NULL ? parts->child : NULL; p != NULL; p = p->next) {
        seen->call |= json_get(p, SPAN("functionCall")) != NULL;
        if (a->text.len == 0)
            a->text = json_str(json_get(p, SPAN("text")));
    }
    if (finish.len > 0)
        a->finish_reason = finish;
    if (a->model.len == 0)
        a->model = json_str(json_get(response, SPAN("modelVersion")));
    if (usage == NULL)
        return;
    a->has_usage = json_u64(json_get(usage, SPAN("promptTokenCount")), &a->prompt_tokens);
    if (!json_u64(json_get(usage, SPAN("totalTokenCount")), &a->total_tokens))
        a->total_tokens = a->prompt_tokens;
    a->completion_tokens =
        a->total_tokens > a->prompt_tokens ? a->total_tokens - a->prompt_tokens : 0;
    answer_set_cached(a, json_get(usage, SPAN("cachedContentTokenCount")));
}

/* ai.google.dev/api/generate-content, FinishReason */
static enum answer_verdict verdict_of(const struct answer *a, const struct seen *seen)
{
    if (seen->error)
        return ANSWER_ERROR;
    if (seen->blocked)
        return ANSWER_FILTERED;
    if (seen->several)
        return ANSWER_CHOICES;
    if (span_eq(a->finish_reason, SPAN("MAX_TOKENS")))
        return ANSWER_TRUNCATED;
    if (a->finish_reason.len == 0)
        return ANSWER_INCOMPLETE;
    if (!span_eq(a->finish_reason, SPAN("STOP")))
        return ANSWER_FILTERED; /* SAFETY, RECITATION, ... */
    if (seen->call)
        return ANSWER_TOOL_CALL;
    return a->text.len == 0 ? ANSWER_EMPTY : ANSWER_STORABLE;
}

void gemini_answer_judge(const struct json *root, struct answer *a)
{
    struct seen seen = {false, false, false, false};

    look_at(root, a, &seen);
    a->verdict = verdict_of(a, &seen);
}

void gemini_answer_judge_list(const struct json *root, struct answer *a)
{
    struct seen seen = {false, false, false, false};

    if (root->type != JSON_ARRAY) {
        a->verdict = ANSWER_MALFORMED; /* an error; or a replay could not be made of it */
        return;
    }
    for (const struct json *r = root->child; r != NULL; r = r->next)
        look_at(r, a, &seen);
    a->verdict = verdict_of(a, &seen);
}

/* --- streams: the list of the events' objects ------------------------------------------- */

static void init(void *state, size_t limit)
{
    buf_init(state, limit);
}

static void release(void *state)
{
    buf_release(state);
}

/* No event is the terminal one by its kind; the last has a reason. */
static enum answer_verdict event(void *state, struct span name, const struct json *root,
                                 bool *terminal)
{
    struct buf *list = state;
    struct answer a = {.verdict = ANSWER_STORABLE};
    struct seen seen = {false, false, false, false};
    enum status st = buf_append(list, list->len > 0 ? SPAN(",") : SPAN("["));

    (void)name;
    look_at(root, &a, &seen);
    *terminal = a.finish_reason.len > 0;
    if (seen.error)
        return ANSWER_ERROR;
    if (st == ST_OK)
        st = json_write(list, root);
    return st == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

static enum answer_verdict render(void *state, struct buf *out)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, buf_span(state));
    event_writer_put(&w, SPAN("]"));
    return w.st == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

const struct fold gemini_answer_fold = {
    .state_bytes = sizeof(struct buf),
    .init = init,
    .release = release,
    .event = event,
    .render = render,
};

void gemini_answer_replay(struct event_run *r, const struct json *root)
{
    for (const struct json *x = root->child; x != NULL; x = x->next) {
        struct event_writer w = {r->out, ST_OK};

        if (!event_run_due(r))
            continue;
        event_writer_put(&w, SPAN("data: "));
        event_writer_json(&w, x);
        event_writer_put(&w, SPAN("\r\n\r\n"));
        r->st = w.st;
    }
}

/* --- errors ------------------------------------------------------------------------------ */

/* google.rpc.Code, by the status of HTTP */
static struct span code_name(unsigned status)
{
    switch (status) {
    case 400:
    case 413:
        return SPAN("INVALID_ARGUMENT");
    case 401:
        return SPAN("UNAUTHENTICATED");
    case 403:
        return SPAN("PERMISSION_DENIED");
    case 404:
        return SPAN("NOT_FOUND");
    case 429:
        return SPAN("RESOURCE_EXHAUSTED");
    case 502:
    case 503:
        return SPAN("UNAVAILABLE");
    case 504:
        return SPAN("DEADLINE_EXCEEDED");
    default:
        return SPAN("INTERNAL");
    }
}

enum status gemini_answer_error(struct buf *out, const struct protocol_failure *f)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"error\":{\"code\":"));
    event_writer_u64(&w, f->status != 0 ? f->status : 500);
    event_writer_put(&w, SPAN(",\"message\":"));
    event_writer_text(&w, f->message);
    event_writer_put(&w, SPAN(",\"status\":"));
    event_writer_text(&w, code_name(f->status));
    event_writer_put(&w, SPAN("}}"));
    return w.st;
}

enum status gemini_answer_error_event(struct buf *out, const struct protocol_failure *f)
{
    enum status st = buf_append(out, SPAN("data: "));

    if (st == ST_OK)
        st = gemini_answer_error(out, f);
    return st == ST_OK ? buf_append(out, SPAN("\r\n\r\n")) : st;
}
