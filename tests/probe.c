#include "probe.h"

#include <stdlib.h>

#include "check.h"

#define PROBE_LIMIT (64u * 1024 * 1024)

static char pattern(uint64_t i)
{
    return (char)((i * 2654435761u) >> 7 & 0xff);
}

static void event(const struct probe *p)
{
    assert_false(p->calling);
    assert_false(p->closed);
}

static void on_resume(struct loop_msg *m)
{
    struct probe *p = CONTAINER_OF(m, struct probe, resume);

    p->resuming = false;
    if (!p->closing && !p->ended)
        probe_read(p);
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct probe *p = owner;

    event(p);
    assert_false(p->closing);
    assert_false(p->ended);
    if (st != ST_OK) {
        p->ended = true;
        p->end = st;
        return;
    }
    assert_true(data.len > 0);
    p->largest = data.len > p->largest ? data.len : p->largest;
    CHECK_STATUS(ST_OK, buf_append(&p->in, data));
    if (p->close_on_read) {
        probe_close(p);
    } else if (p->pause_every != 0 && ++p->seen % p->pause_every == 0 && !p->resuming) {
        probe_stop(p);
        p->resuming = true;
        loop_defer(p->loop, &p->resume, on_resume);
    }
}

static void send_more(struct probe *p)
{
    while (!p->writing && !p->closing && p->sent < p->total) {
        size_t n = p->total - p->sent < p->piece ? (size_t)(p->total - p->sent) : p->piece;
        size_t taken;

        for (size_t i = 0; i < n; i++)
            p->bytes[i] = pattern(p->sent + i);
        if (probe_try(p, p->bytes, n, &taken) != ST_OK)
            return;
        p->sent += taken;
        if (taken < n) {
            if (probe_write(p, p->bytes + taken, n - taken) != ST_OK)
                return;
            p->sent += n - taken;
        }
    }
    if (p->bytes != NULL && !p->writing && !p->closing && !p->keep_open) {
        p->keep_open = true;
        probe_shutdown(p);
    }
}

static void on_written(void *owner, enum status st)
{
    struct probe *p = owner;

    event(p);
    assert_false(p->closing);
    assert_true(p->writing);
    p->writing = false;
    p->writes++;
    p->write_end = st;
    if (p->lent != NULL)
        memset(p->lent, 0, p->lent_bytes);
    if (st == ST_OK)
        send_more(p);
}

static void on_closed(void *owner)
{
    struct probe *p = owner;

    event(p);
    assert_true(p->closing);
    p->closed = true;
}

static const struct io_events events = {on_read, on_written, on_closed};

void probe_init(struct probe *p, struct loop *loop, struct io *io)
{
    memset(p, 0, sizeof(*p));
    p->loop = loop;
    p->io = io;
    buf_init(&p->in, PROBE_LIMIT);
    io_attach(io, &events, p);
}

void probe_release(struct probe *p)
{
    assert_true(p->closed);
    buf_release(&p->in);
    free(p->bytes);
}

void probe_read(struct probe *p)
{
    p->calling = true;
    io_read_start(p->io);
    p->calling = false;
}

void probe_stop(struct probe *p)
{
    p->calling = true;
    io_read_stop(p->io);
    p->calling = false;
}

void probe_close(struct probe *p)
{
    p->closing = true;
    p->calling = true;
    io_close(p->io);
    p->calling = false;
}

void probe_reset(struct probe *p)
{
    p->closing = true;
    p->calling = true;
    io_reset(p->io);
    p->calling = false;
}

void probe_shutdown(struct probe *p)
{
    p->calling = true;
    io_shutdown(p->io);
    p->calling = false;
}

enum status probe_write(struct probe *p, const void *bytes, size_t n)
{
    struct span part[2] = {{bytes, n / 2}, {(const char *)bytes + n / 2, n - n / 2}};
    enum status st;

    p->calling = true;
    st = io_write(p->io, part, 2);
    p->calling = false;
    p->writing = st == ST_OK;
    return st;
}

enum status probe_try(struct probe *p, const void *bytes, size_t n, size_t *taken)
{
    struct span part[2] = {{bytes, n / 3}, {(const char *)bytes + n / 3, n - n / 3}};
    enum status st;

    p->calling = true;
    st = io_try_write(p->io, part, 2, taken);
    p->calling = false;
    return st;
}

void probe_send_pattern(struct probe *p, uint64_t total, size_t piece)
{
    p->bytes = malloc(piece);
    assert_non_null(p->bytes);
    p->total = total;
    p->piece = piece;
    send_more(p);
}

void probe_check_pattern(const struct probe *p, uint64_t total)
{
    assert_int_equal(p->in.len, total);
    for (size_t i = 0; i < p->in.len; i++) {
        if (p->in.ptr[i] != pattern(i))
            fail_msg("byte %zu differs", i);
    }
}
