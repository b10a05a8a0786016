#include "cli/fetch_tls.h"

#include <stdio.h>

#include "rt/address.h"
#include "rt/connect.h"
#include "rt/io.h"
#include "rt/io_tls.h"
#include "rt/loop.h"
#include "rt/timer.h"

struct job {
    struct loop *loop;
    struct connector *connector;
    struct io *io; /* NULL: not connected, or closed */
    struct span request;
    struct buf *out; /* borrowed */
    struct timer deadline;
    uint64_t until_us;
    enum status st;
    char *why;
    size_t why_cap;
};

static void end(struct job *j, enum status st, const char *why)
{
    j->st = st;
    snprintf(j->why, j->why_cap, "%s", why);
    timer_stop(j->loop, &j->deadline);
    if (j->io != NULL)
        io_close(j->io);
}

static void on_deadline(struct timer *t)
{
    struct job *j = CONTAINER_OF(t, struct job, deadline);

    end(j, ST_TIMEOUT, status_text(ST_TIMEOUT));
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct job *j = owner;

    if (st == ST_CLOSED)
        end(j, ST_OK, "");
    else if (st != ST_OK || (st = buf_append(j->out, data)) != ST_OK)
        end(j, st, status_text(st));
}

static void on_written(void *owner, enum status st)
{
    if (st != ST_OK)
        end(owner, st, status_text(st));
}

static void on_closed(void *owner)
{
    struct job *j = owner;

    j->io = NULL;
}

static const struct io_events events = {on_read, on_written, on_closed};

static void on_connected(struct connect_op *op, enum status st, struct io *io, const char *why)
{
    struct job *j = connect_owner(op);
    uint64_t now = loop_now_us(j->loop);

    if (st != ST_OK) {
        end(j, st, why);
        return;
    }
    j->io = io;
    io_attach(io, &events, j);
    timer_start(j->loop, &j->deadline, j->until_us > now ? j->until_us - now : 0, on_deadline);
    io_read_start(io);
    st = io_write(io, &j->request, 1);
    if (st != ST_OK)
        end(j, st, status_text(st));
}

static enum status run(struct job *j, const struct endpoint *to, uint64_t deadline_us)
{
    struct connector_options o = {.dns_ttl_max_s = 0};
    struct connect_op *op;
    enum status st = connector_open(j->loop, &o, &j->connector);

    if (st != ST_OK)
        return st;
    j->until_us = loop_now_us(j->loop) + deadline_us;
    st = connect_start(j->connector, to, deadline_us, on_connected, j, &op);
    if (st == ST_OK) {
        loop_run(j->loop);
        st = j->st;
    }
    connector_close(j->connector);
    loop_run(j->loop);
    return st;
}

enum status fetch_tls_exchange(const struct fetch_tls *f, struct span request, struct buf *out,
                               char *why, size_t why_cap)
{
    struct job j = {.request = request, .out = out, .why = why, .why_cap = why_cap};
    struct endpoint to = {.host = NULL};
    struct io_tls_ctx *tls;
    struct address a;
    enum status st = address_parse(f->address, &a, why, why_cap);

    if (st == ST_OK)
        st = loop_open(&j.loop);
    if (st != ST_OK)
        return st;
    st = io_tls_ctx_open_pinned(j.loop, f->cert_file, &tls, why, why_cap);
    if (st == ST_OK) {
        to.host = a.host;
        to.port = a.port;
        to.tls = tls;
        if (f->own_cert_file != NULL)
            st = io_tls_ctx_show(tls, f->own_cert_file, f->own_key_file, why, why_cap);
        if (st == ST_OK)
            st = run(&j, &to, f->deadline_us);
        io_tls_ctx_close(tls);
    }
    if (loop_close(j.loop) != ST_OK && st == ST_OK)
        st = ST_INTERNAL;
    return st;
}
