/* Every set of attention kernels that this machine has, against the reference set, and that
 * against a softmax over floats that know nothing of pages. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "base/compiler.h"
#include "engine/cpu.h"
#include "engine/kernels/attend.h"

#define WORD_MOST 32767

/* An emulator takes tenfold. */
#if defined(IBID_EMULATED)
#define ROW_STEP 4
#else
#define ROW_STEP 1
#endif

enum { PAGES = 6, POSITIONS = PAGES * ATTEND_PAGE };

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

/* A sequence of POSITIONS random keys and values, and rows that look at it. */
struct scene {
    enum decoder_cache type;
    size_t width, rows;
    float *keys, *values, *q; /* [POSITIONS][width], same, [rows][width] */
    uint32_t first[ATTEND_ROWS_MAX], last[ATTEND_ROWS_MAX];
    uint32_t pages[PAGES];
    uint8_t *slots;
};

static void make_pages(struct scene *s, const struct attend_kernels *k)
{
    size_t bytes = attend_slot_bytes(s->type, s->width);

    s->slots = need(PAGES * bytes);
    /* What is not written is no number. */
    memset(s->slots, 0xff, PAGES * bytes);
    for (size_t i = 0; i < PAGES; i++)
        s->pages[i] = (uint32_t)((i * 5 + 3) % PAGES);
    for (size_t j = 0; j <= s->last[s->rows - 1]; j++)
        k->store(s->type, s->slots + s->pages[j / ATTEND_PAGE] * bytes, j % ATTEND_PAGE,
                 s->width, s->keys + j * s->width, s->values + j * s->width);
}

static bool odd_ones(size_t n)
{
    bool odd = false;

    for (; n != 0; n &= n - 1)
        odd = !odd;
    return odd;
}

/* x = H x / n of each run of dimensions as long as the largest power of two in `width`, by
 * Sylvester's definition: H[i][j] = (-1)^(ones in i & j). */
static void unmix(float *x, size_t width)
{
    size_t n = 1;
    float y[ATTEND_WIDTH_MAX];

    while (width % (2 * n) == 0)
        n *= 2;
    for (size_t i = 0; i < width; i++) {
        y[i] = 0;
        for (size_t j = 0; j < n; j++) {
            float v = x[i / n * n + j];

            y[i] += odd_ones(i % n & j) ? -v : v;
        }
    }
    for (size_t i = 0; i < width; i++)
        x[i] = y[i] / (float)n;
}

/* Queries that are, mixed, whole multiples of their largest dimension's part: sets that round
 * them to 16 bits change nothing. */
static void make_whole(struct scene *s, float scale)
{
    float unit = exp2f(floorf(log2f(scale / WORD_MOST)));

    for (size_t r = 0; r < s->rows; r++) {
        float *q = s->q + r * s->width;

        q[r % s->width] = WORD_MOST * unit;
        for (size_t c = 0; c < s->width; c++) {
            float v = nearbyintf(q[c] / unit);

            q[c] = fmaxf(fminf(v, WORD_MOST), -WORD_MOST) * unit;
        }
        unmix(q, s->width);
    }
}

static void make(struct scene *s, enum decoder_cache type, size_t width, size_t rows,
                 float scale)
{
    *s = (struct scene){.type = type, .width = width, .rows = rows};
    s->keys = need(POSITIONS * width * sizeof(float));
    s->values = need(POSITIONS * width * sizeof(float));
    s->q = need(rows * width * sizeof(float));
    for (size_t i = 0; i < POSITIONS * width; i++) {
        s->keys[i] = noise() * scale;
        s->values[i] = noise();
    }
    for (size_t i = 0; i < rows * width; i++)
        s->q[i] = noise() * scale / sqrtf((float)width);
    if (type == CACHE_Q8)
        make_whole(s, scale);
}

/* Rows of `group` heads a column, the columns end at `end`; window 0: all before. */
static void look(struct scene *s, size_t group, size_t end, size_t window)
{
    size_t columns = (s->rows + group - 1) / group;

    for (size_t r = 0; r < s->rows; r++) {
        size_t pos = end - columns + 1 + r / group;

        s->last[r] = (uint32_t)pos;
        s->first[r] = (uint32_t)(window > 0 && pos + 1 > window ? pos + 1 - window : 0);
    }
}

