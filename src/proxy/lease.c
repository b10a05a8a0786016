/* One look is two commands in one packet: take the lease if it is free, and get the entry. In
 * this order an entry that was stored before its lease was given back is never missed: who gets
 * the lease has looked for it later.
 *
 * Only for what the store has said it does not have, of clients that may read from it: so that
 * nobody waits twice for a store that is silent, and no answer reaches a credential that its
 * upstream has not accepted. */
#include "proxy/lease.h"

#include <stdlib.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/entry.h"
#include "config/config.h"
#include "proxy/proxy.h"
#include "proxy/replay.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define RENEWALS      3 /* in its time */
#define LOOK_FIRST_US (20u * 1000)
#define LOOK_LAST_US  (200u * 1000)

enum lease_state {
    LEASE_NONE,
    LEASE_ASKED,  /* the store is about to say */
    LEASE_OURS,   /* since `sent_us`, or before */
    LEASE_THEIRS, /* somebody else's */
    LEASE_SILENT, /* the store could not say */
};

struct lease {
    struct store_lease op;
    struct cache *cache; /* borrowed (outlives) */
    struct loop *loop;   /* likewise */
    enum lease_state state;
    bool orphan;           /* its flight is gone: freed when the store has said */
    bool resting;          /* between two looks */
    struct timer renewal;  /* while it is ours */
    uint64_t sent_us;      /* when the command was sent that made or kept it ours */
    uint64_t patience_us;  /* until then */
    uint64_t next_look_us; /* after this rest */
};

static void look(struct request *r);

/* By our clock, with time to spare for a command that is on its way. */
static bool is_surely_ours(const struct lease *l)
{
    uint64_t age_us = loop_now_us(l->loop) - l->sent_us;

    return l->state == LEASE_OURS &&
           age_us < (uint64_t)l->op.ms * 1000 * (RENEWALS - 1) / RENEWALS;
}

static void give_back(struct lease *l)
{
    timer_stop(l->loop, &l->renewal);
    if (is_surely_ours(l))
        (void)!cache_lease(l->cache, &l->op, STORE_LEASE_GIVE);
}

void lease_end(struct flight *f)
{
    struct lease *l = f->lease;

    f->lease = NULL;
    if (l == NULL)
        return;
    give_back(l);
    l->orphan = true;
    if (l->state != LEASE_ASKED)
        free(l);
}

static void on_taken(struct store_lease *op, enum status st)
{
    struct lease *l = CONTAINER_OF(op, struct lease, op);

    l->state = st == ST_OK ? LEASE_OURS : st == ST_OVERLOAD ? LEASE_THEIRS : LEASE_SILENT;
    if (!l->orphan)
        return;
    give_back(l);
    free(l);
}

/* A third of its time is a renewal, so that one that is lost on the way does no harm. */
static void on_renewal(struct timer *t)
{
    struct lease *l = CONTAINER_OF(t, struct lease, renewal);
    uint64_t now_us = loop_now_us(l->loop);

    if (!is_surely_ours(l)) /* this process was away too long: it may be another's now */
        return;
    if (cache_lease(l->cache, &l->op, STORE_LEASE_KEEP) == ST_OK)
        l->sent_us = now_us;
    timer_start(l->loop, &l->renewal, (uint64_t)l->op.ms * 1000 / RENEWALS, on_renewal);
}

/* --- the step ------------------------------------------------------------------------------
 */

static bool is_wanted(const struct request *r)
{
    const struct config *c = r->setup->config;

    return r->entry == NULL && r->leads && r->may_read && !r->to_local && r->gather == NULL &&
           !r->store_silent && c->cache.lease_ms > 0 &&
           cache_can_lease(r->proxy->parts.cache) &&
           (r->flight->lease == NULL || r->flight->lease->state != LEASE_OURS);
}

