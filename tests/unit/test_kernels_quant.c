/* Every set of the decoder's kernels that this machine has, against the reference set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "base/compiler.h"
#include "engine/cpu.h"
#include "engine/format.h"
#include "engine/half.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/quant_pack.h"
#include "format_scales.h"

/* There are no threads here to be watched, and watching costs a hundredfold; an emulator
 * tenfold. */
#if defined(__SANITIZE_THREAD__) || defined(IBID_EMULATED)
#define COLUMN_STEP 4
#else
#define COLUMN_STEP 1
#endif

/* Each set of kernels meets the same numbers, whichever others the machine has. */
static uint64_t seed;

static float noise(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) / 2147483648.0f;
}

static void *need(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

    assert_true(p != NULL);
    return p;
}

/* What fills a matrix and its inputs. */
enum fill { RANDOM, LARGEST, SMALLEST, ALTERNATING, ONES, FILLS };

/* Every type that is computed with. */
static const uint32_t types[] = {
    FORMAT_F32,     FORMAT_F16,    FORMAT_BF16,  FORMAT_Q4_0,    FORMAT_Q4_1,
    FORMAT_Q5_0,    FORMAT_Q5_1,   FORMAT_Q8_0,  FORMAT_Q2_K,    FORMAT_Q3_K,
    FORMAT_Q4_K,    FORMAT_Q5_K,   FORMAT_Q6_K,  FORMAT_IQ1_S,   FORMAT_IQ1_M,
    FORMAT_IQ2_XXS, FORMAT_IQ2_XS, FORMAT_IQ2_S, FORMAT_IQ3_XXS, FORMAT_IQ3_S,
    FORMAT_IQ4_NL,  FORMAT_IQ4_XS, FORMAT_TQ1_0, FORMAT_TQ2_0,   FORMAT_MXFP4,
};

static int8_t code_of(enum fill fill, size_t i)
{
    switch (fill) {
    case LARGEST:
        return 127;
    case SMALLEST:
        return -128;
    case ALTERNATING:
        return i % 2 == 0 ? 127 : -128;
    case ONES: /* all bits */
        return -1;
    case RANDOM:
    case FILLS:
        break;
    }
    return (int8_t)(noise() * 128);
}

static struct quant_matrix make(uint32_t type, size_t rows, size_t cols, enum fill fill)
{
    struct quant_matrix w = {.type = type, .rows = rows, .cols = cols};
    size_t block = format_of(type)->bytes, values = format_of(type)->values;
    uint8_t *data;

    w.row_bytes = cols / values * block;
    /* Exactly the size, so that ASan sees a read beyond the last block. */
    data = malloc(rows * w.row_bytes);
    assert_true(data != NULL);
    for (size_t at = 0; at < rows * w.row_bytes; at += block) {
        float sign = noise() < 0 ? -1 : 1;

        for (size_t i = 0; i < block; i++)
            data[at + i] = (uint8_t)code_of(fill, i);
        format_scales_set(type, data + at, sign / 16, (noise() + 1) / 2, (noise() + 1) / 2);
    }
    w.data = data;
    return w;
}

static float *make_inputs(size_t n, size_t cols, enum fill fill)
{
    float *x = need(n * cols * sizeof(*x));

    for (size_t i = 0; i < n * cols; i++)
        x[i] = fill == RANDOM ? noise() * 3 : fill == ONES ? 127 : (float)code_of(fill, i + 1);
    return x;
}

static struct quant_input input_of(const struct quant_kernels *k, const float *x, size_t n,
                                   size_t cols)
{
    size_t blocks = cols / QUANT_BLOCK;
    struct quant_input in = {.x = x};

    in.q = need(n * cols);
    in.d = need(n * blocks * sizeof(float));
    in.s = need(n * blocks * sizeof(float));
    in.sums = need(n * blocks * 2 * sizeof(*in.sums));
    for (size_t t = 0; t < n; t++)
        k->quantize(x + t * cols, cols, &in, t);
    return in;
}

