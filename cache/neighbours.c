/* Of the keys that the store names the first are fetched, as many as are wanted; where one is
 * gone (expired, evicted, removed by another replica) the next one takes its place, and its
 * vector is removed. ROUNDS_MAX bounds the time: each round ends within the store's deadline.
 *
 * The store's own similarity is as exact as it keeps vectors. That is enough to choose whom to
 * fetch; entries have their vectors, so what is decided by is calculated from these. */
#include "cache/neighbours.h"

#include <string.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/memory.h"

#define ROUNDS_MAX 2
/* How many more are asked for than are wanted: some may be gone. */
#define SPARE 4
/* What a similarity of 8 bits a dimension is off at most, and then some. */
#define INEXACT 0.02F

static void end(struct neighbours *n, enum status st)
{
    n->done(n, n->canceled ? ST_CANCELED : st);
}

/* --- what was found ----------------------------------------------------------------------- */

static float cosine(const float *a, const float *b, uint32_t dimensions)
{
    float sum = 0;

    for (uint32_t i = 0; i < dimensions; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Takes over the reference. */
static void keep(struct neighbours *n, struct entry *e)
{
    const struct neighbours_query *q = &n->query;
    size_t at = n->count;
    float similarity;

    /* Of another partition: somebody else writes to our sets. */
    if (n->count == q->top_k || e->vector == NULL || e->dimensions != q->dimensions ||
        !digest_eq(&e->partition, &q->partition) || entry_fresh_ms(e) <= clock_wall_ms()) {
        entry_unref(e);
        return;
    }
    similarity = cosine(q->vector, e->vector, q->dimensions);
    if (!(similarity >= q->floor)) {
        entry_unref(e);
        return;
    }
    for (; at > 0 && n->similarity[at - 1] < similarity; at--) {
        n->found[at] = n->found[at - 1];
        n->similarity[at] = n->similarity[at - 1];
    }
    n->found[at] = e;
    n->similarity[at] = similarity;
    n->count++;
}

size_t neighbours_candidates(const struct neighbours *n, struct decision_candidate *out)
{
    for (size_t i = 0; i < n->count; i++)
        out[i] = (struct decision_candidate){.key = n->found[i]->key,
                                             .similarity = n->similarity[i],
                                             .question = n->found[i]->question};
    return n->count;
}

void neighbours_release(struct neighbours *n)
{
    while (n->count > 0)
        entry_unref(n->found[--n->count]);
}

/* --- their entries ------------------------------------------------------------------------ */

static void fetch_more(struct neighbours *n);

static void on_fetched(struct store_get *get, enum status st, struct entry *e)
{
    struct neighbours_fetch *f = CONTAINER_OF(get, struct neighbours_fetch, get);
    struct neighbours *n = f->of;

    f->busy = false;
    n->waiting--;
    if (st == ST_OK) {
        memory_put(n->memory, e);
        keep(n, e);
    } else if (st == ST_NOTFOUND && !n->canceled) {
        n->store->ops->vector_remove(n->store, &n->query.partition, &get->key);
    }
    if (n->waiting == 0)
        fetch_more(n);
}

static void fetch(struct neighbours *n, const struct digest *key)
{
    struct entry *e = memory_find(n->memory, key, clock_wall_ms());
    struct neighbours_fetch *f = n->fetch;

    if (e != NULL) {
        keep(n, e);
        return;
    }
    while (f->busy) /* there are as many as may be wanted */
        f++;
    *f = (struct neighbours_fetch){.of = n,
                                   .get = {.done = on_fetched, .key = *key, .store = n->store}};
    if (n->store->ops->get(n->store, &f->get) != ST_OK)
        return;
    f->busy = true;
    n->waiting++;
}

static void fetch_more(struct neighbours *n)
{
    const struct store_near *near = &n->near;
    bool again = !n->canceled && n->rounds++ < ROUNDS_MAX;

    while (again && n->next < near->count && n->count + n->waiting < n->query.top_k &&
           near->similarity[n->next] >= n->query.floor - INEXACT)
        fetch(n, &near->keys[n->next++]);
    if (n->waiting == 0)
        end(n, ST_OK);
}

/* --- from outside ------------------------------------------------------------------------- */

static void on_near(struct store_near *near, enum status st)
{
    struct neighbours *n = CONTAINER_OF(near, struct neighbours, near);

    n->looking = false;
    if (st != ST_OK)
        end(n, st);
    else
        fetch_more(n);
}

enum status neighbours_find(struct neighbours *n)
{
    enum status st;

    if (n->query.top_k > DECISION_CANDIDATES_MAX)
        n->query.top_k = DECISION_CANDIDATES_MAX;
    n->near = (struct store_near){.done = on_near,
                                  .partition = n->query.partition,
                                  .vector = n->query.vector,
                                  .dimensions = n->query.dimensions,
                                  .wanted = (uint32_t)n->query.top_k + SPARE};
    st = n->store->ops->near(n->store, &n->near);
    n->looking = st == ST_OK;
    return st;
}

void neighbours_cancel(struct neighbours *n)
{
    n->canceled = true;
    if (n->looking)
        n->store->ops->near_cancel(&n->near);
    for (size_t i = 0; i < DECISION_CANDIDATES_MAX; i++) {
        if (n->fetch[i].busy)
            n->store->ops->cancel(&n->fetch[i].get);
    }
}
