/* The servers that the URL names say what they are when they greet, and tell of the others
 * (store_redis_map.c). They are asked again every REST_US (Sentinels: WATCH_US), sooner after a
 * MOVED, and ever again while a slot has no master that answers. A server that is no longer
 * named is left once it is idle, from the timer: never from within one of its own replies. */
#include "cache/store_redis_nodes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cache/store_redis_nodes_internal.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define REST_US  (5u * 1000 * 1000)
#define WATCH_US (1000u * 1000)
#define SOON_US  (100u * 1000)

bool store_redis_nodes_answers(const struct store_redis_nodes *n, uint16_t i)
{
    return i != STORE_REDIS_NO_NODE && n->node[i] != NULL &&
           store_redis_conn_is_ready(n->node[i]->conn);
}

bool store_redis_nodes_is_ready(const struct store_redis_nodes *n)
{
    bool any = false;

    for (uint16_t i = 0; i < STORE_REDIS_NODES_MAX; i++) {
        if (n->node[i] == NULL || !n->node[i]->used)
            continue;
        if (!store_redis_nodes_answers(n, i))
            return false;
        any = true;
    }
    return any && n->trouble[0] == '\0';
}

void store_redis_nodes_take_trouble(struct store_redis_nodes *n, const char *why)
{
    if (why[0] != '\0' && n->trouble[0] == '\0')
        log_at(LOG_WARN, NULL, kv_event("redis_incomplete"), kv_str("why", why));
    snprintf(n->trouble, sizeof(n->trouble), "%s", why);
}

void store_redis_nodes_tell_if_ready(struct store_redis_nodes *n)
{
    if (store_redis_nodes_is_ready(n))
        n->options.ready(n->options.owner);
}

static void on_refresh(struct timer *t);

void store_redis_nodes_refresh_soon(struct store_redis_nodes *n)
{
    if (n->closing || n->soon)
        return;
    n->soon = true;
    timer_start(n->loop, &n->refresh, SOON_US, on_refresh);
}

static void on_node_ready(void *owner);
static void on_node_down(void *owner);

/* Sentinels have passwords of their own, and no databases. */
static struct redis_url url_of(const struct store_redis_nodes *n,
                               const struct redis_url_address *at, bool named)
{
    struct redis_url u = n->options.url;

    if (!u.unix_socket)
        redis_url_set_address(&u, at->host, at->port);
    if (named && n->options.sentinel != NULL) {
        u.user[0] = u.password[0] = '\0';
        u.db = 0;
    }
    return u;
}

static uint16_t add_node(struct store_redis_nodes *n, const struct redis_url_address *at,
                         bool named)
{
    bool sentinel = named && n->options.sentinel != NULL;
    struct store_redis_conn_options o = {.url = url_of(n, at, named),
                                         .tls = n->options.tls,
                                         .password_file =
                                             sentinel ? NULL : n->options.password_file,
                                         .deadline_us = n->options.deadline_us,
                                         .ready = on_node_ready,
                                         .down = on_node_down};
    struct store_redis_node *node;
    uint16_t i = 0;

    while (i < STORE_REDIS_NODES_MAX && n->node[i] != NULL)
        i++;
    if (i == STORE_REDIS_NODES_MAX)
        return STORE_REDIS_NO_NODE;
    node = calloc(1, sizeof(*node));
    if (node == NULL)
        return STORE_REDIS_NO_NODE;
    *node = (struct store_redis_node){.nodes = n, .at = *at, .index = i, .named = named};
    o.owner = node;
    if (store_redis_conn_open(n->loop, n->connector, &o, &node->conn) != ST_OK) {
        free(node);
        return STORE_REDIS_NO_NODE;
    }
    n->node[i] = node;
    n->open++;
    n->version++;
    return i;
}

uint16_t store_redis_nodes_find_or_add(struct store_redis_nodes *n,
                                       const struct redis_url_address *at)
{
    for (uint16_t i = 0; i < STORE_REDIS_NODES_MAX; i++) {
        const struct store_redis_node *node = n->node[i];

        /* A Sentinel is no place for keys, whatever it says of itself. */
        if (node != NULL && node->at.port == at->port && strcmp(node->at.host, at->host) == 0 &&
            !(node->named && n->options.sentinel != NULL))
            return i;
    }
    return add_node(n, at, false);
}

/* --- coming and going --------------------------------------------------------------------- */

static void on_closed(struct loop_msg *m)
{
    struct store_redis_nodes *n = CONTAINER_OF(m, struct store_redis_nodes, closed_msg);
    void (*closed)(void *owner) = n->closed;
    void *owner = n->closed_owner;

    free(n->place);
    free(n);
    closed(owner);
}

static void on_node_closed(void *owner)
{
    struct store_redis_node *node = owner;
    struct store_redis_nodes *n = node->nodes;

    free(node);
    n->open--;
    if (n->closing && n->open == 0)
        loop_defer(n->loop, &n->closed_msg, on_closed);
}

static void leave_node(struct store_redis_nodes *n, uint16_t i)
{
    struct store_redis_node *node = n->node[i];
    struct store_redis_conn_stats s;

    store_redis_call_fail_parked(n, i, ST_UNAVAILABLE);
    store_redis_conn_stats(node->conn, &s);
    n->timeouts_total += s.timeouts_total;
    n->errors_total += s.errors_total;
    n->node[i] = NULL;
    n->version++;
    if (n->single == i)
        n->single = STORE_REDIS_NO_NODE;
    store_redis_conn_close(node->conn, on_node_closed, node);
}

