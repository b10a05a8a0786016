/* The worth of a choice between two models: small cases by hand. */
#include "router/curve.h"

#include <math.h>

#include "check.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

/* Four questions, the large model better at two of them. */
static void fill(struct curve_outcome *o, double a, double b, double c, double d)
{
    o[0] = (struct curve_outcome){0, 1, a};
    o[1] = (struct curve_outcome){1, 1, b};
    o[2] = (struct curve_outcome){0, 1, c};
    o[3] = (struct curve_outcome){0, 0, d};
}

static void worth(void **arg)
{
    struct curve_outcome o[4];
    struct curve_worth w;

    (void)arg;
    /* Both first: 0, .5, 1, 1, 1 at five shares: trapezoids .25 + .75 + 1 + 1 of 4. */
    fill(o, 0.9, 0.2, 0.8, 0.1);
    w = curve_worth_of(o, 4);
    assert_true(near(w.apgr, 0.75) && near(w.cpt50, 0.25));
    /* Both last. */
    fill(o, 0.1, 0.8, 0.2, 0.9);
    w = curve_worth_of(o, 4);
    assert_true(near(w.apgr, 0.25) && near(w.cpt50, 0.75));
    /* No opinion is worth what chance is, whatever the order. */
    fill(o, 0.5, 0.5, 0.5, 0.5);
    w = curve_worth_of(o, 4);
    assert_true(near(w.apgr, 0.5) && near(w.cpt50, 0.5));
    /* Where the small one is better, sending there costs. */
    o[0] = (struct curve_outcome){0, 1, 0.9};
    o[1] = (struct curve_outcome){0, 1, 0.8};
    o[2] = (struct curve_outcome){1, 0, 0.1};
    w = curve_worth_of(o, 3);
    assert_true(near(w.apgr, (0.5 + 1.5 + 1.5) / 3));
}

static void no_gap(void **arg)
{
    struct curve_outcome o[2] = {{1, 0, 0.5}, {1, 1, 0.4}};

    (void)arg;
    assert_true(isnan(curve_worth_of(o, 2).apgr));
    assert_true(isnan(curve_worth_of(o, 0).cpt50));
}

static void calibration(void **arg)
{
    const double p[] = {0.15, 0.15, 0.95, 1}, y[] = {0, 1, 1, 1};

    (void)arg;
    /* First bin: .3 expected, 1 found; last: 1.95 expected, 2 found. */
    assert_true(near(curve_calibration_error(p, y, 4), (0.7 + 0.05) / 4));
    assert_true(curve_calibration_error(p, y, 0) == 0);
}

static void settings(void **arg)
{
    static struct curve_setting s[CURVE_SETTINGS];
    struct curve_outcome o[4];

    (void)arg;
    fill(o, 0.9, 0.2, 0.8, 0.1);
    (void)curve_worth_of(o, 4);
    curve_settings(o, 4, s);
    assert_true(s[0].large == 0 && near(s[0].quality, 0.5) && s[0].loss == 1);
    assert_true(near(s[25].large, 0.25) && near(s[25].quality, 0.25) && s[25].loss == 0.8);
    assert_true(near(s[50].large, 0.5) && near(s[50].quality, 0) && s[50].loss == 0.2);
    assert_true(s[100].large == 1 && near(s[100].quality, 0) && s[100].loss == -1);
    for (int i = 1; i < CURVE_SETTINGS; i++)
        assert_true(s[i].loss <= s[i - 1].loss && s[i].large >= s[i - 1].large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worth),
        cmocka_unit_test(no_gap),
        cmocka_unit_test(calibration),
        cmocka_unit_test(settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
