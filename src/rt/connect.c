/* Steps of one operation: resolve, then one address after the other, then the proxy's word
 * where there is one, then TLS. Each
 * step is one thing in flight; `stage` says which, so that cancel and the deadline
 * know what to take back. The end is always a posted message: never from inside a
 * call, exactly once. */
#include "rt/connect.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "base/list.h"
#include "rt/address.h"
#include "rt/connector.h"
#include "rt/dns.h"
#include "rt/io.h"
#include "rt/io_tcp.h"
#include "rt/io_tls.h"
#include "rt/loop.h"
#include "rt/proxy_tunnel.h"
#include "rt/timer.h"

/* libuv cuts a longer path, and would connect to another socket. */
#define UNIX_PATH_SIZE 108 /* sun_path, Linux */

enum stage { RESOLVING, CONNECTING, ASKING, SECURING, ENDED };

struct connect_op {
    struct connector *connector; /* NULL once it is closed */
    struct loop *loop;
    struct list_node link;
    struct endpoint to;
    connect_done_fn *done;
    void *owner;
    enum stage stage;
    unsigned in_flight;
    struct timer deadline, attempt;
    uint64_t deadline_us;

    struct dns_query query;
    struct sockaddr_storage list[DNS_ADDRESSES_MAX];
    size_t count, next;

    struct io_tcp *socket; /* CONNECTING: owned */
    uv_connect_t connect;
    bool connecting; /* uv's callback is due */

    struct io *plain; /* ASKING: owned */
    struct proxy_tunnel tunnel;

    struct io *tls; /* SECURING: borrowed, until on_secured */

    struct io *io; /* ENDED: the result, owned until `told` */
    bool told;     /* `done` came */
    enum status status;
    char why[256];
    struct loop_msg end;
};

static void try_next(struct connect_op *op);

static void maybe_free(struct connect_op *op)
{
    if (op->stage == ENDED && op->in_flight == 0)
        free(op);
}

static void on_end(struct loop_msg *m)
{
    struct connect_op *op = CONTAINER_OF(m, struct connect_op, end);

    list_remove(&op->link);
    op->in_flight--;
    op->told = true;
    op->done(op, op->status, op->io, op->why);
    maybe_free(op);
}

static void finish(struct connect_op *op, enum status st, struct io *io)
{
    assert(op->stage != ENDED);
    op->stage = ENDED;
    op->status = st;
    op->io = io;
    timer_stop(op->loop, &op->deadline);
    timer_stop(op->loop, &op->attempt);
    op->in_flight++;
    loop_defer(op->loop, &op->end, on_end);
}

static void on_nothing_read(void *owner, enum status st, struct span data)
{
    (void)owner;
    (void)st;
    (void)data;
}

static void on_nothing_written(void *owner, enum status st)
{
    (void)owner;
    (void)st;
}

static void on_dropped(void *owner)
{
    (void)owner;
}

/* A stream that nobody wants any more. */
static void drop(struct io *io)
{
    static const struct io_events nobody = {on_nothing_read, on_nothing_written, on_dropped};

    io_attach(io, &nobody, NULL);
    io_close(io);
}

static void give_up(struct connect_op *op, enum status st, const char *why)
{
    if (why != NULL)
        snprintf(op->why, sizeof(op->why), "%s", why);
    switch (op->stage) {
    case RESOLVING:
        dns_cancel(op->connector->dns, &op->query);
        break;
    case CONNECTING:
        if (op->socket != NULL)
            io_tcp_discard(op->socket);
        op->socket = NULL;
        break;
    case ASKING:
        proxy_tunnel_stop(&op->tunnel);
        drop(op->plain);
        break;
    case SECURING: /* on_secured drops the result */
        if (op->tls != NULL)
            io_tls_cancel(op->tls);
        break;
    case ENDED:
        /* Connected, but nobody knows yet. */
        if (!op->told && op->io != NULL)
            io_close(op->io);
        op->io = NULL;
        op->status = op->told ? op->status : st;
        return;
    }
    finish(op, st, NULL);
}

