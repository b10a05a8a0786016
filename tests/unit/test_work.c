#include "rt/work.h"

#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/compiler.h"
#include "check.h"

/* A gate that holds workers until it is opened: no sleeping. */
static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned inside;
    bool open;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_pass(void)
{
    pthread_mutex_lock(&gate.mutex);
    gate.inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
}

static void gate_wait_inside(unsigned n)
{
    pthread_mutex_lock(&gate.mutex);
    while (gate.inside < n)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
}

static void gate_set(bool open)
{
    pthread_mutex_lock(&gate.mutex);
    gate.open = open;
    if (!open)
        gate.inside = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

struct job {
    struct work work; /* first */
    unsigned ran, done;
    enum status st;
    struct job *next; /* submitted by `done`, to the same pool */
    enum status next_st;
    unsigned turn; /* of the loop, in which it was done */
};

static unsigned largest_batch;

static void run(struct work *first, unsigned worker)
{
    unsigned n = 0;

    (void)worker;
    for (struct work *w = first; w != NULL; w = w->next, n++)
        ((struct job *)w)->ran++;
    if (n > largest_batch)
        largest_batch = n; /* pools of one worker only */
}

static void run_batch(struct work *first, unsigned worker)
{
    (void)worker;
    for (struct work *w = first; w != NULL; w = w->next)
        ((struct job *)w)->ran++;
}

static void run_gated(struct work *first, unsigned worker)
{
    gate_pass();
    run(first, worker);
}

static void run_until_canceled(struct work *first, unsigned worker)
{
    gate_pass();
    run(first, worker);
    while (!work_canceled(first))
        ;
}

static void done(struct work *w, enum status st)
{
    struct job *j = (struct job *)w;

    j->done++;
    j->st = st;
    j->turn = loop_turns(w->home);
    if (j->next != NULL)
        j->next_st = work_submit(w->pool, &j->next->work, w->home, run_batch, done);
}

static void check_job(const struct job *j, unsigned ran, enum status st)
{
    assert_int_equal(j->done, 1);
    assert_int_equal(j->ran, ran);
    assert_int_equal(j->st, st);
}

static enum status open_pool(struct work_pool **p, unsigned threads, unsigned queue_max,
                             unsigned batch_max, void *owner)
{
    return work_pool_open(
        &(struct work_pool_options){
            .threads = threads, .queue_max = queue_max, .batch_max = batch_max, .owner = owner},
        p);
}

static void test_runs_each_once(void **state)
{
    enum { N = 200 };
    struct job *jobs = calloc(N, sizeof(*jobs));
    struct work_pool *p;
    struct loop *l;

    (void)state;
    assert_non_null(jobs);
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, open_pool(&p, 4, N, 1, &l));
    assert_ptr_equal(work_pool_owner(p), &l);
    for (unsigned i = 0; i < N; i++)
        CHECK_STATUS(ST_OK, work_submit(p, &jobs[i].work, l, run_batch, done));
    loop_run(l);
    for (unsigned i = 0; i < N; i++)
        check_job(&jobs[i], 1, ST_OK);
    work_pool_close(p);
    CHECK_STATUS(ST_OK, loop_close(l));
    free(jobs);
}