static void free_input(struct quant_input *in)
{
    free(in->q);
    free(in->d);
    free(in->s);
    free(in->sums);
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

/* Products compared by the size of what they add up, which may cancel; sums of a very long row
 * of like numbers are rounded the same way each time. */
static void compare_products(const char *what, const struct quant_matrix *w, const float *x,
                             size_t n, const float *want, const float *got)
{
    double most = w->cols > 4096 ? 2e-5 : 4e-6;
    float *row = need(w->cols * sizeof(*row));

    for (size_t r = 0; r < w->rows; r++) {
        quant_row(w, r, row);
        for (size_t t = 0; t < n; t++) {
            double size = 0, a = (double)want[t * w->rows + r],
                   b = (double)got[t * w->rows + r];

            for (size_t i = 0; i < w->cols; i++)
                size += fabs((double)row[i] * (double)x[t * w->cols + i]);
            if (!(fabs(a - b) <= most * size))
                fail_msg("%s, row %zu, column %zu: want %g, got %g, sizes add up to %g", what,
                         r, t, a, b, size);
        }
    }
    free(row);
}

static void check_product(enum cpu_level level, uint32_t type, size_t rows, size_t cols,
                          size_t n, enum fill fill, bool packed)
{
    const struct quant_kernels *k = quant_sets[level];
    struct quant_matrix w = make(type, rows, cols, fill);
    float *x = make_inputs(n, cols, fill), *want = need(n * rows * 4),
          *got = need(n * rows * 4);
    struct quant_input a = input_of(&quant_ref, x, n, cols), b = input_of(k, x, n, cols);
    char what[96];

    snprintf(what, sizeof(what), "%s: %s%s %zux%zu, %zu columns, fill %d",
             cpu_level_name(level), packed ? "packed " : "", format_name(type), rows, cols, n,
             (int)fill);
    assert_memory_equal(a.q, b.q, n * cols);
    compare(what, a.d, b.d, n * cols / QUANT_BLOCK, 0);
    compare(what, a.s, b.s, n * cols / QUANT_BLOCK, 0);
    assert_memory_equal(a.sums, b.sums, n * cols / QUANT_BLOCK * 2 * sizeof(*a.sums));
    memset(got, 0, n * rows * 4);
    quant_ref.matmul(&w, &a, n, 0, rows, want, rows);
    if (packed)
        CHECK_STATUS(ST_OK, quant_pack(&w, (uint8_t *)(uintptr_t)w.data));
    /* In two pieces, as threads take them. */
    k->matmul(&w, &b, n, 0, rows / 3, got, rows);
    k->matmul(&w, &b, n, rows / 3, rows, got, rows);
    compare_products(what, &w, x, n, want, got);
    free((void *)(uintptr_t)w.data);
    free_input(&a);
    free_input(&b);
    free(x);
    free(want);
    free(got);
}

static void check_products(enum cpu_level level, uint32_t type, bool packed)
{
    static const size_t shapes[][2] = {{1, 32}, {3, 64}, {16, 96}, {23, 576}, {65, 160}};
    static const size_t large[][2] = {{1, 256}, {3, 512}, {16, 768}, {23, 2304}, {65, 256}};
    static const size_t columns[] = {1, 2, 3, 4, 5, 8, 15, QUANT_TOKENS};
    bool is_large = format_of(type)->values == FORMAT_VALUES_MAX;

    for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
        const size_t *shape = is_large ? large[s] : shapes[s];

        for (size_t c = 0; c < ARRAY_LEN(columns); c += COLUMN_STEP) {
            for (int fill = 0; fill < FILLS; fill++)
                check_product(level, type, shape[0], shape[1], columns[c], (enum fill)fill,
                              packed);
        }
    }
    check_product(level, type, 16, QUANT_COLS_MAX, 2, LARGEST, packed);
    check_product(level, type, 16, QUANT_COLS_MAX, 1, ONES, packed);
}

/* The products of a column are the same to the last bit whatever stands beside it. */
static void check_column(const struct quant_kernels *k, const struct quant_matrix *w,
                         const struct quant_input *in, size_t n, const float *all)
{
    const size_t blocks = w->cols / QUANT_BLOCK;
    float *one = need(w->rows * sizeof(*one));

    for (size_t t = 0; t < n; t++) {
        const struct quant_input alone = {in->x + t * w->cols, in->q + t * w->cols,
                                          in->d + t * blocks, in->s + t * blocks,
                                          in->sums + 2 * t * blocks};

        k->matmul(w, &alone, 1, 0, w->rows, one, w->rows);
        assert_memory_equal(all + t * w->rows, one, w->rows * sizeof(*one));
    }
    free(one);
}

