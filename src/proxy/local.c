#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "config/config.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "protocol/tools.h"
#include "proxy/beside.h"
#include "proxy/follow.h"
#include "proxy/forward.h"
#include "proxy/ladder.h"
#include "proxy/local.h"
#include "proxy/local_model.h"
#include "proxy/local_models.h"
#include "proxy/local_turns.h"
#include "proxy/mark.h"
#include "proxy/prompt.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/trial.h"
#include "proxy/vote.h"
#include "rt/loop.h"
#include "rt/timer.h"

/* Of the id of a call: what is random in it. */
#define CALL_LETTERS 24

/* The text of the answer is collected in r->recorded; a stream is written beside. */

/* The next events, for its client and for those who follow. A reader that takes nothing is cut
 * by the server's write time-out; until then what waits for it is bounded by max_tokens. */
static void give(struct request *r, struct span events)
{
    bool wait;

    if (!r->closed && http_write(r->stream, events, &wait) != ST_OK)
        http_abort(r->stream); /* those who follow go on */
    follow_feed(r, events);
    (void)follow_full(r);
}

static bool begin_stream(struct request *r)
{
    struct respond_fields f = {.count = 0};
    struct buf *out = &r->proxy->scratch;

    respond_add_stream(r, &f);
    r->flow.head_sent = true;
    if (http_respond(r->stream, 200, f.list, f.count, HTTP_BODY_CHUNKED) != ST_OK)
        return false;
    follow_open(r);
    buf_clear(out);
    if (r->protocol->live->begin(out, local_models_name(r->proxy->parts.local, r->voice),
                                 &r->flow.stamp, &r->flow.events) != ST_OK ||
        mark_stream(r, out) != ST_OK)
        return false;
    give(r, buf_span(out));
    return true;
}

/* There is no memory for its next event: nobody gets more of it. */
static void break_off(struct request *r)
{
    follow_break(r, SPAN(""));
    if (!r->closed)
        http_abort(r->stream);
    else if (r->local != NULL)
        local_model_cancel(r->local);
}

/* The next model that can have it, larger than this one. false: there is none. */
static bool find_larger(const struct request *r, size_t *rung)
{
    const struct ladder *l = routing_ladder(r->setup->routing);
    struct local_models *m = r->proxy->parts.local;
    uint64_t now = loop_now_us(r->proxy->parts.loop);
    struct ladder_limits limits = {.absent = r->absent | local_models_absent(m)};
    const char *fact;

    if (r->upstream != NULL && r->patience_us > now)
        limits.late = local_models_late(m, &r->chat, (r->patience_us - now) / 1000);
    *rung = ladder_next(l, &r->chat, limits, r->rung + 1, &fact);
    return *rung < l->count;
}

/* It was ours to choose, and somebody else can be asked in its place. */
static bool can_try(const struct request *r)
{
    size_t rung;

    return trial_can(r) && (r->upstream != NULL || find_larger(r, &rung));
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

    if (r->closed && !follow_wanted(r))
        return;
    if (buf_append(&r->recorded, text) != ST_OK) {
        local_model_cancel(r->local);
        return;
    }
    if (!r->chat.stream || is_held(r))
        return;
    if (!r->flow.head_sent && !begin_stream(r)) {
        break_off(r);
        return;
    }
    buf_clear(out);
    if (r->protocol->live->delta(out, local_models_name(r->proxy->parts.local, r->voice),
                                 &r->flow.stamp, text, &r->flow.events) != ST_OK ||
        mark_stream(r, out) != ST_OK)
        break_off(r);
    else
        give(r, buf_span(out));
}

/* Nothing of an answer is out. */
static void refuse_overload(struct request *r)
{
    r->proxy->account.refused_total++;
    record_nothing(r, "overloaded");
    respond_error(r, 503, "server_error", "overloaded", "",
                  "the built-in model's queue is full; see local.queue_max");
}

/* In the middle of a stream. */
static void fail_stream(struct request *r)
{
    static const struct protocol_failure early = {
        .type = {"server_error", 12}, .message = {"the built-in model stopped early", 32}};
    struct buf *out = &r->proxy->scratch;
    bool wait;

    buf_clear(out);
    if (r->protocol->write_stream_error(out, &early) != ST_OK)
        buf_clear(out);
    follow_break(r, buf_span(out));
    if (r->closed)
        return;
    if (out->len > 0)
        (void)!http_write(r->stream, buf_span(out), &wait);
    http_abort(r->stream);
}

