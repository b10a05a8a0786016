#include "rt/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "rt/loop_internal.h"

#define DEFER_ROUNDS_MAX 16

static void on_inbox(uv_async_t *h)
{
    struct loop *l = CONTAINER_OF(h, struct loop, inbox);
    struct loop_msg *m;

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
            uv_async_send(&l->inbox);
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
    run_deferred(l);
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
    if (uv_async_init(&l->uv, &l->inbox, on_inbox) != 0)
        goto fail_async;
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

fail_async:
    uv_mutex_destroy(&l->mutex);
fail_mutex:
    uv_loop_close(&l->uv);
fail_loop:
    free(l);
    return ST_UNAVAILABLE;
}

static void count_open(uv_handle_t *h, void *arg)
{
    unsigned *open = arg;

    if (!uv_is_closing(h))
        (*open)++;
}

enum status loop_close(struct loop *l)
{
    unsigned open = 0;
    int rc;

    uv_close((uv_handle_t *)&l->inbox, NULL);
    uv_close((uv_handle_t *)&l->after_poll, NULL);
    uv_close((uv_handle_t *)&l->before_poll, NULL);
    timer_heap_close(l);
    uv_walk(&l->uv, count_open, &open);
    if (open > 0)
        return ST_INTERNAL; /* the loop stays: its handles are still somebody's */
    uv_run(&l->uv, UV_RUN_DEFAULT);
    rc = uv_loop_close(&l->uv);
    assert(rc == 0);
    (void)rc;
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
    return uv_run(&l->uv, UV_RUN_NOWAIT) != 0;
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

void loop_set_now_us(struct loop *l, uint64_t now_us)
{
    l->manual = true;
    l->now_us = now_us;
    timer_heap_run(l);
}

void loop_post(struct loop *l, struct loop_msg *m, loop_msg_fn *run)
{
    m->run = run;
    m->next = NULL;
    uv_mutex_lock(&l->mutex);
    *l->tail = m;
    l->tail = &m->next;
    uv_mutex_unlock(&l->mutex);
    uv_async_send(&l->inbox);
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