static void test_overload_is_refused_at_the_door(void **state)
{
    struct job jobs[5] = {0};
    struct work_pool *p;
    struct loop *l;

    (void)state;
    gate_set(false);
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, open_pool(&p, 1, 3, 1, NULL));
    CHECK_STATUS(ST_OK, work_submit(p, &jobs[0].work, l, run_gated, done));
    gate_wait_inside(1); /* running, so not counted */
    for (unsigned i = 1; i < 4; i++)
        CHECK_STATUS(ST_OK, work_submit(p, &jobs[i].work, l, run_gated, done));
    assert_int_equal(work_pool_queued(p), 3);
    CHECK_STATUS(ST_OVERLOAD, work_submit(p, &jobs[4].work, l, run_gated, done));
    gate_set(true);
    loop_run(l);
    for (unsigned i = 0; i < 4; i++)
        check_job(&jobs[i], 1, ST_OK);
    assert_int_equal(jobs[4].done, 0);
    work_pool_close(p);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static void test_takes_what_waits_together(void **state)
{
    struct job jobs[8] = {0};
    struct work_pool *p;
    struct loop *l;

    (void)state;
    gate_set(false);
    largest_batch = 0;
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, open_pool(&p, 1, 16, 4, NULL));
    CHECK_STATUS(ST_OK, work_submit(p, &jobs[0].work, l, run_gated, done));
    gate_wait_inside(1);
    for (unsigned i = 1; i < 8; i++)
        CHECK_STATUS(ST_OK, work_submit(p, &jobs[i].work, l, run_gated, done));
    gate_set(true);
    loop_run(l);
    for (unsigned i = 0; i < 8; i++)
        check_job(&jobs[i], 1, ST_OK);
    /* … and brings it home together. */
    for (unsigned i = 2; i < 8; i++)
        assert_true(i == 5 || jobs[i].turn == jobs[i - 1].turn);
    work_pool_close(p);
    assert_int_equal(largest_batch, 4);
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* The order in which work was run. */
static struct {
    const struct job *job[16];
    unsigned count;
} order;

static void run_noted(struct work *first, unsigned worker)
{
    gate_pass();
    run(first, worker);
    order.job[order.count++] = (struct job *)first;
}

static enum status submit_of(struct work_pool *p, struct job *j, struct loop *l,
                             uint64_t tenant)
{
    j->work.tenant = tenant;
    return work_submit(p, &j->work, l, run_noted, done);
}

static void open_fair(struct work_pool **p, struct loop **l, bool fair)
{
    gate_set(false);
    order.count = 0;
    CHECK_STATUS(ST_OK, loop_open(l));
    CHECK_STATUS(ST_OK, work_pool_open(
                            &(struct work_pool_options){
                                .threads = 1, .queue_max = 8, .batch_max = 1, .fair = fair},
                            p));
}

