/* Which threshold is recommended, and the interval it rests on. */
#include "cli/tune_curve.h"

#include <math.h>
#include <stdlib.h>

#include "check.h"

static struct tune_pair pairs[2000];

static struct tune_pairs list(size_t n)
{
    return (struct tune_pairs){.pair = pairs, .count = n};
}

/* Known values: 0 of 10, 5 of 10 and 1 of 100 (as any table of Wilson's interval has them). */
static void intervals(void **arg)
{
    struct tune_interval none = tune_curve_interval(0, 10), half = tune_curve_interval(5, 10),
                         one = tune_curve_interval(1, 100), empty = tune_curve_interval(0, 0);

    (void)arg;
    assert_true(none.low == 0 && fabs(none.high - 0.2775) < 1e-4);
    assert_true(fabs(half.low - 0.2366) < 1e-4 && fabs(half.high - 0.7634) < 1e-4);
    assert_true(fabs(one.low - 0.0018) < 1e-4 && fabs(one.high - 0.0545) < 1e-4);
    assert_true(empty.low == 0 && empty.high == 1);
}

/* 1000 pairs that are the same, P evenly from 0 to 1; 1000 that are not, up to .5. */
static void recommends(void **arg)
{
    struct tune_pairs p = list(2000);
    struct tune_curve c;

    (void)arg;
    for (size_t i = 0; i < 2000; i++) {
        double at = (double)(i % 1000) / 1000;

        pairs[i] = (struct tune_pair){
            .same = i < 1000, .similarity = 0.9f, .probability = i < 1000 ? at : at / 2};
    }
    tune_curve_make(&p, 0.6f, 0.01, &c);
    assert_int_equal(c.same, 1000);
    assert_int_equal(c.other, 1000);
    assert_int_equal(c.points[0].right, 1000);
    assert_int_equal(c.points[0].wrong, 1000);
    assert_int_equal(c.points[75].right, 250);
    assert_int_equal(c.points[75].wrong, 0);
    /* .5 has none wrong, .49 has 20 of 2000: the upper end is .0154 */
    assert_int_equal(c.best, 50);
    tune_curve_make(&p, 0.6f, 0.02, &c);
    assert_int_equal(c.best, 49);
    tune_curve_make(&p, 0.95f, 0.01, &c); /* the floor lets nothing by */
    assert_int_equal(c.best, 0);
    assert_int_equal(c.points[0].right + c.points[0].wrong, 0);
    tune_curve_make(&p, 0.6f, 0.001, &c); /* of 2000 pairs nothing is that sure */
    assert_int_equal(c.best, -1);
}

static void guards_are_counted(void **arg)
{
    struct tune_pairs p = list(4);
    struct tune_guard g[2];
    struct tune_curve c;

    (void)arg;
    for (size_t i = 0; i < 4; i++)
        pairs[i] = (struct tune_pair){.same = i == 0, .similarity = 0.9f, .probability = 0.99};
    pairs[0].guard = pairs[1].guard = pairs[2].guard = "number";
    pairs[3].guard = "name";
    assert_int_equal(tune_curve_guards(&p, g, 2), 2);
    assert_string_equal(g[0].name, "number");
    assert_int_equal(g[0].same, 1);
    assert_int_equal(g[0].other, 2);
    assert_string_equal(g[1].name, "name");
    assert_int_equal(g[1].other, 1);
    tune_curve_make(&p, 0, 0.5, &c);
    assert_int_equal(c.points[0].right + c.points[0].wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals),
        cmocka_unit_test(recommends),
        cmocka_unit_test(guards_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
