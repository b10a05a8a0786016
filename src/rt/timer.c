#include "rt/timer.h"

#include <assert.h>
#include <stdlib.h>

#include "rt/loop_internal.h"

#define HEAP_FIRST 64

static void place(struct loop *l, uint32_t slot, struct timer *t)
{
    l->heap[slot] = t;
    t->slot = slot;
}

static void sift_up(struct loop *l, uint32_t slot, struct timer *t)
{
    while (slot > 1 && l->heap[slot / 2]->at_us > t->at_us) {
        place(l, slot, l->heap[slot / 2]);
        slot /= 2;
    }
    place(l, slot, t);
}

static void sift_down(struct loop *l, uint32_t slot, struct timer *t)
{
    for (;;) {
        uint32_t child = 2 * slot;

        if (child > l->timers)
            break;
        if (child < l->timers && l->heap[child + 1]->at_us < l->heap[child]->at_us)
            child++;
        if (l->heap[child]->at_us >= t->at_us)
            break;
        place(l, slot, l->heap[child]);
        slot = child;
    }
    place(l, slot, t);
}

static void on_uv_timer(uv_timer_t *h)
{
    struct loop *l = CONTAINER_OF(h, struct loop, timer);

    l->armed_us = 0;
    loop_refresh(l);
    timer_heap_run(l);
}

/* A later deadline leaves the uv timer as it is: it fires too early once, finds
 * nothing due and is set anew. So moving a deadline costs no call. */
static void arm(struct loop *l)
{
    uint64_t at, wait_ms;

    if (l->manual || l->timers == 0)
        return;
    at = l->heap[1]->at_us;
    if (l->armed_us != 0 && l->armed_us <= at)
        return;
    wait_ms = at > l->now_us ? (at - l->now_us + 999) / 1000 : 0;
    l->armed_us = at;
    uv_update_time(&l->uv);
    uv_timer_start(&l->timer, on_uv_timer, wait_ms, 0);
}

void timer_heap_open(struct loop *l)
{
    uv_timer_init(&l->uv, &l->timer);
    uv_unref((uv_handle_t *)&l->timer);
}

void timer_heap_close(struct loop *l)
{
    uv_close((uv_handle_t *)&l->timer, NULL);
}

void timer_heap_release(struct loop *l)
{
    free(l->heap);
}

void timer_heap_run(struct loop *l)
{
    /* A timer that starts itself again with no delay gets its turn later: sockets too
     * want to be heard. */
    for (uint32_t most = l->timers; most > 0 && l->timers > 0; most--) {
        struct timer *t = l->heap[1];

        if (t->at_us > l->now_us)
            break;
        timer_stop(l, t);
        t->fire(t);
    }
    arm(l);
}

static void grow(struct loop *l)
{
    uint32_t cap = l->timers_cap == 0 ? HEAP_FIRST : l->timers_cap * 2;
    struct timer **heap = realloc(l->heap, (cap + 1) * sizeof(struct timer *));

    /* A deadline that can not be kept would be a wait without end: eight bytes a
     * timer are part of the price of what owns it. */
    if (heap == NULL)
        abort();
    l->heap = heap;
    l->timers_cap = cap;
}

void timer_start(struct loop *loop, struct timer *t, uint64_t after_us, timer_fire_fn *fire)
{
    uint64_t at = after_us > UINT64_MAX - loop->now_us ? UINT64_MAX : loop->now_us + after_us;

    t->fire = fire;
    if (t->slot != 0) {
        bool later = at > t->at_us;

        t->at_us = at;
        if (later)
            sift_down(loop, t->slot, t);
        else
            sift_up(loop, t->slot, t);
    } else {
        if (loop->timers == loop->timers_cap)
            grow(loop);
        t->at_us = at;
        sift_up(loop, ++loop->timers, t);
    }
    arm(loop);
}

void timer_stop(struct loop *loop, struct timer *t)
{
    struct timer *last;
    uint32_t slot = t->slot;

    if (slot == 0)
        return;
    assert(slot <= loop->timers && loop->heap[slot] == t);
    t->slot = 0;
    last = loop->heap[loop->timers--];
    if (last == t)
        return;
    if (slot > 1 && loop->heap[slot / 2]->at_us > last->at_us)
        sift_up(loop, slot, last);
    else
        sift_down(loop, slot, last);
}
