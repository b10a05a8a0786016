/* Many entries removed at once: those of a partition, of a tenant, or of some age. What is
 * to go is looked for in the store and in memory, then removed in slices that leave the loop
 * to others. Loop thread only. */
#ifndef CACHE_PURGE_H
#define CACHE_PURGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"
#include "cache/keyset.h"
#include "cache/store.h"
#include "rt/timer.h"

struct entry;
struct loop;
struct memory;

/* All that is set must hold. */
struct purge_filter {
    bool by_partition, by_tenant;
    struct digest partition, tenant;
    uint64_t before_ms; /* created before, wall clock; 0: whenever */
};

/* `filter` is a struct purge_filter. */
bool purge_match(void *filter, const struct entry *e);

/* What a purge removes, of all at once. */
#define PURGE_ENTRIES_MAX 1000000

struct purge;
/* ST_OK: all that matched is gone (of a preview: counted). ST_LIMIT: as much as one purge
 * may, there is more. Anything else: the store could not say or do it in time; what was
 * removed until then is removed. */
typedef void purge_done_fn(struct purge *p, enum status st);
typedef enum status purge_remove_fn(void *owner, const struct digest *key,
                                    const struct digest *partition);

/* Embed in the owner. Input above, output below. */
struct purge {
    struct purge_filter filter;
    bool preview; /* count only */
    struct loop *loop;
    struct memory *memory;
    struct store *store;     /* NULL: none */
    purge_remove_fn *remove; /* one entry, everywhere; ST_OVERLOAD: later */
    void *owner;             /* of remove */
    purge_done_fn *done;

    uint64_t matched, removed;

    struct keyset seen;
    struct purge_item *items; /* owned */
    size_t count, room, next;
    enum status st;       /* of the search */
    atomic_bool canceled; /* relaxed: the search looks at it on its thread */
    bool again;           /* memory was looked through once more */
    uint64_t deadline_us;
    struct timer timer;
};

/* ST_OK: done comes once, later. ST_OVERLOAD: the store is being read for another reason. */
enum status purge_start(struct purge *p) MUST_CHECK;
/* Ends soon, with ST_CANCELED. */
void purge_cancel(struct purge *p);

#endif
