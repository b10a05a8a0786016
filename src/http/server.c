#include "http/server.h"

#include <stdlib.h>

#include "http/conn.h"
#include "http/http2.h"
#include "rt/io.h"

/* Above the limit so many more are told why; the others are just closed. */
#define TURNED_AWAY_MAX 64

static void on_gone(struct loop_msg *m)
{
    struct http_server *srv = CONTAINER_OF(m, struct http_server, gone);

    srv->gone_posted = false;
    if (srv->stats.connections_now > 0)
        return;
    if (srv->closing) {
        void (*closed)(void *) = srv->closed;
        void *owner = srv->owner;

        free(srv);
        closed(owner);
    } else if (srv->draining && srv->drained != NULL) {
        void (*drained)(void *) = srv->drained;

        srv->drained = NULL;
        drained(srv->owner);
    }
}

void server_check_gone(struct http_server *srv)
{
    if (srv->stats.connections_now > 0 || srv->gone_posted || !(srv->draining || srv->closing))
        return;
    srv->gone_posted = true;
    loop_defer(srv->loop, &srv->gone, on_gone);
}

enum status http_server_open(struct loop *loop, const struct http_server_options *o,
                             const struct http_server_events *ev, void *owner,
                             struct http_server **out)
{
    struct http_server *srv = calloc(1, sizeof(*srv));

    if (srv == NULL)
        return ST_NOMEM;
    srv->loop = loop;
    srv->o = *o;
    srv->events = ev;
    srv->owner = owner;
    list_init(&srv->conns);
    *out = srv;
    return ST_OK;
}

void http_server_adopt(struct http_server *srv, const struct http_server_options *o)
{
    srv->o = *o;
}

static void on_dropped_closed(void *owner)
{
    (void)owner;
}

static const struct io_events dropped_events = {.on_closed = on_dropped_closed};

static void drop(struct http_server *srv, struct io *io)
{
    srv->stats.refused_total++;
    io_attach(io, &dropped_events, NULL);
    io_close(io);
}

void http_server_accept(struct http_server *srv, struct io *io, const char *peer)
{
    bool full = srv->stats.connections_now >= srv->o.connections_max;
    struct conn *c = NULL;

    if (!srv->closing && srv->stats.connections_now < srv->o.connections_max + TURNED_AWAY_MAX)
        c = conn_new(srv, io, peer);
    if (c == NULL) {
        drop(srv, io);
        return;
    }
    if (full) {
        srv->stats.refused_total++;
        conn_refuse(c, 503, "too many connections");
    } else {
        srv->stats.connections_total++;
    }
    conn_want_reads(c, true);
}

static void begin_drain(struct http_server *srv, uint64_t patience_us,
                        void (*drained)(void *owner))
{
    struct list_node *n, *next;

    srv->draining = true;
    srv->drained = drained;
    for (n = srv->conns.next; n != &srv->conns; n = next) {
        struct conn *c = CONTAINER_OF(n, struct conn, link);

        next = n->next;
        if (c->state == CONN_FRAMES)
            http2_drain(c->frames);
        else if (c->state != CONN_WAITING || c->in.len > 0)
            continue;
        else if (patience_us > 0)
            conn_wait_idle(c, patience_us);
        else
            conn_close(c);
    }
    server_check_gone(srv);
}

void http_server_drain(struct http_server *srv, void (*drained)(void *owner))
{
    begin_drain(srv, 0, drained);
}

void http_server_retire(struct http_server *srv, uint64_t patience_us,
                        void (*drained)(void *owner))
{
    begin_drain(srv, patience_us, drained);
}

void http_server_close(struct http_server *srv, void (*closed)(void *owner))
{
    srv->closing = true;
    srv->closed = closed;
    for (struct list_node *n = srv->conns.next; n != &srv->conns; n = n->next) {
        struct conn *c = CONTAINER_OF(n, struct conn, link);

        if (c->state == CONN_SERVING) {
            conn_broke(c);
            c->stream.aborted = true;
            conn_wish(c);
        } else if (c->state == CONN_FRAMES) {
            conn_broke(c);
            conn_wish(c);
        } else {
            conn_close(c);
        }
    }
    server_check_gone(srv);
}

void http_server_stats(const struct http_server *srv, struct http_server_stats *out)
{
    *out = srv->stats;
}
