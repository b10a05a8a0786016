#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "config/config.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "protocol/tools.h"
#include "proxy/examples.h"
#include "proxy/beside.h"
#include "proxy/local.h"
#include "proxy/local_model.h"
#include "proxy/mark.h"
#include "proxy/prompt.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/respond.h"
#include "proxy/steps.h"
#include "proxy/trial.h"
#include "proxy/vote.h"
#include "rt/timer.h"

/* Of the id of a call: what is random in it. */
#define CALL_LETTERS 24

/* The text of the answer is collected in r->recorded; a stream is written beside. */

static bool begin_stream(struct request *r)
{
    struct respond_fields f = {.count = 0};
    struct buf *out = &r->proxy->scratch;
    bool wait;

    respond_add_stream(r, &f);
    buf_clear(out);
    r->flow.head_sent = true;
    return r->protocol->live->begin(out, local_model_name(r->proxy->parts.local, r->voice),
                                    &r->flow.stamp, &r->flow.events) == ST_OK &&
           mark_stream(r, out) == ST_OK &&
           http_respond(r->stream, 200, f.list, f.count, HTTP_BODY_CHUNKED) == ST_OK &&
           http_write(r->stream, buf_span(out), &wait) == ST_OK;
}

/* Nothing of the answer goes out before its end: which function is called is told when it is
 * known whole, and what is not given out in the end must not have begun. */
static bool is_held(const struct request *r)
{
    return r->chat.must_call_tool || r->thinks || trial_on(r);
}

static void on_text(void *owner, struct span text)
{
    struct request *r = owner;
    struct buf *out = &r->proxy->scratch;
    bool wait;

    if (r->closed)
        return;
    if (buf_append(&r->recorded, text) != ST_OK) {
        local_model_cancel(r->local);
        return;
    }
    if (!r->chat.stream || is_held(r))
        return;
    /* A reader that takes nothing is cut by the server's write time-out; until then
     * what waits for it is bounded by max_tokens. */
    buf_clear(out);
    if ((!r->flow.head_sent && !begin_stream(r)) ||
        (buf_clear(out),
         r->protocol->live->delta(out, local_model_name(r->proxy->parts.local, r->voice),
                                  &r->flow.stamp, text, &r->flow.events)) != ST_OK ||
        mark_stream(r, out) != ST_OK || http_write(r->stream, buf_span(out), &wait) != ST_OK)
        http_abort(r->stream);
}

static void fail(struct request *r, enum status st)
{
    static const struct protocol_failure early = {
        .type = {"server_error", 12}, .message = {"the built-in model stopped early", 32}};
    struct buf *out = &r->proxy->scratch;
    bool wait;

    record_nothing(r, "local_failed");
    if (st == ST_CANCELED && r->proxy->cutting && !r->flow.head_sent) {
        respond_error(r, 503, "server_error", "shutting_down", "", "ibid is shutting down");
    } else if (r->flow.head_sent) {
        buf_clear(out);
        if (r->protocol->write_stream_error(out, &early) == ST_OK)
            (void)!http_write(r->stream, buf_span(out), &wait);
        http_abort(r->stream);
    } else if (st == ST_LIMIT) {
        respond_error(r, 400, "invalid_request_error", "context_length_exceeded", "messages",
                      "the conversation does not fit the built-in model's context "
                      "(local.context_max)");
    } else if (st == ST_TIMEOUT) {
        respond_error(r, 504, "server_error", "timeout", "",
                      "the built-in model did not finish within local.deadline_ms");
    } else {
        respond_error(r, 500, "server_error", "local_failed", "",
                      "the built-in model failed; see the log");
    }
}

/* It was ours to choose, and nothing of an answer is out: then the upstream is asked after all.
 * false: there is nothing to fall back on. */
static bool escalate(struct request *r, const char *reason)
{
    if (!r->judged || r->flow.head_sent || r->proxy->cutting)
        return false;
    r->to_local = false;
    r->source = SOURCE_NONE;
    r->routed.tier = ROUTING_UPSTREAM;
    r->routed.reason = reason;
    buf_clear(&r->recorded);
    account_routed(&r->proxy->account, false, reason);
    return true;
}

static const char *reason_of(enum status st)
{
    return st == ST_LIMIT     ? "escalated_context"
           : st == ST_TIMEOUT ? "escalated_timeout"
                              : "escalated_failed";
}

