/* A command on its way to the server that has its key. One for a slot that is being moved is
 * answered by ASK: that one command goes to the new place, after ASKING. One for a slot that
 * has moved is answered by MOVED: the map learns it. Both are followed HOPS_MAX times, and wait
 * for a server that is just being connected to, within the deadline.
 * (Redis Cluster specification, "MOVED Redirection", "ASK redirection".) */
#include "cache/store_redis_call.h"

#include <stdlib.h>
#include <string.h>

#include "cache/store_redis_nodes_internal.h"
#include "cache/store_redis_places.h"
#include "rt/loop.h"

#define HOPS_MAX   5
#define PARKED_MAX 1024

static void finish(struct store_redis_call *call, enum status st, const redisReply *r)
{
    struct store_redis_nodes *n = call->nodes;
    store_redis_done_fn *done = call->done;
    void *owner = call->owner;

    n->in_flight--;
    /* Nobody but the owner of all this cancels: a server was left. */
    if (st == ST_CANCELED && !n->closing)
        st = ST_UNAVAILABLE;
    free(call);
    done(owner, st, r);
}

static void unpark(struct store_redis_call *call)
{
    timer_stop(call->nodes->loop, &call->parked_until);
    *call->self = call->next;
    if (call->next != NULL)
        call->next->self = call->self;
    call->self = NULL;
    call->nodes->parked_count--;
}

static void on_parked_until(struct timer *t)
{
    struct store_redis_call *call = CONTAINER_OF(t, struct store_redis_call, parked_until);

    unpark(call);
    finish(call, ST_TIMEOUT, NULL);
}

static enum status park(struct store_redis_call *call, uint64_t left_us)
{
    struct store_redis_nodes *n = call->nodes;

    if (n->parked_count >= PARKED_MAX)
        return ST_OVERLOAD;
    call->next = n->parked;
    if (call->next != NULL)
        call->next->self = &call->next;
    n->parked = call;
    call->self = &n->parked;
    n->parked_count++;
    timer_start(n->loop, &call->parked_until, left_us, on_parked_until);
    return ST_OK;
}

static void on_reply(void *owner, enum status st, const redisReply *r);

static enum status dispatch(struct store_redis_call *call, const struct span *part, int parts,
                            uint64_t left_us)
{
    const struct span asking[1] = {SPAN("ASKING")};
    struct store_redis_conn *conn = call->nodes->node[call->at]->conn;

    if (call->asking) {
        enum status st = store_redis_conn_send(conn, asking, 1, left_us, NULL, NULL, NULL);

        if (st != ST_OK)
            return st;
    }
    return store_redis_conn_send(conn, part, parts, left_us, on_reply, call, &call->command);
}

/* To where it is now, as long as there is time. */
static enum status send_on(struct store_redis_call *call)
{
    struct store_redis_nodes *n = call->nodes;
    uint64_t now_us = loop_now_us(n->loop);

    if (now_us >= call->until_us)
        return ST_TIMEOUT;
    if (!store_redis_nodes_answers(n, call->at))
        return park(call, call->until_us - now_us);
    return dispatch(call, call->part, call->parts, call->until_us - now_us);
}

static bool follow(struct store_redis_call *call, const redisReply *r)
{
    struct store_redis_nodes *n = call->nodes;
    struct store_redis_redirect to;
    uint16_t at;

    if (call->parts == 0 || call->hops >= HOPS_MAX || !store_redis_places_redirect(r, &to))
        return false;
    if (to.to.host[0] == '\0' && n->node[call->at] != NULL)
        memcpy(to.to.host, n->node[call->at]->at.host, sizeof(to.to.host));
    at = store_redis_nodes_find_or_add(n, &to.to);
    if (at == STORE_REDIS_NO_NODE)
        return false;
    if (!to.ask && n->place != NULL) {
        n->node[at]->used = true;
        n->place[to.slot] = at;
        n->version++;
        store_redis_nodes_refresh_soon(n);
    }
    n->moved_total++;
    call->hops++;
    call->asking = to.ask;
    call->at = at;
    return send_on(call) == ST_OK;
}

static void on_reply(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_call *call = owner;

    call->command = NULL;
    if (st == ST_INVALID && !call->nodes->closing && follow(call, r))
        return;
    if (st == ST_INVALID &&
        (store_redis_conn_is_error(r, "MOVED") || store_redis_conn_is_error(r, "ASK")))
        finish(call, ST_UNAVAILABLE, NULL);
    else
        finish(call, st, r);
}