static void fail(struct request *r, enum status st)
{
    if (st == ST_OVERLOAD && !r->flow.head_sent && !r->speed.superseded) {
        refuse_overload(r);
        return;
    }
    record_nothing(r, "local_failed");
    if (r->speed.superseded && !r->flow.head_sent) {
        respond_error(r, 409, "invalid_request_error", "superseded", "",
                      "the same session has asked for something else meanwhile");
    } else if (st == ST_CANCELED && r->proxy->cutting && !r->flow.head_sent) {
        respond_error(r, 503, "server_error", "shutting_down", "", "ibid is shutting down");
    } else if (r->flow.head_sent) {
        fail_stream(r);
    } else if (st == ST_LIMIT) {
        respond_error(r, 400, "invalid_request_error", "context_length_exceeded", "messages",
                      "the conversation does not fit the built-in model's context "
                      "(local.context_max)");
    } else if (st == ST_TIMEOUT) {
        respond_error(r, 504, "server_error", "timeout", "",
                      "the built-in model did not finish within local.deadline_ms");
    } else if (st == ST_UNAVAILABLE) {
        respond_error(r, 503, "server_error", "no_answerer", "model",
                      "the model could not be loaded; see /readyz");
    } else {
        respond_error(r, 500, "server_error", "local_failed", "",
                      "the built-in model failed; see the log");
    }
}

/* It was ours to choose, and nothing of an answer is out: then the next larger model is asked
 * after all, or the upstream. false: there is nobody else. */
static bool move_on(struct request *r, const char *reason, bool larger_too)
{
    bool in_time = r->patience_us > loop_now_us(r->proxy->parts.loop);
    size_t rung = 0;

    if (!r->judged || r->flow.head_sent || r->proxy->cutting || r->speed.superseded)
        return false;
    r->to_local = larger_too && in_time && find_larger(r, &rung);
    if (!r->to_local && r->upstream == NULL) {
        r->to_local = true;
        return false;
    }
    if (r->to_local) {
        r->rung = rung;
        r->voice = local_models_voice(r->proxy->parts.local,
                                      routing_ladder(r->setup->routing)->rungs[rung].model);
    }
    r->source = SOURCE_NONE;
    r->routed.tier = r->to_local ? ROUTING_LOCAL : ROUTING_UPSTREAM;
    r->routed.reason = reason;
    buf_clear(&r->recorded);
    account_routed(&r->proxy->account, r->to_local, reason);
    return true;
}

static bool escalate(struct request *r, const char *reason)
{
    return move_on(r, reason, true);
}

static const char *reason_of(enum status st)
{
    return st == ST_LIMIT         ? "escalated_context"
           : st == ST_TIMEOUT     ? "escalated_timeout"
           : st == ST_UNAVAILABLE ? "escalated_absent"
                                  : "escalated_failed";
}