static void free_scene(struct scene *s)
{
    free(s->slots);
    free(s->keys);
    free(s->values);
    free(s->q);
}

struct result {
    float most[ATTEND_ROWS_MAX], sum[ATTEND_ROWS_MAX];
    float out[ATTEND_ROWS_MAX * ATTEND_WIDTH_MAX];
};

static void attend(const struct scene *s, const struct attend_kernels *k, size_t from,
                   size_t to, struct result *out)
{
    const struct attend_queries q = {s->q, s->first, s->last, s->rows, s->width};
    const struct attend_keys keys = {s->type, s->pages, s->slots,
                                     attend_slot_bytes(s->type, s->width)};
    const struct attend_state state = {out->most, out->sum, out->out};

    k->pages(&q, &keys, from, to, &state);
}

static void merge(struct result *a, struct result *b, const struct scene *s)
{
    const struct attend_state x = {a->most, a->sum, a->out}, y = {b->most, b->sum, b->out};

    attend_merge(&x, &y, s->rows, s->width);
}

static void compare(const struct scene *s, const struct result *want, const struct result *got,
                    float most)
{
    for (size_t r = 0; r < s->rows; r++) {
        for (size_t c = 0; c < s->width; c++) {
            float a = want->out[r * s->width + c] / want->sum[r],
                  b = got->out[r * s->width + c] / got->sum[r];

            if (!(fabsf(a - b) <= most))
                fail_msg("type %d, width %zu, %zu rows, row %zu (%u..%u), %zu: want %g, got %g",
                         (int)s->type, s->width, s->rows, r, s->first[r], s->last[r], c,
                         (double)a, (double)b);
        }
    }
}

/* Softmax over all that each row sees, from the floats. */
static void plain(const struct scene *s, struct result *out)
{
    for (size_t r = 0; r < s->rows; r++) {
        double p[POSITIONS], most = -INFINITY, sum = 0;

        for (size_t j = s->first[r]; j <= s->last[r]; j++) {
            p[j] = 0;
            for (size_t c = 0; c < s->width; c++)
                p[j] += (double)s->q[r * s->width + c] * (double)s->keys[j * s->width + c];
            most = fmax(most, p[j]);
        }
        for (size_t j = s->first[r]; j <= s->last[r]; j++)
            sum += p[j] = exp(p[j] - most);
        out->sum[r] = 1;
        for (size_t c = 0; c < s->width; c++) {
            double y = 0;

            for (size_t j = s->first[r]; j <= s->last[r]; j++)
                y += p[j] * (double)s->values[j * s->width + c];
            out->out[r * s->width + c] = (float)(y / sum);
        }
    }
}

static void sets_are_a_softmax(void **state)
{
    /* Values are below 1: halves are off by 2^-11, bytes by 1 / 254, and the keys' rounding
     * comes on top. */
    static const float most[] = {1e-6f, 2e-3f, 2e-2f};
    static struct result want, got;
    struct scene s;

    (void)state;
    for (int i = 0; i < 3 * CPU_LEVELS; i++) {
        enum decoder_cache type = (enum decoder_cache)(i % 3);

        if (!cpu_has((enum cpu_level)(i / 3)))
            continue;
        seed = 1;
        make(&s, CACHE_F32, 48, 6, 2);
        s.type = type;
        look(&s, 2, 150, 0);
        make_pages(&s, attend_sets[i / 3]);
        plain(&s, &want);
        attend(&s, attend_sets[i / 3], 0, PAGES, &got);
        compare(&s, &want, &got, most[type]);
        free_scene(&s);
    }
}

static void check(const struct attend_kernels *k, enum decoder_cache type, size_t width,
                  size_t rows, size_t end, size_t window)
{
    static struct result want, got, rest;
    /* Weights are rounded to 16 bits of the page's largest, all to one side at the worst;
     * values are below 1. */
    float most = type == CACHE_Q8 ? ATTEND_PAGE * .5f / WORD_MOST : 2e-5f;
    size_t group = rows % 3 == 0 ? 3 : 1;
    struct scene s;

    make(&s, type, width, rows, end % 2 == 0 ? 1 : 8);
    look(&s, group, end, window);
    make_pages(&s, k);
    attend(&s, &attend_ref, 0, PAGES, &want);
    attend(&s, k, 0, PAGES, &got);
    compare(&s, &want, &got, most);
    /* In two parts, of which rows may have seen nothing. */
    attend(&s, k, 0, 2, &got);
    attend(&s, k, 2, PAGES, &rest);
    merge(&got, &rest, &s);
    compare(&s, &want, &got, most);
    free_scene(&s);
}

