/* What Redis says about where things are: CLUSTER SLOTS, MOVED and ASK, and a Sentinel's
 * answer. All of it is a peer's. Pure. */
#ifndef CACHE_STORE_REDIS_PLACES_H
#define CACHE_STORE_REDIS_PLACES_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/redis_url.h"

/* "MOVED 3999 host:port", "ASK 3999 host:port". An empty host: that of whoever says so. */
struct store_redis_redirect {
    bool ask;
    uint16_t slot;
    struct redis_url_address to;
};
bool store_redis_places_redirect(const redisReply *r, struct store_redis_redirect *out);

/* Of element `i` of CLUSTER SLOTS: slots `first` to `last` and their master. False when it
 * says nothing of use. */
struct store_redis_range {
    uint16_t first, last;
    struct redis_url_address master;
};
bool store_redis_places_range(const redisReply *r, size_t i, struct store_redis_range *out);

/* [host, port] of SENTINEL GET-MASTER-ADDR-BY-NAME. */
bool store_redis_places_master(const redisReply *r, struct redis_url_address *out);

#endif
