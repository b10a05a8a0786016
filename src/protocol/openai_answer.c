#include "protocol/openai_answer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "protocol/event_run.h"
#include "protocol/fields.h"
#include "protocol/members.h"
#include "protocol/protocol.h"

#define ID_PREFIX    "chatcmpl-"
#define OBJECT_WHOLE "chat.completion"
#define OBJECT_CHUNK "chat.completion.chunk"

const struct answer_shape openai_answer_shape = {
    .object = {OBJECT_WHOLE, sizeof(OBJECT_WHOLE) - 1},
    .id = {"id", 2},
    .id_prefix = {ID_PREFIX, sizeof(ID_PREFIX) - 1},
    .id_letters = ANSWER_ID_LETTERS,
    .time = {"created", 7},
    .time_form = ANSWER_TIME_UNIX,
};

static enum status put(struct buf *b, struct span s)
{
    return buf_append(b, s);
}

/* --- judging a whole answer ----------------------------------------------------------- */

void openai_answer_usage(const struct json *usage, struct answer *a)
{
    a->has_usage = json_u64(json_get(usage, SPAN("prompt_tokens")), &a->prompt_tokens) &&
                   json_u64(json_get(usage, SPAN("completion_tokens")), &a->completion_tokens);
    if (!json_u64(json_get(usage, SPAN("total_tokens")), &a->total_tokens))
        a->total_tokens = a->prompt_tokens + a->completion_tokens;
    answer_set_cached(
        a, json_get(json_get(usage, SPAN("prompt_tokens_details")), SPAN("cached_tokens")));
}

/* A call that is cut short is no call. */
static enum answer_verdict verdict_of(const struct json *message, const struct answer *a)
{
    struct span why = a->finish_reason;
    bool calls = fields_filled(json_get(message, SPAN("tool_calls"))) ||
                 fields_filled(json_get(message, SPAN("function_call"))) ||
                 span_eq(why, SPAN("tool_calls")) || span_eq(why, SPAN("function_call"));

    if (span_eq(why, SPAN("length")))
        return ANSWER_TRUNCATED;
    if (span_eq(why, SPAN("content_filter")))
        return ANSWER_FILTERED;
    if (calls)
        return why.len > 0 ? ANSWER_TOOL_CALL : ANSWER_INCOMPLETE;
    if (fields_filled(json_get(message, SPAN("refusal"))))
        return ANSWER_REFUSED;
    if (!span_eq(why, SPAN("stop")))
        return ANSWER_INCOMPLETE;
    return a->text.len == 0 ? ANSWER_EMPTY : ANSWER_STORABLE;
}

/* Some say "error": null beside an answer. */
bool openai_answer_has_error(const struct json *root)
{
    const struct json *error = json_get(root, SPAN("error"));

    return error != NULL && error->type != JSON_NULL;
}

void openai_answer_judge(const struct json *root, struct answer *a)
{
    const struct json *choices = json_get(root, SPAN("choices")), *choice;

    if (openai_answer_has_error(root)) {
        a->verdict = ANSWER_ERROR;
        return;
    }
    if (choices == NULL || choices->type != JSON_ARRAY) {
        a->verdict = ANSWER_MALFORMED;
        return;
    }
    if (choices->count != 1) {
        a->verdict = ANSWER_CHOICES;
        return;
    }
    choice = choices->child;
    a->model = json_str(json_get(root, SPAN("model")));
    a->text = json_str(json_get(json_get(choice, SPAN("message")), SPAN("content")));
    a->finish_reason = json_str(json_get(choice, SPAN("finish_reason")));
    openai_answer_usage(json_get(root, SPAN("usage")), a);
    a->verdict = verdict_of(json_get(choice, SPAN("message")), a);
}

/* --- the built-in model's text ---------------------------------------------------------- */

static enum status put_usage(struct buf *out, uint64_t prompt, uint64_t completion)
{
    return buf_printf(out,
                      "{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64
                      ",\"total_tokens\":%" PRIu64 "}",
                      prompt, completion, prompt + completion);
}