static void sets_are_the_reference_s(void **state)
{
    static const size_t widths[] = {16, 48, 64, 80, 128, 256};
    static const size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 64};
    static const size_t ends[] = {63, 95, 96, 130, POSITIONS - 1};

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        seed = 7;
        for (size_t w = 0; cpu_has((enum cpu_level)level) && w < ARRAY_LEN(widths); w++) {
            for (size_t r = 0; r < ARRAY_LEN(rows); r += ROW_STEP) {
                for (size_t e = 0; e < ARRAY_LEN(ends); e++) {
                    enum decoder_cache type = (enum decoder_cache)((r + e) % 3);

                    check(attend_sets[level], type, widths[w], rows[r], ends[e], 0);
                    check(attend_sets[level], type, widths[w], rows[r], ends[e],
                          r % 2 ? 1 : 40);
                }
            }
        }
    }
}

/* A row alone is what it was among others, to the last bit, so that an answer does not depend
 * on where its prompt is cut, nor on who is answered beside it. */
static void check_alone(struct scene *s, const struct attend_kernels *k)
{
    static struct result all, alone;
    struct scene one = *s;

    attend(s, k, 0, PAGES, &all);
    one.rows = 1;
    for (size_t r = 0; r < s->rows; r++) {
        one.q = s->q + r * s->width;
        one.first[0] = s->first[r];
        one.last[0] = s->last[r];
        attend(&one, k, 0, PAGES, &alone);
        assert_memory_equal(&alone.most[0], &all.most[r], sizeof(float));
        assert_memory_equal(&alone.sum[0], &all.sum[r], sizeof(float));
        assert_memory_equal(alone.out, all.out + r * s->width, s->width * sizeof(float));
    }
}

static void rows_do_not_change_one_another(void **state)
{
    static const size_t rows[] = {2, 5, 9, 33, 64}, ends[] = {70, 95, POSITIONS - 1};

    (void)state;
    for (int i = 0; i < 3 * CPU_LEVELS; i++) {
        for (size_t r = 0; cpu_has((enum cpu_level)(i / 3)) && r < ARRAY_LEN(rows); r++) {
            for (size_t e = 0; e < ARRAY_LEN(ends); e++) {
                struct scene s;

                make(&s, (enum decoder_cache)(i % 3), 64, rows[r], 1);
                look(&s, r % 2 + 1, ends[e], e % 2 == 0 ? 0 : 40);
                make_pages(&s, attend_sets[i / 3]);
                check_alone(&s, attend_sets[i / 3]);
                free_scene(&s);
            }
        }
    }
}

/* Numbers of any size are stored alike, also such as are none. */
static void sets_store_the_same_bytes(void **state)
{
    static const float odd[] = {0,     -0.0f, 1e-45f,   1e-31f,    3e38f, -3e38f,
                                1e-3f, 65504, INFINITY, -INFINITY, NAN,   70000};
    static uint8_t want[1 << 16], got[1 << 16];
    float key[64], value[64];

    (void)state;
    for (int level = 0; level < CPU_LEVELS; level++) {
        for (size_t a = 0; cpu_has((enum cpu_level)level) && a < 3 * ARRAY_LEN(odd); a++) {
            enum decoder_cache type = (enum decoder_cache)(a % 3);
            size_t bytes = attend_slot_bytes(type, 64);

            for (size_t i = 0; i < 64; i++) {
                key[i] = i % 5 == 0 ? odd[a / 3] : noise();
                value[i] = i % 7 == 0 ? odd[a / 3] : noise();
            }
            memset(want, 0, bytes);
            memset(got, 0, bytes);
            attend_ref.store(type, want, a % ATTEND_PAGE, 64, key, value);
            attend_sets[level]->store(type, got, a % ATTEND_PAGE, 64, key, value);
            assert_memory_equal(want, got, bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_a_softmax),
        cmocka_unit_test(sets_are_the_reference_s),
        cmocka_unit_test(rows_do_not_change_one_another),
        cmocka_unit_test(sets_store_the_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