static void check_columns(const struct quant_kernels *k, uint32_t type, bool packed)
{
    static const size_t columns[] = {2, 3, 4, 5, 7, 8, 13, 16, 17, QUANT_TOKENS};
    const size_t cols = 1280, rows = 40;
    struct quant_matrix w = make(type, rows, cols, RANDOM);
    float *x = make_inputs(QUANT_TOKENS, cols, RANDOM), *all = need(QUANT_TOKENS * rows * 4);
    struct quant_input in = input_of(k, x, QUANT_TOKENS, cols);

    if (packed)
        CHECK_STATUS(ST_OK, quant_pack(&w, (uint8_t *)(uintptr_t)w.data));
    for (size_t c = 0; c < ARRAY_LEN(columns); c += COLUMN_STEP) {
        k->matmul(&w, &in, columns[c], 0, rows, all, rows);
        check_column(k, &w, &in, columns[c], all);
    }
    free((void *)(uintptr_t)w.data);
    free_input(&in);
    free(x);
    free(all);
}

static void columns_do_not_depend_on_each_other(void **state)
{
    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        if (!cpu_has((enum cpu_level)level))
            continue;
        seed = 1;
        for (size_t t = 0; t < ARRAY_LEN(types); t++) {
            check_columns(quant_sets[level], types[t], false);
            check_columns(quant_sets[level], types[t], true);
        }
    }
}

static void products_are_the_reference_s(void **state)
{
    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        if (!cpu_has((enum cpu_level)level))
            continue;
        seed = 1;
        for (size_t t = 0; t < ARRAY_LEN(types); t++) {
            check_products((enum cpu_level)level, types[t], false);
            check_products((enum cpu_level)level, types[t], true);
        }
    }
}

/* All bits stay, whatever they say. */
static void packing_can_be_undone(void **state)
{
    static const size_t rows[] = {1, 15, 16, 17, 48};

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            struct quant_matrix w = make(types[t], rows[i], 512, RANDOM);
            size_t bytes = w.rows * w.row_bytes;
            uint8_t *before = need(bytes), *data = (uint8_t *)(uintptr_t)w.data;
            uint8_t row[QUANT_PACK_ROW_MAX];
            bool is_packed = quant_pack_layout(types[t]).bytes > 0;

            for (size_t k = 0; k < bytes; k++)
                before[k] = data[k] = (uint8_t)(int8_t)(noise() * 128);
            CHECK_STATUS(ST_OK, quant_pack(&w, data));
            assert_int_equal(is_packed ? rows[i] / 16 * 16 : 0, w.packed);
            for (size_t r = 0; r < w.packed; r++) {
                quant_pack_row(&w, r, row);
                assert_memory_equal(before + r * w.row_bytes, row, w.row_bytes);
            }
            assert_memory_equal(before + w.packed * w.row_bytes, data + w.packed * w.row_bytes,
                                bytes - w.packed * w.row_bytes);
            free(before);
            free(data);
        }
    }
}

/* A row unpacked by quant_row() and multiplied as floats: what a product stands for. */
static void the_reference_is_what_the_blocks_say(void **state)
{
    enum { ROWS = 5, COLS = 768 };

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        struct quant_matrix w = make(types[t], ROWS, COLS, RANDOM);
        float *x = make_inputs(1, COLS, RANDOM), row[COLS], want[ROWS], got[ROWS];
        struct quant_input in = input_of(&quant_ref, x, 1, COLS);

        for (size_t r = 0; r < ROWS; r++) {
            double sum = 0;

            quant_row(&w, r, row);
            for (size_t i = 0; i < COLS; i++)
                sum += (double)row[i] * (format_of(types[t])->unpack == NULL
                                             ? (double)x[i]
                                             : (double)in.q[i] * (double)in.d[i / QUANT_BLOCK]);
            want[r] = (float)sum;
        }
        quant_ref.matmul(&w, &in, 1, 0, ROWS, got, ROWS);
        compare(format_name(types[t]), want, got, ROWS, 1e-5f);
        free((void *)(uintptr_t)w.data);
        free_input(&in);
        free(x);
    }
}

/* No input makes an index, a trap, or another result than the reference's. */
static void odd_numbers_are_rounded_as_the_reference_does(void **state)
{
    static const float odd[] = {0,        -0.0f,     1e-45f, 1e-38f, 1e-31f, 3e38f, -3e38f,
                                INFINITY, -INFINITY, NAN,    65504,  0.5f,   127.5f};
    float x[QUANT_BLOCK];

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        for (size_t a = 0; cpu_has((enum cpu_level)level) && a < ARRAY_LEN(odd); a++) {
            for (size_t b = 0; b < ARRAY_LEN(odd); b++) {
                int8_t q1[QUANT_BLOCK], q2[QUANT_BLOCK];
                int16_t sums1[2], sums2[2];
                float d1, d2, s1, s2;
                const struct quant_input in1 = {NULL, q1, &d1, &s1, sums1};
                const struct quant_input in2 = {NULL, q2, &d2, &s2, sums2};

                for (size_t i = 0; i < QUANT_BLOCK; i++)
                    x[i] = i % 3 == 0 ? odd[a] : odd[b];
                quant_ref.quantize(x, QUANT_BLOCK, &in1, 0);
                quant_sets[level]->quantize(x, QUANT_BLOCK, &in2, 0);
                assert_memory_equal(q1, q2, QUANT_BLOCK);
                assert_memory_equal(&d1, &d2, sizeof(d1));
                assert_memory_equal(sums1, sums2, sizeof(sums1));
                assert_true(s1 == s2 || (isnan(s1) && isnan(s2)));
            }
        }
    }
}