static void finish_stream(struct request *r, const struct answer *a)
{
    struct buf *out = &r->proxy->scratch;

    if (!r->flow.head_sent && !begin_stream(r)) {
        break_off(r);
        return;
    }
    buf_clear(out);
    if (r->protocol->live->finish(out, a, &r->flow.stamp, r->chat.include_usage,
                                  &r->flow.events) != ST_OK ||
        mark_stream(r, out) != ST_OK) {
        break_off(r);
        return;
    }
    give(r, buf_span(out));
    follow_end(r);
    if (!r->closed)
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
        .model = local_models_name(r->proxy->parts.local, r->voice),
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

/* Is somebody else asked in place of what has ended? Who is asked to know whether an answer is
 * good is the upstream. */
static bool is_passed_on(struct request *r, enum status st, const struct decoder_result *result)
{
    const char *why = st != ST_OK     ? reason_of(st)
                      : !trial_on(r)  ? NULL
                      : r->unanswered ? "escalated_form"
                                      : trial_doubt(r, result);

    if (why != NULL)
        return escalate(r, why);
    return trial_on(r) && trial_explores(r) && move_on(r, "escalated_explored", false);
}

/* Its client has left, and others follow or followed its answer. */
static void end_unattended(struct request *r, enum status st,
                           const struct decoder_result *result)
{
    timer_stop(r->proxy->parts.loop, &r->deadline);
    if (!follow_wanted(r)) {
        follow_break(r, SPAN(""));
    } else if (st == ST_OK) {
        finish(r, result);
    } else {
        record_nothing(r, "local_failed");
        fail_stream(r);
    }
    if (r->follow.kept)
        charge_background(r);
}

/* What was waited for has ended. */
static void end(struct request *r, enum status st, const struct decoder_result *result)
{
    timer_stop(r->proxy->parts.loop, &r->deadline);
    if (is_passed_on(r, st, result)) {
        request_again(r);
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

    end(r, st, &result);
}

static void on_end(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us)
{
    struct request *r = owner;
    struct local_models *models = r->proxy->parts.local;

    r->local = NULL;
    if (st == ST_OK)
        local_models_note(models, r->use.index, result);
    local_models_leave(models, &r->use);
    local_job_ended(r, cpu_us);
    if (r->closed && r->to_local && (r->follow.led != NULL || r->follow.kept))
        end_unattended(r, st, result);
    if (!request_drop(r) || !r->to_local)
        return;
    st = st != ST_OK && r->timed_out ? ST_TIMEOUT : st;
    r->unanswered = st == ST_OK && r->thinks && !prompt_strip(&r->recorded);
    if (vote_wait(r, st, result))
        return;
    if (st == ST_OK && r->vote != NULL)
        local_voted(r);
    else
        end(r, st, result);
}

static const struct local_events events = {on_text, on_end};

/* It is loaded now, or can not be. */
static void on_ready(struct local_use *use)
{
    struct request *r = CONTAINER_OF(use, struct request, use);

    if (r->closed)
        local_models_leave(r->proxy->parts.local, use);
    if (!request_drop(r))
        return;
    timer_stop(r->proxy->parts.loop, &r->deadline);
    if (use->model != NULL)
        request_again(r);
    else
        end(r, ST_UNAVAILABLE, NULL);
}

static void cancel_jobs(struct request *r)
{
    vote_cancel(r);
    if (r->local != NULL)
        local_model_cancel(r->local);
}

static void on_deadline(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);

    if (!r->use.waits) {
        r->timed_out = true;
        cancel_jobs(r);
        return;
    }
    local_models_leave(r->proxy->parts.local, &r->use);
    if (request_drop(r))
        end(r, r->proxy->cutting || r->speed.superseded ? ST_CANCELED : ST_TIMEOUT, NULL);
}

/* Waits no longer for a model to be read. */
static void stop_waiting(struct request *r)
{
    if (!r->use.waits)
        return;
    local_models_leave(r->proxy->parts.local, &r->use);
    (void)!request_drop(r);
}

void local_give_up(struct request *r)
{
    r->to_local = false;
    timer_stop(r->proxy->parts.loop, &r->deadline);
    vote_call_off(r);
    cancel_jobs(r);
    stop_waiting(r);
    buf_clear(&r->recorded);
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

    if (r->schema != NULL)
        return true; /* what a model before writes by still ends */
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
    /* What one can not be held to, no other one can. */
    if (move_on(r, "escalated_schema", false))
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
    if (r->judged && r->upstream != NULL)
        return speed_patience_ms(r);
    return r->speed.deadline_ms > 0 ? r->speed.deadline_ms
                                    : r->setup->config->local.deadline_ms;
}

/* Waits for the end of what began, an answer or the reading of the model, as long as there is
 * patience for both. */
static enum step_result wait_for(struct request *r)
{
    struct loop *loop = r->proxy->parts.loop;
    uint64_t now = loop_now_us(loop);

    request_hold(r);
    timer_start(loop, &r->deadline, r->patience_us > now ? r->patience_us - now : 0,
                on_deadline);
    return STEP_WAIT;
}

/* Nobody else is asked: what went wrong is told. */
static enum step_result refuse(struct request *r, enum status st)
{
    r->source = SOURCE_LOCAL;
    if (st == ST_NOMEM)
        refuse_overload(r);
    else
        fail(r, st);
    return STEP_DONE;
}

/* What is known of an answer of the model before this one. */
static void forget_attempt(struct request *r)
{
    r->attempt = NULL;
    r->sure = 0;
    r->unanswered = false;
    r->vote = NULL;
    r->votes = 0;
}

/* Without a temperature it decodes greedily: a small model is at its best there, and the answer
 * can be repeated. */
static enum status ask_model(struct request *r)
{
    struct proxy *p = r->proxy;
    const struct chat_request *q = &r->chat;
    const struct prompt *profile = local_turns_profile(r);
    uint32_t most = local_model_max_tokens(r->use.model);
    uint64_t wanted;
    struct local_request ask = {
        .continues = q->continues,
        .params = {.temperature = q->has_temperature ? (float)q->temperature : 0.0f,
                   .top_p = q->has_top_p ? (float)q->top_p : 1.0f,
                   .seed = q->has_seed ? q->seed : clock_now_us(),
                   .stop = q->stop,
                   .stop_count = q->stop_count,
                   .max_tokens = most},
        .scope = &r->scope,
        .tenant = &r->credential,
    };
    enum status st;

    if (!local_models_adapter(p->parts.local, r->voice, &ask.adapter))
        return ST_UNAVAILABLE;
    forget_attempt(r);
    r->thinks = local_turns_think(r, profile);
    wanted = q->max_tokens + (r->thinks ? PROMPT_THINK_TOKENS : 0);
    if (q->has_max_tokens && wanted < most)
        ask.params.max_tokens = (uint32_t)wanted;
    answer_stamp_new(&r->flow.stamp, clock_wall_ms());
    buf_clear(&r->recorded);
    ask.like = near_answer(r);
    ask.schema = r->schema;
    r->tried = ask.confidence = can_try(r);
    st = local_turns_take(r, profile, &ask);
    if (st == ST_OK)
        st = local_model_start(r->use.model, p->parts.loop, &ask, &events, r, &r->local);
    if (st != ST_OK)
        return st;
    r->local_jobs++;
    vote_start(r, &ask);
    beside_start(r);
    return ST_OK;
}

static enum step_result ask_local(struct request *r);

/* One that was never taught it would write nonsense. */
static enum step_result refuse_to_fill(struct request *r)
{
    local_models_leave(r->proxy->parts.local, &r->use);
    respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model", "suffix",
                  "this model has no tokens to fill in a text by; leave suffix out, or name a "
                  "model for code");
    return STEP_DONE;
}

