/* One end of a stream under test. It keeps what it is told and fails the test when
 * rt/io.h is broken: an event from inside a call, after close, or after the end. */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "rt/io.h"
#include "rt/loop.h"

struct probe {
    struct loop *loop;
    struct io *io;  /* owned until closed */
    struct buf in;  /* what was read */
    size_t largest; /* of one event */
    bool ended;
    enum status end; /* of reading, once ended */
    unsigned writes; /* io_write() that ended */
    enum status write_end;
    bool writing, closing, closed;
    bool calling; /* inside a call of the stream */

    /* Overwritten as soon as on_written says that they are ours again. */
    char *lent;
    size_t lent_bytes;

    /* Sends `total` bytes of the pattern, then ends its side. */
    uint64_t total, sent;
    size_t piece; /* of one write */
    bool keep_open;
    char *bytes;

    /* Reads this many events, then stops for a turn; 0: reads on. */
    unsigned pause_every, seen;
    struct loop_msg resume;
    bool resuming;
    /* Closes at the first byte that comes. */
    bool close_on_read;
};

void probe_init(struct probe *p, struct loop *loop, struct io *io);
void probe_release(struct probe *p);

void probe_read(struct probe *p);
void probe_stop(struct probe *p);
void probe_close(struct probe *p);
void probe_reset(struct probe *p);
void probe_shutdown(struct probe *p);
/* The whole of it, by one io_write(). */
enum status probe_write(struct probe *p, const void *bytes, size_t n);
enum status probe_try(struct probe *p, const void *bytes, size_t n, size_t *taken);
/* Byte i of a stream is a function of i. */
void probe_send_pattern(struct probe *p, uint64_t total, size_t piece);
/* Fails the test unless exactly the first `total` bytes of the pattern came. */
void probe_check_pattern(const struct probe *p, uint64_t total);

#endif