static void check_between(enum cpu_level level, size_t n, float scale)
{
    const struct quant_kernels *k = quant_sets[level];
    float *x = need(n * 4), *w = need(n * 4), *want = need(n * 4), *got = need(n * 4);

    for (size_t i = 0; i < n; i++) {
        x[i] = noise() * scale;
        w[i] = 1 + noise();
    }
    quant_ref.rms_norm(x, w, 1e-5f, n, want);
    k->rms_norm(x, w, 1e-5f, n, got);
    compare("rms_norm", want, got, n, 2e-6f);
    memcpy(want, x, n * 4);
    memcpy(got, x, n * 4);
    quant_ref.silu_mul(want, w, n);
    k->silu_mul(got, w, n);
    compare("silu_mul", want, got, n, 2e-6f);
    memcpy(want, x, n * 4);
    memcpy(got, x, n * 4);
    quant_ref.gelu_mul(want, w, n);
    k->gelu_mul(got, w, n);
    compare("gelu_mul", want, got, n, 2e-6f);
    memcpy(want, x, n * 4);
    memcpy(got, x, n * 4);
    quant_ref.relu2_mul(want, w, n);
    k->relu2_mul(got, w, n);
    compare("relu2_mul", want, got, n, 2e-6f);
    free(x);
    free(w);
    free(want);
    free(got);
}

static void what_is_between_products_is_the_reference_s(void **state)
{
    static const float scales[] = {1e-6f, 1, 50, 1e5f};

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        seed = 1;
        for (size_t s = 0; cpu_has((enum cpu_level)level) && s < ARRAY_LEN(scales); s++) {
            check_between((enum cpu_level)level, 32, scales[s]);
            check_between((enum cpu_level)level, 576, scales[s]);
        }
    }
}

static void survive_scales(enum cpu_level level, uint32_t type)
{
    enum { ROWS = 20, COLS = 256 };
    struct quant_matrix w = make(type, ROWS, COLS, RANDOM);
    uint8_t *data = (uint8_t *)(uintptr_t)w.data;
    float x[2 * COLS], y[2 * ROWS];
    struct quant_input in;

    memset(data, 0xff, ROWS * w.row_bytes);
    for (size_t i = 0; i < 2 * COLS; i++)
        x[i] = NAN;
    in = input_of(quant_sets[level], x, 2, COLS);
    CHECK_STATUS(ST_OK, quant_pack(&w, data));
    quant_sets[level]->matmul(&w, &in, 1, 0, ROWS, y, ROWS);
    quant_sets[level]->matmul(&w, &in, 2, 0, ROWS, y, ROWS);
    free_input(&in);
    free(data);
}

/* A half of a file can be anything: NaN scales may make NaN, never a trap. */
static void scales_that_are_no_numbers_are_survived(void **state)
{
    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        float x[64];

        for (size_t t = 0; cpu_has((enum cpu_level)level) && t < ARRAY_LEN(types); t++)
            survive_scales((enum cpu_level)level, types[t]);
        if (!cpu_has((enum cpu_level)level))
            continue;
        for (size_t i = 0; i < 64; i++)
            x[i] = NAN;
        quant_sets[level]->silu_mul(x, x, 64);
        quant_sets[level]->gelu_mul(x, x, 64);
        quant_sets[level]->relu2_mul(x, x, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_can_be_undone),
        cmocka_unit_test(products_are_the_reference_s),
        cmocka_unit_test(columns_do_not_depend_on_each_other),
        cmocka_unit_test(the_reference_is_what_the_blocks_say),
        cmocka_unit_test(odd_numbers_are_rounded_as_the_reference_does),
        cmocka_unit_test(what_is_between_products_is_the_reference_s),
        cmocka_unit_test(scales_that_are_no_numbers_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
