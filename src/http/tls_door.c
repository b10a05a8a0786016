/* A connection that knocks is looked at by its first byte: no record of TLS begins with a
 * letter (RFC 8446 5.1: 20 to 23), and every request of HTTP does. */
#include "http/tls_door.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/span.h"
#include "rt/io.h"
#include "rt/io_tls_server.h"
#include "rt/loop.h"
#include "rt/timer.h"

/* What still comes of a plain request is thrown away so far and so long, so that its sender
 * sees our answer and not a reset. */
#define LINGER_BYTES ((size_t)512 * 1024)
#define LINGER_US    1000000
/* Scanners fail by the thousand: a line a second at most, that says how many it left out. */
#define LOG_EVERY_US 1000000

static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: 48\r\n"
                                   "Connection: close\r\n"
                                   "\r\n"
                                   "This port speaks TLS: use https:// in your URL.\n";

enum knock_state {
    KNOCK_SILENT, /* not a byte yet: `io` is ours */
    KNOCK_HANDSHAKE,
    KNOCK_TOLD, /* it was plain; `io` is ours */
    KNOCK_CLOSING,
};

struct knock {
    struct tls_door *door;
    struct list_node link;
    enum knock_state state;
    struct io *io; /* owned while it is ours; in the handshake the TLS stream, to cancel it */
    struct timer deadline;
    bool timed_out;
    size_t thrown_away;
    char peer[64];
};

struct tls_door {
    struct loop *loop;
    struct io_tls_server *server; /* borrowed */
    struct tls_door_options o;
    tls_door_pass_fn *pass;
    void *owner;
    struct list_node knocks;
    struct tls_door_stats stats;
    bool closed;
    uint64_t logged_us;
    uint64_t unlogged;
};

const char *tls_door_outcome_name(enum tls_door_outcome outcome)
{
    static const char *const names[TLS_DOOR_OUTCOMES] = {
        "full", "resumed", "failed", "certificate", "timeout", "plain", "refused"};

    return names[outcome];
}

static void say(struct tls_door *d, enum tls_door_outcome outcome, const char *peer,
                const char *why)
{
    uint64_t now = loop_now_us(d->loop);

    if (d->logged_us != 0 && now - d->logged_us < LOG_EVERY_US) {
        d->unlogged++;
        return;
    }
    log_at(LOG_WARN, NULL, kv_event("tls_refused"), kv_str("listener", d->o.name),
           kv_str("peer", peer), kv_str("outcome", tls_door_outcome_name(outcome)),
           kv_str("why", why), kv_u64("not_shown_before", d->unlogged));
    d->logged_us = now;
    d->unlogged = 0;
}

static void count(struct tls_door *d, enum tls_door_outcome outcome)
{
    d->stats.by_outcome[outcome]++;
}

/* --- the end of a knock ------------------------------------------------------------- */

static void gone(struct knock *k)
{
    struct tls_door *d = k->door;

    timer_stop(d->loop, &k->deadline);
    list_remove(&k->link);
    d->stats.handshakes_now--;
    free(k);
    if (d->closed && d->stats.handshakes_now == 0)
        free(d);
}

static void close_io(struct knock *k)
{
    if (k->state == KNOCK_CLOSING)
        return;
    k->state = KNOCK_CLOSING;
    timer_stop(k->door->loop, &k->deadline);
    io_close(k->io);
}

static void on_deadline(struct timer *t)
{
    struct knock *k = CONTAINER_OF(t, struct knock, deadline);
    struct tls_door *d = k->door;

    if (k->state == KNOCK_HANDSHAKE) {
        k->timed_out = true;
        io_tls_server_cancel(k->io);
        return;
    }
    if (k->state == KNOCK_SILENT) {
        count(d, TLS_DOOR_TIMEOUT);
        say(d, TLS_DOOR_TIMEOUT, k->peer, "it says nothing");
    }
    close_io(k);
}

/* --- the handshake ------------------------------------------------------------------ */

static void pass_on(struct knock *k, struct io *tls)
{
    struct tls_door *d = k->door;
    struct io_tls_server_peer p;

    io_tls_server_peer(tls, &p);
    count(d, p.resumed ? TLS_DOOR_RESUMED : TLS_DOOR_FULL);
    d->stats.tls12_total += !p.tls13;
    d->stats.tls13_total += p.tls13;
    d->stats.http2_total += p.http2;
    d->pass(d->owner, tls, k->peer);
}

static void on_late_closed(void *owner)
{
    (void)owner;
}

static const struct io_events late_events = {.on_closed = on_late_closed};

