/* Entries that another replica stored: fetched from the shared store, a few at a time, for our
 * index. Bounded: who stores faster than that is heard of later, by an exact look-up or at the
 * next start. Loop thread only. */
#ifndef CACHE_NEWCOMERS_H
#define CACHE_NEWCOMERS_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct digest;
struct entry;
struct newcomers;
struct store;

/* `e` is borrowed. */
typedef void newcomers_found_fn(void *owner, struct entry *e);

struct newcomers_stats {
    uint64_t fetched_total;
    uint64_t dropped_total; /* no room, or the store did not say in time */
};

enum status newcomers_open(struct store *store, newcomers_found_fn *found, void *owner,
                           struct newcomers **out) MUST_CHECK;
void newcomers_add(struct newcomers *n, const struct digest *key);
/* Before the store is closed, which ends what is under way; and after it. */
void newcomers_stop(struct newcomers *n);
void newcomers_free(struct newcomers *n);
void newcomers_stats(const struct newcomers *n, struct newcomers_stats *out);

#endif
