/* Two streams that are each other's peer, in memory, for tests: the same struct
 * io the proxy uses, delivered in pieces of a chosen size, with a bounded pipe
 * (so that back-pressure shows), and able to fail. Loop thread only. */
#ifndef RT_IO_LOOPBACK_H
#define RT_IO_LOOPBACK_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct io;
struct loop;

struct io_loopback_options {
    size_t chunk_bytes; /* each on_read brings at most this many; 0: all there is */
    size_t pipe_bytes;  /* a write completes when the pipe holds no more than this */
};

enum status io_loopback_pair(struct loop *loop, const struct io_loopback_options *o,
                             struct io **a, struct io **b) MUST_CHECK;

/* The peer of `end` sees ST_UNAVAILABLE ("reset") after what is in the pipe is
 * thrown away. */
void io_loopback_reset(struct io *end);

#endif
