/* Bytes on their way into a stream: what goes at once goes at once, the rest waits in a
 * buffer that is handed to the io a slice at a time, so that a reader who is slow but
 * takes can be told from one who takes nothing. Loop thread only; no event from here. */
#ifndef HTTP_OUTBOX_H
#define HTTP_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct io;

struct outbox {
    struct buf next; /* owned; append to it, then outbox_flush() */
    struct buf wire; /* owned; the io has `slice` bytes of it, from `sent` on */
    size_t sent, slice;
    bool writing; /* the io's on_written is due */
};

void outbox_init(struct outbox *o, size_t limit);
void outbox_release(struct outbox *o);

/* Bytes that were appended and that the io has not taken. */
size_t outbox_pending(const struct outbox *o);

/* *progress: the io took something. Any status but ST_OK: the stream failed. */
enum status outbox_flush(struct outbox *o, struct io *io, bool *progress) MUST_CHECK;

/* The io's on_written came, with ST_OK: goes on. Not when it came with another status. */
enum status outbox_written(struct outbox *o, struct io *io) MUST_CHECK;

/* The stream failed: forgets everything. */
void outbox_drop(struct outbox *o);

/* Gives back what is more than `keep` bytes; only when nothing is pending. */
void outbox_trim(struct outbox *o, size_t keep);

#endif