/* Arguments are JSON within a string. */
static enum status put_tool_call(struct buf *out, const struct protocol_call *c)
{
    enum status st = put(out, SPAN("null,\"tool_calls\":[{\"id\":\"call_"));

    if (st == ST_OK)
        st = put(out, c->id);
    if (st == ST_OK)
        st = put(out, SPAN("\",\"type\":\"function\",\"function\":{\"name\":"));
    if (st == ST_OK)
        st = json_write_string(out, c->name);
    if (st == ST_OK)
        st = put(out, SPAN(",\"arguments\":"));
    if (st == ST_OK)
        st = json_write_string(out, c->arguments);
    return st == ST_OK ? put(out, SPAN("}}]")) : st;
}

enum status openai_answer_render(struct buf *out, const struct protocol_text *t)
{
    bool calls = t->call != NULL && span_eq(t->finish, SPAN("stop"));
    enum status st =
        put(out, SPAN("{\"id\":\"\",\"object\":\"" OBJECT_WHOLE "\",\"created\":0,\"model\":"));

    if (st == ST_OK)
        st = json_write_string(out, t->model);
    if (st == ST_OK)
        st = put(out, SPAN(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                           "\"content\":"));
    if (st == ST_OK)
        st = t->call != NULL ? put_tool_call(out, t->call) : json_write_string(out, t->text);
    if (st == ST_OK)
        st = put(out, SPAN(",\"refusal\":null},\"logprobs\":null,\"finish_reason\":"));
    if (st == ST_OK)
        st = json_write_string(out, calls ? SPAN("tool_calls") : t->finish);
    if (st == ST_OK)
        st = put(out, SPAN("}],\"usage\":"));
    if (st == ST_OK)
        st = put_usage(out, t->prompt_tokens, t->completion_tokens);
    return st == ST_OK ? put(out, SPAN("}")) : st;
}

/* --- streams ---------------------------------------------------------------------------- */

/* Everything of an event before its choices. `extra` are further members,
 * each after a comma. */
static enum status begin_event(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span extra)
{
    enum status st = buf_printf(out,
                                "data: {\"id\":\"" ID_PREFIX "%s\",\"object\":\"" OBJECT_CHUNK
                                "\",\"created\":%" PRIu64 ",\"model\":",
                                stamp->letters, stamp->created_s);

    if (st == ST_OK)
        st = json_write_string(out, model);
    return st == ST_OK ? put(out, extra) : st;
}

/* An event with one choice; empty parts are left out, or null. */
struct event {
    struct span extra;  /* further top-level members, each after a comma */
    struct span delta;  /* the members of the delta */
    struct span choice; /* further members of the choice, each after a comma */
    struct span logprobs, finish;
};

static enum status delta_event(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, const struct event *e)
{
    enum status st = begin_event(out, model, stamp, e->extra);

    if (st == ST_OK)
        st = put(out, SPAN(",\"choices\":[{\"index\":0,\"delta\":{"));
    if (st == ST_OK)
        st = put(out, e->delta);
    if (st == ST_OK)
        st = put(out, SPAN("},\"logprobs\":"));
    if (st == ST_OK)
        st = put(out, e->logprobs.len > 0 ? e->logprobs : SPAN("null"));
    if (st == ST_OK)
        st = put(out, SPAN(",\"finish_reason\":"));
    if (st == ST_OK)
        st = e->finish.len > 0 ? json_write_string(out, e->finish) : put(out, SPAN("null"));
    if (st == ST_OK)
        st = put(out, e->choice);
    return st == ST_OK ? put(out, SPAN("}]}\n\n")) : st;
}

static enum status usage_event(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span extra,
                               struct span usage)
{
    enum status st = begin_event(out, model, stamp, extra);

    if (st == ST_OK)
        st = put(out, SPAN(",\"choices\":[],\"usage\":"));
    if (st == ST_OK)
        st = put(out, usage);
    return st == ST_OK ? put(out, SPAN("}\n\n")) : st;
}

