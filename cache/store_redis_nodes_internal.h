/* The inside of a Redis of several servers, for the files that make it up:
 * store_redis_nodes.c (the servers, and who is one), store_redis_map.c (who has which key),
 * store_redis_call.c (a command's way to it). */
#ifndef CACHE_STORE_REDIS_NODES_INTERNAL_H
#define CACHE_STORE_REDIS_NODES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "cache/redis_url.h"
#include "cache/store_redis_conn.h"
#include "cache/store_redis_nodes.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define STORE_REDIS_NODES_MAX 256u
#define STORE_REDIS_NO_NODE   UINT16_MAX

struct store_redis_node {
    struct store_redis_nodes *nodes;
    uint16_t index;                /* in nodes->node */
    struct store_redis_conn *conn; /* owned */
    struct redis_url_address at;   /* host empty: a Unix socket */
    bool named;                    /* by the URL: never left */
    bool used;                     /* has keys, as far as is known */
};

struct store_redis_call {
    struct store_redis_nodes *nodes;
    store_redis_done_fn *done;
    void *owner;
    struct store_redis_command *command; /* NULL: parked */
    uint64_t until_us;
    uint16_t at; /* the node it was sent to, or waits for */
    uint8_t hops;
    bool asking;
    struct timer parked_until;
    struct store_redis_call *next, **self; /* of those that are parked */
    int parts;                             /* 0: it cannot be sent on */
    struct span part[];                    /* with their bytes, in the same block */
};

struct store_redis_nodes {
    struct loop *loop;           /* borrowed (outlives) */
    struct connector *connector; /* borrowed (outlives) */
    struct store_redis_nodes_options options;
    struct store_redis_node
        *node[STORE_REDIS_NODES_MAX]; /* owned; NULL: free. The URL's come first */
    unsigned named, open;             /* open: connections not yet closed */
    uint16_t *place;                  /* owned; of each slot. NULL: it is no Cluster */
    uint16_t single;                  /* without a map: who has everything */
    unsigned asked;                   /* who was asked last */
    bool asking, soon, closing;
    uint64_t version, moved_total;
    size_t in_flight, parked_count;
    struct store_redis_call *parked;
    struct timer refresh;
    uint64_t timeouts_total, errors_total; /* of those that were left */
    char trouble[160];
    struct loop_msg closed_msg;
    void (*closed)(void *owner);
    void *closed_owner;
};

/* --- store_redis_nodes.c --- */

bool store_redis_nodes_answers(const struct store_redis_nodes *n, uint16_t i);
/* The server of that address, made known if it was not; STORE_REDIS_NO_NODE: too many. */
uint16_t store_redis_nodes_find_or_add(struct store_redis_nodes *n,
                                       const struct redis_url_address *at);
/* Who has what is asked anew soon. */
void store_redis_nodes_refresh_soon(struct store_redis_nodes *n);
void store_redis_nodes_tell_if_ready(struct store_redis_nodes *n);
/* What stands in the way of all; empty: nothing. */
void store_redis_nodes_take_trouble(struct store_redis_nodes *n, const char *why);

/* --- store_redis_map.c --- */

uint16_t store_redis_map_place_of(const struct store_redis_nodes *n, struct span key);
void store_redis_map_ask(struct store_redis_nodes *n);
/* A server has said what it is. */
void store_redis_map_greeted(struct store_redis_nodes *n, struct store_redis_node *node);

/* --- store_redis_call.c --- */

/* Is a command waiting for server `i`? */
bool store_redis_call_waits(const struct store_redis_nodes *n, uint16_t i);
/* Those that wait for server `i` (STORE_REDIS_NO_NODE: for any) end. */
void store_redis_call_fail_parked(struct store_redis_nodes *n, uint16_t i, enum status st);
void store_redis_call_send_parked(struct store_redis_nodes *n, uint16_t i);

#endif
