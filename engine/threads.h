/* A small team that shares one loop: the caller and its helpers take pieces of a range
 * until none is left. Helpers spin briefly between calls, because the next product comes
 * within microseconds, then sleep; so does the caller when a helper is late. No piece waits for
 * a thread that the kernel has taken off its core: whoever is awake does the work. After a late
 * helper the caller works alone for a while, so that a core that others take costs its own
 * work and little more. */
#ifndef ENGINE_THREADS_H
#define ENGINE_THREADS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct threads;

/* Piece `from`..`to` of the range. */
typedef void threads_fn(void *arg, size_t from, size_t to);

/* `count` in all, the caller included; 1 starts none. */
enum status threads_open(unsigned count, struct threads **out) MUST_CHECK;
void threads_close(struct threads *t);

/* Runs fn over 0..n in pieces that begin at multiples of `grain`, large ones first; returns
 * when all are done. */
void threads_run(struct threads *t, size_t n, size_t grain, threads_fn *fn, void *arg);

#endif
