#include "base/clock.h"
#include "cache/cache.h"
#include "config/config.h"
#include "proxy/proxy.h"
#include "proxy/replay.h"
#include "proxy/setup.h"
#include "proxy/steps.h"

/* The index is a shortcut; the entry is the proof. It must be of this very
 * partition, alive, and young enough. */
static void take(struct request *r, struct entry *e)
{
    uint64_t now_ms = clock_wall_ms();
    bool stale =
        entry_fresh_ms(e) <= now_ms ||
        (r->controls.has_max_age && now_ms - e->created_ms > r->controls.max_age_s * 1000);

    if (stale || !digest_eq(&e->partition, &r->partition)) {
        r->miss_reason = "stale";
        entry_unref(e);
        return;
    }
    if (replay_unsuited(r, e) != NULL) {
        r->miss_reason = replay_unsuited(r, e);
        entry_unref(e);
        return;
    }
    r->entry = e;
    r->source = SOURCE_SEMANTIC;
}

static void forget(struct request *r)
{
    r->miss_reason = "entry_gone";
    cache_remove(r->proxy->parts.cache, &r->embed.decision.key, &r->partition);
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
    else if (st == ST_NOTFOUND)
        forget(r);
    else
        r->miss_reason = "store_failed";
    request_resume(r);
}

/* The entry that the decision chose. */
enum step_result recall_enter(struct request *r)
{
    struct proxy *p = r->proxy;
    struct entry *e = NULL;

    if (r->entry != NULL || !r->embed_done || r->embed.status != ST_OK ||
        !r->embed.decision.hit)
        return STEP_NEXT;
    if (r->setup->config->cache.semantic == SEMANTIC_SHADOW) {
        p->account.shadow_hits_total++;
        r->miss_reason = "shadow";
        return STEP_NEXT;
    }
    switch (cache_find(p->parts.cache, &r->embed.decision.key, &e)) {
    case CACHE_HIT:
        take(r, e);
        return STEP_NEXT;
    case CACHE_ABSENT:
        forget(r);
        return STEP_NEXT;
    case CACHE_ASK:
        break;
    }
    /* One that has just been waited for in vain is not waited for again. */
    if (r->store_silent ||
        cache_fetch(p->parts.cache, &r->get, &r->embed.decision.key, on_fetched) != ST_OK) {
        r->miss_reason = "store_failed";
        return STEP_NEXT;
    }
    request_hold(r);
    return STEP_WAIT;
}

void recall_cancel(struct request *r)
{
    cache_cancel(&r->get);
}
