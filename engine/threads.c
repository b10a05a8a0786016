#include "engine/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#else
#define RELAX() ((void)0)
#endif

/* About 20 microseconds: longer than what lies between two products of a layer. */
#define SPINS 2000

/* A helper is late when the caller waits for it for longer than its own part of the round took,
 * and this. */
#define LATE_US 50
/* Rounds that the caller then runs alone: twice as many each time, because a late helper shares
 * its core with a stranger and each wait may last a slice of the scheduler's. */
#define ALONE_LEAST 256
#define ALONE_MOST  16384
/* So many rounds in time, and the next late one counts as the first. */
#define GOOD_ROUNDS 1024

/* Pieces that a thread takes of a round: few, because each costs a trip of a cache line
 * between the cores (up to half a microsecond), and more than one, so that who is fast does
 * more. */
#define PIECES 4
/* What one core writes while another reads something else lies on lines of their own. */
#define LINE 64

struct threads {
    unsigned helpers;
    /* The call at hand. They change only while `round` is even (closed) and no helper is
     * busy; a helper says that it is busy before it looks whether the round is open. */
    threads_fn *fn;
    void *arg;
    size_t n, piece;
    /* Of the caller only. */
    unsigned alone; /* rounds still to be run without helpers */
    unsigned rest;  /* how many the next late helper costs */
    unsigned good;  /* rounds in time since the last late one */
    _Alignas(LINE) _Atomic unsigned round;
    _Atomic bool stopping;
    _Alignas(LINE) _Atomic size_t next;     /* taken so far; relaxed: only who gets it counts */
    _Alignas(LINE) _Atomic unsigned busy;   /* helpers inside the round */
    _Atomic bool waiting;                   /* the caller is, for helpers to leave the round */
    _Alignas(LINE) _Atomic unsigned asleep; /* helpers in pthread_cond_wait */
    pthread_mutex_t mutex;                  /* of the sleeps only */
    pthread_cond_t wake, left;
    pthread_t list[];
};

static void take_pieces(struct threads *t)
{
    for (;;) {
        size_t from = atomic_fetch_add_explicit(&t->next, t->piece, memory_order_relaxed);

        if (from >= t->n)
            return;
        t->fn(t->arg, from, from + t->piece < t->n ? from + t->piece : t->n);
    }
}

/* A round that is open and was not seen yet. */
static bool is_new(unsigned now, unsigned seen)
{
    return now != seen && (now & 1) != 0;
}

static unsigned wait_round(struct threads *t, unsigned seen)
{
    unsigned now;

    for (unsigned i = 0; i < SPINS; i++) {
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

/* From how long the caller worked and how long it then waited. */
static void judge_round(struct threads *t, uint64_t worked, uint64_t waited)
{
    if (waited <= worked + LATE_US) {
        if (++t->good >= GOOD_ROUNDS)
            t->rest = ALONE_LEAST;
        return;
    }
    t->good = 0;
    t->alone = t->rest;
    t->rest = t->rest * 2 < ALONE_MOST ? t->rest * 2 : ALONE_MOST;
}

/* A helper may have been taken off its core within a piece. The caller sleeps then, so that the
 * kernel moves the helper to the core that has become idle. */
static void wait_helpers(struct threads *t)
{
    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&t->busy, memory_order_acquire) == 0)
            return;
        RELAX();
    }
    pthread_mutex_lock(&t->mutex);
    atomic_store(&t->waiting, true);
    while (atomic_load(&t->busy) != 0)
        pthread_cond_wait(&t->left, &t->mutex);
    atomic_store(&t->waiting, false);
    pthread_mutex_unlock(&t->mutex);
}

static void *helper_main(void *arg)
{
    struct threads *t = arg;
    unsigned seen = 0;

    for (;;) {
        seen = wait_round(t, seen);
        if (atomic_load(&t->stopping))
            return NULL;
        atomic_fetch_add(&t->busy, 1);
        if (atomic_load(&t->round) == seen)
            take_pieces(t);
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

enum status threads_open(unsigned count, struct threads **out)
{
    unsigned helpers = count > 0 ? count - 1 : 0;
    size_t bytes =
        (sizeof(struct threads) + helpers * sizeof(pthread_t) + LINE - 1) & ~(size_t)(LINE - 1);
    struct threads *t = aligned_alloc(LINE, bytes);
    sigset_t all, before;

    if (t == NULL)
        return ST_NOMEM;
    memset(t, 0, bytes);
    t->rest = ALONE_LEAST;
    if (pthread_mutex_init(&t->mutex, NULL) != 0 || pthread_cond_init(&t->wake, NULL) != 0 ||
        pthread_cond_init(&t->left, NULL) != 0) {
        free(t);
        return ST_UNAVAILABLE;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (t->helpers < helpers &&
           pthread_create(&t->list[t->helpers], NULL, helper_main, t) == 0)
        t->helpers++;
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
        pthread_join(t->list[i], NULL);
    pthread_cond_destroy(&t->wake);
    pthread_cond_destroy(&t->left);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

void threads_run(struct threads *t, size_t n, size_t grain, threads_fn *fn, void *arg)
{
    size_t share = n / ((t->helpers + 1) * PIECES);
    uint64_t start, done;

    if (t->alone > 0)
        t->alone--;
    if (t->helpers == 0 || n <= grain || t->alone > 0) {
        if (n > 0)
            fn(arg, 0, n);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    t->n = n;
    t->piece = share > grain ? share - share % grain : grain;
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    start = clock_now_us();
    start_round(t);
    take_pieces(t);
    done = clock_now_us();
    /* Every piece is taken: closed to those who come late, then those who are at one. */
    atomic_fetch_add(&t->round, 1);
    wait_helpers(t);
    judge_round(t, done - start, clock_now_us() - done);
}
