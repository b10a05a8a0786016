#include "cache/entry_seal.h"

#include "base/digest.h"
#include "base/seal.h"
#include "cache/entry.h"

static void forget(struct buf *frame)
{
    if (frame->ptr != NULL)
        digest_wipe(frame->ptr, frame->len);
    buf_release(frame);
}

enum status entry_seal_encode(const struct seal_ring *keys, const struct entry *e,
                              struct buf *out)
{
    struct buf frame;
    enum status st;

    if (keys == NULL)
        return entry_encode(e, out);
    buf_init(&frame, ENTRY_FRAME_BYTES_MAX);
    st = entry_encode(e, &frame);
    if (st == ST_OK)
        st = seal_close(keys, buf_span(&frame), out);
    forget(&frame);
    return st;
}

enum status entry_seal_decode(const struct seal_ring *keys, struct span stored,
                              struct entry **out)
{
    struct buf frame;
    enum status st;

    if (seal_is_sealed(stored) != (keys != NULL))
        return ST_UNAVAILABLE;
    if (keys == NULL)
        return entry_decode(stored, out);
    buf_init(&frame, ENTRY_FRAME_BYTES_MAX + 1);
    st = seal_open(keys, stored, &frame);
    if (st == ST_OK)
        st = entry_decode(buf_span(&frame), out);
    forget(&frame);
    return st;
}
