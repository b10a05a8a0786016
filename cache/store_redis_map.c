/* Who has which key, as the servers tell it:
 *
 *   alone      the one that has everything
 *   Cluster    CLUSTER SLOTS tells which master has which slot
 *   Sentinels  SENTINEL GET-MASTER-ADDR-BY-NAME tells who the master is
 *
 * Any that answers is asked, another one each time. */
#include "cache/store_redis_nodes_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cache/redis_slot.h"
#include "cache/store_redis_places.h"

#define ASK_US (1000u * 1000) /* deadline of a question about places */

uint16_t store_redis_map_place_of(const struct store_redis_nodes *n, struct span key)
{
    return n->place != NULL ? n->place[redis_slot_of(key)] : n->single;
}

static void nothing_used(struct store_redis_nodes *n)
{
    for (unsigned i = 0; i < STORE_REDIS_NODES_MAX; i++)
        if (n->node[i] != NULL)
            n->node[i]->used = false;
}

/* A server that stands alone does not know of the others: it is not believed. */
static bool take_slots(struct store_redis_nodes *n, const struct store_redis_node *from,
                       const redisReply *r)
{
    struct store_redis_range range;
    uint16_t *place = malloc(REDIS_SLOTS * sizeof(*place));
    unsigned without = REDIS_SLOTS;

    if (place == NULL || r->type != REDIS_REPLY_ARRAY || r->elements == 0) {
        free(place);
        return false;
    }
    memset(place, 0xff, REDIS_SLOTS * sizeof(*place)); /* STORE_REDIS_NO_NODE */
    nothing_used(n);
    for (size_t i = 0; i < r->elements; i++) {
        uint16_t at;

        if (!store_redis_places_range(r, i, &range))
            continue;
        if (range.master.host[0] == '\0')
            memcpy(range.master.host, from->at.host, sizeof(range.master.host));
        at = store_redis_nodes_find_or_add(n, &range.master);
        if (at == STORE_REDIS_NO_NODE)
            continue;
        n->node[at]->used = true;
        for (unsigned slot = range.first; slot <= range.last; slot++) {
            without -= place[slot] == STORE_REDIS_NO_NODE;
            place[slot] = at;
        }
    }
    if (memcmp(place, n->place, REDIS_SLOTS * sizeof(*place)) != 0)
        n->version++;
    free(n->place);
    n->place = place;
    store_redis_nodes_take_trouble(
        n, without > 0 ? "a part of the Cluster's slots has no server" : "");
    return true;
}

static bool take_master(struct store_redis_nodes *n, const redisReply *r)
{
    struct redis_url_address at;
    uint16_t i;

    if (!store_redis_places_master(r, &at))
        return false;
    i = store_redis_nodes_find_or_add(n, &at);
    if (i == STORE_REDIS_NO_NODE)
        return false;
    if (i != n->single) {
        n->version++;
        log_at(LOG_INFO, NULL, kv_event("redis_master"), kv_str("host", at.host),
               kv_u64("port", at.port));
    }
    nothing_used(n);
    n->node[i]->used = true;
    n->single = i;
    store_redis_nodes_take_trouble(n, "");
    return true;
}

static void on_places(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_node *from = owner;
    struct store_redis_nodes *n = from->nodes;
    bool taken;

    n->asking = false;
    if (n->closing)
        return;
    if (n->options.sentinel != NULL)
        taken = st == ST_OK && take_master(n, r);
    else
        taken = st == ST_OK && n->place != NULL && take_slots(n, from, r);
    if (taken)
        store_redis_nodes_tell_if_ready(n);
    else if (!store_redis_nodes_is_ready(n))
        store_redis_nodes_take_trouble(
            n, n->options.sentinel != NULL
                   ? "no Sentinel knows a master of the name in store.sentinel"
                   : "no server of the Cluster tells where its slots are");
}

/* Any that answers, another one each time. */
static struct store_redis_node *whom_to_ask(struct store_redis_nodes *n)
{
    unsigned among = n->options.sentinel != NULL ? n->named : STORE_REDIS_NODES_MAX;

    for (unsigned i = 0; i < among; i++) {
        n->asked = (n->asked + 1) % among;
        if (store_redis_nodes_answers(n, (uint16_t)n->asked))
            return n->node[n->asked];
    }
    return NULL;
}

void store_redis_map_ask(struct store_redis_nodes *n)
{
    struct span parts[3] = {SPAN("CLUSTER"), SPAN("SLOTS")};
    struct store_redis_node *node = n->asking ? NULL : whom_to_ask(n);
    int count = 2;

    if (n->options.sentinel != NULL) {
        parts[0] = SPAN("SENTINEL");
        parts[1] = SPAN("GET-MASTER-ADDR-BY-NAME");
        parts[2] = span_of(n->options.sentinel);
        count = 3;
    }
    if (node != NULL)
        n->asking = store_redis_conn_send(node->conn, parts, count, ASK_US, on_places, node,
                                          NULL) == ST_OK;
}

static void stands_alone(struct store_redis_nodes *n, struct store_redis_node *node)
{
    if (n->place != NULL || n->named > 1) {
        store_redis_nodes_take_trouble(
            n, "store.url names several servers, and one of them is no Cluster's");
        return;
    }
    node->used = true;
    n->single = node->index;
}

static void becomes_cluster(struct store_redis_nodes *n)
{
    if (n->place != NULL)
        return;
    if (n->options.url.unix_socket) {
        store_redis_nodes_take_trouble(n,
                                       "a Cluster is spread over several servers: name one by "
                                       "host and port, not by a Unix socket");
        return;
    }
    n->place = malloc(REDIS_SLOTS * sizeof(*n->place));
    if (n->place == NULL) {
        store_redis_nodes_take_trouble(n, "out of memory");
        return;
    }
    memset(n->place, 0xff, REDIS_SLOTS * sizeof(*n->place)); /* STORE_REDIS_NO_NODE */
}

void store_redis_map_greeted(struct store_redis_nodes *n, struct store_redis_node *node)
{
    if (n->options.sentinel == NULL) {
        if (store_redis_conn_is_cluster(node->conn))
            becomes_cluster(n);
        else
            stands_alone(n, node);
    }
    if (n->place != NULL || n->options.sentinel != NULL) {
        store_redis_map_ask(n);
        store_redis_nodes_refresh_soon(n);
    }
}
