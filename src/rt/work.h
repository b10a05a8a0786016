/* Named, bounded worker pools for work that would stall an event loop.
 *
 * One pool per kind of work (encoder, model, store), so that a slow kind can
 * never starve another, and each with a hard queue limit, so that overload is
 * refused at the door instead of growing latency. Pools belong to no loop: an
 * item says which loop its `done` runs on, so any number of loops share a pool.
 *
 * Contract: work_submit() returning ST_OK means `done` is called exactly once,
 * on `home`'s thread, never from inside work_submit() or work_cancel(). Any
 * other return means it is never called. The item must stay alive from submit
 * until `done` starts. */
#ifndef RT_WORK_H
#define RT_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/status.h"
#include "rt/loop.h"

struct work;
struct work_pool;

/* On a worker; `worker` is 0..threads-1, so that a pool can keep one engine
 * session per worker. `first` is the head of a batch of 1..batch_max items, taken
 * off the queue together and linked by ->next (NULL ends it); every one of them
 * gets its own `done` (of lasting work: when it is finished). Touches nothing but the items'
 * own data. */
typedef void work_run_fn(struct work *first, unsigned worker);
/* On the home loop. ST_OK, or ST_CANCELED whether or not `run` had started; of a fair pool also
 * ST_OVERLOAD: it made room for another tenant's. */
typedef void work_done_fn(struct work *w, enum status st);

/* Embed in the struct that holds the input and the output of the work. */
struct work {
    work_run_fn *run;
    work_done_fn *done;
    struct loop *home;
    uint64_t tenant; /* of a fair pool: whose it is, work_tenant(); set before work_submit() */
    struct work_pool *pool;
    struct work *next;
    struct loop_msg back;
    atomic_bool canceled; /* long `run`s poll it and return early */
    bool queued;          /* guarded by pool->mutex */
    bool pushed_out;      /* likewise, until it is on its way back */
};

/* Where its threads, and those that they start, stand when others want the same core. */
enum work_rank {
    WORK_EQUAL,
    WORK_BESIDE, /* loops go first, a quarter of a share is left */
    WORK_BEHIND, /* … a tenth of it is left */
    WORK_LAST,   /* nothing is left while somebody else wants it (SCHED_IDLE) */
};

struct work_pool_options {
    unsigned threads;   /* 1 or more */
    unsigned queue_max; /* items that wait; those being run are not counted */
    unsigned batch_max; /* waiting items that a worker takes at once (1: one by one); all
                           items of a pool with batches have the same `run` */
    uint64_t gather_us; /* a worker's batches begin so far apart unless they are full; the
                           first after a pause at once. 0: no matter */
    enum work_rank rank;
    bool lasting; /* `run` goes on with others: it takes them with work_next(), and gives
                     each item back with work_finish() before it returns */
    bool fair;    /* tenants take turns (work_lanes.h); else first in, first out */
    void *owner;
};

enum status work_pool_open(const struct work_pool_options *o,
                           struct work_pool **out) MUST_CHECK;

/* The `owner` given at open. Any thread. */
void *work_pool_owner(const struct work_pool *p);

/* Cancels what is queued and joins the workers: blocks until what runs has
 * returned, so the owner cancels that first. Every `done` of an item in flight is posted before
 * this returns; the loops must still run to deliver them. */
void work_pool_close(struct work_pool *p);

/* From the home loop's thread. ST_OVERLOAD when the queue is full: the caller
 * degrades, it does not wait. */
enum status work_submit(struct work_pool *p, struct work *w, struct loop *home,
                        work_run_fn *run, work_done_fn *done) MUST_CHECK;

/* Of a pool of lasting work, within `run`. The item that waits the longest, taken off the
 * queue; NULL: none waits. */
struct work *work_next(struct work_pool *p);
/* Its `done` comes; the worker has nothing to do with it any more. */
void work_finish(struct work *w);

/* From the home loop's thread, only for an item in flight. Asks for an early
 * end; `done` still comes, with ST_CANCELED. Safe to call twice. */
void work_cancel(struct work *w);

/* Items waiting now; any thread. */
unsigned work_pool_queued(struct work_pool *p);
/* Items that made room so far; any thread. */
uint64_t work_pool_pushed_out(struct work_pool *p);

/* `hash`: what tenants are told apart by; of its bytes the first ones. */
static inline uint64_t work_tenant(const uint8_t hash[sizeof(uint64_t)])
{
    uint64_t tenant;

    memcpy(&tenant, hash, sizeof(tenant));
    return tenant;
}

static inline bool work_canceled(const struct work *w)
{
    return atomic_load_explicit(&w->canceled, memory_order_relaxed);
}

#endif
