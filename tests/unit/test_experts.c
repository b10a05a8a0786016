/* Which experts a token goes through. */
#include <math.h>

#include "check.h"
#include "engine/experts.h"

static void near(double want, double got)
{
    if (!(fabs(want - got) < 1e-6))
        fail_msg("want %g, got %g", want, got);
}

static void the_likeliest_are_chosen_in_order(void **state)
{
    float scores[5] = {logf(1), logf(4), logf(2), logf(0.5f), logf(2.5f)};
    struct expert_choice c[3];

    (void)state;
    experts_choose(scores, 5, 3, false, c);
    assert_int_equal(1, c[0].expert);
    assert_int_equal(4, c[1].expert);
    assert_int_equal(2, c[2].expert);
    near(0.4, c[0].weight);
    near(0.25, c[1].weight);
    near(0.2, c[2].weight);
}

static void weights_add_up_to_one_where_they_are_to(void **state)
{
    float scores[4] = {logf(6), 90, 90, -1e30f};
    struct expert_choice c[2];

    (void)state;
    experts_choose(scores, 4, 2, true, c);
    assert_int_equal(1, c[0].expert);
    assert_int_equal(2, c[1].expert);
    near(0.5, c[0].weight);
    near(0.5, c[1].weight);
    experts_choose((float[2]){3, 1}, 2, 1, true, c);
    assert_int_equal(0, c[0].expert);
    near(1, c[0].weight);
}

/* Activations can overflow; an expert is chosen all the same, each at most once. */
static void scores_that_are_no_numbers_are_survived(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1};
    struct expert_choice c[3];

    (void)state;
    for (size_t a = 0; a < 64; a++) {
        float scores[3] = {odd[a % 4], odd[a / 4 % 4], odd[a / 16]};

        experts_choose(scores, 3, 3, true, c);
        assert_int_equal(7, 1 << c[0].expert | 1 << c[1].expert | 1 << c[2].expert);
    }
    experts_choose((float[3]){NAN, -5, NAN}, 3, 1, true, c);
    assert_int_equal(1, c[0].expert);
    near(1, c[0].weight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_likeliest_are_chosen_in_order),
        cmocka_unit_test(weights_add_up_to_one_where_they_are_to),
        cmocka_unit_test(scores_that_are_no_numbers_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
