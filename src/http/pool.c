/* Connections to one origin, and which call gets which. A connection is idle, or has one
 * call, or is closing; the latest used is used first, so that the others grow old and
 * go. */
#include "http/client_internal.h"

#include <stdlib.h>

#include "rt/connect.h"
#include "rt/io.h"

#define IN_EXTRA_BYTES    ((size_t)128 * 1024)
#define OUT_LIMIT_BYTES   ((size_t)64 * 1024 * 1024)
#define KEEP_BUFFER_BYTES 65536

static void on_gone(struct loop_msg *m)
{
    struct http_pool *p = CONTAINER_OF(m, struct http_pool, gone);
    void (*closed)(void *) = p->closed;
    void *owner = p->owner;

    while (!list_empty(&p->spare)) {
        struct http_call *c = CONTAINER_OF(p->spare.next, struct http_call, node);

        list_remove(&c->node);
        client_free(c);
    }
    free(p);
    closed(owner);
}

void pool_check_gone(struct http_pool *p)
{
    if (!p->closing || p->gone_posted || p->links > 0 || p->live_calls > 0)
        return;
    p->gone_posted = true;
    loop_defer(p->loop, &p->gone, on_gone);
}

/* --- links ----------------------------------------------------------------------- */

static void link_free(struct link *l)
{
    struct http_pool *p = l->pool;

    buf_release(&l->in);
    outbox_release(&l->out);
    free(l);
    p->links--;
    pool_check_gone(p);
}

void pool_link_close(struct link *l)
{
    struct http_pool *p = l->pool;

    if (l->closing)
        return;
    l->closing = true;
    timer_stop(p->loop, &l->keep);
    list_remove(&l->node);
    if (l->call == NULL)
        p->stats.idle_now--;
    p->stats.connections_now--;
    if (l->call != NULL)
        l->call->link = NULL;
    l->call = NULL;
    io_close(l->io);
}

static void on_link_closed(void *owner)
{
    struct link *l = owner;

    l->io = NULL;
    if (!l->deferred)
        link_free(l);
}

static void on_link_turn(struct loop_msg *m)
{
    struct link *l = CONTAINER_OF(m, struct link, turn);

    l->deferred = false;
    if (l->io == NULL) {
        link_free(l);
        return;
    }
    if (!l->closing && l->unsent && !l->call->canceled)
        client_send(l);
    if (!l->closing)
        client_take_input(l);
    if (l->call != NULL)
        client_tell_drained(l->call);
}

void pool_link_wish(struct link *l)
{
    if (l->deferred || l->closing)
        return;
    l->deferred = true;
    loop_defer(l->pool->loop, &l->turn, on_link_turn);
}

void pool_link_read(struct link *l, bool want)
{
    if (l->closing || want == l->reading)
        return;
    l->reading = want;
    if (want)
        io_read_start(l->io);
    else
        io_read_stop(l->io);
}

static void on_keep_over(struct timer *t)
{
    pool_link_close(CONTAINER_OF(t, struct link, keep));
}

void pool_serve_waiting(struct http_pool *p)
{
    while (!list_empty(&p->waiting) && !p->closing &&
           (!list_empty(&p->idle) || p->stats.connections_now < p->o.connections_max)) {
        struct http_call *c = CONTAINER_OF(p->waiting.next, struct http_call, node);

        list_remove(&c->node);
        p->stats.waiting_now--;
        list_append(&p->calls, &c->node);
        pool_serve(c);
    }
}

void pool_link_give_back(struct link *l, bool again)
{
    struct http_pool *p = l->pool;

    if (!again || p->closing || l->in.len > 0 || l->deaf || outbox_pending(&l->out) > 0) {
        pool_link_close(l);
        pool_serve_waiting(p);
        return;
    }
    l->call = NULL;
    l->reused = true;
    if (l->in.cap > KEEP_BUFFER_BYTES)
        buf_release(&l->in);
    outbox_trim(&l->out, KEEP_BUFFER_BYTES);
    list_remove(&l->node);
    /* The latest used first: the others get old and go. */
    list_append(&p->idle, &l->node);
    p->stats.idle_now++;
    timer_start(p->loop, &l->keep, p->o.keep_us, on_keep_over);
    pool_link_read(l, true);
    pool_serve_waiting(p);
}

static const struct io_events link_events = {client_on_read, client_on_written, on_link_closed};

/* --- getting a connection -------------------------------------------------------- */

static void on_dropped_closed(void *owner)
{
    (void)owner;
}

/* A stream that nobody wants any more. */
static void drop(struct io *io)
{
    static const struct io_events nobody = {.on_closed = on_dropped_closed};

    io_attach(io, &nobody, NULL);
    io_close(io);
}