/* The model is there. */
static enum step_result ask_or_escalate(struct request *r)
{
    enum status st;

    if (r->chat.continues && r->chat.turn_count > 1 && !local_model_fills(r->use.model))
        return refuse_to_fill(r);
    if (!open_schema(r)) {
        local_models_leave(r->proxy->parts.local, &r->use);
        return r->to_local ? STEP_DONE : STEP_NEXT;
    }
    st = ask_model(r);
    if (st == ST_OK)
        return wait_for(r);
    local_models_leave(r->proxy->parts.local, &r->use);
    if (r->local_jobs == 0) {
        decoder_schema_close(r->schema);
        r->schema = NULL;
    }
    return escalate(r, "escalated_busy") ? ask_local(r) : refuse(r, st);
}

/* Entered once more for each that is asked: never for more than the ladder has rungs. */
static enum step_result ask_local(struct request *r)
{
    struct local_models *models = r->proxy->parts.local;
    const char *why = r->protocol != NULL && r->to_local ? local_cannot(&r->chat) : NULL;
    enum status st = ST_OK;

    if (r->protocol == NULL || !r->to_local)
        return STEP_NEXT;
    r->source = SOURCE_LOCAL;
    if (why != NULL) {
        respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model", "", why);
        return STEP_DONE;
    }
    if (r->patience_us == 0) {
        r->patience_us = loop_now_us(r->proxy->parts.loop) + patience_ms(r) * 1000;
        speed_supersede(r);
    }
    r->use.patient = r->speed.class == SPEED_BATCH;
    if (r->use.model == NULL)
        st = local_models_take(models, local_models_of(models, r->voice), &r->use, on_ready);
    if (st == ST_OK)
        return ask_or_escalate(r);
    if (st == ST_OVERLOAD)
        return wait_for(r);
    return escalate(r, reason_of(st)) ? ask_local(r) : refuse(r, st);
}

/* Answer by a model on this machine, which is loaded first if it has to be. Where none does it,
 * the upstream may be under way already. */
enum step_result local_enter(struct request *r)
{
    enum step_result res = ask_local(r);

    if (res == STEP_NEXT && beside_left(r))
        return STEP_WAIT;
    if (res == STEP_DONE)
        beside_local(r);
    return res;
}

void local_cancel(struct request *r)
{
    struct loop *loop = r->proxy->parts.loop;
    uint64_t now = loop_now_us(loop);

    if (r->to_local && r->local != NULL && follow_wanted(r) && !r->proxy->cutting) {
        timer_start(loop, &r->deadline, r->patience_us > now ? r->patience_us - now : 0,
                    on_deadline);
        return;
    }
    cancel_jobs(r);
    stop_waiting(r);
    forward_cancel(r); /* where it is asked beside */
}

bool local_is_busy(const struct request *r)
{
    return r->local != NULL || vote_is_open(r) || r->use.waits;
}

void local_cut(struct request *r)
{
    if (r->use.waits)
        timer_start(r->proxy->parts.loop, &r->deadline, 0, on_deadline);
    else
        cancel_jobs(r);
}