/* With a copy of the words when they may have to be sent again. */
static struct store_redis_call *new_call(const struct store_redis_nodes *n,
                                         const struct span *part, int parts)
{
    size_t bytes = 0;
    struct store_redis_call *call;
    char *to;

    if (n->place == NULL)
        return calloc(1, sizeof(*call));
    for (int i = 0; i < parts; i++)
        bytes += part[i].len;
    call = malloc(sizeof(*call) + (size_t)parts * sizeof(*part) + bytes);
    if (call == NULL)
        return NULL;
    memset(call, 0, sizeof(*call));
    to = (char *)(call->part + parts);
    for (int i = 0; i < parts; i++) {
        memcpy(to, part[i].ptr, part[i].len);
        call->part[i] = (struct span){to, part[i].len};
        to += part[i].len;
    }
    call->parts = parts;
    return call;
}

enum status store_redis_call_send(struct store_redis_nodes *n, struct span key,
                                  const struct span *part, int parts, uint64_t deadline_us,
                                  store_redis_done_fn *done, void *owner,
                                  struct store_redis_call **out)
{
    uint16_t at = store_redis_map_place_of(n, key);
    struct store_redis_call *call;
    enum status st;

    if (n->closing || !store_redis_nodes_answers(n, at))
        return ST_UNAVAILABLE;
    call = new_call(n, part, parts);
    if (call == NULL)
        return ST_NOMEM;
    call->nodes = n;
    call->done = done;
    call->owner = owner;
    call->at = at;
    call->until_us = loop_now_us(n->loop) + deadline_us;
    st = dispatch(call, part, parts, deadline_us);
    if (st != ST_OK) {
        free(call);
        return st;
    }
    n->in_flight++;
    if (out != NULL)
        *out = call;
    return ST_OK;
}

enum status store_redis_call_send_to(struct store_redis_nodes *n, unsigned which,
                                     const struct span *part, int parts, uint64_t deadline_us,
                                     store_redis_done_fn *done, void *owner)
{
    struct store_redis_call *call;
    uint16_t at = 0;
    enum status st;

    for (; at < STORE_REDIS_NODES_MAX; at++)
        if (n->node[at] != NULL && n->node[at]->used && which-- == 0)
            break;
    if (n->closing || at == STORE_REDIS_NODES_MAX || !store_redis_nodes_answers(n, at))
        return ST_UNAVAILABLE;
    call = calloc(1, sizeof(*call));
    if (call == NULL)
        return ST_NOMEM;
    *call = (struct store_redis_call){.nodes = n, .done = done, .owner = owner, .at = at};
    st = dispatch(call, part, parts, deadline_us);
    if (st == ST_OK)
        n->in_flight++;
    else
        free(call);
    return st;
}

void store_redis_call_forget(struct store_redis_call *call)
{
    if (call->command != NULL)
        store_redis_conn_forget(call->command);
    else
        unpark(call);
    call->nodes->in_flight--;
    free(call);
}

/* --- those that wait for a server --------------------------------------------------------- */

/* The next of those that wait for node `i`; STORE_REDIS_NO_NODE: for any. */
static struct store_redis_call *parked_for(const struct store_redis_nodes *n, uint16_t i)
{
    struct store_redis_call *call = n->parked;

    while (call != NULL && i != STORE_REDIS_NO_NODE && call->at != i)
        call = call->next;
    return call;
}

bool store_redis_call_waits(const struct store_redis_nodes *n, uint16_t i)
{
    return parked_for(n, i) != NULL;
}

void store_redis_call_fail_parked(struct store_redis_nodes *n, uint16_t i, enum status st)
{
    struct store_redis_call *call;

    while ((call = parked_for(n, i)) != NULL) {
        unpark(call);
        finish(call, st, NULL);
    }
}

void store_redis_call_send_parked(struct store_redis_nodes *n, uint16_t i)
{
    struct store_redis_call *call;

    while (store_redis_nodes_answers(n, i) && (call = parked_for(n, i)) != NULL) {
        enum status st;

        unpark(call);
        st = send_on(call);
        if (st != ST_OK)
            finish(call, st, NULL);
    }
}
