/* One event loop: a libuv loop, its clock, its timers, and an inbox through
 * which other threads hand it messages. Everything a loop owns (connections,
 * requests, timers) is touched by its thread only; loop_post() is the one door
 * for the others. */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/compiler.h"
#include "base/status.h"

struct loop;
struct loop_msg;

typedef void loop_msg_fn(struct loop_msg *m);

/* Embed in the object that travels. One post at a time. */
struct loop_msg {
    loop_msg_fn *run; /* on the loop thread */
    struct loop_msg *next;
};

/* A loop with its own uv_loop_t, clock and inbox. */
enum status loop_open(struct loop **out) MUST_CHECK;

/* Delivers what was closed or posted, then frees the loop. ST_INTERNAL when a handle is
 * still open or an operation in flight (a leak): the loop then stays as it is, because
 * they point to it. */
enum status loop_close(struct loop *l) MUST_CHECK;

/* Runs until loop_stop() or until nothing is left that keeps it alive. */
void loop_run(struct loop *l);
/* Runs what is ready now, without waiting; true while handles are alive. Tests. */
bool loop_turn(struct loop *l);
void loop_stop(struct loop *l);

uv_loop_t *loop_uv(struct loop *l);

/* Monotonic time of this turn, microseconds: read once a turn. */
uint64_t loop_now_us(const struct loop *l);
/* The same clock, read now: a turn that serves many may last milliseconds. */
uint64_t loop_clock_us(const struct loop *l);
/* Tests: from now on time stands still until told; timers then fire by it. */
void loop_set_now_us(struct loop *l, uint64_t now_us);

/* Any thread. `m->run` is called once, later, on the loop's thread; messages of
 * one thread keep their order. `m` must stay alive until then. */
void loop_post(struct loop *l, struct loop_msg *m, loop_msg_fn *run);
/* Likewise a list of them, linked by ->next from `first` to `last`, each with its ->run: the
 * loop is woken once. */
void loop_post_list(struct loop *l, struct loop_msg *first, struct loop_msg *last);

/* Loop thread only: the same, within this turn or the next, without a system call.
 * Keeps the loop alive until it ran. */
void loop_defer(struct loop *l, struct loop_msg *m, loop_msg_fn *run);

/* Any thread: how many turns there were, modulo 2^32. What stands still has not run. */
unsigned loop_turns(const struct loop *l);

/* Counts against loop_run() ending: an operation that will post is in flight. */
void loop_ref(struct loop *l);
void loop_unref(struct loop *l);

#endif
