/* A lease on a key, by commands that name that key alone: SET NX PX to take it, SET XX PX to
 * keep it, UNLINK to give it back. It lives at `<prefix>l:<fingerprint>`. Loop thread only. */
#ifndef CACHE_STORE_REDIS_LEASE_H
#define CACHE_STORE_REDIS_LEASE_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "cache/store.h"
#include "cache/store_redis_conn.h"

struct store_redis_nodes;

/* ST_OK: `done` comes once, later, with `owner`; store_redis_lease_verdict() reads it. `prefix`
 * is the operator's. */
enum status store_redis_lease_send(struct store_redis_nodes *redis, const char *prefix,
                                   const struct store_lease *l, enum store_lease_act act,
                                   uint64_t deadline_us, store_redis_done_fn *done,
                                   void *owner) MUST_CHECK;

/* Of taking one: ST_OK, it is ours; ST_OVERLOAD, it is somebody else's; anything else, Redis
 * could not say. */
enum status store_redis_lease_verdict(enum status st, const redisReply *r);

#endif