static void on_ready(void *owner, enum status st, struct io *tls, const char *why)
{
    struct knock *k = owner;
    struct tls_door *d = k->door;

    if (st == ST_OK && d->closed) {
        io_attach(tls, &late_events, NULL);
        io_close(tls);
    } else if (st == ST_OK) {
        pass_on(k, tls);
    } else if (!d->closed) {
        enum tls_door_outcome outcome = k->timed_out       ? TLS_DOOR_TIMEOUT
                                        : st == ST_INVALID ? TLS_DOOR_CERTIFICATE
                                                           : TLS_DOOR_FAILED;

        count(d, outcome);
        say(d, outcome, k->peer, k->timed_out ? "the handshake takes too long" : why);
    }
    gone(k);
}

static void begin_handshake(struct knock *k, struct span first)
{
    struct io *io = k->io;

    k->state = KNOCK_HANDSHAKE;
    if (io_tls_server_accept(k->door->server, io, first, on_ready, k, &k->io) == ST_OK)
        return;
    count(k->door, TLS_DOOR_FAILED); /* no memory; the io is being closed */
    gone(k);
}

/* --- who does not speak TLS --------------------------------------------------------- */

static void tell_plain(struct knock *k, size_t read)
{
    struct span part = span_of(plain_answer);
    size_t taken;

    count(k->door, TLS_DOOR_PLAIN);
    say(k->door, TLS_DOOR_PLAIN, k->peer, "it speaks plain HTTP");
    k->state = KNOCK_TOLD;
    k->thrown_away = read;
    /* A fresh socket takes these few bytes, or its peer does not read at all. */
    if (io_try_write(k->io, &part, 1, &taken) != ST_OK || taken < part.len) {
        close_io(k);
        return;
    }
    io_shutdown(k->io);
    timer_start(k->door->loop, &k->deadline, LINGER_US, on_deadline);
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct knock *k = owner;

    if (k->state == KNOCK_CLOSING)
        return;
    if (st != ST_OK && k->state == KNOCK_SILENT) {
        count(k->door, TLS_DOOR_FAILED); /* probes of load balancers: not worth a line */
        close_io(k);
    } else if (st != ST_OK) {
        close_io(k);
    } else if (k->state == KNOCK_TOLD) {
        k->thrown_away += data.len;
        if (k->thrown_away > LINGER_BYTES)
            close_io(k);
    } else if (data.ptr[0] >= 'A' && data.ptr[0] <= 'Z') {
        tell_plain(k, data.len);
    } else {
        begin_handshake(k, data);
    }
}

static void on_written(void *owner, enum status st)
{
    (void)owner;
    (void)st;
}

static void on_closed(void *owner)
{
    gone(owner);
}

static const struct io_events knock_events = {on_read, on_written, on_closed};

/* --- the door ----------------------------------------------------------------------- */

enum status tls_door_open(struct loop *loop, struct io_tls_server *server,
                          const struct tls_door_options *o, tls_door_pass_fn *pass, void *owner,
                          struct tls_door **out)
{
    struct tls_door *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return ST_NOMEM;
    d->loop = loop;
    d->server = server;
    d->o = *o;
    d->pass = pass;
    d->owner = owner;
    list_init(&d->knocks);
    *out = d;
    return ST_OK;
}

static void turn_away(struct io *io)
{
    io_attach(io, &late_events, NULL);
    io_close(io);
}

void tls_door_accept(struct tls_door *d, struct io *io, const char *peer)
{
    struct knock *k = NULL;

    if (d->stats.handshakes_now < d->o.handshakes_max)
        k = calloc(1, sizeof(*k));
    if (k == NULL) {
        count(d, TLS_DOOR_REFUSED);
        say(d, TLS_DOOR_REFUSED, peer, "too many handshakes at once");
        turn_away(io);
        return;
    }
    k->door = d;
    k->io = io;
    snprintf(k->peer, sizeof(k->peer), "%s", peer);
    list_append(&d->knocks, &k->link);
    d->stats.handshakes_now++;
    io_attach(io, &knock_events, k);
    timer_start(d->loop, &k->deadline, d->o.handshake_timeout_us, on_deadline);
    io_read_start(io);
}

void tls_door_close(struct tls_door *d)
{
    d->closed = true;
    if (d->stats.handshakes_now == 0) {
        free(d);
        return;
    }
    /* Each ends later, none inside these calls. */
    for (struct list_node *n = d->knocks.next; n != &d->knocks; n = n->next) {
        struct knock *k = CONTAINER_OF(n, struct knock, link);

        if (k->state == KNOCK_HANDSHAKE) {
            timer_stop(d->loop, &k->deadline);
            io_tls_server_cancel(k->io);
        } else {
            close_io(k);
        }
    }
}

void tls_door_stats(const struct tls_door *d, struct tls_door_stats *out)
{
    *out = d->stats;
}
