#include "cache/store.h"

#include <stdio.h>
#include <string.h>

#include "cache/store_kinds.h"

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

enum status store_open(struct loop *loop, struct connector *connector,
                       const struct store_options *o, struct store **out, char *why,
                       size_t why_cap)
{
    if (why_cap > 0)
        why[0] = '\0';
    if (starts_with(o->url, "lmdb:"))
        return store_lmdb_open(loop, o, out, why, why_cap);
    if (starts_with(o->url, "redis:") || starts_with(o->url, "rediss:") ||
        starts_with(o->url, "redis+unix:"))
        return store_redis_open(loop, connector, o, out, why, why_cap);
    if (strcmp(o->url, "memory:") == 0)
        return store_memory_open(loop, o, out);
    /* The URL itself may hold a password. */
    snprintf(why, why_cap,
             "the scheme of store.url is not lmdb:, redis:, rediss:, "
             "redis+unix: or memory:");
    return ST_INVALID;
}
