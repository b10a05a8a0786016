/* Every piece of a range is run once, by someone, before the call returns. */
#include "engine/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "check.h"

enum { MOST = 1000 };

struct run {
    unsigned char seen[MOST]; /* written by one thread each; read when all are done */
    size_t n, piece;
    _Atomic unsigned calls;
};

static void mark(void *arg, size_t from, size_t to)
{
    struct run *r = arg;

    atomic_fetch_add(&r->calls, 1);
    for (size_t i = from; i < to; i++)
        r->seen[i]++;
}

static void check(struct threads *t, struct run *r, size_t n, size_t piece)
{
    memset(r->seen, 0, sizeof(r->seen));
    atomic_store(&r->calls, 0);
    threads_run(t, n, piece, mark, r);
    for (size_t i = 0; i < MOST; i++) {
        if (r->seen[i] != (i < n))
            fail_msg("%zu by %zu: %zu was run %u times", n, piece, i, r->seen[i]);
    }
}

static void each_piece_once(void **state)
{
    const struct timespec nap = {0, 2000000}; /* long enough for helpers to fall asleep */
    static struct run r;

    (void)state;
    for (unsigned count = 0; count < 6; count++) {
        struct threads *t;

        CHECK_STATUS(ST_OK, threads_open(count, &t));
        for (size_t round = 0; round < 300; round++) {
            check(t, &r, round * 7 % MOST, 1 + round % 64);
            if (round % 100 == 99)
                nanosleep(&nap, NULL);
        }
        check(t, &r, 0, 1);
        check(t, &r, 1, 1);
        check(t, &r, MOST, MOST);
        threads_close(t);
    }
}

/* A round whose helper takes its time: it holds its first piece until the caller has done the
 * others and waited far longer than they took. */
struct late {
    pthread_t caller;
    _Atomic bool helped; /* a helper has a piece */
    _Atomic unsigned calls;
};

static void dawdle(void *arg, size_t from, size_t to)
{
    const struct timespec nap = {0, 20000000};
    struct late *l = arg;

    (void)from;
    (void)to;
    atomic_fetch_add(&l->calls, 1);
    if (pthread_equal(pthread_self(), l->caller) == 0) {
        atomic_store(&l->helped, true);
        nanosleep(&nap, NULL);
        return;
    }
    /* The helper may be asleep: it is waited for, but not for ever. */
    for (unsigned i = 0; i < 1000 && !atomic_load(&l->helped); i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void count_calls(void *arg, size_t from, size_t to)
{
    struct late *l = arg;

    (void)from;
    (void)to;
    atomic_fetch_add(&l->calls, 1);
}

static void a_late_helper_rests(void **state)
{
    struct late l = {.caller = pthread_self()};
    struct threads *t;
    unsigned alone = 0;

    (void)state;
    CHECK_STATUS(ST_OK, threads_open(2, &t));
    for (unsigned i = 0; i < 50 && alone == 0; i++) {
        atomic_store(&l.helped, false);
        threads_run(t, 64, 1, dawdle, &l);
        /* One that wakes up on this core, where nobody works meanwhile, helps not and rests. */
        atomic_store(&l.calls, 0);
        threads_run(t, 64, 1, count_calls, &l);
        alone = atomic_load(&l.calls) == 1;
    }
    assert_int_equal(1, alone);
    /* Not for ever. */
    for (unsigned i = 0; i < 10000 && alone == 1; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        atomic_store(&l.calls, 0);
        threads_run(t, 64, 1, count_calls, &l);
        alone = atomic_load(&l.calls) == 1;
    }
    assert_int_equal(0, alone);
    threads_close(t);
}

static void open_and_close_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct threads *t;

        CHECK_STATUS(ST_OK, threads_open(4, &t));
        threads_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_once),
        cmocka_unit_test(a_late_helper_rests),
        cmocka_unit_test(open_and_close_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