static struct link *link_new(struct http_pool *p, struct io *io)
{
    struct link *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->pool = p;
    l->io = io;
    buf_init(&l->in, p->o.head_max_bytes + IN_EXTRA_BYTES);
    outbox_init(&l->out, OUT_LIMIT_BYTES);
    list_init(&l->node);
    io_attach(io, &link_events, l);
    p->links++;
    return l;
}

/* The call ended while its connection was made. The place that was taken for it is
 * free again. */
static void on_unwanted(struct http_pool *p, enum status st, struct io *io)
{
    p->stats.connections_now--;
    if (st == ST_OK)
        drop(io);
    pool_serve_waiting(p);
}

static void on_connected(struct connect_op *op, enum status st, struct io *io, const char *why)
{
    struct http_call *c = connect_owner(op);
    struct http_pool *p = c->pool;
    struct link *l;

    c->connecting = false;
    p->live_calls--;
    if (c->state != CALL_CONNECTING) {
        on_unwanted(p, st, io);
        if (c->told_end)
            client_free(c);
        pool_check_gone(p);
        return;
    }
    c->connect = NULL;
    l = st == ST_OK ? link_new(p, io) : NULL;
    if (l == NULL) {
        p->stats.connections_now--;
        if (st == ST_OK)
            drop(io);
        c->unreached = st != ST_OK && !c->retried;
        client_fail(c, st == ST_OK ? ST_NOMEM : st, st == ST_OK ? "out of memory" : why);
        pool_serve_waiting(p);
        return;
    }
    p->stats.connects_total++;
    client_exchange(c, l);
}

static void start_connect(struct http_call *c)
{
    struct http_pool *p = c->pool;
    enum status st;

    c->state = CALL_CONNECTING;
    p->stats.connections_now++;
    st = connect_start(p->connector, &p->o.to, p->o.connect_timeout_us, on_connected, c,
                       &c->connect);
    if (st != ST_OK) {
        p->stats.connections_now--;
        client_fail(c, st, "no connection could be started");
        return;
    }
    c->connecting = true;
    p->live_calls++; /* the operation holds the pool */
}

void pool_serve(struct http_call *c)
{
    struct http_pool *p = c->pool;
    struct link *l;

    timer_stop(p->loop, &c->stage);
    if (!list_empty(&p->idle) && !c->retried) {
        l = CONTAINER_OF(p->idle.prev, struct link, node);
        timer_stop(p->loop, &l->keep);
        p->stats.idle_now--;
        p->stats.reuses_total++;
        client_exchange(c, l);
    } else if (p->stats.connections_now < p->o.connections_max) {
        start_connect(c);
    } else if (!list_empty(&p->idle)) {
        /* A retry wants a fresh one: an old one makes room. */
        pool_link_close(CONTAINER_OF(p->idle.next, struct link, node));
        start_connect(c);
    } else if (p->stats.waiting_now < p->o.waiting_max) {
        c->state = CALL_WAITING;
        list_remove(&c->node);
        list_append(&p->waiting, &c->node);
        p->stats.waiting_now++;
        timer_start(p->loop, &c->stage, p->o.first_byte_timeout_us, client_on_stage);
    } else {
        client_fail(c, ST_OVERLOAD, "too many calls wait for a connection");
    }
}

/* --- the interface --------------------------------------------------------------- */

enum status http_pool_open(struct loop *loop, struct connector *connector,
                           const struct http_pool_options *o, struct http_pool **out)
{
    struct http_pool *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return ST_NOMEM;
    p->loop = loop;
    p->connector = connector;
    p->o = *o;
    list_init(&p->idle);
    list_init(&p->busy);
    list_init(&p->waiting);
    list_init(&p->calls);
    list_init(&p->spare);
    *out = p;
    return ST_OK;
}

void http_pool_close(struct http_pool *p, void (*closed)(void *owner), void *owner)
{
    p->closing = true;
    p->closed = closed;
    p->owner = owner;
    while (!list_empty(&p->waiting))
        client_fail(CONTAINER_OF(p->waiting.next, struct http_call, node), ST_CANCELED,
                    "closing");
    while (!list_empty(&p->calls))
        client_fail(CONTAINER_OF(p->calls.next, struct http_call, node), ST_CANCELED,
                    "closing");
    while (!list_empty(&p->idle))
        pool_link_close(CONTAINER_OF(p->idle.next, struct link, node));
    pool_check_gone(p);
}

void http_pool_stats(const struct http_pool *p, struct http_pool_stats *out)
{
    *out = p->stats;
}
