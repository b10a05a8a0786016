/* All the connections to a Redis: one server, the masters of a Cluster, or the master that
 * Sentinels know. What a server says of itself (HELLO) tells a Cluster from a server alone.
 * A command goes to where its key is, and after it when it has moved. Loop thread only. */
#ifndef CACHE_STORE_REDIS_NODES_H
#define CACHE_STORE_REDIS_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/redis_url.h"
#include "cache/store_redis_conn.h"

struct store_redis_nodes;

struct store_redis_nodes_options {
    struct redis_url url;
    struct io_tls_ctx *tls;    /* borrowed (outlives); NULL: none */
    const char *password_file; /* borrowed (outlives); NULL: none */
    const char *sentinel; /* borrowed (outlives); the URL's are Sentinels. NULL: they are not */
    uint64_t deadline_us;
    void (*ready)(void *owner); /* every key has a place that answers */
    void (*down)(void *owner);  /* not so: once per failed try or lost connection */
    void *owner;
};

enum status store_redis_nodes_open(struct loop *loop, struct connector *connector,
                                   const struct store_redis_nodes_options *o,
                                   struct store_redis_nodes **out) MUST_CHECK;
/* Commands under way end with ST_CANCELED; `closed` comes later. */
void store_redis_nodes_close(struct store_redis_nodes *n, void (*closed)(void *owner),
                             void *owner);

bool store_redis_nodes_is_ready(const struct store_redis_nodes *n);
/* Is the server that has this key? */
bool store_redis_nodes_has(const struct store_redis_nodes *n, struct span key);
size_t store_redis_nodes_in_flight(const struct store_redis_nodes *n);

/* For people: the server that has this key, with the version that it says it is of. */
void store_redis_nodes_describe(const struct store_redis_nodes *n, struct span key, char *out,
                                size_t cap);

/* For what asks all servers, one by one: 0 to count - 1. Another version: who they are or what
 * they have is not what it was. */
unsigned store_redis_nodes_count(const struct store_redis_nodes *n);
uint64_t store_redis_nodes_version(const struct store_redis_nodes *n);

/* Over all of them; `trouble` is that of the first that has some. */
void store_redis_nodes_stats(const struct store_redis_nodes *n,
                             struct store_redis_conn_stats *out);
/* Commands that were sent on because their key had moved. */
uint64_t store_redis_nodes_moved_total(const struct store_redis_nodes *n);

#endif
