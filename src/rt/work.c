#include "rt/work.h"

#include <assert.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "rt/work_lanes.h"

/* A tenth of a loop's share where both want one core. */
#define BESIDE_NICE     5
#define BACKGROUND_NICE 10

struct worker {
    struct work_pool *pool;
    unsigned number;
    uint64_t began_us; /* its last batch */
    pthread_t thread;
};

struct work_pool {
    struct work_pool_options o;
    pthread_mutex_t mutex; /* guards everything below it, down to `stopping` */
    pthread_cond_t nonempty;
    struct work_lanes todo;
    uint64_t pushed_out; /* items */
    unsigned idle;       /* workers that wait for a first item */
    unsigned gathering;  /* workers that wait for their batch to fill */
    bool stopping;

    /* The owner and every item in flight: an item may be canceled after the pool was
     * closed, until its `done` came. */
    atomic_uint refs;

    unsigned nthreads;
    struct worker workers[];
};

static void unref(struct work_pool *p)
{
    /* acq_rel: who frees has seen all that the others did with it. */
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_cond_destroy(&p->nonempty);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

static void on_back(struct loop_msg *m)
{
    struct work *w = CONTAINER_OF(m, struct work, back);
    struct work_pool *p = w->pool;

    loop_unref(w->home);
    w->done(w, work_canceled(w) ? ST_CANCELED : w->pushed_out ? ST_OVERLOAD : ST_OK);
    unref(p);
}

/* Under the mutex. A batch is cheaper by the item than one after the other is, but who comes
 * alone does not wait. */
static void gather(struct work_pool *p, uint64_t at_us)
{
    struct timespec until = {.tv_sec = (time_t)(at_us / 1000000),
                             .tv_nsec = (long)(at_us % 1000000) * 1000};

    p->gathering++;
    while (p->todo.count < p->o.batch_max && !p->stopping &&
           pthread_cond_timedwait(&p->nonempty, &p->mutex, &until) == 0)
        ;
    p->gathering--;
}

/* Under the mutex; NULL: none waits. */
static struct work *take(struct work_pool *p)
{
    struct work *w = work_lanes_pop(&p->todo);

    if (w != NULL)
        w->queued = false;
    return w;
}

/* Takes up to batch_max items that wait, linked by next. NULL: the pool stops. */
static struct work *take_batch(struct worker *me)
{
    struct work_pool *p = me->pool;
    struct work *first = NULL, **tail = &first;

    pthread_mutex_lock(&p->mutex);
    do {
        p->idle++;
        while (p->todo.count == 0 && !p->stopping)
            pthread_cond_wait(&p->nonempty, &p->mutex);
        p->idle--;
        if (p->o.gather_us > 0 && me->began_us > 0)
            gather(p, me->began_us + p->o.gather_us);
    } while (p->todo.count == 0 && !p->stopping); /* canceled meanwhile */
    if (p->o.gather_us > 0)
        me->began_us = clock_now_us();
    for (unsigned i = 0; i < p->o.batch_max; i++) {
        struct work *w = take(p);

        if (w == NULL)
            break;
        *tail = w;
        tail = &w->next;
        *tail = NULL;
    }
    pthread_mutex_unlock(&p->mutex);
    return first;
}

/* On Linux both are a thread's own, and inherited by those it starts. Not to get them costs
 * order, not answers. sched(7): whoever wakes up on a core takes it from a SCHED_IDLE thread at
 * once. */
static void step_back(enum work_rank rank)
{
    static const struct sched_param none = {0};
    int nice = rank == WORK_BESIDE ? BESIDE_NICE : BACKGROUND_NICE;

    if (rank == WORK_LAST && sched_setscheduler(0, SCHED_IDLE, &none) == 0)
        return;
    /* One that stands further behind already stays there. */
    if (rank != WORK_EQUAL && getpriority(PRIO_PROCESS, 0) < nice)
        (void)!setpriority(PRIO_PROCESS, 0, nice);
}

/* A batch goes home in one piece: a loop that shares this core would otherwise take it back
 * for each item, to find that item alone. */
static void finish_batch(struct work *first)
{
    while (first != NULL) {
        struct work *last = first, *next;

        last->back.run = on_back;
        for (next = last->next; next != NULL && next->home == first->home; next = last->next) {
            next->back.run = on_back;
            last->back.next = &next->back;
            last = next;
        }
        /* `done` may free the items at once. */
        loop_post_list(first->home, &first->back, &last->back);
        first = next;
    }
}

static void *worker_main(void *arg)
{
    struct worker *me = arg;
    struct work *first;

    step_back(me->pool->o.rank);
    while ((first = take_batch(me)) != NULL) {
        first->run(first, me->number);
        if (!me->pool->o.lasting)
            finish_batch(first);
    }
    return NULL;
}

static void stop_workers(struct work_pool *p)
{
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->nonempty);
    pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->nthreads; i++)
        pthread_join(p->workers[i].thread, NULL);
    unref(p);
}

