#include "rt/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/loop_internal.h"

#define DEFER_ROUNDS_MAX 16
#define SETTLE_TURNS_MAX 64
#define WAKER_NS         20000

/* Not by a uv_async_t: the loop that it wakes waits, at work, until the call that sent it has
 * returned on the sender's thread. A thread of low priority may have lost its core to the very
 * loop that it woke, and is then waited for by all clients. */
static void wake(struct loop *l)
{
    static const uint64_t one = 1;

    /* Full, it wakes all the same. */
    (void)!write(l->wake_fd, &one, sizeof(one));
}

static void on_inbox(uv_poll_t *h, int status, int events)
{
    struct loop *l = CONTAINER_OF(h, struct loop, inbox);
    struct loop_msg *m;
    uint64_t count;

    (void)status;
    (void)events;
    /* First this: who posts behind it wakes again. */
    (void)!read(l->wake_fd, &count, sizeof(count));
    loop_refresh(l);
    uv_mutex_lock(&l->mutex);
    m = l->head;
    l->head = NULL;
    l->tail = &l->head;
    uv_mutex_unlock(&l->mutex);
    while (m != NULL) {
        struct loop_msg *next = m->next; /* run() may post it again, or free it */

        m->run(m);
        m = next;
    }
}

/* What was deferred, and what that defers in turn; a chain without an end gets its
 * next round after the sockets had theirs. */
static void run_deferred(struct loop *l)
{
    for (unsigned round = 0; l->soon != NULL; round++) {
        struct loop_msg *m = l->soon;

        if (round == DEFER_ROUNDS_MAX) {
            wake(l);
            return;
        }
        l->soon = NULL;
        l->soon_tail = &l->soon;
        while (m != NULL) {
            struct loop_msg *next = m->next;

            loop_unref(l);
            m->run(m);
            m = next;
        }
    }
}

static void on_check(uv_check_t *h)
{
    struct loop *l = CONTAINER_OF(h, struct loop, after_poll);

    loop_refresh(l);
    run_deferred(l);
}

static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = CONTAINER_OF(h, struct loop, before_poll);

    loop_refresh(l);
    /* A clock turned by hand has no uv timer behind it; what is due fires here. */
    if (l->manual)
        timer_heap_run(l);
    run_deferred(l);
    atomic_fetch_add_explicit(&l->turns, 1, memory_order_relaxed);
}

unsigned loop_turns(const struct loop *l)
{
    return atomic_load_explicit(&l->turns, memory_order_relaxed);
}

void loop_refresh(struct loop *l)
{
    if (!l->manual)
        l->now_us = clock_now_us();
}

enum status loop_open(struct loop **out)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return ST_NOMEM;
    l->tail = &l->head;
    l->soon_tail = &l->soon;
    if (uv_loop_init(&l->uv) != 0)
        goto fail_loop;
    if (uv_mutex_init(&l->mutex) != 0)
        goto fail_mutex;
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0)
        goto fail_fd;
    if (uv_poll_init(&l->uv, &l->inbox, l->wake_fd) != 0)
        goto fail_poll;
    uv_poll_start(&l->inbox, UV_READABLE, on_inbox);
    /* Neither the inbox nor the timer keeps the loop alive: only work does. */
    uv_unref((uv_handle_t *)&l->inbox);
    uv_check_init(&l->uv, &l->after_poll);
    uv_check_start(&l->after_poll, on_check);
    uv_unref((uv_handle_t *)&l->after_poll);
    uv_prepare_init(&l->uv, &l->before_poll);
    uv_prepare_start(&l->before_poll, on_prepare);
    uv_unref((uv_handle_t *)&l->before_poll);
    timer_heap_open(l);
    loop_refresh(l);
    *out = l;
    return ST_OK;

fail_poll:
    close(l->wake_fd);
fail_fd:
    uv_mutex_destroy(&l->mutex);
fail_mutex:
    uv_loop_close(&l->uv);
fail_loop:
    free(l);
    return ST_UNAVAILABLE;
}

struct census {
    const struct loop *loop;
    unsigned open, closing;
};

static void count_handle(uv_handle_t *h, void *arg)
{
    struct census *c = arg;

    if (h == (const uv_handle_t *)&c->loop->inbox ||
        h == (const uv_handle_t *)&c->loop->after_poll ||
        h == (const uv_handle_t *)&c->loop->before_poll ||
        h == (const uv_handle_t *)&c->loop->timer)
        return;
    if (uv_is_closing(h))
        c->closing++;
    else
        c->open++;
}

