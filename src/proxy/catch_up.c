#include "proxy/catch_up.h"

#include <stdlib.h>

#include "cache/cache.h"
#include "cache/entry.h"
#include "proxy/embedder.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"

#define FIRST_CAP 64
/* At once. A question that comes in between waits for no more than these. */
#define UNDER_WAY_MAX 4
#define PAUSE_US      10000

struct lesson {
    struct cache_get fetch;
    struct embed_job job;
    struct digest key;
    struct entry *entry; /* owned reference; NULL until it is found */
    struct catch_up *of;
};

static void go_on(struct catch_up *c);

static bool grow(struct catch_up *c)
{
    uint32_t cap = c->cap == 0 ? FIRST_CAP : c->cap * 2;
    struct digest *keys = malloc(cap * sizeof(*keys));

    if (keys == NULL)
        return false;
    for (uint32_t i = 0; i < c->count; i++)
        keys[i] = c->keys[(c->first + i) % c->cap];
    free(c->keys);
    c->keys = keys;
    c->cap = cap;
    c->first = 0;
    return true;
}

static void put(struct catch_up *c, const struct digest *key)
{
    if (c->count == c->cap && (c->cap == CATCH_UP_MAX || !grow(c))) {
        c->dropped_total++;
        if (c->count == 0)
            return;
        c->first = (c->first + 1) % c->cap;
        c->count--;
    }
    c->keys[(c->first + c->count++) % c->cap] = *key;
}

static struct digest take(struct catch_up *c)
{
    struct digest key = c->keys[c->first];

    c->first = (c->first + 1) % c->cap;
    c->count--;
    return key;
}

static void on_pause_over(struct timer *t)
{
    go_on(CONTAINER_OF(t, struct catch_up, pause));
}

/* Questions go first. */
static void rest(struct catch_up *c)
{
    if (!c->closing)
        timer_start(c->proxy->parts.loop, &c->pause, PAUSE_US, on_pause_over);
}

static void lesson_free(struct lesson *l)
{
    if (l->entry != NULL)
        entry_unref(l->entry);
    embedder_job_release(&l->job);
    l->of->under_way--;
    free(l);
}

static void lesson_end(struct lesson *l)
{
    struct catch_up *c = l->of;

    lesson_free(l);
    go_on(c);
    pipeline_request_gone(c->proxy);
}

/* Removed meanwhile, it must not come back. */
static bool is_gone(struct lesson *l)
{
    struct entry *here;

    switch (cache_find(l->of->proxy->parts.cache, &l->key, &here)) {
    case CACHE_HIT:
        entry_unref(here);
        return false;
    case CACHE_ASK:
        return false;
    case CACHE_ABSENT:
        break;
    }
    return true;
}

static void teach(struct lesson *l)
{
    struct entry copy = *l->entry, *e;

    copy.vector = l->job.vector;
    copy.dimensions = l->job.dimensions;
    if (entry_new(&copy, &e) != ST_OK) {
        l->of->dropped_total++;
        return;
    }
    cache_put(l->of->proxy->parts.cache, e);
    entry_unref(e);
}

static void on_embedded(struct embed_job *job, enum status st)
{
    struct lesson *l = CONTAINER_OF(job, struct lesson, job);
    struct catch_up *c = l->of;

    c->proxy->account.cost_encoder_s += (double)job->embed_cpu_us / 1e6;
    if (st == ST_OK && job->status == ST_OVERLOAD) {
        put(c, &l->key);
        rest(c);
    } else if (st == ST_OK && job->status != ST_OK) {
        c->dropped_total++;
    } else if (st == ST_OK && !is_gone(l)) {
        teach(l);
    }
    lesson_end(l);
}

/* False: not now. */
static bool embed(struct lesson *l)
{
    struct proxy *p = l->of->proxy;

    l->job.text = l->entry->question;
    l->job.tenant = l->entry->tenant;
    l->job.wait_max_us = 1; /* nobody waits for it */
    if (embedder_submit(p->parts.embedder, &l->job, p->parts.loop, on_embedded) == ST_OK)
        return true;
    put(l->of, &l->key);
    rest(l->of);
    return false;
}

static bool wants_vector(const struct entry *e)
{
    return e->vector == NULL && e->question.len > 0;
}

static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    struct lesson *l = CONTAINER_OF(op, struct lesson, fetch);

    l->entry = e;
    if (st == ST_OK && wants_vector(e) && !l->of->closing && embed(l))
        return;
    l->of->dropped_total += st != ST_OK && st != ST_NOTFOUND && st != ST_CANCELED;
    lesson_end(l);
}

/* False: there is nothing to wait for. */
static bool begin(struct lesson *l)
{
    struct cache *cache = l->of->proxy->parts.cache;

    switch (cache_find(cache, &l->key, &l->entry)) {
    case CACHE_HIT:
        return wants_vector(l->entry) && embed(l);
    case CACHE_ASK:
        if (cache_fetch(cache, &l->fetch, &l->key, on_fetched) == ST_OK)
            return true;
        l->of->dropped_total++;
        break;
    case CACHE_ABSENT:
        break;
    }
    return false;
}

/* Of those that wait for the encoder, some are no lessons of ours. */
static bool questions_wait(const struct catch_up *c)
{
    return embedder_queued(c->proxy->parts.embedder) > c->under_way;
}

static void go_on(struct catch_up *c)
{
    while (c->count > 0 && c->under_way < UNDER_WAY_MAX && !c->closing && c->pause.slot == 0) {
        struct lesson *l;

        if (questions_wait(c)) {
            rest(c);
            return;
        }
        l = calloc(1, sizeof(*l));
        if (l == NULL) {
            rest(c);
            return;
        }
        l->key = take(c);
        l->of = c;
        c->under_way++;
        if (!begin(l))
            lesson_free(l);
    }
}

void catch_up_init(struct catch_up *c, struct proxy *p)
{
    c->proxy = p;
}

void catch_up_later(struct catch_up *c, const struct digest *key)
{
    if (c->closing)
        return;
    put(c, key);
    go_on(c);
}

void catch_up_stop(struct catch_up *c)
{
    c->closing = true;
    timer_stop(c->proxy->parts.loop, &c->pause);
}

void catch_up_release(struct catch_up *c)
{
    free(c->keys);
}
