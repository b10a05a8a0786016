/* What is packed is what format_row() reads, and near: the bounds are the errors that ggml's
 * own quantizers (quantize_q4_K() and its like, with and without an importance matrix;
 * llama.cpp 0c1e57098bba) make of the same values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "engine/format.h"
#include "engine/format_fit.h"
#include "engine/format_pack.h"

#define VALUES 4096u

static const struct {
    uint32_t type;
    double most;     /* root mean square error of normal values with deviation 1 */
    double weighted; /* the same of weighted errors, told the weights; 0: has no use for them */
} types[] = {
    {FORMAT_F32, 0, 0},
    {FORMAT_F16, 0.00025, 0},
    {FORMAT_Q8_0, 0.00535, 0},
    {FORMAT_Q4_0, 0.08575, 0.07228},
    {FORMAT_Q5_0, 0.04302, 0.03533},
    {FORMAT_Q5_1, 0.03739, 0.02683},
    {FORMAT_Q4_K, 0.07084, 0.05643},
    {FORMAT_Q5_K, 0.03611, 0.02989},
    {FORMAT_Q6_K, 0.01773, 0.01440},
    {FORMAT_IQ4_NL, 0.07529, 0.06345},
    {FORMAT_IQ2_XS, 0.30398, 0.22773},
    {FORMAT_TQ2_0, 0.81394, 0.80752},
};

static uint64_t state = 1;

static float uniform(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(state >> 40) / 16777216.0f;
}

static float normal(void)
{
    return sqrtf(-2 * logf(uniform() + 1e-7f)) * cosf(6.2831853f * uniform());
}

/* The root mean square error; with weights, of the weighted errors. `told`: packing knows the
 * weights. */
static double weighted_trip(uint32_t type, const float *x, const float *w, bool told,
                            float *back)
{
    const struct format *f = format_of(type);
    size_t bytes = VALUES / f->values * f->bytes;
    uint8_t *p = malloc(bytes);
    double sum = 0, weights = 0;

    assert_non_null(p);
    memset(p, 0xa5, bytes); /* every byte is to be written */
    format_pack_row(type, x, told ? w : NULL, VALUES, p);
    format_row(type, p, VALUES, back);
    free(p);
    for (size_t i = 0; i < VALUES; i++) {
        double weight = w != NULL ? (double)w[i] : 1;

        sum += weight * (double)(x[i] - back[i]) * (double)(x[i] - back[i]);
        weights += weight;
    }
    return sqrt(sum / weights);
}

static double round_trip(uint32_t type, const float *x, float *back)
{
    return weighted_trip(type, x, NULL, false, back);
}

static void errors_are_small(void **unused)
{
    static float x[VALUES], back[VALUES];

    (void)unused;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        double error;

        state = 7;
        for (size_t i = 0; i < VALUES; i++)
            x[i] = normal();
        error = round_trip(types[t].type, x, back);
        print_message("%-7s %.5f\n", format_name(types[t].type), error);
        assert_true(error <= types[t].most);
        assert_true(types[t].most == 0 || error > types[t].most / 3); /* a bound that binds */
    }
}

/* Told which values matter, errors are smaller there: below those of one who was not told, and
 * below ggml's. */
static void importance_pays(void **unused)
{
    static float x[VALUES], w[VALUES], back[VALUES];

    (void)unused;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        double blind, told;

        state = 7;
        for (size_t i = 0; i < VALUES; i++)
            x[i] = normal();
        for (size_t i = 0; i < VALUES; i++)
            w[i] = expf(1.5f * normal());
        blind = weighted_trip(types[t].type, x, w, false, back);
        told = weighted_trip(types[t].type, x, w, true, back);
        print_message("%-7s %.5f, told %.5f\n", format_name(types[t].type), blind, told);
        if (types[t].weighted > 0) {
            assert_true(told < 0.99 * blind);
            assert_true(told <= types[t].weighted && told > types[t].weighted / 3);
        } else {
            assert_true(told == blind);
        }
    }
}

/* Packed once more, what was read back stays about as it is. */
static void a_second_time_changes_little(void **unused)
{
    static float x[VALUES], back[VALUES], again[VALUES];

    (void)unused;
    for (size_t i = 0; i < VALUES; i++)
        x[i] = normal();
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        double first = round_trip(types[t].type, x, back);

        assert_true(round_trip(types[t].type, back, again) <= 0.5 * first);
    }
}

static void edges(void **unused)
{
    static const float scales[] = {0, 1e-3f, 1, 30000};
    static float x[VALUES], back[VALUES];

    (void)unused;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        for (size_t s = 0; s < ARRAY_LEN(scales); s++) {
            /* One large value beside zeros; a constant; all of one sign. */
            for (int kind = 0; kind < 3; kind++) {
                for (size_t i = 0; i < VALUES; i++)
                    x[i] = scales[s] * (kind == 0   ? (i % 256 == 5 ? 1.0f : 0.0f)
                                        : kind == 1 ? 1.0f
                                                    : uniform());
                assert_true(round_trip(types[t].type, x, back) <= 0.6 * (double)scales[s]);
                for (size_t i = 0; i < VALUES; i++)
                    assert_true(isfinite(back[i]));
            }
        }
    }
}

/* Ternary values with one scale are kept exactly. */
static void ternary_is_exact(void **unused)
{
    static float x[VALUES], back[VALUES];

    (void)unused;
    for (size_t i = 0; i < VALUES; i++)
        x[i] = 0.25f * (floorf(uniform() * 3) - 1);
    assert_true(round_trip(FORMAT_TQ2_0, x, back) == 0);
}

static void what_is_known(void **unused)
{
    (void)unused;
    for (size_t t = 0; t < ARRAY_LEN(types); t++)
        assert_true(format_pack_knows(types[t].type));
    assert_false(format_pack_knows(FORMAT_IQ2_XXS));
    assert_false(format_pack_knows(FORMAT_MXFP4));
    assert_false(format_pack_knows(4000));
    assert_int_equal(format_fit_code(NAN, 1, 0, -8, 7), -8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_small),
        cmocka_unit_test(importance_pays),
        cmocka_unit_test(a_second_time_changes_little),
        cmocka_unit_test(edges),
        cmocka_unit_test(ternary_is_exact),
        cmocka_unit_test(what_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