static enum status write_begin(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, uint64_t *next)
{
    (void)next;
    return delta_event(
        out, model, stamp,
        &(struct event){.delta = SPAN("\"role\":\"assistant\",\"content\":\"\"")});
}

static enum status string_delta(struct buf *out, struct span model,
                                const struct answer_stamp *stamp, struct span extra,
                                struct span name, struct span text)
{
    struct buf delta;
    enum status st;

    buf_init(&delta, 8 * (name.len + text.len) + 64);
    st = json_write_string(&delta, name);
    if (st == ST_OK)
        st = put(&delta, SPAN(":"));
    if (st == ST_OK)
        st = json_write_string(&delta, text);
    if (st == ST_OK)
        st = delta_event(out, model, stamp,
                         &(struct event){.extra = extra, .delta = buf_span(&delta)});
    buf_release(&delta);
    return st;
}

static enum status write_delta(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span text,
                               uint64_t *next)
{
    (void)next;
    return string_delta(out, model, stamp, (struct span){"", 0}, SPAN("content"), text);
}

static enum status write_finish(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage,
                                uint64_t *next)
{
    struct span none = {"", 0};
    struct buf usage;
    enum status st =
        delta_event(out, a->model, stamp, &(struct event){.finish = a->finish_reason});

    (void)next;
    buf_init(&usage, 256);
    if (st == ST_OK && include_usage) {
        st = put_usage(&usage, a->prompt_tokens, a->completion_tokens);
        if (st == ST_OK)
            st = usage_event(out, a->model, stamp, none, buf_span(&usage));
    }
    buf_release(&usage);
    return st == ST_OK ? put(out, SPAN("data: [DONE]\n\n")) : st;
}

const struct protocol_live openai_answer_live = {write_begin, write_delta, write_finish};

/* --- replay ----------------------------------------------------------------------------- */

static const struct span written_at_top[] = {{"id", 2},    {"object", 6},  {"created", 7},
                                             {"model", 5}, {"choices", 7}, {"usage", 5}};
static const struct span written_in_choice[] = {
    {"index", 5}, {"message", 7}, {"logprobs", 8}, {"finish_reason", 13}};

/* The members that every event has are the same in all of them. */
struct replay {
    struct event_run *run;
    struct span extra;
};

static void replay_event(struct replay *p, struct event e)
{
    struct event_run *r = p->run;

    e.extra = p->extra;
    if (event_run_due(r))
        r->st = delta_event(r->out, r->answer->model, r->stamp, &e);
}

static void replay_text(struct replay *p, struct span name, struct span text)
{
    struct event_run *r = p->run;

    while (text.len > 0 && r->st == ST_OK && !r->full) {
        struct span piece = event_run_piece(&text);

        if (event_run_due(r))
            r->st = string_delta(r->out, r->answer->model, r->stamp, p->extra, name, piece);
    }
}

/* A stream's calls are numbered, which whole ones are not. */
static enum status put_call(struct buf *out, const struct json *call, size_t index)
{
    static const struct span known[] = {{"index", 5}};
    enum status st = buf_printf(out, "%s{\"index\":%zu", index > 0 ? "," : "", index);

    if (st == ST_OK)
        st = members_put_others(out, call, known, ARRAY_LEN(known));
    return st == ST_OK ? put(out, SPAN("}")) : st;
}

static enum status put_calls(struct buf *out, const struct json *calls)
{
    enum status st = put(out, SPAN("\"tool_calls\":["));
    size_t i = 0;

    for (const struct json *c = calls->child; st == ST_OK && c != NULL; c = c->next)
        st = put_call(out, c, i++);
    return st == ST_OK ? put(out, SPAN("]")) : st;
}

static enum status put_member(struct buf *out, const struct json *m)
{
    enum status st;

    if (span_eq(m->key, SPAN("tool_calls")) && m->type == JSON_ARRAY)
        return put_calls(out, m);
    st = json_write_string(out, m->key);
    if (st == ST_OK)
        st = put(out, SPAN(":"));
    return st == ST_OK ? json_write(out, m) : st;
}

