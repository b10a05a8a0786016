/* Commands that an account with the rights of docs/operations.md may give, each of one key: no
 * script that compares before it deletes. Who holds a lease knows by his own clock when it may
 * have run out, and does not touch it then (lease.c of the proxy); a command that is so long on
 * its way that it hits the lease of the next one costs a call to the upstream, never an answer.
 */
#include "cache/store_redis_lease.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/digest.h"
#include "cache/store_redis_call.h"

#define KEY_MAX 256

enum status store_redis_lease_send(struct store_redis_nodes *redis, const char *prefix,
                                   const struct store_lease *l, enum store_lease_act act,
                                   uint64_t deadline_us, store_redis_done_fn *done, void *owner)
{
    char hex[2 * DIGEST_BYTES + 1], key[KEY_MAX], ms[24];
    struct span name, parts[6];
    int n;

    digest_hex(l->key.bytes, DIGEST_BYTES, hex);
    n = snprintf(key, sizeof(key), "%sl:%s", prefix, hex);
    if (n < 0 || (size_t)n >= sizeof(key))
        return ST_LIMIT;
    name = (struct span){key, (size_t)n};
    if (act == STORE_LEASE_GIVE) {
        parts[0] = SPAN("UNLINK");
        parts[1] = name;
        return store_redis_call_send(redis, name, parts, 2, deadline_us, done, owner, NULL);
    }
    n = snprintf(ms, sizeof(ms), "%" PRIu32, l->ms);
    parts[0] = SPAN("SET");
    parts[1] = name;
    parts[2] = SPAN("1");
    parts[3] = act == STORE_LEASE_TAKE ? SPAN("NX") : SPAN("XX");
    parts[4] = SPAN("PX");
    parts[5] = (struct span){ms, (size_t)n};
    return store_redis_call_send(redis, name, parts, 6, deadline_us, done, owner, NULL);
}

enum status store_redis_lease_verdict(enum status st, const redisReply *r)
{
    if (st != ST_OK)
        return st == ST_INVALID ? ST_UNAVAILABLE : st;
    if (r->type == REDIS_REPLY_NIL)
        return ST_OVERLOAD;
    return r->type == REDIS_REPLY_STATUS ? ST_OK : ST_UNAVAILABLE;
}
