/* The logistic regression that learns as it goes: against a batch fit's properties on data
 * with known weights. */
#include "cache/logistic.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"

static const double zero[LOGISTIC_INPUTS];
static const double loose[LOGISTIC_INPUTS] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
static uint64_t state = 42;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void draw(double *x)
{
    for (int i = 0; i < LOGISTIC_INPUTS; i++)
        x[i] = i == 0 ? 1 : i < 3 ? 4 * uniform() - 2 : 0;
}

/* Labels by w = (-0.5, 2, -1); of the right ones a share `flipped` says 0. */
static void teach(struct logistic *l, int n, double flipped, double told)
{
    for (int k = 0; k < n; k++) {
        double x[LOGISTIC_INPUTS], p;

        draw(x);
        p = logistic_of(-0.5 + 2 * x[1] - x[2]);
        logistic_learn(l, x, uniform() < p && uniform() >= flipped, told, 0, loose);
    }
}

static void finds_the_weights(void **arg)
{
    struct logistic l;

    (void)arg;
    logistic_init(&l, zero, loose);
    teach(&l, 4000, 0, 0);
    assert_true(fabs(l.weight[0] + 0.5) < 0.25);
    assert_true(fabs(l.weight[1] - 2) < 0.35);
    assert_true(fabs(l.weight[2] + 1) < 0.25);
}

/* One that knows of the wrong labels is not drawn away by them; one that does not, is. */
static void bears_wrong_labels(void **arg)
{
    struct logistic knows, trusts;
    const double x[LOGISTIC_INPUTS] = {1, 2, -2};

    (void)arg;
    logistic_init(&knows, zero, loose);
    logistic_init(&trusts, zero, loose);
    teach(&knows, 6000, 0.15, 0.15);
    teach(&trusts, 6000, 0.15, 0);
    assert_true(logistic_of(logistic_score(&knows, x)) > 0.97);
    assert_true(logistic_of(logistic_score(&trusts, x)) <
                logistic_of(logistic_score(&knows, x)) - 0.02);
}

static void is_surer_with_more(void **arg)
{
    const double x[LOGISTIC_INPUTS] = {1, 1, 1};
    struct logistic l;
    double first, then;

    (void)arg;
    logistic_init(&l, zero, loose);
    first = logistic_deviation(&l, x);
    assert_true(fabs(first - sqrt(3 / 0.1)) < 1e-9); /* of the prior: sum x^2 / precision */
    teach(&l, 100, 0, 0);
    then = logistic_deviation(&l, x);
    assert_true(then < first / 4);
    /* What fades leaves less. */
    for (int i = 0; i < 5000; i++)
        logistic_learn(&l, zero, true, 0, 1e-2, loose);
    assert_true(logistic_deviation(&l, x) > 4 * then);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_weights),
        cmocka_unit_test(bears_wrong_labels),
        cmocka_unit_test(is_surer_with_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
