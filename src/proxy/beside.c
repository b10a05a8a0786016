#include "proxy/beside.h"

#include "config/config.h"
#include "http/client.h"
#include "proxy/forward.h"
#include "proxy/local.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/source.h"
#include "proxy/trial.h"
#include "rt/timer.h"

static struct beside_counts *counts(const struct request *r)
{
    return &trial_counts(r->proxy->parts.trial)->hedges;
}

static void on_time(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, beside_timer);

    if (r->proxy->cutting || r->upstream == NULL || !forward_beside(r))
        return;
    r->beside = BESIDE_BOTH;
    counts(r)->begun++;
}

void beside_start(struct request *r)
{
    uint64_t ms = r->setup->config->route.hedge_ms;

    if (ms > 0 && trial_on(r) && r->beside == BESIDE_NONE && r->beside_timer.slot == 0)
        timer_start(r->proxy->parts.loop, &r->beside_timer, ms * 1000, on_time);
}

/* The call's end comes later, and is nobody's business then. */
static void forget_call(struct request *r)
{
    struct http_call *call = r->call;

    r->call = NULL;
    if (call != NULL)
        http_call_cancel(call);
}

void beside_local(struct request *r)
{
    timer_stop(r->proxy->parts.loop, &r->beside_timer);
    if (r->beside != BESIDE_BOTH)
        return;
    r->beside = BESIDE_OVER;
    counts(r)->local++;
    forget_call(r);
}

bool beside_left(struct request *r)
{
    timer_stop(r->proxy->parts.loop, &r->beside_timer);
    if (r->beside != BESIDE_BOTH)
        return false;
    r->beside = BESIDE_OVER;
    counts(r)->upstream++;
    r->source = SOURCE_UPSTREAM;
    return true;
}

bool beside_upstream(struct request *r, unsigned status)
{
    if (r->beside != BESIDE_BOTH)
        return true;
    r->beside = BESIDE_OVER;
    /* An error is no answer: the built-in model's may still be good. */
    if (status != 200) {
        forget_call(r);
        return false;
    }
    counts(r)->upstream++;
    r->routed.tier = ROUTING_UPSTREAM;
    r->routed.reason = "hedged";
    account_routed(&r->proxy->account, false, "hedged");
    local_give_up(r);
    r->source = SOURCE_UPSTREAM;
    return true;
}

bool beside_failed(struct request *r)
{
    if (r->beside != BESIDE_BOTH)
        return false;
    r->beside = BESIDE_OVER;
    return true;
}
