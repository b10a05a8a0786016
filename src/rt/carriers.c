#include "rt/carriers.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "rt/io_carried.h"
#include "rt/loop.h"
#include "rt/timer.h"
#include "rt/turn_slice.h"

/* As in the kernel, what is not sent when all ends gets a last chance. */
#define GRACE_US 500000

struct carrier {
    struct io_carrier streams;
    struct carriers *all;
    struct loop *loop; /* owned; away */
    pthread_t thread;
    bool stopping;         /* home's thread */
    struct loop_msg stop;  /* to away */
    struct loop_msg ended; /* to home: the thread does nothing any more */

    /* Away's thread. */
    bool ending;
    struct timer grace;
};

struct carriers {
    struct loop *home;
    unsigned count, alive;
    bool closing;
    void (*closed)(void *owner);
    void *owner;
    struct carrier list[CARRIERS_MAX];
};

/* --- the end ------------------------------------------------------------------------ */

static void release_if_ended(struct carriers *c)
{
    void (*closed)(void *) = c->closed;
    void *owner = c->owner;

    if (!c->closing || c->alive > 0)
        return;
    loop_unref(c->home);
    free(c);
    closed(owner);
}

static void on_ended(struct loop_msg *m)
{
    struct carrier *one = CONTAINER_OF(m, struct carrier, ended);
    struct carriers *c = one->all;

    pthread_join(one->thread, NULL);
    if (loop_close(one->loop) != ST_OK)
        log_at(LOG_ERROR, NULL, kv_event("handles_left_open"));
    c->alive--;
    release_if_ended(c);
}

/* Away: nothing keeps the loop alive after this. */
static void end_away(struct carrier *one)
{
    one->ending = false;
    timer_stop(one->loop, &one->grace);
    loop_unref(one->loop);
    loop_post(one->all->home, &one->ended, on_ended);
}

static void on_away_idle(struct io_carrier *streams)
{
    struct carrier *one = CONTAINER_OF(streams, struct carrier, streams);

    if (one->ending)
        end_away(one);
}

static void on_grace(struct timer *t)
{
    io_carried_give_up(&CONTAINER_OF(t, struct carrier, grace)->streams);
}

static void on_stop(struct loop_msg *m)
{
    struct carrier *one = CONTAINER_OF(m, struct carrier, stop);

    one->ending = true;
    if (list_empty(&one->streams.sockets))
        end_away(one);
    else
        timer_start(one->loop, &one->grace, GRACE_US, on_grace);
}

/* No message of a stream comes after this one: home has none left. */
static void stop_if_idle(struct carrier *one)
{
    if (!one->all->closing || one->stopping || one->streams.open_now > 0)
        return;
    one->stopping = true;
    loop_post(one->loop, &one->stop, on_stop);
}

static void on_home_idle(struct io_carrier *streams)
{
    stop_if_idle(CONTAINER_OF(streams, struct carrier, streams));
}

void carriers_close(struct carriers *c, void (*closed)(void *owner), void *owner)
{
    assert(!c->closing && c->alive > 0);
    c->closing = true;
    c->closed = closed;
    c->owner = owner;
    loop_ref(c->home);
    for (unsigned i = 0; i < c->count; i++)
        stop_if_idle(&c->list[i]);
}

/* --- the threads -------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct carrier *one = arg;

    turn_slice_shorten();
    loop_run(one->loop);
    return NULL;
}

static bool start_one(struct carriers *c, struct carrier *one)
{
    one->all = c;
    if (loop_open(&one->loop) != ST_OK)
        return false;
    io_carried_init(&one->streams, c->home, one->loop);
    one->streams.home_idle = on_home_idle;
    one->streams.away_idle = on_away_idle;
    loop_ref(one->loop);
    if (pthread_create(&one->thread, NULL, run, one) == 0)
        return true;
    loop_unref(one->loop);
    (void)!loop_close(one->loop);
    return false;
}

static void on_failed_closed(void *owner)
{
    (void)owner;
}

enum status carriers_open(struct loop *home, unsigned count, struct carriers **out)
{
    struct carriers *c = calloc(1, sizeof(*c));
    sigset_t all, before;

    assert(count > 0 && count <= CARRIERS_MAX);
    if (c == NULL)
        return ST_NOMEM;
    c->home = home;
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (c->count < count && start_one(c, &c->list[c->count]))
        c->count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->alive = c->count;
    if (c->count == count) {
        *out = c;
        return ST_OK;
    }
    if (c->count > 0)
        carriers_close(c, on_failed_closed, NULL);
    else
        free(c);
    return ST_UNAVAILABLE;
}

/* --- the streams -------------------------------------------------------------------- */

enum status carriers_take(struct carriers *c, int fd, bool unix_socket, struct io **out)
{
    struct io_carrier *least = &c->list[0].streams;

    assert(!c->closing);
    for (unsigned i = 1; i < c->count; i++) {
        if (c->list[i].streams.open_now < least->open_now)
            least = &c->list[i].streams;
    }
    return io_carried_open(least, fd, unix_socket, out);
}

unsigned carriers_count(const struct carriers *c)
{
    return c->count;
}

uint32_t carriers_open_now(const struct carriers *c, unsigned i)
{
    return c->list[i].streams.open_now;
}
