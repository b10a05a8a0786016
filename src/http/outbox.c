#include "http/outbox.h"

#include "rt/io.h"

#define SLICE_BYTES 131072

void outbox_init(struct outbox *o, size_t limit)
{
    *o = (struct outbox){.sent = 0};
    buf_init(&o->next, limit);
    buf_init(&o->wire, limit);
}

void outbox_release(struct outbox *o)
{
    buf_release(&o->next);
    buf_release(&o->wire);
}

size_t outbox_pending(const struct outbox *o)
{
    return o->next.len + o->wire.len - o->sent;
}

static enum status write_slice(struct outbox *o, struct io *io)
{
    struct span part = {o->wire.ptr + o->sent, o->wire.len - o->sent};
    enum status st;

    if (part.len > SLICE_BYTES)
        part.len = SLICE_BYTES;
    st = io_write(io, &part, 1);
    if (st != ST_OK)
        return st;
    o->slice = part.len;
    o->writing = true;
    return ST_OK;
}

enum status outbox_flush(struct outbox *o, struct io *io, bool *progress)
{
    struct span part = buf_span(&o->next);
    struct buf swap = o->wire;
    size_t taken = 0;
    enum status st;

    *progress = false;
    if (o->writing || part.len == 0)
        return ST_OK;
    st = io_try_write(io, &part, 1, &taken);
    if (st != ST_OK)
        return st;
    *progress = taken > 0;
    if (taken == part.len) {
        buf_clear(&o->next);
        return ST_OK;
    }
    o->wire = o->next;
    o->next = swap;
    buf_clear(&o->next);
    o->sent = taken;
    return write_slice(o, io);
}

enum status outbox_written(struct outbox *o, struct io *io)
{
    bool progress;

    o->writing = false;
    o->sent += o->slice;
    if (o->sent < o->wire.len)
        return write_slice(o, io);
    buf_clear(&o->wire);
    o->sent = 0;
    return outbox_flush(o, io, &progress);
}

void outbox_drop(struct outbox *o)
{
    buf_clear(&o->next);
    /* What the io holds stays in place until it says so, or is closed. */
    o->sent = o->wire.len;
    o->slice = 0;
}

void outbox_trim(struct outbox *o, size_t keep)
{
    if (o->next.cap > keep)
        buf_release(&o->next);
    if (o->wire.cap > keep)
        buf_release(&o->wire);
}
