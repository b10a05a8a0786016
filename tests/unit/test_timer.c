/* Deadlines under a clock that is turned by hand. */
#include "rt/timer.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "check.h"
#include "rt/loop.h"

struct deadline {
    struct timer timer; /* first */
    struct loop *loop;
    uint64_t at_us;
    unsigned fired;
};

static uint64_t last_us;
static unsigned fired;

static void on_fire(struct timer *t)
{
    struct deadline *d = (struct deadline *)t;

    assert_true(d->at_us >= last_us);
    assert_true(d->at_us <= loop_now_us(d->loop));
    last_us = d->at_us;
    d->fired++;
    fired++;
}

static void again(struct timer *t)
{
    struct deadline *d = (struct deadline *)t;

    d->fired++;
    timer_start(d->loop, t, 0, again);
}

static struct loop *open_loop(void)
{
    struct loop *l;

    CHECK_STATUS(ST_OK, loop_open(&l));
    loop_set_now_us(l, 1000);
    last_us = 0;
    fired = 0;
    return l;
}

static void start(struct deadline *d, struct loop *l, uint64_t after_us)
{
    d->loop = l;
    d->at_us = loop_now_us(l) + after_us;
    timer_start(l, &d->timer, after_us, on_fire);
}

static void test_fires_when_due_and_once(void **state)
{
    struct loop *l = open_loop();
    struct deadline d = {0};

    (void)state;
    start(&d, l, 500);
    loop_set_now_us(l, 1499);
    assert_int_equal(d.fired, 0);
    loop_set_now_us(l, 1500);
    assert_int_equal(d.fired, 1);
    loop_set_now_us(l, 1000000);
    assert_int_equal(d.fired, 1);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static void test_moves_and_stops(void **state)
{
    struct loop *l = open_loop();
    struct deadline a = {0}, b = {0};

    (void)state;
    start(&a, l, 500);
    start(&b, l, 600);
    start(&a, l, 900); /* later */
    start(&b, l, 100); /* sooner */
    loop_set_now_us(l, 1600);
    assert_int_equal(a.fired, 0);
    assert_int_equal(b.fired, 1);
    timer_stop(l, &a.timer);
    timer_stop(l, &a.timer); /* safe */
    loop_set_now_us(l, 9000);
    assert_int_equal(a.fired, 0);
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* Any order of starts, moves and stops: what is due fires, in order, and only that. */
static void test_many_in_order(void **state)
{
    enum { N = 500 };
    struct loop *l = open_loop();
    struct deadline *d = calloc(N, sizeof(*d));
    unsigned seed = 1, due = 0;

    (void)state;
    assert_non_null(d);
    for (unsigned i = 0; i < 5 * N; i++) {
        struct deadline *x;

        seed = seed * 1103515245u + 12345u;
        x = &d[(seed >> 8) % N];
        if (i % 7 == 0)
            timer_stop(l, &x->timer);
        else
            start(x, l, (seed >> 4) % 10000);
    }
    for (unsigned i = 0; i < N; i++)
        due += d[i].timer.slot != 0 && d[i].at_us <= 5000;
    loop_set_now_us(l, 5000);
    assert_int_equal(fired, due);
    for (unsigned i = 0; i < N; i++)
        due += d[i].timer.slot != 0;
    loop_set_now_us(l, 50000);
    assert_int_equal(fired, due);
    free(d);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static void test_endless_timer_does_not_hold_the_loop(void **state)
{
    struct loop *l = open_loop();
    struct deadline d = {.loop = l};

    (void)state;
    timer_start(l, &d.timer, 0, again);
    loop_turn(l);
    loop_turn(l);
    assert_int_equal(d.fired, 2);
    timer_stop(l, &d.timer);
    CHECK_STATUS(ST_OK, loop_close(l));
}

static void test_far_future_does_not_wrap(void **state)
{
    struct loop *l = open_loop();
    struct deadline d = {0};

    (void)state;
    d.loop = l;
    timer_start(l, &d.timer, UINT64_MAX, on_fire);
    loop_set_now_us(l, UINT64_MAX - 1);
    assert_int_equal(d.fired, 0);
    timer_stop(l, &d.timer);
    CHECK_STATUS(ST_OK, loop_close(l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires_when_due_and_once),
        cmocka_unit_test(test_moves_and_stops),
        cmocka_unit_test(test_many_in_order),
        cmocka_unit_test(test_endless_timer_does_not_hold_the_loop),
        cmocka_unit_test(test_far_future_does_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
