#include "rt/loop.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "check.h"

struct note {
    struct loop_msg msg; /* first */
    struct loop *loop;
    unsigned number;
};

static unsigned next_number, chain_left;

static void in_order(struct loop_msg *m)
{
    struct note *n = (struct note *)m;

    assert_int_equal(n->number, next_number);
    next_number++;
}

static void chain(struct loop_msg *m)
{
    struct note *n = (struct note *)m;

    if (--chain_left > 0)
        loop_defer(n->loop, m, chain);
}

static void test_posts_keep_their_order(void **state)
{
    struct loop *l;
    struct note n[20];

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    next_number = 0;
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
        n[i].number = i;
        loop_post(l, &n[i].msg, in_order);
    }
    assert_int_equal(next_number, 0);   /* never from inside the call */
    CHECK_STATUS(ST_OK, loop_close(l)); /* delivers them */
    assert_int_equal(next_number, ARRAY_LEN(n));
}

static void test_deferred_runs_and_keeps_the_loop_alive(void **state)
{
    struct loop *l;
    struct note n[3];

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    next_number = 0;
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
        n[i].number = i;
        loop_defer(l, &n[i].msg, in_order);
    }
    assert_int_equal(next_number, 0);
    loop_run(l);
    assert_int_equal(next_number, ARRAY_LEN(n));
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* Longer than what one turn runs: sockets are heard between, nothing is lost. */
static void test_long_chain_of_deferred(void **state)
{
    struct loop *l;
    struct note n;

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    n.loop = l;
    chain_left = 1000;
    loop_defer(l, &n.msg, chain);
    loop_turn(l);
    assert_true(chain_left > 0);
    loop_run(l);
    assert_int_equal(chain_left, 0);
    CHECK_STATUS(ST_OK, loop_close(l));
}

enum { POSTERS = 4, POSTS = 2000 };

struct poster {
    struct loop *loop;
    unsigned next, got;
    struct posted {
        struct loop_msg msg; /* first */
        struct poster *from;
        unsigned number;
    } notes[POSTS];
};

static unsigned posters_left;

static void on_posted(struct loop_msg *m)
{
    struct posted *p = (struct posted *)m;

    assert_int_equal(p->number, p->from->next);
    p->from->next++;
    if (++p->from->got == POSTS) {
        posters_left--;
        loop_unref(p->from->loop);
    }
}

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (unsigned i = 0; i < POSTS; i++) {
        p->notes[i].from = p;
        p->notes[i].number = i;
        loop_post(p->loop, &p->notes[i].msg, on_posted);
    }
    return NULL;
}

/* The loop ends and is freed as soon as it has the last message, while its poster may
 * still be inside loop_post(): what ThreadSanitizer and ASan are asked here. */
static void test_posts_of_many_threads(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        struct poster *p = calloc(POSTERS, sizeof(*p));
        pthread_t threads[POSTERS];
        struct loop *l;

        assert_non_null(p);
        CHECK_STATUS(ST_OK, loop_open(&l));
        posters_left = POSTERS;
        for (unsigned i = 0; i < POSTERS; i++) {
            p[i].loop = l;
            loop_ref(l);
            assert_int_equal(pthread_create(&threads[i], NULL, post_all, &p[i]), 0);
        }
        loop_run(l);
        assert_int_equal(posters_left, 0);
        CHECK_STATUS(ST_OK, loop_close(l));
        for (unsigned i = 0; i < POSTERS; i++)
            pthread_join(threads[i], NULL);
        free(p);
    }
}

static void test_close_finds_what_leaks(void **state)
{
    struct loop *l;
    uv_idle_t left;

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    uv_idle_init(loop_uv(l), &left);
    CHECK_STATUS(ST_INTERNAL, loop_close(l));
    uv_close((uv_handle_t *)&left, NULL);
    loop_ref(l); /* an operation in flight */
    CHECK_STATUS(ST_INTERNAL, loop_close(l));
    loop_unref(l);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static void test_stop_outside_of_run(void **state)
{
    struct loop *l;

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    loop_stop(l);
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* Who shares the loop's core can tell whether it ran. */
static void test_turns_are_counted(void **state)
{
    struct loop *l;
    unsigned before;

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    before = loop_turns(l);
    loop_turn(l);
    assert_int_equal(before + 1, loop_turns(l));
    loop_turn(l);
    assert_int_equal(before + 2, loop_turns(l));
    CHECK_STATUS(ST_OK, loop_close(l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_are_counted),
        cmocka_unit_test(test_posts_keep_their_order),
        cmocka_unit_test(test_deferred_runs_and_keeps_the_loop_alive),
        cmocka_unit_test(test_long_chain_of_deferred),
        cmocka_unit_test(test_posts_of_many_threads),
        cmocka_unit_test(test_close_finds_what_leaks),
        cmocka_unit_test(test_stop_outside_of_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
