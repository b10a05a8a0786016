/* The inside of a loop, for the files of rt/ that share it. */
#ifndef RT_LOOP_INTERNAL_H
#define RT_LOOP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "rt/loop.h"

struct timer;

/* One buffer a loop: reads are handed on at once, so no stream needs its own. */
#define LOOP_READ_BYTES 65536

struct loop {
    uv_loop_t uv;
    int wake_fd; /* an eventfd that `inbox` polls */
    uv_poll_t inbox;
    uv_check_t after_poll;
    uv_prepare_t before_poll;
    uv_mutex_t mutex;   /* guards head and tail */
    atomic_uint wakers; /* threads that are about to wake the loop */
    atomic_uint turns;  /* statistics only: relaxed */
    struct loop_msg *head, **tail;
    struct loop_msg *soon, **soon_tail; /* deferred, loop thread only */
    unsigned refs;                      /* loop thread only, like all below */
    bool stopped;
    char *read_buffer; /* owned */

    uint64_t now_us;
    bool manual; /* the clock is turned by a test */

    uv_timer_t timer;    /* armed for the first of the heap */
    struct timer **heap; /* owned; heap[1] is the earliest */
    uint32_t timers, timers_cap;
    uint64_t armed_us; /* what `timer` is set to; 0: not running */
};

/* Reads the clock for this turn. */
void loop_refresh(struct loop *l);
/* LOOP_READ_BYTES; NULL when memory is out. Valid until the next read of any stream. */
char *loop_read_buffer(struct loop *l);

void timer_heap_open(struct loop *l);
void timer_heap_close(struct loop *l);
void timer_heap_release(struct loop *l);
/* Fires what is due. */
void timer_heap_run(struct loop *l);

#endif