static struct lease *lease_new(const struct request *r)
{
    const struct config *c = r->setup->config;
    struct lease *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->cache = r->proxy->parts.cache;
    l->loop = r->proxy->parts.loop;
    l->op.done = on_taken;
    l->op.key = r->key;
    l->op.ms = (uint32_t)c->cache.lease_ms;
    l->patience_us = loop_now_us(l->loop) + c->upstream.first_byte_timeout_ms * 1000;
    l->next_look_us = LOOK_FIRST_US;
    return l;
}

static void go_alone(struct request *r)
{
    r->proxy->account.leases_alone_total++;
    lease_end(r->flight);
}

static bool fits(const struct request *r, const struct entry *e)
{
    uint64_t now_ms = clock_wall_ms();

    return digest_eq(&e->key, &r->key) && now_ms < entry_fresh_ms(e) &&
           (!r->controls.has_max_age ||
            now_ms - e->created_ms <= r->controls.max_age_s * 1000) &&
           replay_unsuited(r, e) == NULL;
}

/* Those who wait for this request have the answer of the other replica, too. */
static void join(struct request *r, struct entry *e)
{
    r->proxy->account.leases_joined_total++;
    r->entry = e;
    r->source = SOURCE_COALESCED;
    flight_land(r, e);
    request_resume(r);
}

static void lead(struct request *r, struct lease *l)
{
    r->proxy->account.leases_led_total++;
    timer_start(l->loop, &l->renewal, (uint64_t)l->op.ms * 1000 / RENEWALS, on_renewal);
    request_resume(r);
}

static void on_rested(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);

    r->flight->lease->resting = false;
    if (request_drop(r))
        look(r);
}

static void rest(struct request *r, struct lease *l)
{
    l->resting = true;
    request_hold(r);
    timer_start(l->loop, &r->deadline, l->next_look_us, on_rested);
    l->next_look_us += l->next_look_us / 2;
    if (l->next_look_us > LOOK_LAST_US)
        l->next_look_us = LOOK_LAST_US;
}

static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    struct request *r = CONTAINER_OF(op, struct request, get);
    struct lease *l;

    if (!request_drop(r)) {
        if (st == ST_OK)
            entry_unref(e);
        return;
    }
    l = r->flight->lease;
    if (st == ST_OK && fits(r, e)) {
        join(r, e);
        return;
    }
    if (st == ST_OK)
        entry_unref(e);
    if (l->state == LEASE_OURS) {
        lead(r, l);
    } else if (l->state == LEASE_THEIRS && (st == ST_OK || st == ST_NOTFOUND) &&
               loop_now_us(l->loop) < l->patience_us) {
        rest(r, l);
    } else {
        go_alone(r);
        request_resume(r);
    }
}

/* false: the store can not be asked. */
static bool ask(struct request *r)
{
    struct lease *l = r->flight->lease;

    l->sent_us = loop_now_us(l->loop);
    l->state = LEASE_ASKED;
    if (cache_lease(l->cache, &l->op, STORE_LEASE_TAKE) != ST_OK) {
        l->state = LEASE_SILENT;
        return false;
    }
    if (cache_fetch(l->cache, &r->get, &r->key, on_fetched) != ST_OK)
        return false;
    request_hold(r);
    return true;
}

/* After a rest. */
static void look(struct request *r)
{
    if (ask(r))
        return;
    go_alone(r);
    request_resume(r);
}

enum step_result lease_enter(struct request *r)
{
    struct flight *f = r->flight;

    if (!is_wanted(r))
        return STEP_NEXT;
    if (f->lease == NULL)
        f->lease = lease_new(r);
    if (f->lease == NULL) /* out of memory: everyone asks for themselves */
        return STEP_NEXT;
    if (ask(r))
        return STEP_WAIT;
    go_alone(r);
    return STEP_NEXT;
}

/* Who waits behind this one begins anew. */
void lease_cancel(struct request *r)
{
    struct lease *l = r->flight->lease;

    if (l->resting)
        (void)!request_drop(r);
    else
        cache_cancel(&r->get);
    lease_end(r->flight);
}