/* One that keys were asked of by ASK only, or that has none any more. */
static void leave_unused(struct store_redis_nodes *n)
{
    for (uint16_t i = 0; i < STORE_REDIS_NODES_MAX; i++) {
        const struct store_redis_node *node = n->node[i];

        if (node != NULL && !node->named && !node->used &&
            (!store_redis_conn_is_ready(node->conn) ||
             store_redis_conn_in_flight(node->conn) == 0) &&
            !store_redis_call_waits(n, i))
            leave_node(n, i);
    }
}

static void on_refresh(struct timer *t)
{
    struct store_redis_nodes *n = CONTAINER_OF(t, struct store_redis_nodes, refresh);
    uint64_t pause_us = n->options.sentinel != NULL ? WATCH_US : REST_US;

    n->soon = false;
    if (store_redis_nodes_is_ready(n))
        leave_unused(n);
    else
        pause_us = SOON_US;
    store_redis_map_ask(n);
    timer_start(n->loop, &n->refresh, pause_us, on_refresh);
}

static void on_node_ready(void *owner)
{
    struct store_redis_node *node = owner;
    struct store_redis_nodes *n = node->nodes;

    store_redis_map_greeted(n, node);
    store_redis_call_send_parked(n, node->index);
    store_redis_nodes_tell_if_ready(n);
}

static void on_node_down(void *owner)
{
    struct store_redis_node *node = owner;
    struct store_redis_nodes *n = node->nodes;

    store_redis_call_fail_parked(n, node->index, ST_UNAVAILABLE);
    if (n->place != NULL || n->options.sentinel != NULL)
        store_redis_nodes_refresh_soon(n);
    if (!store_redis_nodes_is_ready(n))
        n->options.down(n->options.owner);
}

/* --- the interface ------------------------------------------------------------------------ */

enum status store_redis_nodes_open(struct loop *loop, struct connector *connector,
                                   const struct store_redis_nodes_options *o,
                                   struct store_redis_nodes **out)
{
    struct store_redis_nodes *n = calloc(1, sizeof(*n));
    struct redis_url_address first = {.port = o->url.port};

    if (n == NULL)
        return ST_NOMEM;
    n->loop = loop;
    n->connector = connector;
    n->options = *o;
    n->single = STORE_REDIS_NO_NODE;
    n->named = o->url.others + 1;
    memcpy(first.host, o->url.host, sizeof(first.host));
    if (add_node(n, &first, true) == STORE_REDIS_NO_NODE) {
        free(n);
        return ST_NOMEM;
    }
    for (unsigned i = 0; i < o->url.others; i++)
        if (add_node(n, &o->url.other[i], true) == STORE_REDIS_NO_NODE)
            n->named = i + 1; /* out of memory: with those that there are */
    *out = n;
    return ST_OK;
}

void store_redis_nodes_close(struct store_redis_nodes *n, void (*closed)(void *owner),
                             void *owner)
{
    assert(!n->closing);
    n->closing = true;
    n->closed = closed;
    n->closed_owner = owner;
    timer_stop(n->loop, &n->refresh);
    store_redis_call_fail_parked(n, STORE_REDIS_NO_NODE, ST_CANCELED);
    for (unsigned i = 0; i < STORE_REDIS_NODES_MAX; i++)
        if (n->node[i] != NULL)
            store_redis_conn_close(n->node[i]->conn, on_node_closed, n->node[i]);
}

bool store_redis_nodes_has(const struct store_redis_nodes *n, struct span key)
{
    return store_redis_nodes_answers(n, store_redis_map_place_of(n, key));
}

size_t store_redis_nodes_in_flight(const struct store_redis_nodes *n)
{
    return n->in_flight;
}

void store_redis_nodes_describe(const struct store_redis_nodes *n, struct span key, char *out,
                                size_t cap)
{
    uint16_t i = store_redis_map_place_of(n, key);

    if (i == STORE_REDIS_NO_NODE || n->node[i] == NULL)
        snprintf(out, cap, "Redis");
    else
        store_redis_conn_describe(n->node[i]->conn, out, cap);
}

unsigned store_redis_nodes_count(const struct store_redis_nodes *n)
{
    unsigned count = 0;

    for (unsigned i = 0; i < STORE_REDIS_NODES_MAX; i++)
        count += n->node[i] != NULL && n->node[i]->used;
    return count;
}

uint64_t store_redis_nodes_version(const struct store_redis_nodes *n)
{
    return n->version;
}

void store_redis_nodes_stats(const struct store_redis_nodes *n,
                             struct store_redis_conn_stats *out)
{
    const char *first = "";

    *out = (struct store_redis_conn_stats){.ready = store_redis_nodes_is_ready(n),
                                           .timeouts_total = n->timeouts_total,
                                           .errors_total = n->errors_total,
                                           .trouble = ""};
    for (unsigned i = 0; i < STORE_REDIS_NODES_MAX; i++) {
        struct store_redis_conn_stats s;

        if (n->node[i] == NULL)
            continue;
        store_redis_conn_stats(n->node[i]->conn, &s);
        out->timeouts_total += s.timeouts_total;
        out->errors_total += s.errors_total;
        out->breaker_open = out->breaker_open || s.breaker_open;
        if (s.trouble[0] != '\0' && (first[0] == '\0' || n->node[i]->used))
            first = s.trouble;
    }
    if (!out->ready)
        out->trouble = n->trouble[0] != '\0' ? n->trouble : first;
}

uint64_t store_redis_nodes_moved_total(const struct store_redis_nodes *n)
{
    return n->moved_total;
}