static struct census take_census(struct loop *l)
{
    struct census c = {.loop = l};

    uv_walk(&l->uv, count_handle, &c);
    return c;
}

static bool has_mail(struct loop *l)
{
    bool yes;

    uv_mutex_lock(&l->mutex);
    yes = l->head != NULL;
    uv_mutex_unlock(&l->mutex);
    return yes || l->soon != NULL;
}

/* Lets what was closed and what was sent arrive; each may cause more of either. */
static struct census settle(struct loop *l)
{
    struct census c = take_census(l);

    for (unsigned i = 0; i < SETTLE_TURNS_MAX && (c.closing > 0 || has_mail(l)); i++) {
        loop_turn(l);
        c = take_census(l);
    }
    return c;
}

enum status loop_close(struct loop *l)
{
    struct census left = settle(l);
    int rc;

    if (left.open > 0 || left.closing > 0 || l->refs > 0)
        return ST_INTERNAL;
    while (atomic_load_explicit(&l->wakers, memory_order_acquire) > 0)
        nanosleep(&(struct timespec){0, WAKER_NS}, NULL); /* a system call's length */
    uv_close((uv_handle_t *)&l->inbox, NULL);
    uv_close((uv_handle_t *)&l->after_poll, NULL);
    uv_close((uv_handle_t *)&l->before_poll, NULL);
    timer_heap_close(l);
    /* The first run ends at once when somebody asked for a stop since the last. */
    uv_run(&l->uv, UV_RUN_NOWAIT);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    rc = uv_loop_close(&l->uv);
    assert(rc == 0);
    (void)rc;
    close(l->wake_fd);
    uv_mutex_destroy(&l->mutex);
    timer_heap_release(l);
    free(l->read_buffer);
    free(l);
    return ST_OK;
}

void loop_run(struct loop *l)
{
    l->stopped = false;
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

bool loop_turn(struct loop *l)
{
    /* uv_run() does nothing at all while nothing is alive, not even deliver the inbox. */
    loop_ref(l);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    loop_unref(l);
    return uv_loop_alive(&l->uv) != 0;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
    uv_stop(&l->uv);
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

uint64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

uint64_t loop_clock_us(const struct loop *l)
{
    return l->manual ? l->now_us : clock_now_us();
}

void loop_set_now_us(struct loop *l, uint64_t now_us)
{
    l->manual = true;
    l->now_us = now_us;
    timer_heap_run(l);
}

void loop_post_list(struct loop *l, struct loop_msg *first, struct loop_msg *last)
{
    bool empty;

    last->next = NULL;
    uv_mutex_lock(&l->mutex);
    empty = l->head == NULL;
    *l->tail = first;
    l->tail = &last->next;
    if (empty)
        atomic_fetch_add_explicit(&l->wakers, 1, memory_order_relaxed);
    uv_mutex_unlock(&l->mutex);
    if (!empty)
        return;
    /* Not under the lock: the loop that wakes would take this core from a background
     * thread and then wait for the lock that it holds. Once the loop has seen the message
     * it may be closed; loop_close() waits for who is still here. */
    wake(l);
    atomic_fetch_sub_explicit(&l->wakers, 1, memory_order_release);
}

void loop_post(struct loop *l, struct loop_msg *m, loop_msg_fn *run)
{
    m->run = run;
    loop_post_list(l, m, m);
}

void loop_defer(struct loop *l, struct loop_msg *m, loop_msg_fn *run)
{
    m->run = run;
    m->next = NULL;
    *l->soon_tail = m;
    l->soon_tail = &m->next;
    loop_ref(l);
}

void loop_ref(struct loop *l)
{
    if (l->refs++ == 0)
        uv_ref((uv_handle_t *)&l->inbox);
}

void loop_unref(struct loop *l)
{
    assert(l->refs > 0);
    if (--l->refs == 0)
        uv_unref((uv_handle_t *)&l->inbox);
}

char *loop_read_buffer(struct loop *l)
{
    if (l->read_buffer == NULL)
        l->read_buffer = malloc(LOOP_READ_BYTES);
    return l->read_buffer;
}