static void close_fair(struct work_pool *p, struct loop *l)
{
    gate_set(true);
    loop_run(l);
    work_pool_close(p);
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* Who sends one behind five of another's waits for one of them. */
static void test_tenants_take_turns(void **state)
{
    static const unsigned fair[] = {0, 6, 8, 1, 7, 2, 3, 4, 5};

    (void)state;
    for (unsigned is_fair = 0; is_fair < 2; is_fair++) {
        struct job jobs[9] = {0};
        struct work_pool *p;
        struct loop *l;

        open_fair(&p, &l, is_fair == 1);
        CHECK_STATUS(ST_OK, submit_of(p, &jobs[0], l, 1));
        gate_wait_inside(1);
        for (unsigned i = 1; i < 6; i++)
            CHECK_STATUS(ST_OK, submit_of(p, &jobs[i], l, 1));
        CHECK_STATUS(ST_OK, submit_of(p, &jobs[6], l, 63));
        CHECK_STATUS(ST_OK, submit_of(p, &jobs[7], l, 63));
        CHECK_STATUS(ST_OK, submit_of(p, &jobs[8], l, 64 << 20));
        assert_int_equal(work_pool_queued(p), 8);
        close_fair(p, l);
        assert_int_equal(order.count, 9);
        for (unsigned i = 0; i < 9; i++)
            assert_ptr_equal(order.job[i], &jobs[is_fair == 1 ? fair[i] : i]);
    }
}

/* In a full queue the newest of who has the most there makes room, until all have as many. */
static void test_the_longest_makes_room(void **state)
{
    struct job a[9] = {0}, b[5] = {0};
    struct work_pool *p;
    struct loop *l;

    (void)state;
    open_fair(&p, &l, true);
    CHECK_STATUS(ST_OK, submit_of(p, &a[0], l, 1));
    gate_wait_inside(1);
    for (unsigned i = 1; i < 9; i++)
        CHECK_STATUS(ST_OK, submit_of(p, &a[i], l, 1));
    for (unsigned i = 0; i < 4; i++)
        CHECK_STATUS(ST_OK, submit_of(p, &b[i], l, 2));
    CHECK_STATUS(ST_OVERLOAD, submit_of(p, &b[4], l, 2));
    /* One that has made room, but was not told yet, can be given up. */
    work_cancel(&a[8].work);
    assert_int_equal(work_pool_queued(p), 8);
    assert_int_equal(work_pool_pushed_out(p), 4);
    /* A place that is free again is anybody's. */
    work_cancel(&b[3].work);
    CHECK_STATUS(ST_OK, submit_of(p, &b[4], l, 2));
    close_fair(p, l);
    for (unsigned i = 0; i < 5; i++)
        check_job(&a[i], 1, ST_OK);
    for (unsigned i = 5; i < 8; i++)
        check_job(&a[i], 0, ST_OVERLOAD);
    check_job(&a[8], 0, ST_CANCELED);
    for (unsigned i = 0; i < 3; i++)
        check_job(&b[i], 1, ST_OK);
    check_job(&b[3], 0, ST_CANCELED);
    check_job(&b[4], 1, ST_OK);
}

/* Who comes alone goes at once; who comes next waits until the batch is full or the time is
 * over. */
static void test_gathers(void **state)
{
    const struct work_pool_options o = {.threads = 1,
                                        .queue_max = 16,
                                        .batch_max = 4,
                                        .gather_us = 60000000,
                                        .rank = WORK_BEHIND};
    const struct work_pool_options soon = {
        .threads = 1, .queue_max = 16, .batch_max = 4, .gather_us = 1000};
    struct job jobs[7] = {0};
    struct work_pool *p, *q;
    struct loop *l;

    (void)state;
    gate_set(true);
    largest_batch = 0;
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, work_pool_open(&o, &p));
    CHECK_STATUS(ST_OK, work_pool_open(&soon, &q));
    CHECK_STATUS(ST_OK, work_submit(p, &jobs[0].work, l, run_gated, done));
    loop_run(l);
    assert_int_equal(largest_batch, 1);
    for (unsigned i = 1; i < 5; i++)
        CHECK_STATUS(ST_OK, work_submit(p, &jobs[i].work, l, run_gated, done));
    loop_run(l);
    assert_int_equal(largest_batch, 4);
    for (unsigned i = 5; i < 7; i++) {
        CHECK_STATUS(ST_OK, work_submit(q, &jobs[i].work, l, run_gated, done));
        loop_run(l);
    }
    for (unsigned i = 0; i < 7; i++)
        check_job(&jobs[i], 1, ST_OK);
    work_pool_close(p);
    work_pool_close(q);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static int seen_policy, seen_nice;

static void run_look(struct work *w, unsigned worker)
{
    (void)worker;
    (void)w;
    seen_policy = sched_getscheduler(0);
    seen_nice = getpriority(PRIO_PROCESS, 0);
}

/* Where its threads stand; what is started from them stands there too. */
static void test_ranks(void **state)
{
    static const enum work_rank ranks[] = {WORK_EQUAL, WORK_BEHIND, WORK_LAST};
    int nice = getpriority(PRIO_PROCESS, 0);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const struct work_pool_options o = {
            .threads = 1, .queue_max = 1, .batch_max = 1, .rank = ranks[i]};
        struct job job = {0};
        struct work_pool *p;
        struct loop *l;

        CHECK_STATUS(ST_OK, loop_open(&l));
        CHECK_STATUS(ST_OK, work_pool_open(&o, &p));
        CHECK_STATUS(ST_OK, work_submit(p, &job.work, l, run_look, done));
        loop_run(l);
        work_pool_close(p);
        CHECK_STATUS(ST_OK, loop_close(l));
        assert_int_equal(seen_policy, ranks[i] == WORK_LAST ? SCHED_IDLE : SCHED_OTHER);
        if (ranks[i] == WORK_BEHIND && nice < 10)
            assert_int_equal(seen_nice, 10);
        else
            assert_int_equal(seen_nice, nice);
    }
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
}

