/* The figures of a distribution against sums in double, and of an answer against its tokens. */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "engine/confidence.h"

static float uniform(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) * 0x1p-24f;
}

static void reference(const float *x, size_t n, struct confidence_row *out)
{
    double sum = 0, leaning = 0;

    *out = (struct confidence_row){.most = -INFINITY, .next = -INFINITY};
    for (size_t i = 0; i < n; i++) {
        if (x[i] > out->most) {
            out->next = out->most;
            out->most = x[i];
        } else if (x[i] > out->next) {
            out->next = x[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)out->most;

        sum += exp(d);
        leaning += d > -700 ? d * exp(d) : 0;
    }
    out->log_sum = log(sum);
    out->entropy = out->log_sum - leaning / sum;
}

static void check_row(const float *x, size_t n)
{
    struct confidence_row is, want;

    confidence_look(x, n, &is);
    reference(x, n, &want);
    assert_true(is.most == want.most);
    assert_true(is.next == want.next);
    assert_true(fabs(is.log_sum - want.log_sum) < 1e-5);
    assert_true(fabs(is.entropy - want.entropy) < 1e-4);
}

static void rows_of_any_length(void **state)
{
    static const size_t lengths[] = {2, 3, 15, 16, 17, 31, 257, 49152, 49153};
    float *x = malloc(49153 * sizeof(*x));
    uint32_t seed = 7;

    (void)state;
    assert_non_null(x);
    for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
        for (float spread = 0.1f; spread < 200; spread *= 4) {
            for (size_t i = 0; i < lengths[k]; i++)
                x[i] = (uniform(&seed) - 0.5f) * spread + 3;
            check_row(x, lengths[k]);
            x[lengths[k] / 2] += spread; /* one that stands out */
            check_row(x, lengths[k]);
            x[lengths[k] - 1] = x[lengths[k] / 2]; /* and its like */
            check_row(x, lengths[k]);
        }
    }
    free(x);
}

/* What a schema forbids has no logit any more. */
static void forbidden_tokens_have_no_chance(void **state)
{
    float x[] = {1, -INFINITY, 0, -INFINITY};
    struct confidence_row row;

    (void)state;
    confidence_look(x, ARRAY_LEN(x), &row);
    assert_true(fabs(row.log_sum - log(1 + exp(-1))) < 1e-6);
    assert_true(isfinite(row.entropy));
}

static void an_answer_is_the_sum_of_its_tokens(void **state)
{
    float first[] = {2, 1, 0}, second[] = {5, 0, 0};
    struct decoder_confidence c = {.tokens = 0};
    struct confidence_row a, b;
    double p1 = exp(1) / (exp(2) + exp(1) + 1), p2 = exp(5) / (exp(5) + 2);

    (void)state;
    confidence_look(first, 3, &a);
    confidence_add(&c, &a, first[1]);
    confidence_look(second, 3, &b);
    confidence_add(&c, &b, second[0]);
    assert_int_equal(c.tokens, 2);
    assert_true(fabs(c.log_p - log(p1) - log(p2)) < 1e-6);
    assert_true(fabs(c.least_log_p - log(p1)) < 1e-6);
    assert_true(fabs(c.entropy - a.entropy - b.entropy) < 1e-9);
    assert_true(fabs(c.first_margin - (exp(2) - exp(1)) / (exp(2) + exp(1) + 1)) < 1e-6);
    assert_true(fabs(c.least_margin - c.first_margin) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_any_length),
        cmocka_unit_test(forbidden_tokens_have_no_chance),
        cmocka_unit_test(an_answer_is_the_sum_of_its_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
