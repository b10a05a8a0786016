#include "base/clock.h"
#include "cache/cache.h"
#include "config/config.h"
#include "proxy/again.h"
#include "proxy/ahead.h"
#include "proxy/proxy.h"
#include "proxy/refresh.h"
#include "proxy/replay.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/upstream.h"
#include "rt/loop.h"

/* An entry that is older than the client wants, or that is not what its key says,
 * is not an answer. */
static bool acceptable(const struct request *r, const struct entry *e, uint64_t now_ms)
{
    if (!digest_eq(&e->key, &r->key) || e->expires_ms <= now_ms)
        return false;
    return !r->controls.has_max_age || now_ms - e->created_ms <= r->controls.max_age_s * 1000;
}

static bool within(uint64_t ms, uint64_t s)
{
    return ms < s * 1000;
}

/* RFC 5861. A client that names an age wants none that is over it (RFC 9111 5.2.1.1). */
static bool take_stale(struct request *r, struct entry *e, uint64_t over_ms)
{
    r->miss_reason = "stale";
    if (r->controls.has_max_age || r->to_local)
        return false;
    if (within(over_ms, r->upstream->stale_while_revalidate_s)) {
        r->stale_use = STALE_REVALIDATE;
        return true;
    }
    if (within(over_ms, r->upstream->stale_if_error_s))
        r->stale = entry_ref(e);
    return false;
}

/* Of a tenth of that part, so that an upstream that is down is not asked all the time. */
#define REST_PARTS 10

/* Popular, and near its end? Then nobody shall have to wait for the next one. */
static void look_ahead(struct request *r, const struct entry *e, uint64_t now_ms,
                       uint64_t fresh_ms)
{
    struct proxy *p = r->proxy;
    double share = r->setup->config->cache.refresh_ahead;
    uint64_t part_ms;

    if (share == 0 || now_ms >= fresh_ms || fresh_ms <= e->created_ms || r->to_local)
        return;
    part_ms = (uint64_t)(share * (double)(fresh_ms - e->created_ms));
    if (now_ms + part_ms < fresh_ms ||
        !ahead_hit(p->ahead, &r->key, loop_now_us(p->parts.loop), part_ms * 1000 / REST_PARTS))
        return;
    p->account.refreshes_ahead_total++;
    refresh_start(r);
}

static void answer_from(struct request *r, struct entry *e)
{
    cache_count_exact(r->proxy->parts.cache, &e->partition);
    r->entry = e;
    r->source = SOURCE_EXACT;
    if (r->stale_use == STALE_REVALIDATE)
        refresh_start(r);
}

static void take(struct request *r, struct entry *e)
{
    uint64_t now_ms = clock_wall_ms(), fresh_ms = entry_fresh_ms(e);

    if (!acceptable(r, e, now_ms))
        r->miss_reason = "stale";
    else if (replay_unsuited(r, e) != NULL)
        r->miss_reason = replay_unsuited(r, e);
    else if (now_ms < fresh_ms || take_stale(r, e, now_ms - fresh_ms)) {
        answer_from(r, e);
        look_ahead(r, e, now_ms, fresh_ms);
        return;
    }
    entry_unref(e);
}

static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    struct request *r = CONTAINER_OF(op, struct request, get);

    if (!request_drop(r)) {
        if (st == ST_OK)
            entry_unref(e);
        return;
    }
    if (st == ST_OK)
        take(r, e);
    r->store_silent = st != ST_OK && st != ST_NOTFOUND;
    request_resume(r);
}

/* It was answered from the cache a moment ago, and comes again. */
static bool wants_another(struct request *r)
{
    struct proxy *p = r->proxy;
    uint64_t within_us = r->setup->config->cache.regenerate_after_s * 1000000;

    if (within_us == 0 || !again_take(p->again, &r->key, loop_now_us(p->parts.loop), within_us))
        return false;
    p->account.regenerated_total++;
    r->controls.no_cache = true;
    r->may_read = r->may_read_semantic = false;
    r->miss_reason = "again";
    return true;
}

/* The same request before: in memory at once, else from the store if it may be
 * there. A store that can not say makes a miss, not an error. */
enum step_result exact_enter(struct request *r)
{
    struct cache *cache = r->proxy->parts.cache;
    struct entry *e = NULL;

    if (!r->may_read || wants_another(r))
        return STEP_NEXT;
    switch (cache_find(cache, &r->key, &e)) {
    case CACHE_HIT:
        take(r, e);
        return STEP_NEXT;
    case CACHE_ABSENT:
        return STEP_NEXT;
    case CACHE_ASK:
        break;
    }
    if (cache_fetch(cache, &r->get, &r->key, on_fetched) != ST_OK)
        return STEP_NEXT;
    request_hold(r);
    return STEP_WAIT;
}

void exact_cancel(struct request *r)
{
    cache_cancel(&r->get);
}
