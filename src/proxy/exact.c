#include "base/clock.h"
#include "cache/cache.h"
#include "proxy/proxy.h"
#include "proxy/replay.h"
#include "proxy/steps.h"

/* An entry that is older than the client wants, or that is not what its key says,
 * is not an answer. */
static bool acceptable(const struct request *r, const struct entry *e)
{
    uint64_t now_ms = clock_wall_ms();

    if (!digest_eq(&e->key, &r->key) || e->expires_ms <= now_ms)
        return false;
    return !r->controls.has_max_age || now_ms - e->created_ms <= r->controls.max_age_s * 1000;
}

static void take(struct request *r, struct entry *e)
{
    if (!acceptable(r, e)) {
        r->miss_reason = "stale";
        entry_unref(e);
        return;
    }
    if (replay_unsuited(r, e) != NULL) {
        r->miss_reason = replay_unsuited(r, e);
        entry_unref(e);
        return;
    }
    cache_count_exact(r->proxy->parts.cache, &e->partition);
    r->entry = e;
    r->source = SOURCE_EXACT;
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
    request_resume(r);
}

/* The same request before: in memory at once, else from the store if it may be
 * there. A store that can not say makes a miss, not an error. */
enum step_result exact_enter(struct request *r)
{
    struct cache *cache = r->proxy->parts.cache;
    struct entry *e = NULL;

    if (!r->may_read)
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