/* Members of the message other than role and content: strings in pieces (reasoning),
 * the rest whole. */
static void replay_others(struct replay *p, const struct json *message)
{
    for (const struct json *m = message->child; m != NULL; m = m->next) {
        struct buf delta;

        if (span_eq(m->key, SPAN("role")) || span_eq(m->key, SPAN("content")) ||
            !fields_filled(m))
            continue;
        if (m->type == JSON_STRING) {
            replay_text(p, m->key, m->text);
            continue;
        }
        buf_init(&delta, SIZE_MAX / 4);
        if (put_member(&delta, m) != ST_OK)
            p->run->st = ST_NOMEM;
        replay_event(p, (struct event){.delta = buf_span(&delta)});
        buf_release(&delta);
    }
}

static void replay_end(struct replay *p, const struct json *choice, const struct json *usage)
{
    struct event_run *r = p->run;
    struct buf scratch;

    buf_init(&scratch, SIZE_MAX / 4);
    if (members_put_others(&scratch, choice, written_in_choice, ARRAY_LEN(written_in_choice)) !=
        ST_OK)
        r->st = ST_NOMEM;
    replay_event(
        p, (struct event){.finish = r->answer->finish_reason, .choice = buf_span(&scratch)});
    if (r->include_usage && usage != NULL && event_run_due(r)) {
        buf_clear(&scratch);
        r->st = json_write(&scratch, usage);
        if (r->st == ST_OK)
            r->st =
                usage_event(r->out, r->answer->model, r->stamp, p->extra, buf_span(&scratch));
    }
    if (event_run_due(r))
        r->st = put(r->out, SPAN("data: [DONE]\n\n"));
    buf_release(&scratch);
}

/* The role, and whatever else is there but says nothing: "refusal": null. */
static void replay_first(struct replay *p, const struct json *message)
{
    const struct json *content = json_get(message, SPAN("content"));
    struct buf delta;
    enum status st;

    buf_init(&delta, SIZE_MAX / 4);
    st = put(&delta, content == NULL || content->type != JSON_NULL
                         ? SPAN("\"role\":\"assistant\",\"content\":\"\"")
                         : SPAN("\"role\":\"assistant\",\"content\":null"));
    for (const struct json *m = message->child; st == ST_OK && m != NULL; m = m->next) {
        if (fields_filled(m) || span_eq(m->key, SPAN("content")) ||
            span_eq(m->key, SPAN("role")))
            continue;
        st = put(&delta, SPAN(","));
        if (st == ST_OK)
            st = put_member(&delta, m);
    }
    if (p->run->st == ST_OK)
        p->run->st = st;
    replay_event(p, (struct event){.delta = buf_span(&delta)});
    buf_release(&delta);
}

static void replay_choice(struct replay *p, const struct json *choice)
{
    const struct json *message = json_get(choice, SPAN("message"));
    const struct json *logprobs = json_get(choice, SPAN("logprobs"));
    struct buf scratch;

    replay_first(p, message);
    replay_others(p, message);
    replay_text(p, SPAN("content"), json_str(json_get(message, SPAN("content"))));
    if (!fields_filled(logprobs))
        return;
    buf_init(&scratch, SIZE_MAX / 4);
    if (json_write(&scratch, logprobs) != ST_OK)
        p->run->st = ST_NOMEM;
    replay_event(p, (struct event){.logprobs = buf_span(&scratch)});
    buf_release(&scratch);
}

void openai_answer_replay(struct event_run *r, const struct json *root)
{
    const struct json *choice = json_get(root, SPAN("choices"))->child;
    struct replay p = {.run = r};
    struct buf extra;

    buf_init(&extra, SIZE_MAX / 4);
    r->st = members_put_others(&extra, root, written_at_top, ARRAY_LEN(written_at_top));
    p.extra = buf_span(&extra);
    if (r->st == ST_OK) {
        replay_choice(&p, choice);
        replay_end(&p, choice, json_get(root, SPAN("usage")));
    }
    buf_release(&extra);
}