static void on_deadline(struct timer *t)
{
    struct connect_op *op = CONTAINER_OF(t, struct connect_op, deadline);
    static const char *const during[] = {
        [RESOLVING] = "timed out looking up the host name",
        [CONNECTING] = "timed out connecting",
        [ASKING] = "timed out waiting for the proxy",
        [SECURING] = "timed out in the TLS handshake",
        [ENDED] = "",
    };

    give_up(op, ST_TIMEOUT, during[op->stage]);
}

static void on_secured(void *owner, enum status st, struct io *tls, const char *why)
{
    struct connect_op *op = owner;

    op->in_flight--;
    if (op->stage == ENDED) {
        if (st == ST_OK)
            io_close(tls);
        maybe_free(op);
        return;
    }
    if (st == ST_OK) {
        finish(op, ST_OK, tls);
    } else {
        snprintf(op->why, sizeof(op->why), "TLS: %s", why);
        finish(op, st, NULL);
    }
}

static void secure(struct connect_op *op, struct io *plain)
{
    enum status st;

    op->stage = SECURING;
    op->in_flight++;
    st = io_tls_client(op->to.tls, plain, op->to.host, on_secured, op, &op->tls);
    if (st != ST_OK) {
        op->in_flight--;
        give_up(op, st, "TLS: out of memory");
    }
}

/* The stream leads to where we want: TLS, or all done. */
static void reached(struct connect_op *op, struct io *plain)
{
    if (op->to.tls != NULL)
        secure(op, plain);
    else
        finish(op, ST_OK, plain);
}

static void on_asked(void *owner, enum status st, const char *why)
{
    struct connect_op *op = owner;
    struct io *plain = op->plain;

    if (st == ST_OK) {
        reached(op, plain);
        return;
    }
    drop(plain);
    snprintf(op->why, sizeof(op->why), "%s", why);
    finish(op, st, NULL);
}

static void ask_proxy(struct connect_op *op, struct io *plain)
{
    op->stage = ASKING;
    op->plain = plain;
    if (proxy_tunnel_start(&op->tunnel, plain, &op->to, on_asked, op) != ST_OK)
        give_up(op, ST_UNAVAILABLE, "the proxy takes no request");
}

static void on_connected(uv_connect_t *c, int code)
{
    struct connect_op *op = CONTAINER_OF(c, struct connect_op, connect);
    struct io_tcp *socket = op->socket;

    op->in_flight--;
    op->connecting = false;
    if (op->stage != CONNECTING) {
        maybe_free(op);
        return;
    }
    timer_stop(op->loop, &op->attempt);
    if (code == UV_ECANCELED && socket == NULL) {
        try_next(op); /* the attempt's own time was up */
        return;
    }
    op->socket = NULL;
    if (code != 0) {
        snprintf(op->why, sizeof(op->why), "%s", uv_strerror(code));
        io_tcp_discard(socket);
        try_next(op);
    } else if (op->to.via != NULL) {
        ask_proxy(op, io_tcp_io(socket));
    } else {
        reached(op, io_tcp_io(socket));
    }
}

static void on_attempt_timeout(struct timer *t)
{
    struct connect_op *op = CONTAINER_OF(t, struct connect_op, attempt);

    snprintf(op->why, sizeof(op->why), "timed out connecting");
    io_tcp_discard(op->socket);
    op->socket = NULL; /* uv reports ECANCELED, and the next address is tried */
}

static void start_attempt(struct connect_op *op, int rc)
{
    uint64_t now = loop_now_us(op->loop),
             left = op->deadline_us > now ? op->deadline_us - now : 0;

    if (rc != 0) {
        snprintf(op->why, sizeof(op->why), "%s", uv_strerror(rc));
        io_tcp_discard(op->socket);
        op->socket = NULL;
        try_next(op);
        return;
    }
    op->connecting = true;
    op->in_flight++;
    /* Later addresses get their share of the time. */
    if (op->next < op->count)
        timer_start(op->loop, &op->attempt, left / (op->count - op->next + 1),
                    on_attempt_timeout);
}

