/* Which cores a thread may run on is not POSIX. */
#define _GNU_SOURCE
#include "engine/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
/* YIELD does nothing on most; this waits for about as long as PAUSE. */
#define RELAX() __asm__ volatile("isb" ::: "memory")
#else
#define RELAX() ((void)0)
#endif

/* About 20 microseconds: longer than what lies between two products of a layer. */
#define SPINS 2000

/* A helper is late when the caller waits for it for longer than its own part of the round took,
 * and this. Then it shares its core with a stranger, and the wait may last a slice of the
 * scheduler's: it is called over to the caller's core, which is idle. Then the caller rests it,
 * working alone, for some times as long as it has waited, so that waits cost little of the
 * time. Twice as many times when it is late again within the time of the last rest; a core that
 * others take for a moment is soon used again.
 *
 * A helper that wakes up on the caller's core, because strangers have the others, would only
 * take it away: it sleeps on, and is rested as if it had been late by CROWDED_US. */
#define LATE_US     50
#define CROWDED_US  200
#define REST_LEAST  16
#define REST_MOST   256
#define REST_MAX_US 1000000

/* A thread takes 1 / SHARE of its part of what is left, so that pieces are few at first and
 * small at the end, when one thread waits for the other (Polychronopoulos and Kuck 1987); but
 * 1 / LEAST of its part of the whole, because each costs a trip of a cache line between the
 * cores (up to half a microsecond). */
#define SHARE 2
#define LEAST 16
/* What one core writes while another reads something else lies on lines of their own. */
#define LINE 64

struct threads;

struct helper {
    struct threads *of;
    pthread_t thread;
    _Atomic bool inside; /* the round */
};

struct threads {
    unsigned helpers;
    /* The call at hand. They change only while `round` is even (closed) and no helper is
     * busy; a helper says that it is busy before it looks whether the round is open. */
    threads_fn *fn;
    void *arg;
    size_t n, grain, least; /* pieces are of `least` or more, and multiples of `grain` */
    /* Of the caller only: when the last rest ends, how long it is, and how many times the
     * wait that led to it. */
    uint64_t rest_end_us, rest_us, rest;
    _Alignas(LINE) _Atomic unsigned round;
    _Atomic bool stopping;
    _Alignas(LINE) _Atomic size_t next;     /* taken so far; relaxed: only who gets it counts */
    _Alignas(LINE) _Atomic unsigned busy;   /* helpers inside the round */
    _Atomic bool waiting;                   /* the caller is, for helpers to leave the round */
    _Alignas(LINE) _Atomic unsigned asleep; /* helpers in pthread_cond_wait */
    _Atomic int cpu;                        /* the caller's core; relaxed: it may change */
    _Atomic unsigned crowding; /* helpers that woke up there since the last round */
    pthread_mutex_t mutex;     /* of the sleeps only */
    pthread_cond_t wake, left;
    struct helper list[];
};

static size_t piece_from(const struct threads *t, size_t from)
{
    size_t piece = (t->n - from) / ((t->helpers + 1) * SHARE);

    piece -= piece % t->grain;
    piece = piece > t->least ? piece : t->least;
    return piece < t->n - from ? piece : t->n - from;
}

static void take_pieces(struct threads *t)
{
    size_t from = atomic_load_explicit(&t->next, memory_order_relaxed);

    while (from < t->n) {
        size_t piece = piece_from(t, from);

        if (!atomic_compare_exchange_weak_explicit(&t->next, &from, from + piece,
                                                   memory_order_relaxed, memory_order_relaxed))
            continue;
        t->fn(t->arg, from, from + piece);
        from = atomic_load_explicit(&t->next, memory_order_relaxed);
    }
}

/* A round that is open and was not seen yet. */
static bool is_new(unsigned now, unsigned seen)
{
    return now != seen && (now & 1) != 0;
}

static bool is_crowding(const struct threads *t)
{
    int cpu = sched_getcpu(); /* -1: nobody knows */

    return cpu >= 0 && cpu == atomic_load_explicit(&t->cpu, memory_order_relaxed);
}

static unsigned wait_round(struct threads *t, unsigned seen)
{
    unsigned now, spins = is_crowding(t) ? 0 : SPINS;

    for (unsigned i = 0; i < spins; i++) {
        now = atomic_load_explicit(&t->round, memory_order_acquire);
        if (is_new(now, seen))
            return now;
        RELAX();
    }
    pthread_mutex_lock(&t->mutex);
    atomic_fetch_add(&t->asleep, 1);
    while (!is_new(now = atomic_load(&t->round), seen))
        pthread_cond_wait(&t->wake, &t->mutex);
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->mutex);
    return now;
}

static void leave_round(struct threads *t)
{
    if (atomic_fetch_sub(&t->busy, 1) != 1 || !atomic_load(&t->waiting))
        return;
    pthread_mutex_lock(&t->mutex);
    pthread_cond_signal(&t->left);
    pthread_mutex_unlock(&t->mutex);
}

/* A round began, its caller had done its part, and it ended. */
static void judge_round(struct threads *t, uint64_t start, uint64_t done, uint64_t end)
{
    uint64_t waited = end - done;
    bool crowded = atomic_load(&t->crowding) >= t->helpers;

    atomic_store(&t->crowding, 0);
    if (!crowded && waited <= done - start + LATE_US)
        return;
    if (crowded && waited < CROWDED_US)
        waited = CROWDED_US;
    if (start - t->rest_end_us > t->rest_us)
        t->rest = REST_LEAST;
    else if (t->rest < REST_MOST)
        t->rest *= 2;
    t->rest_us = waited * t->rest < REST_MAX_US ? waited * t->rest : REST_MAX_US;
    t->rest_end_us = end + t->rest_us;
}