/* Signals are the main thread's: workers inherit a mask that blocks them all. */
static bool start_workers(struct work_pool *p, unsigned threads)
{
    sigset_t all, before;
    bool ok = true;

    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* a refused system call is answered where it was made */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; ok && i < threads; i++) {
        p->workers[i].pool = p;
        p->workers[i].number = i;
        ok = pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]) == 0;
        if (ok)
            p->nthreads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static int open_condition(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc != 0)
        return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
}

enum status work_pool_open(const struct work_pool_options *o, struct work_pool **out)
{
    struct work_pool *p = calloc(1, sizeof(*p) + o->threads * sizeof(p->workers[0]));

    assert(o->threads > 0 && o->queue_max > 0 && o->batch_max > 0);
    if (p == NULL)
        return ST_NOMEM;
    p->o = *o;
    atomic_init(&p->refs, 1);
    work_lanes_init(&p->todo, o->fair);
    if (pthread_mutex_init(&p->mutex, NULL) != 0)
        goto fail_mutex;
    if (open_condition(&p->nonempty) != 0)
        goto fail_cond;
    if (!start_workers(p, o->threads)) {
        stop_workers(p);
        return ST_UNAVAILABLE;
    }
    *out = p;
    return ST_OK;

fail_cond:
    pthread_mutex_destroy(&p->mutex);
fail_mutex:
    free(p);
    return ST_UNAVAILABLE;
}

void *work_pool_owner(const struct work_pool *p)
{
    return p->o.owner;
}

void work_pool_close(struct work_pool *p)
{
    struct work *left = NULL, **tail = &left, *w;

    pthread_mutex_lock(&p->mutex);
    p->stopping = true; /* refused from here on, or it would miss the sweep below */
    while ((w = take(p)) != NULL) {
        *tail = w;
        tail = &w->next;
        *tail = NULL;
    }
    pthread_mutex_unlock(&p->mutex);
    while ((w = left) != NULL) {
        left = w->next; /* `done` may free it at once */
        atomic_store_explicit(&w->canceled, true, memory_order_relaxed);
        loop_post(w->home, &w->back, on_back);
    }
    stop_workers(p);
}

/* Under the mutex, with a full queue. What `out` gets has to be told. */
static enum status make_room(struct work_pool *p, const struct work *w, struct work **out)
{
    *out = work_lanes_push_out(&p->todo, w);
    if (*out == NULL)
        return ST_OVERLOAD;
    (*out)->queued = false;
    (*out)->pushed_out = true;
    p->pushed_out++;
    return ST_OK;
}

enum status work_submit(struct work_pool *p, struct work *w, struct loop *home,
                        work_run_fn *run, work_done_fn *done)
{
    enum status st = ST_OK;
    struct work *out = NULL;

    w->run = run;
    w->done = done;
    w->home = home;
    w->pool = p;
    w->pushed_out = false;
    atomic_init(&w->canceled, false);

    pthread_mutex_lock(&p->mutex);
    if (p->stopping)
        st = ST_UNAVAILABLE;
    else if (p->todo.count >= p->o.queue_max)
        st = make_room(p, w, &out);
    if (st == ST_OK) {
        w->queued = true;
        work_lanes_push(&p->todo, w);
        loop_ref(home);
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
        if (p->idle > 0 || (p->gathering > 0 && p->todo.count == p->o.batch_max))
            pthread_cond_signal(&p->nonempty);
    }
    pthread_mutex_unlock(&p->mutex);
    if (out != NULL)
        loop_post(out->home, &out->back, on_back);
    return st;
}

struct work *work_next(struct work_pool *p)
{
    struct work *w;

    pthread_mutex_lock(&p->mutex);
    w = take(p);
    pthread_mutex_unlock(&p->mutex);
    return w;
}

void work_finish(struct work *w)
{
    loop_post(w->home, &w->back, on_back);
}

void work_cancel(struct work *w)
{
    struct work_pool *p = w->pool;
    bool waited;

    atomic_store_explicit(&w->canceled, true, memory_order_relaxed);
    pthread_mutex_lock(&p->mutex);
    waited = w->queued && work_lanes_remove(&p->todo, w);
    if (waited)
        w->queued = false;
    pthread_mutex_unlock(&p->mutex);
    if (waited)
        loop_post(w->home, &w->back, on_back);
}

unsigned work_pool_queued(struct work_pool *p)
{
    unsigned n;

    pthread_mutex_lock(&p->mutex);
    n = p->todo.count;
    pthread_mutex_unlock(&p->mutex);
    return n;
}

uint64_t work_pool_pushed_out(struct work_pool *p)
{
    uint64_t n;

    pthread_mutex_lock(&p->mutex);
    n = p->pushed_out;
    pthread_mutex_unlock(&p->mutex);
    return n;
}
