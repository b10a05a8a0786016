/* Every set of the encoder's kernels that this machine has, against the reference set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "base/compiler.h"
#include "engine/cpu.h"
#include "engine/kernels/dense.h"
#include "engine/kernels/dense_pack.h"

static uint64_t seed = 1;

static float noise(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) / 2147483648.0f;
}

static void *need(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

    assert_true(p != NULL);
    memset(p, 0, (n + 63) & ~(size_t)63);
    return p;
}

static void compare(const char *what, const float *want, const float *got, size_t n, float most)
{
    float size = 0;

    for (size_t i = 0; i < n; i++)
        size = fmaxf(size, fabsf(want[i]));
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(want[i] - got[i]) <= most * size))
            fail_msg("%s, value %zu: want %g, got %g", what, i, (double)want[i],
                     (double)got[i]);
    }
}

enum fill { RANDOM, EQUAL, NEGATIVE, ALTERNATING, ONE_LARGE, FILLS };

static float value_of(enum fill fill, size_t i)
{
    switch (fill) {
    case EQUAL:
        return 1;
    case NEGATIVE:
        return -1;
    case ALTERNATING:
        return i % 2 == 0 ? 1 : -1;
    case ONE_LARGE:
        return i == 5 ? 1000 : noise();
    case RANDOM:
    case FILLS:
        break;
    }
    return noise();
}

static float *values(size_t n, enum fill fill)
{
    float *x = need(n * 4);

    for (size_t i = 0; i < n; i++)
        x[i] = value_of(fill, i);
    return x;
}

static struct dense_bytes bytes_of(const struct dense_kernels *k, const float *x, size_t n,
                                   size_t cols, const float *factor)
{
    struct dense_bytes b = {need(n * cols), need(n * 4), need(n * 4)};

    k->quantize(x, n, cols, factor, &b);
    return b;
}

static void free_bytes(struct dense_bytes *b)
{
    free(b->bytes);
    free(b->scale);
    free(b->zero);
}

static void check_i8(enum cpu_level level, size_t rows, size_t cols, size_t n, enum fill fill)
{
    struct dense_i8 w = {.rows = rows, .cols = cols};
    float *x = values(n * cols, fill), *row, *factor = need(cols * 4);
    float *want = need(n * rows * 4), *got = need(n * rows * 4);
    struct dense_bytes a, b;
    size_t split;
    char what[96];

    w.weights = need(rows * cols);
    w.scales = need(rows * 4);
    w.sums = need(rows * 4);
    w.bias = values(rows, RANDOM);
    for (size_t i = 0; i < cols; i++)
        factor[i] = 0.5f + fabsf(noise());
    w.factor = fill == RANDOM ? factor : NULL;
    for (size_t r = 0; r < rows; r++) {
        row = values(cols, fill);
        dense_pack_i8(&w, r, row);
        free(row);
    }
    a = bytes_of(&dense_ref, x, n, cols, w.factor);
    b = bytes_of(dense_sets[level], x, n, cols, w.factor);
    snprintf(what, sizeof(what), "%s: int8 %zux%zu, %zu tokens, fill %d", cpu_level_name(level),
             rows, cols, n, (int)fill);
    assert_memory_equal(a.bytes, b.bytes, n * cols);
    assert_memory_equal(a.zero, b.zero, n * 4);
    compare(what, a.scale, b.scale, n, 0);
    dense_ref.matmul_i8(&w, &a, n, 0, rows, want);
    split = rows / 2 / DENSE_ROWS * DENSE_ROWS;
    dense_sets[level]->matmul_i8(&w, &b, n, 0, split, got);
    dense_sets[level]->matmul_i8(&w, &b, n, split, rows, got);
    compare(what, want, got, n * rows, 1e-6f);
    free(w.weights);
    free(w.scales);
    free(w.sums);
    free(w.bias);
    free(factor);
    free(x);
    free(want);
    free(got);
    free_bytes(&a);
    free_bytes(&b);
}

/* Equal weights and inputs of 255 are the worst of sums in 16 bits. */
static void products_of_bytes_are_the_reference_s(void **state)
{
    static const size_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 31};

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        for (size_t t = 0; cpu_has((enum cpu_level)level) && t < ARRAY_LEN(tokens); t++) {
            for (int fill = 0; fill < FILLS; fill++) {
                check_i8((enum cpu_level)level, 16, 64, tokens[t], (enum fill)fill);
                check_i8((enum cpu_level)level, 48, 192, tokens[t], (enum fill)fill);
            }
        }
    }
}

/* The weights of one sign that AVX2 adds in 16 bits: 255 times their sum must fit. */
static void packed_weights_fit_sixteen_bits(void **state)
{
    static const unsigned char at[2][4] = {{0, 1, 4, 5}, {2, 3, 6, 7}};
    enum { COLS = 64 };

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct dense_i8 w = {.rows = 16, .cols = COLS};
        float row[COLS];

        w.weights = need(16 * COLS);
        w.scales = need(64);
        w.sums = need(64);
        for (size_t i = 0; i < COLS; i++)
            row[i] = round < FILLS ? value_of((enum fill)round, i) : noise() * noise();
        dense_pack_i8(&w, 0, row);
        for (size_t i = 0; i < COLS; i += 8) {
            for (size_t g = 0; g < 2; g++) {
                int up = 0, down = 0;

                for (size_t k = 0; k < 4; k++) {
                    size_t c = i + at[g][k];
                    int v = w.weights[c / 4 * 4 * DENSE_ROWS + c % 4];

                    up += v > 0 ? v : 0;
                    down -= v < 0 ? v : 0;
                }
                assert_true(up * 255 <= 32767 && down * 255 <= 32768);
            }
        }
        free(w.weights);
        free(w.scales);
        free(w.sums);
    }
}