static void finish_stream(struct request *r, const struct answer *a)
{
    struct buf *out = &r->proxy->scratch;
    bool wait;

    if (!r->flow.head_sent && !begin_stream(r)) {
        http_abort(r->stream);
        return;
    }
    buf_clear(out);
    if (r->protocol->live->finish(out, a, &r->flow.stamp, r->chat.include_usage,
                                  &r->flow.events) != ST_OK ||
        mark_stream(r, out) != ST_OK || http_write(r->stream, buf_span(out), &wait) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    http_end(r->stream);
}

/* As a stream that came from elsewhere would tell it. */
static void finish_held_stream(struct request *r, const struct answer *a)
{
    struct respond_fields f = {.count = 0};
    struct buf *out = &r->proxy->scratch;
    bool done = false, wait;

    respond_add_stream(r, &f);
    buf_clear(out);
    r->flow.head_sent = true;
    /* No longer than max_tokens lets it be, so it need not be paced. */
    if (answer_write_stream(r->protocol, out, a, &r->flow.stamp, r->chat.include_usage,
                            &r->flow.cursor, SIZE_MAX / 2, &done) != ST_OK ||
        !done || http_respond(r->stream, 200, f.list, f.count, HTTP_BODY_CHUNKED) != ST_OK ||
        http_write(r->stream, buf_span(out), &wait) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    http_end(r->stream);
}

/* What was written as a call. One that was cut before it was JSON stays a text. */
static void take_call(struct request *r, struct protocol_text *t, struct protocol_call *call,
                      struct answer_stamp *stamp)
{
    if (!r->chat.must_call_tool || tools_call(&r->arena, &r->chat, t->text, call) != ST_OK)
        return;
    answer_stamp_new(stamp, 0);
    call->id = (struct span){stamp->letters, CALL_LETTERS};
    t->call = call;
}

static void finish(struct request *r, const struct decoder_result *result)
{
    struct buf *out = &r->proxy->scratch;
    struct protocol_call call;
    struct answer_stamp of_call;
    struct protocol_text t = {
        .model = local_model_name(r->proxy->parts.local, r->voice),
        .text = buf_span(&r->recorded),
        .finish = result->finish == DECODER_STOP ? SPAN("stop") : SPAN("length"),
        .prompt_tokens = result->prompt_tokens,
        .completion_tokens = result->completion_tokens,
    };
    struct answer a;

    take_call(r, &t, &call, &of_call);
    if (answer_from_text(r->protocol, &r->arena, &t, &a) != ST_OK) {
        fail(r, ST_NOMEM);
        return;
    }
    charge_answer(r, &a);
    record_answer(r, &a);
    if (r->chat.stream && is_held(r)) {
        finish_held_stream(r, &a);
        return;
    }
    if (r->chat.stream) {
        finish_stream(r, &a);
        return;
    }
    buf_clear(out);
    if (answer_write(out, &a, &r->flow.stamp) == ST_OK &&
        (!mark_wanted(r) || mark_whole(r, out, 0) == ST_OK))
        respond_whole(r, 200, SPAN("application/json"), buf_span(out));
    else
        http_abort(r->stream);
}

void local_job_ended(struct request *r, uint64_t cpu_us)
{
    r->charge.cpu_us += cpu_us;
    r->proxy->account.cost_local_s += (double)cpu_us / 1e6;
    if (--r->local_jobs > 0)
        return;
    decoder_schema_close(r->schema);
    r->schema = NULL;
}

/* Its answer is there, or there will be none: is it given out? */
static void conclude(struct request *r, enum status st, const struct decoder_result *result)
{
    const char *why = st != ST_OK     ? reason_of(st)
                      : !trial_on(r)  ? NULL
                      : r->unanswered ? "escalated_form"
                                      : trial_doubt(r, result);

    timer_stop(r->proxy->parts.loop, &r->deadline);
    if (why != NULL && escalate(r, why)) {
        if (!beside_left(r))
            request_resume(r);
        return;
    }
    beside_local(r);
    request_finish(r);
    if (st == ST_OK)
        finish(r, result);
    else
        fail(r, st);
}

void local_voted(struct request *r)
{
    struct decoder_result result;
    enum status st = vote_count(r, &result);

    conclude(r, st, &result);
}

static void on_end(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us)
{
    struct request *r = owner;
    bool timed_out = r->timed_out;

    r->local = NULL;
    local_job_ended(r, cpu_us);
    if (!request_drop(r) || !r->to_local)
        return;
    st = st != ST_OK && timed_out ? ST_TIMEOUT : st;
    r->unanswered = st == ST_OK && r->thinks && !prompt_strip(&r->recorded);
    if (vote_wait(r, st, result))
        return;
    if (st == ST_OK && r->vote != NULL)
        local_voted(r);
    else
        conclude(r, st, result);
}

static const struct local_events events = {on_text, on_end};

static void on_deadline(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);

    r->timed_out = true;
    vote_cancel(r);
    if (r->local != NULL)
        local_model_cancel(r->local);
}

void local_give_up(struct request *r)
{
    r->to_local = false;
    timer_stop(r->proxy->parts.loop, &r->deadline);
    vote_call_off(r);
    if (r->local != NULL)
        local_model_cancel(r->local);
    buf_clear(&r->recorded);
}

static bool is_system(struct span role)
{
    return span_eq(role, SPAN("system")) || span_eq(role, SPAN("developer"));
}

static enum status join(struct arena *arena, struct span a, struct span b, struct span *out)
{
    struct buf text;
    enum status st;

    buf_init(&text, SIZE_MAX / 4);
    st = buf_append(&text, a);
    if (st == ST_OK && a.len > 0)
        st = buf_append(&text, SPAN("\n\n"));
    if (st == ST_OK)
        st = buf_append(&text, b);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&text), out);
    buf_release(&text);
    return st;
}