static void try_next(struct connect_op *op)
{
    struct sockaddr_storage *a = &op->list[op->next];

    if (op->next == op->count) {
        give_up(op, ST_UNAVAILABLE, NULL);
        return;
    }
    op->next++;
    if (io_tcp_new(op->loop, false, &op->socket) != ST_OK) {
        give_up(op, ST_NOMEM, "out of memory");
        return;
    }
    start_attempt(op, uv_tcp_connect(&op->connect, (uv_tcp_t *)io_tcp_stream(op->socket),
                                     (struct sockaddr *)a, on_connected));
}

static void connect_unix(struct connect_op *op)
{
    op->stage = CONNECTING;
    if (io_tcp_new(op->loop, true, &op->socket) != ST_OK) {
        give_up(op, ST_NOMEM, "out of memory");
        return;
    }
    uv_pipe_connect(&op->connect, (uv_pipe_t *)io_tcp_stream(op->socket), op->to.unix_path,
                    on_connected);
    op->connecting = true;
    op->in_flight++;
}

/* Who is called up: the place itself, or the proxy. */
static const char *called_host(const struct connect_op *op)
{
    return op->to.via != NULL ? op->to.via->host : op->to.host;
}

static uint16_t called_port(const struct connect_op *op)
{
    return op->to.via != NULL ? op->to.via->port : op->to.port;
}

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET)
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
}

static void on_resolved(struct dns_query *q, enum status st,
                        const struct sockaddr_storage *list, size_t n)
{
    struct connect_op *op = CONTAINER_OF(q, struct connect_op, query);

    if (st != ST_OK) {
        snprintf(op->why, sizeof(op->why), "cannot look up '%s': %s", called_host(op),
                 st == ST_NOTFOUND ? "no such host" : status_text(st));
        finish(op, st == ST_NOTFOUND ? ST_UNAVAILABLE : st, NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        op->list[i] = list[i];
        set_port(&op->list[i], called_port(op));
    }
    op->count = n;
    op->stage = CONNECTING;
    try_next(op);
}

enum status connect_start(struct connector *c, const struct endpoint *to, uint64_t timeout_us,
                          connect_done_fn *done, void *owner, struct connect_op **out)
{
    struct connect_op *op;
    enum status st = ST_OK;

    if (c->allowed != NULL && !c->allowed(c->owner, to)) {
        log_at(LOG_ERROR, NULL, kv_event("connection_refused"),
               kv_str("host", to->unix_path != NULL ? to->unix_path : to->host),
               kv_str("why", "offline"));
        return ST_INVALID;
    }
    if (to->unix_path != NULL && strlen(to->unix_path) >= UNIX_PATH_SIZE)
        return ST_INVALID;
    op = calloc(1, sizeof(*op));
    if (op == NULL)
        return ST_NOMEM;
    op->connector = c;
    op->loop = c->loop;
    op->to = *to;
    op->done = done;
    op->owner = owner;
    op->deadline_us = loop_now_us(c->loop) + timeout_us;
    list_append(&c->ops, &op->link);
    timer_start(c->loop, &op->deadline, timeout_us, on_deadline);
    if (to->unix_path != NULL) {
        connect_unix(op);
    } else if (address_literal(called_host(op), called_port(op), &op->list[0]) == ST_OK) {
        op->count = 1;
        op->stage = CONNECTING;
        try_next(op);
    } else {
        st = dns_resolve(c->dns, called_host(op), &op->query, on_resolved);
    }
    if (st != ST_OK) {
        timer_stop(c->loop, &op->deadline);
        list_remove(&op->link);
        free(op);
        return st;
    }
    *out = op;
    return ST_OK;
}

void connect_cancel(struct connect_op *op)
{
    give_up(op, ST_CANCELED, "canceled");
}

void *connect_owner(const struct connect_op *op)
{
    return op->owner;
}

void connect_end_all(struct connector *c)
{
    while (!list_empty(&c->ops)) {
        struct connect_op *op = CONTAINER_OF(c->ops.next, struct connect_op, link);

        connect_cancel(op);
        list_remove(&op->link); /* on_end removes it again, which is safe */
    }
}