static void products_of_floats_are_the_reference_s(void **state)
{
    enum { ROWS = 32, COLS = 128 };

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        for (size_t n = 1; cpu_has((enum cpu_level)level) && n < 27; n++) {
            struct dense_f32 w = {ROWS, COLS, need(ROWS * COLS * 4), values(ROWS, RANDOM)};
            float *x = values(n * COLS, RANDOM), *row, *want = need(n * ROWS * 4),
                  *got = need(n * ROWS * 4);

            for (size_t r = 0; r < ROWS; r++) {
                row = values(COLS, RANDOM);
                dense_pack_f32(&w, r, row);
                free(row);
            }
            dense_ref.matmul_f32(&w, x, n, 0, ROWS, want);
            dense_sets[level]->matmul_f32(&w, x, n, 0, DENSE_ROWS, got);
            dense_sets[level]->matmul_f32(&w, x, n, DENSE_ROWS, ROWS, got);
            compare(cpu_level_name((enum cpu_level)level), want, got, n * ROWS, 2e-6f);
            free(w.weights);
            free(w.bias);
            free(x);
            free(want);
            free(got);
        }
    }
}

static void check_between(enum cpu_level level, size_t n, size_t d, float scale)
{
    float *x = values(n * d, RANDOM), *r = values(n * d, RANDOM), *w = values(d, RANDOM);
    float *b = values(d, RANDOM), *want = need(n * d * 4), *got = need(n * d * 4);

    for (size_t i = 0; i < n * d; i++)
        x[i] *= scale;
    for (int with = 0; with < 2; with++) {
        memcpy(want, x, n * d * 4);
        memcpy(got, x, n * d * 4);
        dense_ref.layer_norm(want, with ? r : NULL, w, b, 1e-12f, n, d);
        dense_sets[level]->layer_norm(got, with ? r : NULL, w, b, 1e-12f, n, d);
        compare("layer_norm", want, got, n * d, 1e-5f);
    }
    memcpy(want, x, n * d * 4);
    memcpy(got, x, n * d * 4);
    dense_ref.gelu(want, n * d);
    dense_sets[level]->gelu(got, n * d);
    compare("gelu", want, got, n * d, 1e-6f);
    if (n > 1) { /* in its own place */
        memcpy(got, x, n * d * 4);
        dense_ref.swiglu(x, d, want);
        dense_sets[level]->swiglu(got, d, got);
        compare("swiglu", want, got, d, 1e-6f);
    }
    free(x);
    free(r);
    free(w);
    free(b);
    free(want);
    free(got);
}

static void check_attention(enum cpu_level level, size_t n, size_t heads, size_t width,
                            float scale)
{
    size_t d = heads * width;
    float *qkv = values(n * 3 * d, RANDOM), *want = need(n * d * 4), *got = need(n * d * 4);
    float *scratch = need(dense_attention_scratch(n, width) * 4);

    for (size_t i = 0; i < n * 3 * d; i++)
        qkv[i] *= scale;
    for (size_t head = 0; head < heads; head++) {
        dense_ref.attention(qkv, n, d, heads, head, scratch, want);
        dense_sets[level]->attention(qkv, n, d, heads, head, scratch, got);
    }
    /* Scores of this size are rounded by so much before e^x makes a factor of it. */
    compare("attention", want, got, n * d, 2e-5f + 1e-6f * scale * scale);
    free(qkv);
    free(want);
    free(got);
    free(scratch);
}

static void what_is_between_products_is_the_reference_s(void **state)
{
    static const float scales[] = {1e-4f, 1, 20};

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        for (size_t s = 0; cpu_has((enum cpu_level)level) && s < ARRAY_LEN(scales); s++) {
            check_between((enum cpu_level)level, 3, 64, scales[s]);
            check_between((enum cpu_level)level, 1, 384, scales[s]);
            for (size_t n = 1; n < 40; n += 3) {
                check_attention((enum cpu_level)level, n, 2, 32, scales[s]);
                check_attention((enum cpu_level)level, n, 1, 16, scales[s]);
            }
        }
    }
}

static void odd_numbers_are_rounded_as_the_reference_does(void **state)
{
    static const float odd[] = {0,  -0.0f, 1e-45f,   1e-38f,    1,
                                -1, 3e38f, INFINITY, -INFINITY, NAN};
    enum { COLS = 64 };

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        for (size_t a = 0; cpu_has((enum cpu_level)level) && a < ARRAY_LEN(odd); a++) {
            for (size_t b = 0; b < ARRAY_LEN(odd); b++) {
                float x[COLS];
                struct dense_bytes p, q;

                for (size_t i = 0; i < COLS; i++)
                    x[i] = i % 3 == 0 ? odd[a] : odd[b];
                p = bytes_of(&dense_ref, x, 1, COLS, NULL);
                q = bytes_of(dense_sets[level], x, 1, COLS, NULL);
                if (isfinite(odd[a]) && isfinite(odd[b]))
                    assert_memory_equal(p.bytes, q.bytes, COLS);
                free_bytes(&p);
                free_bytes(&q);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_bytes_are_the_reference_s),
        cmocka_unit_test(packed_weights_fit_sixteen_bits),
        cmocka_unit_test(products_of_floats_are_the_reference_s),
        cmocka_unit_test(what_is_between_products_is_the_reference_s),
        cmocka_unit_test(odd_numbers_are_rounded_as_the_reference_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
