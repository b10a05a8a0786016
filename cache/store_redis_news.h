/* What replicas on one Redis tell each other: an entry or many were removed, a pair of
 * questions was reported (the Redis stream `<prefix>news`), an entry was stored
 * (`<prefix>stored`: of these there are many, and they must not push the others out). Whoever
 * has news appends it, and everybody reads on from where he was, some times a second, over the
 * connection that he has; so who was away hears it later. What could not be sent waits,
 * bounded. Loop thread only. */
#ifndef CACHE_STORE_REDIS_NEWS_H
#define CACHE_STORE_REDIS_NEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "cache/store.h"

struct loop;
struct store_redis_nodes;
struct store_redis_news;

struct store_redis_news_options {
    const char *prefix; /* of the operator; copied */
    const char *name;   /* of the stream; copied */
    bool from_now;      /* nobody wants what is older than a few seconds */
    size_t waiting_max;
    uint64_t deadline_us; /* of a look-up: news is waited for as long, and a second at least */
    store_news_fn *heard;
    /* After the close: a command that was under way has ended. It may be the last one. */
    void (*ended)(void *owner);
    void *owner;
};

enum status store_redis_news_open(struct loop *loop, const struct store_redis_news_options *o,
                                  struct store_redis_news **out) MUST_CHECK;
/* `redis` is borrowed, and outlives it until it is closed. */
void store_redis_news_start(struct store_redis_news *n, struct store_redis_nodes *redis);
/* Before the connection is closed; what is under way then ends with `ended`. */
void store_redis_news_close(struct store_redis_news *n);
/* The connections, whose commands hold a pointer to it, are gone. */
void store_redis_news_free(struct store_redis_news *n);

/* Goes out now or when the connection is back. ST_OVERLOAD: too much waits. */
enum status store_redis_news_tell(struct store_redis_news *n,
                                  const struct store_news *news) MUST_CHECK;

struct store_redis_news_stats {
    uint64_t sent_total, heard_total, waiting;
};
void store_redis_news_stats(const struct store_redis_news *n,
                            struct store_redis_news_stats *out);

/* The text of an item, and back: fuzzed as it comes from a peer. `origin` tells whose it is. */
#define STORE_REDIS_NEWS_BYTES 320
size_t store_redis_news_write(const struct store_news *news, uint64_t origin,
                              char out[STORE_REDIS_NEWS_BYTES]);
bool store_redis_news_read(struct span text, struct store_news *out, uint64_t *origin);

#endif
