#include "cache/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/vector_kernels.h"

#include "check.h"

static uint64_t seed = 1;

static uint32_t draw(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}

enum content { AT_RANDOM, MOST, LEAST, ALTERNATING };

static int8_t stored(enum content c, size_t i)
{
    switch (c) {
    case MOST:
        return 127;
    case LEAST:
        return -127;
    case ALTERNATING:
        return i % 2 == 0 ? 127 : -127;
    case AT_RANDOM:
        break;
    }
    return (int8_t)((int)(draw() % 255) - 127);
}

static uint8_t asked(enum content c, size_t i)
{
    switch (c) {
    case MOST:
        return 255;
    case LEAST:
        return 1;
    case ALTERNATING:
        return i % 2 == 0 ? 255 : 0;
    case AT_RANDOM:
        break;
    }
    return (uint8_t)draw();
}

/* Each on a heap block of just its size, so that reading too far is seen under ASan. */
static void compare(const struct vector_kernel *k, enum content q, enum content v, size_t n,
                    size_t dims)
{
    const int8_t **apart = malloc(n * sizeof(*apart));
    uint8_t *query = malloc(dims);
    int8_t *run = malloc(n * dims);
    int32_t *want = malloc(n * sizeof(*want)), *got = malloc(n * sizeof(*got));

    for (size_t i = 0; i < dims; i++)
        query[i] = asked(q, i);
    for (size_t i = 0; i < n * dims; i++)
        run[i] = stored(v, i);
    vector_dots_c(query, run, n, dims, want);
    k->dots(query, run, n, dims, got);
    assert_memory_equal(want, got, n * sizeof(*want));
    for (size_t i = 0; i < n; i++)
        apart[i] = run + (n - 1 - i) * dims;
    k->dots_at(query, apart, n, dims, got);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(want[n - 1 - i], got[i]);
    free(apart);
    free(query);
    free(run);
    free(want);
    free(got);
}

static void every_kernel_says_the_same(void **state)
{
    static const size_t dims[] = {32, 64, 96, 128, 352, 384, 768, 1024, 4096};
    static const size_t counts[] = {1, 2, 3, 37};
    size_t n;
    const struct vector_kernel *k = vector_kernels(&n);

    (void)state;
    assert_string_equal("c", k[n - 1].name);
    assert_string_equal(vector_kernel(), k[0].name);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < ARRAY_LEN(dims); d++)
            for (size_t c = 0; c < ARRAY_LEN(counts); c++)
                for (unsigned q = AT_RANDOM; q <= ALTERNATING; q++)
                    for (unsigned v = AT_RANDOM; v <= ALTERNATING; v++)
                        compare(&k[i], (enum content)q, (enum content)v, counts[c], dims[d]);
}

static void the_c_kernel_is_right(void **state)
{
    static const uint8_t query[] = {0, 255, 128, 1, 255};
    static const int8_t run[] = {127, 127, -127, 0, -127, 1, 1, 1, 1, 1};
    int32_t got[2];

    (void)state;
    vector_dots_c(query, run, 2, 5, got);
    assert_int_equal(255 * 127 - 128 * 127 - 255 * 127, got[0]);
    assert_int_equal(0 + 255 + 128 + 1 + 255, got[1]);
}

/* Cosines, by whatever dimensions: of 32 a kernel's, else plain. */
static void a_scan_is_near_the_cosine(void **state)
{
    static const size_t all_dims[] = {1, 7, 31, 32, 33, 384, 768};
    enum { N = 300, D = 768 };
    int8_t *run = malloc(N * D), packed[D];
    static float v[N][D], scales[N], out[N], out_apart[N];
    const int8_t *apart[N];
    float q[D];
    int32_t sums[N], sum;
    uint8_t bytes[D];

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(all_dims); t++) {
        size_t dims = all_dims[t];
        struct vector_query query = {bytes, 0};

        for (size_t i = 0; i <= N; i++) {
            float *w = i < N ? v[i] : q, length = 0;

            for (size_t j = 0; j < dims; j++) {
                w[j] = (float)draw() / 4294967296.0f - 0.5f;
                length += w[j] * w[j];
            }
            for (size_t j = 0; j < dims; j++)
                w[j] /= sqrtf(length);
            if (i < N)
                scales[i] = vector_pack(w, dims, run + i * dims, &sums[i]);
        }
        query.scale = vector_pack(q, dims, packed, &sum);
        for (size_t j = 0; j < dims; j++)
            bytes[j] = (uint8_t)(packed[j] + 128);
        vector_scan(&query, run, scales, sums, N, dims, out);
        for (size_t i = 0; i < N; i++)
            apart[i] = run + i * dims;
        vector_scan_at(&query, apart, scales, sums, N, dims, out_apart);
        assert_memory_equal(out, out_apart, sizeof(out));
        for (size_t i = 0; i < N; i++) {
            float want = 0;

            for (size_t j = 0; j < dims; j++)
                want += q[j] * v[i][j];
            assert_true(fabsf(out[i] - want) < 0.01f);
        }
    }
    free(run);
}

static void packing_keeps_extremes_and_nothing(void **state)
{
    static const float extremes[] = {-0.5f, 0.5f, 0, 0.25f}, nothing[4];
    float back[4];
    int8_t q[4];
    int32_t sum;
    float scale = vector_pack(extremes, 4, q, &sum);

    (void)state;
    assert_int_equal(-127, q[0]);
    assert_int_equal(127, q[1]);
    assert_int_equal(q[3], sum);
    vector_unpack(q, scale, 4, back);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabsf(back[i] - extremes[i]) <= scale / 2 + 1e-6f);
    assert_true(vector_pack(nothing, 4, q, &sum) == 0);
    assert_int_equal(0, sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_says_the_same),
        cmocka_unit_test(the_c_kernel_is_right),
        cmocka_unit_test(a_scan_is_near_the_cosine),
        cmocka_unit_test(packing_keeps_extremes_and_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