static void test_cancel_what_waits_and_what_runs(void **state)
{
    struct job running = {0}, waiting = {0}, last = {0};
    struct work_pool *p;
    struct loop *l;

    (void)state;
    gate_set(false);
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, open_pool(&p, 1, 8, 1, NULL));
    CHECK_STATUS(ST_OK, work_submit(p, &running.work, l, run_until_canceled, done));
    gate_wait_inside(1);
    CHECK_STATUS(ST_OK, work_submit(p, &waiting.work, l, run_gated, done));
    CHECK_STATUS(ST_OK, work_submit(p, &last.work, l, run_gated, done));
    work_cancel(&waiting.work);
    work_cancel(&waiting.work); /* safe */
    work_cancel(&running.work);
    assert_int_equal(waiting.done, 0); /* never from inside work_cancel() */
    gate_set(true);
    loop_run(l);
    check_job(&running, 1, ST_CANCELED);
    check_job(&waiting, 0, ST_CANCELED);
    check_job(&last, 1, ST_OK);
    work_pool_close(p);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static void *open_gate(void *arg)
{
    struct work_pool *p = arg;

    /* Only when close has swept the queue, so that what waited cannot have run. */
    while (work_pool_queued(p) > 0)
        ;
    gate_set(true);
    return NULL;
}

static void test_close_with_items_in_flight(void **state)
{
    struct job jobs[4] = {0}, late = {0};
    struct work_pool *p;
    struct loop *l;
    pthread_t opener;

    (void)state;
    gate_set(false);
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, open_pool(&p, 1, 8, 1, NULL));
    CHECK_STATUS(ST_OK, work_submit(p, &jobs[0].work, l, run_gated, done));
    gate_wait_inside(1);
    for (unsigned i = 1; i < 4; i++)
        CHECK_STATUS(ST_OK, work_submit(p, &jobs[i].work, l, run_gated, done));
    assert_int_equal(pthread_create(&opener, NULL, open_gate, p), 0);
    work_pool_close(p);
    pthread_join(opener, NULL);
    assert_int_equal(jobs[0].done, 0); /* posted, not yet delivered */
    for (unsigned i = 0; i < 4; i++)
        jobs[i].next = &late;   /* whoever is last must still find the pool */
    work_cancel(&jobs[3].work); /* still in flight, so still allowed */
    loop_run(l);
    check_job(&jobs[0], 1, ST_OK);
    for (unsigned i = 1; i < 4; i++)
        check_job(&jobs[i], 0, ST_CANCELED);
    for (unsigned i = 0; i < 4; i++)
        CHECK_STATUS(ST_UNAVAILABLE, jobs[i].next_st);
    assert_int_equal(late.done, 0);
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* Several loops share a pool; each cancels some of what it submitted. Threads of their
 * own cannot fail a test: they leave a word. */
static void run_lasting(struct work *first, unsigned worker)
{
    struct work *taken[8], *w;
    size_t n = 0;

    (void)worker;
    gate_pass();
    taken[n++] = first;
    while (n < ARRAY_LEN(taken) && (w = work_next(first->pool)) != NULL)
        taken[n++] = w;
    while (n > 0) {
        struct job *job = CONTAINER_OF(taken[--n], struct job, work);

        job->ran++;
        work_finish(&job->work);
    }
}

