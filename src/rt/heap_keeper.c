#include "rt/heap_keeper.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/clock.h"

struct heap_keeper {
    uint64_t every_us;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards the following */
    pthread_cond_t changed;
    bool stopped;
    struct heap_keeper_stats stats;
};

/* Not under the keeper's lock: who asks for figures must not wait for it. */
static void trim(struct heap_keeper_stats *s)
{
    uint64_t start_us = clock_now_us(), us;

#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    us = clock_now_us() - start_us;
    s->us_total += us;
    s->us_max = us > s->us_max ? us : s->us_max;
    s->trims_total++;
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    {
        struct mallinfo2 m = mallinfo2();

        s->used_bytes = m.uordblks + m.hblkhd;
        s->free_bytes = m.fordblks;
    }
#endif
}

/* False: it is stopped. */
static bool wait_until(struct heap_keeper *k, uint64_t us)
{
    const struct timespec until = {.tv_sec = (time_t)(us / 1000000),
                                   .tv_nsec = (long)(us % 1000000) * 1000};
    int rc = 0;

    while (!k->stopped && rc == 0)
        rc = pthread_cond_timedwait(&k->changed, &k->mutex, &until);
    return !k->stopped;
}

static void *keeper_main(void *arg)
{
    struct heap_keeper *k = arg;
    struct heap_keeper_stats stats = {0};

    pthread_mutex_lock(&k->mutex);
    while (wait_until(k, clock_now_us() + k->every_us)) {
        pthread_mutex_unlock(&k->mutex);
        trim(&stats);
        pthread_mutex_lock(&k->mutex);
        k->stats = stats;
    }
    pthread_mutex_unlock(&k->mutex);
    return NULL;
}

/* Waits by the clock of clock_now_us(). */
static bool init_condition(pthread_cond_t *c)
{
    pthread_condattr_t a;
    bool ok;

    if (pthread_condattr_init(&a) != 0)
        return false;
    ok = pthread_condattr_setclock(&a, CLOCK_MONOTONIC) == 0 && pthread_cond_init(c, &a) == 0;
    pthread_condattr_destroy(&a);
    return ok;
}

enum status heap_keeper_open(uint64_t every_us, struct heap_keeper **out)
{
    struct heap_keeper *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return ST_NOMEM;
    k->every_us = every_us;
    if (pthread_mutex_init(&k->mutex, NULL) != 0)
        goto fail_mutex;
    if (!init_condition(&k->changed))
        goto fail_cond;
    if (pthread_create(&k->thread, NULL, keeper_main, k) != 0)
        goto fail_thread;
    *out = k;
    return ST_OK;

fail_thread:
    pthread_cond_destroy(&k->changed);
fail_cond:
    pthread_mutex_destroy(&k->mutex);
fail_mutex:
    free(k);
    return ST_NOMEM;
}

void heap_keeper_close(struct heap_keeper *k)
{
    pthread_mutex_lock(&k->mutex);
    k->stopped = true;
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->mutex);
    pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

void heap_keeper_stats(struct heap_keeper *k, struct heap_keeper_stats *out)
{
    pthread_mutex_lock(&k->mutex);
    *out = k->stats;
    pthread_mutex_unlock(&k->mutex);
}