/* Solved examples, where the last turn is to be: the operator's, then stored ones. */
static enum status show_examples(struct request *r, const struct prompt *profile,
                                 struct decoder_turn *t, size_t *count)
{
    size_t own = prompt_examples(profile, r->chat.last_text, t), stored;
    enum status st = examples_take(r, t + own, &stored);

    *count = own + stored;
    r->shown = t;
    r->shown_count = *count / 2;
    r->examples = (unsigned)r->shown_count;
    return st;
}

/* The conversation for the model. Of functions it is told at the end of the system's turn,
 * which is there then; examples come before the question. */
static enum status take_turns(struct request *r, const struct prompt *profile,
                              struct local_request *ask)
{
    const struct chat_request *q = &r->chat;
    struct decoder_turn *t =
        arena_alloc(&r->arena, (q->turn_count + 1 + 2 * EXAMPLES_ALL) * sizeof(*t),
                    _Alignof(struct decoder_turn));
    bool has_system = q->turn_count > 0 && is_system(q->turns[0].role);
    struct span told = {NULL, 0};
    size_t n = 0, shown = 0;
    enum status st = ST_OK;

    if (t == NULL || (q->must_call_tool && tools_prompt(&r->arena, q, &told) != ST_OK))
        return ST_NOMEM;
    if (told.ptr != NULL && !has_system)
        t[n++] = (struct decoder_turn){SPAN("system"), told};
    for (size_t i = 0; i < q->turn_count && st == ST_OK; i++) {
        if (i + 1 == q->turn_count)
            st = show_examples(r, profile, t + n, &shown);
        n += shown;
        t[n++] = (struct decoder_turn){q->turns[i].role, q->turns[i].text};
    }
    if (st == ST_OK)
        st = prompt_shape(profile, &r->arena, t, n, r->thinks);
    if (st == ST_OK && told.ptr != NULL && has_system)
        st = join(&r->arena, t[0].text, told, &t[0].text);
    ask->turns = t;
    ask->turn_count = n;
    return st;
}

/* The answer to the nearest question, which was not near enough to be served: ours may be like
 * it. Of the same partition, so of the same tenant. What is not in memory is not waited for. */
static struct span near_answer(struct request *r)
{
    const struct decision *d = &r->embed.decision;
    struct span text = {NULL, 0};
    struct entry *e;
    struct answer a;

    if (!r->embed_done || r->embed.status != ST_OK || !d->has_candidate ||
        cache_find(r->proxy->parts.cache, &d->key, &e) != CACHE_HIT)
        return text;
    if (digest_eq(&e->partition, &r->partition) && answer_unpack(e->answer, &a) == ST_OK &&
        arena_copy(&r->arena, a.text, &text) != ST_OK)
        text = (struct span){NULL, 0};
    entry_unref(e);
    return text;
}

/* What the built-in model can not do is refused by name, not answered wrongly. */
const char *local_cannot(const struct chat_request *q)
{
    if (q->unsupported != NULL)
        return q->unsupported;
    if (q->form == CHAT_OTHER && !q->must_call_tool)
        return "the built-in model writes text, JSON, or JSON of a schema that is there; the "
               "format must be one of these";
    if (q->wants_logprobs)
        return "the built-in model gives no logprobs";
    if (q->has_max_tokens && q->max_tokens == 0)
        return "the built-in model says one token at least; max_tokens must be positive";
    if (q->has_attachments)
        return "the built-in model reads text only; this request has other parts";
    if (q->choices != 1)
        return "the built-in model gives one choice; n must be 1";
    return NULL;
}

