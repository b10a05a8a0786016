#include "config/config.h"
#include "proxy/follow.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "rt/timer.h"

/* The leader takes too long, or is stuck: go alone. */
static void on_deadline(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);

    flight_leave(r);
    if (request_drop(r))
        request_resume(r);
}

/* Identical requests in flight: the first leads, the rest wait for its answer. What
 * may not be stored may not be shared either. A request whose credential is not
 * proven yet may wait for a leader with that same credential only (in a shared space
 * there are others): it gets an answer if the upstream accepted it for the leader. */
enum step_result join_enter(struct request *r)
{
    struct proxy *p = r->proxy;
    const struct config *c = r->setup->config;
    struct flight *f;

    if (r->entry != NULL || r->protocol == NULL || !r->may_store || r->controls.no_cache ||
        !c->cache.coalesce)
        return STEP_NEXT;
    f = flight_find(&p->flights, &r->key);
    if (f != NULL && !r->may_read && !digest_eq(&f->credential, &r->credential))
        return STEP_NEXT;
    if (f != NULL && follow_join(f->leader, r))
        return STEP_WAIT;
    if (f != NULL) {
        request_hold(r);
        flight_follow(f, r);
        timer_start(p->parts.loop, &r->deadline,
                    (r->to_local ? c->local.deadline_ms : c->upstream.first_byte_timeout_ms) *
                        1000,
                    on_deadline);
        return STEP_WAIT;
    }
    if (r->controls.only_if_cached)
        return STEP_NEXT;
    /* Out of memory: everyone asks for themselves. */
    (void)!flight_lead(&p->flights, r);
    return STEP_NEXT;
}

void join_cancel(struct request *r)
{
    if (r->follow.followed != NULL) {
        follow_leave(r);
        return;
    }
    flight_leave(r);
    (void)!request_drop(r);
}
