/* How many tokens a conversation has for the model on this machine: what it would be told as
 * the prompt's when it is asked. On a worker: a long one would hold up the loop. */
#include "config/config.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "protocol/protocol.h"
#include "proxy/charge.h"
#include "proxy/local.h"
#include "proxy/local_model.h"
#include "proxy/local_models.h"
#include "proxy/local_turns.h"
#include "proxy/mark.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "rt/loop.h"
#include "rt/timer.h"

static void fail(struct request *r, enum status st)
{
    record_nothing(r, "local_failed");
    if (st == ST_OVERLOAD || st == ST_NOMEM) {
        r->proxy->account.refused_total++;
        respond_error(r, 503, "server_error", "overloaded", "",
                      "the built-in model's queue is full; see local.queue_max");
    } else if (st == ST_CANCELED) {
        respond_error(r, 503, "server_error", "shutting_down", "", "ibid is shutting down");
    } else if (st == ST_TIMEOUT) {
        respond_error(r, 504, "server_error", "timeout", "",
                      "the built-in model did not count within local.deadline_ms");
    } else if (st == ST_UNAVAILABLE) {
        respond_error(r, 503, "server_error", "no_answerer", "model",
                      "the model could not be loaded; see /readyz");
    } else {
        respond_error(r, 500, "server_error", "local_failed", "",
                      "the built-in model's tokens could not be counted; see the log");
    }
}

static void succeed(struct request *r, uint64_t tokens)
{
    struct answer a;
    struct buf out;

    buf_init(&out, 4096);
    charge_nothing(r);
    if (r->protocol->write_count(&out, tokens) != ST_OK ||
        answer_read(r->protocol, &r->arena, buf_span(&out), &a) != ST_OK) {
        fail(r, ST_NOMEM);
    } else {
        record_answer(r, &a);
        if (mark_wanted(r) && mark_whole(r, &out, 0) != ST_OK)
            http_abort(r->stream);
        else
            respond_whole(r, 200, SPAN("application/json"), buf_span(&out));
    }
    buf_release(&out);
}

static void end(struct request *r, enum status st, uint64_t tokens)
{
    timer_stop(r->proxy->parts.loop, &r->deadline);
    request_finish(r);
    if (st == ST_OK)
        succeed(r, tokens);
    else
        fail(r, st);
}

static void on_text(void *owner, struct span text)
{
    (void)owner;
    (void)text;
}

static void on_end(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us)
{
    struct request *r = owner;

    r->local = NULL;
    local_models_leave(r->proxy->parts.local, &r->use);
    local_job_ended(r, cpu_us);
    if (request_drop(r))
        end(r, st == ST_CANCELED && r->timed_out ? ST_TIMEOUT : st, result->prompt_tokens);
}

static const struct local_events events = {on_text, on_end};

static enum status start(struct request *r)
{
    const struct prompt *profile = local_turns_profile(r);
    struct local_request ask = {.count = true, .scope = &r->scope, .tenant = &r->credential};
    enum status st;

    if (!local_models_adapter(r->proxy->parts.local, r->voice, &ask.adapter))
        return ST_UNAVAILABLE;
    r->thinks = local_turns_think(r, profile);
    st = local_turns_take(r, profile, &ask);
    if (st == ST_OK)
        st = local_model_start(r->use.model, r->proxy->parts.loop, &ask, &events, r, &r->local);
    r->local_jobs += st == ST_OK;
    return st;
}

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
        end(r, ST_UNAVAILABLE, 0);
}

static void on_deadline(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);

    if (r->local != NULL) {
        r->timed_out = true;
        local_model_cancel(r->local);
        return;
    }
    local_models_leave(r->proxy->parts.local, &r->use);
    if (request_drop(r))
        end(r, r->proxy->cutting ? ST_CANCELED : ST_TIMEOUT, 0);
}

static enum step_result wait_for(struct request *r)
{
    struct loop *loop = r->proxy->parts.loop;
    uint64_t now = loop_now_us(loop);

    request_hold(r);
    timer_start(loop, &r->deadline, r->patience_us > now ? r->patience_us - now : 0,
                on_deadline);
    return STEP_WAIT;
}

/* Entered once more when the model is there. */
enum step_result count_enter(struct request *r)
{
    struct local_models *models = r->proxy->parts.local;
    enum status st = ST_OK;
    const char *why;

    if (r->protocol == NULL || !r->to_local || r->protocol->write_count == NULL)
        return STEP_NEXT;
    r->source = SOURCE_LOCAL;
    why = local_cannot(&r->chat);
    if (why != NULL) {
        record_nothing(r, "local_failed");
        respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model", "", why);
        return STEP_DONE;
    }
    if (r->patience_us == 0)
        r->patience_us =
            loop_now_us(r->proxy->parts.loop) + r->setup->config->local.deadline_ms * 1000;
    if (r->use.model == NULL)
        st = local_models_take(models, local_models_of(models, r->voice), &r->use, on_ready);
    if (st == ST_OVERLOAD)
        return wait_for(r);
    if (st == ST_OK)
        st = start(r);
    if (st == ST_OK)
        return wait_for(r);
    local_models_leave(models, &r->use);
    fail(r, st);
    return STEP_DONE;
}

void count_cancel(struct request *r)
{
    if (r->local != NULL)
        local_model_cancel(r->local);
    if (!r->use.waits)
        return;
    local_models_leave(r->proxy->parts.local, &r->use);
    (void)!request_drop(r);
}
