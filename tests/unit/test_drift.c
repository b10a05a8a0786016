/* The test for a drift: quiet while labels come as expected, soon there when they do not. */
#include "cache/drift.h"

#include <stdint.h>

#include "check.h"

static uint64_t state = 1;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* Labels of which a share `wrong` is wrong, where `expected` was: how often there is a drift.
 */
static unsigned count(double wrong, double expected, unsigned labels)
{
    struct drift d = {0};
    unsigned alarms = 0;

    for (unsigned i = 0; i < labels; i++) {
        alarms += drift_observe(&d, uniform() < wrong, expected);
        assert_true(d.evidence >= 0);
    }
    return alarms;
}

static void labels_as_expected_are_none(void **arg)
{
    (void)arg;
    assert_in_range(count(0.1, 0.1, 20000), 0, 40);
    assert_int_equal(count(0.05, 0.1, 20000), 0);
    assert_int_equal(count(0, 0.3, 20000), 0);
}

static void more_wrong_ones_are(void **arg)
{
    (void)arg;
    for (unsigned i = 0; i < 100; i++)
        assert_in_range(count(0.4, 0.1, 100), 1, 40);
}

/* What was good for long does not count against what is bad now. */
static void the_past_does_not_hide_it(void **arg)
{
    struct drift d = {0};
    unsigned needed = 0;

    (void)arg;
    for (unsigned i = 0; i < 100000; i++)
        assert_false(drift_observe(&d, false, 0.1));
    while (!drift_observe(&d, true, 0.1))
        needed++;
    assert_in_range(needed, 1, 10);
}

/* A label that nobody expected is weighed, not infinitely. */
static void no_single_label_decides(void **arg)
{
    struct drift d = {0};

    (void)arg;
    assert_false(drift_observe(&d, true, 0));
    assert_false(drift_observe(&d, false, 1));
    assert_true(d.evidence >= 0 && d.evidence < 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_as_expected_are_none),
        cmocka_unit_test(more_wrong_ones_are),
        cmocka_unit_test(the_past_does_not_hide_it),
        cmocka_unit_test(no_single_label_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
