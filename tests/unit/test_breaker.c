#include "cache/breaker.h"
#include "check.h"

static void it_opens_after_failures_in_a_row_only(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, 3, 100, 1000, 1);
    assert_false(breaker_failure(&b, 1));
    assert_false(breaker_failure(&b, 2));
    breaker_success(&b);
    assert_false(breaker_failure(&b, 3));
    assert_false(breaker_failure(&b, 4));
    assert_true(breaker_allow(&b, 4));
    assert_false(breaker_is_open(&b));
    assert_true(breaker_failure(&b, 5));
    assert_true(breaker_is_open(&b));
    assert_false(breaker_allow(&b, 6));
}

static void after_the_pause_one_is_let_through(void **state)
{
    struct breaker b;
    uint64_t now = 1000;

    (void)state;
    breaker_init(&b, 1, 100, 1000, 1);
    assert_true(breaker_failure(&b, now));
    now += breaker_pause_left_us(&b, now);
    assert_true(breaker_allow(&b, now));
    assert_false(breaker_allow(&b, now)); /* one */
    breaker_success(&b);
    assert_true(breaker_allow(&b, now));
    assert_true(breaker_allow(&b, now));
}

static void pauses_grow_to_a_limit_and_differ(void **state)
{
    struct breaker a, b;
    uint64_t want = 100, now = 5, same = 0;

    (void)state;
    breaker_init(&a, 1, 100, 1000, 1);
    breaker_init(&b, 1, 100, 1000, 2);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t pause;

        breaker_failure(&a, now);
        breaker_failure(&b, now);
        pause = breaker_pause_left_us(&a, now);
        assert_in_range(pause, want * 3 / 4, want * 5 / 4);
        same += pause == breaker_pause_left_us(&b, now);
        now += 5000;
        want = want * 2 > 1000 ? 1000 : want * 2;
    }
    assert_true(same < 10);
    breaker_close(&a); /* the pause stays long */
    breaker_failure(&a, now);
    assert_true(breaker_pause_left_us(&a, now) >= 750);
    breaker_success(&a);
    breaker_failure(&a, now);
    assert_true(breaker_pause_left_us(&a, now) <= 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_after_failures_in_a_row_only),
        cmocka_unit_test(after_the_pause_one_is_let_through),
        cmocka_unit_test(pauses_grow_to_a_limit_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