static void test_lasting_work_takes_more_and_gives_each_back(void **state)
{
    enum { N = 6 };
    struct job jobs[N] = {{.ran = 0}};
    struct work_pool *p;
    struct loop *l;

    (void)state;
    gate_set(false);
    CHECK_STATUS(ST_OK, loop_open(&l));
    CHECK_STATUS(ST_OK, work_pool_open(
                            &(struct work_pool_options){
                                .threads = 1, .queue_max = N, .batch_max = 1, .lasting = true},
                            &p));
    CHECK_STATUS(ST_OK, work_submit(p, &jobs[0].work, l, run_lasting, done));
    gate_wait_inside(1);
    for (unsigned i = 1; i < N; i++)
        CHECK_STATUS(ST_OK, work_submit(p, &jobs[i].work, l, run_lasting, done));
    assert_int_equal(N - 1, work_pool_queued(p));
    work_cancel(&jobs[3].work);
    gate_set(true);
    loop_run(l);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(1, jobs[i].done);
        assert_int_equal(i == 3 ? 0 : 1, jobs[i].ran);
        CHECK_STATUS(i == 3 ? ST_CANCELED : ST_OK, jobs[i].st);
    }
    work_pool_close(p);
    CHECK_STATUS(ST_OK, loop_close(l));
}

struct driver {
    struct work_pool *pool;
    struct loop *loop;
    const char *complaint;
};

static const char *drive_loop(struct work_pool *p, struct loop *l, struct job *jobs, unsigned n)
{
    unsigned accepted = 0, finished = 0;

    for (unsigned i = 0; i < n; i++) {
        if (work_submit(p, &jobs[i].work, l, run_batch, done) != ST_OK)
            continue;
        accepted++;
        if (i % 3 == 0)
            work_cancel(&jobs[i].work);
        if (i % 16 == 0)
            loop_turn(l);
    }
    loop_run(l);
    for (unsigned i = 0; i < n; i++) {
        finished += jobs[i].done;
        if (jobs[i].done > 1 || jobs[i].ran > 1)
            return "an item came twice";
        if (jobs[i].done == 1 && jobs[i].st == ST_OK && jobs[i].ran == 0)
            return "an item was done without being run";
    }
    return finished == accepted ? NULL : "a done is missing";
}

static void *drive(void *arg)
{
    enum { N = 300 };
    struct driver *d = arg;
    struct job *jobs = calloc(N, sizeof(*jobs));

    d->complaint = "no memory";
    if (jobs != NULL)
        d->complaint = drive_loop(d->pool, d->loop, jobs, N);
    free(jobs);
    return NULL;
}

static void test_many_loops_share_a_pool(void **state)
{
    pthread_t threads[3];
    struct driver drivers[3];
    struct work_pool *p;

    (void)state;
    CHECK_STATUS(ST_OK, open_pool(&p, 3, 64, 4, NULL));
    /* Loops are opened and closed here: libuv closes descriptors by a bare system call,
     * so ThreadSanitizer would take a number that is used again for a race. */
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++) {
        drivers[i].pool = p;
        CHECK_STATUS(ST_OK, loop_open(&drivers[i].loop));
        assert_int_equal(pthread_create(&threads[i], NULL, drive, &drivers[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
        if (drivers[i].complaint != NULL)
            fail_msg("%s", drivers[i].complaint);
        CHECK_STATUS(ST_OK, loop_close(drivers[i].loop));
    }
    work_pool_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_each_once),
        cmocka_unit_test(test_overload_is_refused_at_the_door),
        cmocka_unit_test(test_takes_what_waits_together),
        cmocka_unit_test(test_tenants_take_turns),
        cmocka_unit_test(test_the_longest_makes_room),
        cmocka_unit_test(test_gathers),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_cancel_what_waits_and_what_runs),
        cmocka_unit_test(test_close_with_items_in_flight),
        cmocka_unit_test(test_lasting_work_takes_more_and_gives_each_back),
        cmocka_unit_test(test_many_loops_share_a_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
