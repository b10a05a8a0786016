/* All entries of a Redis, for an index that begins anew: pages of keys by SCAN, their
 * values by pipelined GETs, a few at a time, visited on a thread of its own. */
#ifndef CACHE_STORE_REDIS_SCAN_H
#define CACHE_STORE_REDIS_SCAN_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "cache/store.h"

struct loop;
struct seal_ring;
struct store_redis_nodes;
struct store_redis_scan;

struct store_redis_scan_options {
    struct store_redis_nodes *redis; /* borrowed (outlives) */
    const char *prefix;              /* borrowed; of the keys of entries */
    const struct seal_ring *seal;    /* borrowed; NULL: none */
    store_visit_fn *visit;
    store_scanned_fn *scanned;
    void *owner;
    /* After `scanned`; the scan is gone then. */
    void (*ended)(void *ended_owner, uint64_t corrupt, uint64_t unreadable);
    void *ended_owner;
};

/* Nothing is sent yet: store_redis_scan_start(). */
enum status store_redis_scan_open(struct loop *loop, const struct store_redis_scan_options *o,
                                  struct store_redis_scan **out) MUST_CHECK;
/* When the connection is ready; again is harmless. Ends, later, by `ended`. */
void store_redis_scan_start(struct store_redis_scan *s);
/* Ends soon with ST_CANCELED (or `st` when it was never started). */
void store_redis_scan_stop(struct store_redis_scan *s, enum status st);

#endif
