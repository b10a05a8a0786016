#include "cache/cache.h"
#include "config/config.h"
#include "proxy/admit.h"
#include "proxy/proxy.h"
#include "proxy/rewrite.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "rt/timer.h"

static void count_cost(struct request *r)
{
    struct account *a = &r->proxy->account;

    r->charge.cpu_us += r->embed.embed_cpu_us + r->embed.search_us;
    a->cost_encoder_s += (double)r->embed.embed_cpu_us / 1e6;
    a->cost_lookup_s += (double)r->embed.search_us / 1e6;
}

/* What the decision says of this request, when it is not a hit. */
static const char *reason_of(const struct request *r)
{
    if (r->embed.status == ST_OK)
        return r->embed.decision.reason;
    if (r->embed.status == ST_OVERLOAD)
        return "encoder_behind";
    if (r->embed.status == ST_LIMIT)
        return "text_too_long";
    if (r->embed.status == ST_INVALID)
        return "text_not_utf8";
    if (r->embed.status == ST_NOTFOUND)
        return "text_unknown";
    return "encoder_failed";
}

static void on_looked_up(struct embed_job *job, enum status st)
{
    struct request *r = CONTAINER_OF(job, struct request, embed);
    bool waited_for = r->embed_started;

    count_cost(r);
    r->embed_started = false;
    r->embed_done = st == ST_OK;
    if (!request_drop(r) || !waited_for)
        return;
    timer_stop(r->proxy->parts.loop, &r->deadline);
    if (r->embed_done && job->status == ST_OVERLOAD)
        r->proxy->account.embed_shed_total++;
    if (r->embed_done && job->search)
        r->miss_reason = reason_of(r);
    request_resume(r);
}

/* Over the budget: the cache is bypassed, not the request. The job is still ours
 * until its done comes. */
static void on_deadline(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);

    r->embed_started = false;
    if (r->embed.search)
        r->miss_reason = "encoder_timeout";
    r->proxy->account.embed_timeout_total++;
    embedder_cancel(&r->embed);
    request_resume(r);
}

/* Nearest stored question of the same partition, and whether it is the same
 * question: one job on an encoder worker. */
enum step_result lookup_enter(struct request *r)
{
    struct proxy *p = r->proxy;
    const struct config *c = r->setup->config;
    struct embed_job *job = &r->embed;

    if (r->entry != NULL)
        return STEP_NEXT;
    if ((r->may_read_semantic || r->may_store_semantic) && !admit_partition(r))
        r->may_read_semantic = r->may_store_semantic = false;
    /* Who answers may depend on the vector, where nothing stored may. */
    if (!r->may_read_semantic && (r->routed.tier != ROUTING_OPEN || p->parts.embedder == NULL))
        return STEP_NEXT;
    job->text = rewrite_question(r);
    job->asked = r->alone.ptr != NULL ? r->chat.last_text : (struct span){NULL, 0};
    job->tenant = r->credential;
    job->wait_max_us = c->encoder.wait_max_ms * 1000;
    job->search = r->may_read_semantic;
    job->partition = r->partition;
    job->cache = p->parts.cache;
    job->keep_record = c->explain.bytes_max > 0;
    /* Neighbours speak for or against each other there: the more the better. */
    job->top_k = cache_bounded(p->parts.cache) != NULL ? DECISION_CANDIDATES_MAX
                                                       : (uint32_t)c->cache.top_k;
    job->floor = (float)c->cache.floor;
    job->least = r->controls.has_threshold ? r->controls.threshold : 0;
    job->threshold = job->least > c->cache.threshold ? job->least : c->cache.threshold;
    if (embedder_submit(p->parts.embedder, job, p->parts.loop, on_looked_up) != ST_OK) {
        if (job->search)
            r->miss_reason = "encoder_busy";
        p->account.embed_overload_total++;
        return STEP_NEXT;
    }
    r->embed_started = true;
    request_hold(r);
    timer_start(p->parts.loop, &r->deadline, c->encoder.deadline_ms * 1000, on_deadline);
    return STEP_WAIT;
}

void lookup_cancel(struct request *r)
{
    embedder_cancel(&r->embed);
}
