/* Logistic regression in one go: against known weights, the condition of an optimum, and
 * probabilities that are known to be bent. */
#include "router/regression.h"

#include <math.h>

#include <stdlib.h>
#include <string.h>

#include "check.h"

#define ROWS    4000
#define COLUMNS 4

static uint64_t state = 42;
static float x[ROWS * COLUMNS];
static double y[ROWS];
static bool use[ROWS];

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* Labels by w = (-0.5, 2, -1, 0). */
static void draw(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        float *row = x + i * COLUMNS;

        row[0] = 1;
        for (size_t k = 1; k < COLUMNS; k++)
            row[k] = (float)(4 * uniform() - 2);
        y[i] = uniform() < regression_of(-0.5 + 2 * (double)row[1] - (double)row[2]);
        use[i] = i % 4 != 0;
    }
}

static void finds_the_weights(void **arg)
{
    const double penalty[COLUMNS] = {1e-3, 1e-3, 1e-3, 1e-3};
    double w[COLUMNS] = {0};

    (void)arg;
    draw();
    CHECK_STATUS(ST_OK, regression_fit(
                            &(struct regression_data){x, y, NULL, ROWS, COLUMNS, penalty}, w));
    assert_true(fabs(w[0] + 0.5) < 0.2);
    assert_true(fabs(w[1] - 2) < 0.25);
    assert_true(fabs(w[2] + 1) < 0.2);
    assert_true(fabs(w[3]) < 0.15);
}

/* At the end the gradient is nothing, whatever the penalty, and unused rows have no say. */
static void ends_at_the_optimum(void **arg)
{
    static const double penalties[] = {0.1, 10, 1000};

    (void)arg;
    draw();
    for (size_t i = 0; i < ROWS; i += 4)
        y[i] = 1 - y[i];
    for (size_t p = 0; p < 3; p++) {
        const double penalty[COLUMNS] = {1e-3, penalties[p], penalties[p], penalties[p]};
        double w[COLUMNS] = {5, -5, 5, -5}, gradient[COLUMNS];

        CHECK_STATUS(
            ST_OK,
            regression_fit(&(struct regression_data){x, y, use, ROWS, COLUMNS, penalty}, w));
        for (size_t k = 0; k < COLUMNS; k++) {
            gradient[k] = penalty[k] * w[k];
            for (size_t i = 0; i < ROWS; i++) {
                const float *row = x + i * COLUMNS;

                if (use[i])
                    gradient[k] += (double)row[k] *
                                   (regression_of(regression_score(row, w, COLUMNS)) - y[i]);
            }
            assert_true(fabs(gradient[k]) < 1);
        }
    }
}

static void odd_columns_add_up(void **arg)
{
    float v[19];
    double w[19], sum = 0;

    (void)arg;
    for (int i = 0; i < 19; i++) {
        v[i] = (float)i;
        w[i] = 0.5 * i;
        sum += 0.5 * i * i;
    }
    assert_true(regression_score(v, w, 19) == sum);
}

static void costs_are_finite(void **arg)
{
    (void)arg;
    assert_true(fabs(regression_cost(0, 1) - log(2)) < 1e-12);
    assert_true(fabs(regression_cost(1000, 0) - 1000) < 1e-9);
    assert_true(regression_cost(1000, 1) < 1e-9);
    assert_true(fabs(regression_cost(-1000, 1) - 1000) < 1e-9);
}

/* Scores twice too sure, and off: half the slope, and the offset. */
static void unbends(void **arg)
{
    static double score[20000], label[20000];
    struct regression_scale s;

    (void)arg;
    for (size_t i = 0; i < 20000; i++) {
        double honest = 6 * uniform() - 3;

        label[i] = uniform() < regression_of(honest);
        score[i] = 2 * honest + 1;
    }
    s = regression_calibrate(score, label, NULL, 20000, 0);
    assert_true(fabs(s.slope - 0.5) < 0.03);
    assert_true(fabs(s.offset + 0.5) < 0.08);
}

/* Chance in a few labels neither turns the order round nor is blown up. */
static void little_is_believed(void **arg)
{
    const double score[] = {-1, -1, 1, 1}, against[] = {1, 1, 0, 0}, none[] = {0, 0, 0, 0};
    struct regression_scale s;

    (void)arg;
    s = regression_calibrate(score, against, NULL, 4, 0);
    assert_true(s.slope > 0.5 && s.slope < 1);
    s = regression_calibrate(score, none, NULL, 4, 0);
    assert_true(isfinite(s.slope) && isfinite(s.offset) && s.offset < -2);
}

/* The fewer labels the more: probabilities go to the mean of the labels, which they keep. */
static void caution_draws_to_the_mean(void **arg)
{
    static const size_t some[] = {300, 20000};
    static double score[20000], label[20000];
    double drop[2], mean = 0, said = 0;
    struct regression_scale s;

    (void)arg;
    for (size_t i = 0; i < 20000; i++) {
        score[i] = 3 * uniform() - 1;
        label[i] = uniform() < regression_of(score[i]);
    }
    for (size_t k = 0; k < 2; k++)
        drop[k] = regression_calibrate(score, label, NULL, some[k], 0).slope -
                  regression_calibrate(score, label, NULL, some[k], 2).slope;
    assert_true(drop[0] > 0.2 && drop[0] < 0.5);
    assert_true(drop[1] > 0 && drop[1] < 0.06);
    s = regression_calibrate(score, label, NULL, 300, 1.5);
    for (size_t i = 0; i < 300; i++) {
        mean += label[i] / 300;
        said += regression_of(s.slope * score[i] + s.offset) / 300;
    }
    assert_true(fabs(mean - said) < 1e-3);
    s = regression_calibrate(score, label, NULL, 300, 100);
    assert_true(s.slope >= 0 && s.slope < 1e-12 && fabs(regression_of(s.offset) - mean) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_weights),
        cmocka_unit_test(ends_at_the_optimum),
        cmocka_unit_test(odd_columns_add_up),
        cmocka_unit_test(costs_are_finite),
        cmocka_unit_test(unbends),
        cmocka_unit_test(little_is_believed),
        cmocka_unit_test(caution_draws_to_the_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