/* Helpers inside the round may run on the caller's core only, or where they might before. */
static void call_over(struct threads *t, cpu_set_t *before)
{
    int cpu = atomic_load(&t->cpu);
    cpu_set_t here;

    if (cpu < 0 || cpu >= CPU_SETSIZE ||
        pthread_getaffinity_np(pthread_self(), sizeof(*before), before) != 0)
        return;
    CPU_ZERO(&here);
    CPU_SET((size_t)cpu, &here);
    for (unsigned i = 0; i < t->helpers; i++) {
        if (atomic_load(&t->list[i].inside))
            (void)pthread_setaffinity_np(t->list[i].thread, sizeof(here), &here);
    }
}

static void let_go(struct threads *t, const cpu_set_t *before)
{
    for (unsigned i = 0; i < t->helpers; i++)
        (void)pthread_setaffinity_np(t->list[i].thread, sizeof(*before), before);
}

/* The mutex is held. false: they are late. */
static bool wait_until(struct threads *t, uint64_t deadline_us)
{
    const struct timespec at = {(time_t)(deadline_us / 1000000),
                                (long)(deadline_us % 1000000) * 1000};

    while (atomic_load(&t->busy) != 0) {
        if (pthread_cond_timedwait(&t->left, &t->mutex, &at) != 0)
            return atomic_load(&t->busy) == 0;
    }
    return true;
}

/* A helper may have been taken off its core within a piece. */
static void wait_helpers(struct threads *t, uint64_t late_us)
{
    cpu_set_t before;

    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&t->busy, memory_order_acquire) == 0)
            return;
        RELAX();
    }
    CPU_ZERO(&before);
    pthread_mutex_lock(&t->mutex);
    /* An exchange, which no load passes: qemu lets one pass a store-release on x86, and the
     * helper's last signal was lost. */
    atomic_exchange(&t->waiting, true);
    if (!wait_until(t, late_us)) {
        call_over(t, &before);
        while (atomic_load(&t->busy) != 0)
            pthread_cond_wait(&t->left, &t->mutex);
    }
    atomic_store(&t->waiting, false);
    pthread_mutex_unlock(&t->mutex);
    if (CPU_COUNT(&before) > 0)
        let_go(t, &before);
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    struct threads *t = h->of;
    unsigned seen = 0;

    for (;;) {
        seen = wait_round(t, seen);
        if (atomic_load(&t->stopping))
            return NULL;
        if (is_crowding(t)) {
            atomic_fetch_add(&t->crowding, 1);
            continue;
        }
        atomic_fetch_add(&t->busy, 1);
        atomic_store_explicit(&h->inside, true, memory_order_relaxed);
        if (atomic_load(&t->round) == seen)
            take_pieces(t);
        atomic_store_explicit(&h->inside, false, memory_order_relaxed);
        leave_round(t);
    }
}

static void start_round(struct threads *t)
{
    atomic_fetch_add(&t->round, 1);
    if (atomic_load(&t->asleep) == 0)
        return;
    pthread_mutex_lock(&t->mutex);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

static bool init_waits(struct threads *t)
{
    pthread_condattr_t clock;
    bool done;

    if (pthread_condattr_init(&clock) != 0)
        return false;
    done = pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0 &&
           pthread_mutex_init(&t->mutex, NULL) == 0 && pthread_cond_init(&t->wake, NULL) == 0 &&
           pthread_cond_init(&t->left, &clock) == 0;
    pthread_condattr_destroy(&clock);
    return done;
}

enum status threads_open(unsigned count, struct threads **out)
{
    unsigned helpers = count > 0 ? count - 1 : 0;
    size_t bytes = (sizeof(struct threads) + helpers * sizeof(struct helper) + LINE - 1) &
                   ~(size_t)(LINE - 1);
    struct threads *t = aligned_alloc(LINE, bytes);
    sigset_t all, before;

    if (t == NULL)
        return ST_NOMEM;
    memset(t, 0, bytes);
    atomic_init(&t->cpu, -1);
    if (!init_waits(t)) {
        free(t);
        return ST_UNAVAILABLE;
    }
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* a refused system call is answered where it was made */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; t->helpers < helpers; t->helpers++) {
        struct helper *h = &t->list[t->helpers];

        h->of = t;
        if (pthread_create(&h->thread, NULL, helper_main, h) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* Fewer helpers than asked for are slower, not wrong. */
    *out = t;
    return ST_OK;
}

void threads_close(struct threads *t)
{
    atomic_store(&t->stopping, true);
    start_round(t);
    for (unsigned i = 0; i < t->helpers; i++)
        pthread_join(t->list[i].thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_cond_destroy(&t->left);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

void threads_run(struct threads *t, size_t n, size_t grain, threads_fn *fn, void *arg)
{
    size_t least = n / ((t->helpers + 1) * LEAST);
    uint64_t start, done;

    if (t->helpers == 0 || n <= grain || (start = clock_now_us()) < t->rest_end_us) {
        if (n > 0)
            fn(arg, 0, n);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    t->n = n;
    t->grain = grain;
    t->least = least > grain ? least - least % grain : grain;
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    atomic_store_explicit(&t->cpu, sched_getcpu(), memory_order_relaxed);
    start_round(t);
    take_pieces(t);
    done = clock_now_us();
    /* Every piece is taken: closed to those who come late, then those who are at one. */
    atomic_fetch_add(&t->round, 1);
    wait_helpers(t, done + (done - start) + LATE_US);
    judge_round(t, start, done, clock_now_us());
}
