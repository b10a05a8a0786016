/* The other end of a loopback stream, with no HTTP in it: what a test sends are bytes,
 * what it receives are bytes. Tests only. */
#ifndef TESTS_FLOW_WIRE_H
#define TESTS_FLOW_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/status.h"

struct io;
struct loop;

struct wire {
    struct io *io; /* NULL once closed */
    struct buf got;
    struct buf out; /* being written */
    bool writing;
    bool ended; /* no more will come */
    enum status end;
};

/* Takes `io`, and reads from it at once unless told not to. */
void wire_init(struct wire *w, struct io *io, bool read);
/* Runs the loop until nothing moves; the io must be closed by then. */
void wire_release(struct wire *w);

/* One write at a time: run the loop between two. */
void wire_send(struct wire *w, struct span s);
void wire_half_close(struct wire *w);
void wire_close(struct wire *w);
void wire_reset(struct wire *w);

bool wire_has(const struct wire *w, const char *text);
unsigned wire_count(const struct wire *w, const char *text);

/* A loop with a clock that is turned by hand. */
struct loop *wire_loop(void);
void wire_pass(struct loop *l, uint64_t us);

/* Sizes of pieces that every flow is run with; ends with 0, "all there is". */
#define WIRE_CHUNKINGS                                                                         \
    {                                                                                          \
        1, 2, 3, 7, 4096, 0                                                                    \
    }

#endif
