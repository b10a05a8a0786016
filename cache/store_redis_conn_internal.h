/* The inside of a connection to Redis, for the files that make it up: store_redis_conn.c (the
 * connection and its commands), store_redis_greeting.c (what is said first). */
#ifndef CACHE_STORE_REDIS_CONN_INTERNAL_H
#define CACHE_STORE_REDIS_CONN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/breaker.h"
#include "cache/store_redis_conn.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define STORE_REDIS_ARGS_MAX 24 /* of a command */

struct connect_op;
struct store_redis_link;

enum store_redis_conn_state {
    STORE_REDIS_CONN_WAITING,
    STORE_REDIS_CONN_CONNECTING,
    STORE_REDIS_CONN_GREETING,
    STORE_REDIS_CONN_READY,
    STORE_REDIS_CONN_CLOSING
};

struct store_redis_conn {
    struct loop *loop;           /* borrowed (outlives) */
    struct connector *connector; /* borrowed (outlives) */
    struct store_redis_conn_options options;
    enum store_redis_conn_state state;
    struct breaker breaker;
    struct timer retry, ping;
    struct connect_op *connecting;
    struct store_redis_link *link; /* the present one; NULL: none */
    unsigned links;                /* not yet closed, the present one included */

    struct store_redis_command *head, **tail; /* in the order of sending */
    size_t in_flight;
    uint64_t ready_us; /* since when */
    bool used;         /* since the last look of the ping timer */
    bool stalled;      /* dropped because it did not answer */
    bool plain_auth;   /* no HELLO: an older server or a proxy */
    bool cluster;      /* a member of one, by its own word */
    char version[32];  /* of the server, by its own word; empty: it did not say */

    struct loop_msg flush_msg;
    bool flushing;
    struct loop_msg closed_msg;
    void (*closed)(void *owner);
    void *closed_owner;

    uint64_t timeouts_total, errors_total;
    char trouble[160];
};

/* --- store_redis_conn.c --- */

/* As store_redis_conn_send(), in whatever state. */
enum status store_redis_conn_enqueue(struct store_redis_conn *c, const struct span *part,
                                     int parts, uint64_t deadline_us, store_redis_done_fn *done,
                                     void *owner, struct store_redis_command **out) MUST_CHECK;
/* How long a greeting's command may take. */
uint64_t store_redis_conn_patience_us(const struct store_redis_conn *c);
/* The one way a connection ends, whatever the reason; `reset`: at once. It comes back. */
void store_redis_conn_drop(struct store_redis_conn *c, const char *why, bool reset);
/* … because Redis said so. */
void store_redis_conn_refused(struct store_redis_conn *c, const redisReply *r);
/* The greeting is over. */
void store_redis_conn_become_ready(struct store_redis_conn *c);

/* --- store_redis_greeting.c --- */

/* Ends with store_redis_conn_become_ready() or store_redis_conn_drop(). */
void store_redis_greeting_start(struct store_redis_conn *c);

#endif
