/* The vectors of entries in a Redis of version 8.0 or later: one vector set a partition (VADD,
 * VSIM, VREM), on whatever server of a Cluster its key is. By connections of its own: Redis
 * holds back what comes on one behind a search, and exact look-ups are not to wait for that.
 * Loop thread only. */
#ifndef CACHE_STORE_REDIS_VECTORS_H
#define CACHE_STORE_REDIS_VECTORS_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "cache/store.h"
#include "cache/store_redis_nodes.h"

struct connector;
struct entry;
struct loop;
struct store_redis_vectors;

struct store_redis_vectors_options {
    struct store_redis_nodes_options redis; /* `ready`, `down` and `owner` of it are ours */
    const char *prefix;                     /* of all keys, a hundred bytes or so */
    enum store_vectors kind;
    uint32_t queue_max; /* additions that wait */
    /* Redis is there and knows no vector sets; only as long as it never did. */
    void (*unfit)(void *owner, const char *why);
    void *owner;
};

enum status store_redis_vectors_open(struct loop *loop, struct connector *connector,
                                     const struct store_redis_vectors_options *o,
                                     struct store_redis_vectors **out) MUST_CHECK;
/* Writes what waits, within a second; what is looked for ends with ST_CANCELED. `closed` comes
 * later, and *v is gone then. */
void store_redis_vectors_close(struct store_redis_vectors *v, void (*closed)(void *owner),
                               void *owner);

/* As of struct store_ops. */
enum status store_redis_vectors_near(struct store_redis_vectors *v,
                                     struct store_near *op) MUST_CHECK;
void store_redis_vectors_cancel(struct store_near *op);
void store_redis_vectors_add(struct store_redis_vectors *v, const struct entry *e);
void store_redis_vectors_remove(struct store_redis_vectors *v, const struct digest *partition,
                                const struct digest *key);

void store_redis_vectors_stats(const struct store_redis_vectors *v,
                               struct store_vectors_stats *out);

#endif
