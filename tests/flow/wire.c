#include "flow/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define GOT_MAX (64u * 1024 * 1024)

static void must(bool good)
{
    if (!good)
        abort();
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct wire *w = owner;

    must(!w->ended);
    if (st == ST_OK) {
        must(buf_append(&w->got, data) == ST_OK);
    } else {
        w->ended = true;
        w->end = st;
    }
}

static void on_written(void *owner, enum status st)
{
    struct wire *w = owner;

    (void)st; /* a peer that left is seen by what it said */
    w->writing = false;
    buf_clear(&w->out);
}

static void on_closed(void *owner)
{
    struct wire *w = owner;

    w->io = NULL;
}

static const struct io_events events = {on_read, on_written, on_closed};

void wire_init(struct wire *w, struct io *io, bool read)
{
    *w = (struct wire){.io = io};
    buf_init(&w->got, GOT_MAX);
    buf_init(&w->out, GOT_MAX);
    io_attach(io, &events, w);
    if (read)
        io_read_start(io);
}

void wire_release(struct wire *w)
{
    must(w->io == NULL);
    buf_release(&w->got);
    buf_release(&w->out);
}

void wire_send(struct wire *w, struct span s)
{
    struct span part;

    must(!w->writing);
    must(buf_append(&w->out, s) == ST_OK);
    part = buf_span(&w->out);
    if (io_write(w->io, &part, 1) == ST_OK)
        w->writing = true;
    else
        buf_clear(&w->out); /* the peer left */
}

void wire_half_close(struct wire *w)
{
    io_shutdown(w->io);
}

void wire_close(struct wire *w)
{
    if (w->io != NULL)
        io_close(w->io);
}

void wire_reset(struct wire *w)
{
    io_reset(w->io);
}

unsigned wire_count(const struct wire *w, const char *text)
{
    size_t n = strlen(text);
    unsigned found = 0;

    for (size_t i = 0; i + n <= w->got.len; i++)
        found += memcmp(w->got.ptr + i, text, n) == 0;
    return found;
}

bool wire_has(const struct wire *w, const char *text)
{
    return wire_count(w, text) > 0;
}

struct loop *wire_loop(void)
{
    struct loop *l;

    must(loop_open(&l) == ST_OK);
    loop_set_now_us(l, 1000000);
    return l;
}

void wire_pass(struct loop *l, uint64_t us)
{
    loop_run(l);
    loop_set_now_us(l, loop_now_us(l) + us);
    loop_run(l);
}
