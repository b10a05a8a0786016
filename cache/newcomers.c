#include "cache/newcomers.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/digest.h"
#include "cache/entry.h"
#include "cache/store.h"

/* 512 KiB. */
#define WAITING_MAX 16384
/* Look-ups of requests have the same connection, and are answered in turn. */
#define TOGETHER_MAX 8

struct fetch {
    struct store_get get;
    struct newcomers *of;
    bool busy;
};

struct newcomers {
    struct store *store; /* borrowed */
    newcomers_found_fn *found;
    void *owner;
    struct digest *keys; /* owned; a ring */
    size_t first, count;
    struct fetch fetches[TOGETHER_MAX];
    bool stopped;
    struct newcomers_stats stats;
};

static void go_on(struct newcomers *n);

static void on_fetched(struct store_get *get, enum status st, struct entry *e)
{
    struct fetch *f = CONTAINER_OF(get, struct fetch, get);
    struct newcomers *n = f->of;

    f->busy = false;
    if (st == ST_OK) {
        n->stats.fetched_total++;
        if (!n->stopped)
            n->found(n->owner, e);
        entry_unref(e);
    } else if (st != ST_NOTFOUND && st != ST_CANCELED) {
        n->stats.dropped_total++;
    }
    go_on(n);
}

static void fetch(struct newcomers *n, struct fetch *f)
{
    f->get =
        (struct store_get){.done = on_fetched, .key = n->keys[n->first], .store = n->store};
    f->of = n;
    f->busy = true;
    n->first = (n->first + 1) % WAITING_MAX;
    n->count--;
    if (n->store->ops->get(n->store, &f->get) != ST_OK) {
        f->busy = false;
        n->stats.dropped_total++;
    }
}

static void go_on(struct newcomers *n)
{
    for (size_t i = 0; i < TOGETHER_MAX && !n->stopped; i++)
        while (!n->fetches[i].busy && n->count > 0)
            fetch(n, &n->fetches[i]);
}

enum status newcomers_open(struct store *store, newcomers_found_fn *found, void *owner,
                           struct newcomers **out)
{
    struct newcomers *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return ST_NOMEM;
    n->keys = malloc(WAITING_MAX * sizeof(*n->keys));
    if (n->keys == NULL) {
        free(n);
        return ST_NOMEM;
    }
    n->store = store;
    n->found = found;
    n->owner = owner;
    *out = n;
    return ST_OK;
}

void newcomers_add(struct newcomers *n, const struct digest *key)
{
    if (n->stopped)
        return;
    if (n->count == WAITING_MAX) {
        n->stats.dropped_total++;
        return;
    }
    n->keys[(n->first + n->count++) % WAITING_MAX] = *key;
    go_on(n);
}

void newcomers_stop(struct newcomers *n)
{
    n->stopped = true;
}

void newcomers_free(struct newcomers *n)
{
    free(n->keys);
    free(n);
}

void newcomers_stats(const struct newcomers *n, struct newcomers_stats *out)
{
    *out = n->stats;
}