/* The schema of the answer, compiled. false: refused by what it says. */
static bool open_schema(struct request *r)
{
    char text[sizeof(((struct engine_error *)NULL)->text) + 64];
    const struct json *schema = r->chat.schema;
    struct engine_error why = {.text = "there is no memory for it"};
    enum status st = ST_OK;

    if (r->chat.must_call_tool)
        st = tools_schema(&r->arena, &r->chat, &schema);
    else if (r->chat.form != CHAT_JSON)
        return true;
    if (st == ST_OK)
        st = decoder_schema_open(schema, &r->schema, &why);
    if (st == ST_OK) {
        r->proxy->account.local_schemas++;
        return true;
    }
    if (escalate(r, "escalated_schema"))
        return false;
    (void)snprintf(text, sizeof(text), "the built-in model can not write by this schema: %s",
                   why.text);
    if (st == ST_NOMEM)
        respond_error(r, 503, "server_error", "overloaded", "", text);
    else
        respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model", "", text);
    return false;
}

/* Where the upstream can be asked in its place, the model has less time. */
static uint64_t patience_ms(const struct request *r)
{
    const struct config *c = r->proxy->parts.config;

    return r->judged && c->route.deadline_ms < c->local.deadline_ms ? c->route.deadline_ms
                                                                    : c->local.deadline_ms;
}

/* Answer by the built-in model. Without a temperature it decodes greedily: a small
 * model is at its best there, and the answer can be repeated. */
enum step_result local_enter(struct request *r)
{
    struct proxy *p = r->proxy;
    const struct chat_request *q = &r->chat;
    const struct prompt *profile;
    uint64_t wanted;
    uint32_t most;
    struct local_request ask = {
        .voice = r->voice,
        .params = {.temperature = q->has_temperature ? (float)q->temperature : 0.0f,
                   .top_p = q->has_top_p ? (float)q->top_p : 1.0f,
                   .seed = q->has_seed ? q->seed : clock_now_us(),
                   .stop = q->stop,
                   .stop_count = q->stop_count},
        .scope = &r->scope,
    };
    const char *why = r->protocol != NULL && r->to_local ? local_cannot(q) : NULL;
    enum status st;

    if (r->protocol == NULL || !r->to_local)
        return STEP_NEXT;
    r->source = SOURCE_LOCAL;
    if (why != NULL) {
        respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model", "", why);
        return STEP_DONE;
    }
    if (!open_schema(r))
        return r->to_local ? STEP_DONE : STEP_NEXT;
    profile = prompt_find(p->parts.prompts, local_model_name(p->parts.local, r->voice));
    r->thinks = prompt_thinks(profile) && r->schema == NULL && !q->must_call_tool;
    most = local_model_max_tokens(p->parts.local);
    wanted = q->max_tokens + (r->thinks ? PROMPT_THINK_TOKENS : 0);
    ask.params.max_tokens = q->has_max_tokens && wanted < most ? (uint32_t)wanted : most;
    answer_stamp_new(&r->flow.stamp, clock_wall_ms());
    buf_clear(&r->recorded);
    ask.like = near_answer(r);
    ask.schema = r->schema;
    ask.confidence = trial_on(r);
    st = take_turns(r, profile, &ask);
    if (st == ST_OK)
        st = local_model_start(p->parts.local, p->parts.loop, &ask, &events, r, &r->local);
    if (st != ST_OK) {
        decoder_schema_close(r->schema);
        r->schema = NULL;
        if (escalate(r, "escalated_busy"))
            return STEP_NEXT;
        p->account.refused_total++;
        record_nothing(r, "overloaded");
        respond_error(r, 503, "server_error", "overloaded", "",
                      "the built-in model's queue is full; see local.queue_max");
        return STEP_DONE;
    }
    request_hold(r);
    r->local_jobs++;
    timer_start(p->parts.loop, &r->deadline, patience_ms(r) * 1000, on_deadline);
    vote_start(r, &ask);
    beside_start(r);
    return STEP_WAIT;
}

void local_cancel(struct request *r)
{
    vote_cancel(r);
    if (r->local != NULL)
        local_model_cancel(r->local);
    forward_cancel(r);
}
