#include "rt/io_loopback.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "rt/io.h"
#include "rt/loop.h"

/* How it works: a write puts bytes into the pipe towards the peer. A message posted
 * to the loop later moves one piece on: it hands a chunk to the peer, or tells a
 * writer that its bytes went through. So events come one at a time, from the loop. */

#define PIPE_LIMIT (64u * 1024 * 1024)

struct end {
    struct io io;     /* first */
    struct end *peer; /* NULL once the peer is freed */
    struct loop *loop;
    struct io_loopback_options o;
    struct loop_msg turn;
    bool posted;
    struct buf in; /* bytes on their way to this end */
    bool reading;
    bool writing;   /* an io_write() whose on_written is due */
    bool peer_shut; /* nothing more will be put into `in` */
    bool told_end;
    bool reset;
    bool closing, closed;
};

static void on_turn(struct loop_msg *m);

static struct end *of(struct io *io)
{
    return CONTAINER_OF(io, struct end, io);
}

static void poke(struct end *e)
{
    if (e == NULL || e->posted || e->closed)
        return;
    e->posted = true;
    loop_defer(e->loop, &e->turn, on_turn);
}

static void finish_close(struct end *e)
{
    struct end *peer = e->peer;

    e->closed = true;
    if (peer != NULL) {
        peer->peer = NULL;
        peer->peer_shut = true;
        poke(peer);
    }
    if (e->io.events != NULL)
        e->io.events->on_closed(e->io.owner);
    buf_release(&e->in);
    free(e);
}

static bool write_is_through(const struct end *e)
{
    return e->peer == NULL || e->peer->in.len <= e->o.pipe_bytes;
}

static void deliver(struct end *e)
{
    size_t n = e->in.len;
    char *piece;

    if (e->o.chunk_bytes > 0 && n > e->o.chunk_bytes)
        n = e->o.chunk_bytes;
    /* A block of its own size, so that ASan sees who reads past it or keeps it. */
    piece = malloc(n);
    assert(piece != NULL);
    memcpy(piece, e->in.ptr, n);
    buf_consume(&e->in, n);
    poke(e);
    poke(e->peer);
    e->io.events->on_read(e->io.owner, ST_OK, (struct span){piece, n});
    free(piece);
}

static void tell_end(struct end *e)
{
    e->told_end = true;
    e->reading = false;
    e->io.events->on_read(e->io.owner, e->reset ? ST_UNAVAILABLE : ST_CLOSED,
                          (struct span){NULL, 0});
}

/* One event a turn. */
static void on_turn(struct loop_msg *m)
{
    struct end *e = CONTAINER_OF(m, struct end, turn);

    e->posted = false;
    if (e->closing) {
        finish_close(e);
    } else if (e->writing && (e->reset || write_is_through(e))) {
        e->writing = false;
        poke(e);
        e->io.events->on_written(e->io.owner,
                                 e->reset || e->peer == NULL ? ST_UNAVAILABLE : ST_OK);
    } else if (e->reading && e->in.len > 0) {
        deliver(e);
    } else if (e->reading && !e->told_end && (e->peer_shut || e->reset)) {
        tell_end(e);
    }
}

static void read_start(struct io *io)
{
    of(io)->reading = true;
    poke(of(io));
}

static void read_stop(struct io *io)
{
    of(io)->reading = false;
}

static enum status put(struct end *e, const struct span *part, size_t n, size_t most,
                       size_t *taken)
{
    *taken = 0;
    if (e->peer == NULL || e->reset)
        return ST_UNAVAILABLE;
    for (size_t i = 0; i < n && *taken < most; i++) {
        struct span s = part[i];

        if (s.len > most - *taken)
            s.len = most - *taken;
        if (buf_append(&e->peer->in, s) != ST_OK)
            return ST_NOMEM;
        *taken += s.len;
    }
    poke(e->peer);
    return ST_OK;
}

static enum status try_write(struct io *io, const struct span *part, size_t n, size_t *taken)
{
    struct end *e = of(io);
    size_t used = e->peer != NULL ? e->peer->in.len : 0;

    assert(!e->writing && !e->closing);
    return put(e, part, n, used < e->o.pipe_bytes ? e->o.pipe_bytes - used : 0, taken);
}

static enum status write_parts(struct io *io, const struct span *part, size_t n)
{
    struct end *e = of(io);
    size_t taken;
    enum status st;

    assert(!e->writing && !e->closing);
    st = put(e, part, n, SIZE_MAX, &taken);
    if (st != ST_OK)
        return st;
    e->writing = true;
    poke(e);
    return ST_OK;
}

static void shut(struct io *io)
{
    struct end *e = of(io);

    if (e->peer != NULL) {
        e->peer->peer_shut = true;
        poke(e->peer);
    }
}

static void close_io(struct io *io)
{
    struct end *e = of(io);

    if (e->closing)
        return;
    e->closing = true;
    e->reading = false;
    poke(e);
}

static void reset_io(struct io *io)
{
    io_loopback_reset(io);
    close_io(io);
}

static const struct io_ops ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .try_write = try_write,
    .write = write_parts,
    .shutdown = shut,
    .close = close_io,
    .reset = reset_io,
};

static struct end *end_new(struct loop *loop, const struct io_loopback_options *o)
{
    struct end *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->io.ops = &ops;
    e->loop = loop;
    e->o = *o;
    buf_init(&e->in, PIPE_LIMIT);
    return e;
}

enum status io_loopback_pair(struct loop *loop, const struct io_loopback_options *o,
                             struct io **a, struct io **b)
{
    struct end *x = end_new(loop, o), *y = end_new(loop, o);

    if (x == NULL || y == NULL) {
        free(x);
        free(y);
        return ST_NOMEM;
    }
    x->peer = y;
    y->peer = x;
    *a = &x->io;
    *b = &y->io;
    return ST_OK;
}

void io_loopback_reset(struct io *io)
{
    struct end *e = of(io);

    if (e->peer != NULL) {
        buf_clear(&e->peer->in);
        e->peer->reset = true;
        poke(e->peer);
    }
    e->reset = true;
    poke(e); /* its own write fails too */
}
