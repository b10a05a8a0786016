/* Many columns (a prompt): a row is taken apart once and meets all columns, four at a time.
 * So do rows of the rarer types whatever the number of columns. Included by quant_body.h. */
#ifndef ENGINE_KERNELS_QUANT_PROMPT_BODY_H
#define ENGINE_KERNELS_QUANT_PROMPT_BODY_H

#include "engine/kernels/quant_decode_body.h"

#define COLUMNS 4

/* How the codes of a row and its scales are to be summed up. */
enum sums {
    SUMS_OFFSET,       /* codes 0..127, an offset for each 32 */
    SUMS_SIGNED,       /* codes -128..127, none */
    SUMS_HALVES,       /* the same, a scale for each 16 */
    SUMS_HALVES_OFFSET /* and an offset for each 16 */
};

struct unpacked {
    _Alignas(32) int8_t codes[QUANT_COLS_MAX];
    float d[QUANT_COLS_MAX / 16], m[QUANT_COLS_MAX / 16]; /* a group */
    enum sums sums;
};

INLINE void store32(int8_t *p, __m256i codes)
{
    _mm256_store_si256((__m256i *)(void *)p, codes);
}

/* Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 */
INLINE void unpack_32(uint32_t type, size_t bytes, const uint8_t *p, size_t cols,
                      struct unpacked *u)
{
    for (size_t b = 0; b < cols / QUANT_BLOCK; b++, p += bytes) {
        store32(u->codes + b * QUANT_BLOCK, block_codes(type, p));
        u->d[b] = block_half(p);
        u->m[b] =
            block_zero(type) != 0 ? (float)-block_zero(type) * u->d[b] : offset_at(type, p);
    }
}

/* Q4_K, Q5_K */
INLINE void unpack_k(uint32_t type, size_t bytes, const uint8_t *p, size_t cols,
                     struct unpacked *u)
{
    for (size_t b = 0; b < cols / FORMAT_VALUES_MAX; b++, p += bytes) {
        __m256i codes[SLICES];
        __m256 d, m;

        block_codes_k(type, p, codes);
        block_scales(p, &d, &m);
        for (size_t j = 0; j < SLICES; j++)
            store32(u->codes + b * FORMAT_VALUES_MAX + 32 * j, codes[j]);
        _mm256_storeu_ps(u->d + b * SLICES, d);
        _mm256_storeu_ps(u->m + b * SLICES, m);
    }
}

static void unpack_q6_k(const uint8_t *p, size_t cols, struct unpacked *u)
{
    const __m256i zero = _mm256_set1_epi8((char)block_zero(FORMAT_Q6_K));

    for (size_t b = 0; b < cols / FORMAT_VALUES_MAX; b++, p += 210) {
        __m256i codes[SLICES];
        __m256 d[2];

        block_codes_q6_k(p, codes);
        block_scales_q6_k(p, d);
        for (size_t j = 0; j < SLICES; j++)
            store32(u->codes + b * FORMAT_VALUES_MAX + 32 * j, _mm256_sub_epi8(codes[j], zero));
        _mm256_storeu_ps(u->d + b * 16, d[0]);
        _mm256_storeu_ps(u->d + b * 16 + 8, d[1]);
    }
}

static enum sums unpack_any(const struct format *f, const uint8_t *p, size_t cols,
                            struct unpacked *u)
{
    for (size_t i = 0; i < cols; i += f->values, p += f->bytes)
        f->unpack(p, u->codes + i, u->d + i / f->group, u->m + i / f->group);
    if (f->group == QUANT_BLOCK)
        return f->offsets ? SUMS_OFFSET : SUMS_SIGNED;
    return f->offsets ? SUMS_HALVES_OFFSET : SUMS_HALVES;
}

static void unpack(const struct quant_matrix *w, size_t row, struct unpacked *u)
{
    const uint8_t *p = w->data + row * w->row_bytes;

    u->sums = SUMS_OFFSET;
    switch (w->type) {
    case FORMAT_Q4_0:
        unpack_32(FORMAT_Q4_0, 18, p, w->cols, u);
        break;
    case FORMAT_Q4_1:
        unpack_32(FORMAT_Q4_1, 20, p, w->cols, u);
        break;
    case FORMAT_Q5_0:
        unpack_32(FORMAT_Q5_0, 22, p, w->cols, u);
        break;
    case FORMAT_Q5_1:
        unpack_32(FORMAT_Q5_1, 24, p, w->cols, u);
        break;
    case FORMAT_Q8_0:
        unpack_32(FORMAT_Q8_0, 34, p, w->cols, u);
        u->sums = SUMS_SIGNED;
        break;
    case FORMAT_Q4_K:
        unpack_k(FORMAT_Q4_K, 144, p, w->cols, u);
        break;
    case FORMAT_Q5_K:
        unpack_k(FORMAT_Q5_K, 176, p, w->cols, u);
        break;
    case FORMAT_Q6_K:
        unpack_q6_k(p, w->cols, u);
        u->sums = SUMS_HALVES;
        break;
    default:
        u->sums = unpack_any(format_of(w->type), p, w->cols, u);
    }
}

/* One of a group in all lanes, or, of halves, one in the lower and one in the upper four. */
INLINE __m256 of_groups(bool halves, const float *v, size_t b)
{
    if (!halves)
        return _mm256_broadcast_ss(v + b);
    return _mm256_set_m128(_mm_broadcast_ss(v + 2 * b + 1), _mm_broadcast_ss(v + 2 * b));
}

static float sum_products(const float *a, const float *b, size_t n)
{
    __m256 acc = _mm256_setzero_ps();
    float rest = 0;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        acc = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), acc);
    for (; i < n; i++)
        rest += a[i] * b[i];
    return add_lanes(acc) + rest;
}

INLINE void columns(enum sums sums, const struct unpacked *u, const struct quant_input *in,
                    size_t cols, size_t t, size_t n, float *y, size_t ldy)
{
    const bool halves = sums == SUMS_HALVES || sums == SUMS_HALVES_OFFSET;
    const __m256i none = _mm256_setzero_si256();
    size_t blocks = cols / QUANT_BLOCK;
    __m256 acc[COLUMNS];

    for (size_t k = 0; k < n; k++)
        acc[k] = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
        __m256i w = load32(u->codes + b * QUANT_BLOCK);
        __m256 dw = of_groups(halves, u->d, b);

        for (size_t k = 0; k < n; k++) {
            __m256i q = load32(in->q + (t + k) * cols + b * QUANT_BLOCK);
            __m256i sum = sums == SUMS_OFFSET ? dot4(none, w, q) : dot_signed(w, q);
            __m256 dx = _mm256_broadcast_ss(in->d + (t + k) * blocks + b);

            acc[k] = _mm256_fmadd_ps(_mm256_mul_ps(dw, dx), _mm256_cvtepi32_ps(sum), acc[k]);
            if (sums == SUMS_HALVES_OFFSET) {
                __m256i all = dot4(none, _mm256_set1_epi8(1), q);
                __m256 m = _mm256_mul_ps(of_groups(true, u->m, b), dx);

                acc[k] = _mm256_fmadd_ps(m, _mm256_cvtepi32_ps(all), acc[k]);
            }
        }
    }
    for (size_t k = 0; k < n; k++) {
        y[(t + k) * ldy] = add_lanes(acc[k]);
        if (sums == SUMS_OFFSET)
            y[(t + k) * ldy] += sum_products(u->m, in->s + (t + k) * blocks, blocks);
    }
}

INLINE void all_columns(enum sums sums, const struct unpacked *u, const struct quant_input *in,
                        size_t cols, size_t n, float *y, size_t ldy)
{
    size_t t = 0;

    for (; t + COLUMNS <= n; t += COLUMNS)
        columns(sums, u, in, cols, t, COLUMNS, y, ldy);
    for (; t < n; t++)
        columns(sums, u, in, cols, t, 1, y, ldy);
}

static void prompt(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    struct unpacked u;

    for (size_t row = from; row < to; row++) {
        unpack(w, row, &u);
        switch (u.sums) {
        case SUMS_OFFSET:
            all_columns(SUMS_OFFSET, &u, in, w->cols, n, y + row, ldy);
            break;
        case SUMS_SIGNED:
            all_columns(SUMS_SIGNED, &u, in, w->cols, n, y + row, ldy);
            break;
        case SUMS_HALVES:
            all_columns(SUMS_HALVES, &u, in, w->cols, n, y + row, ldy);
            break;
        case SUMS_HALVES_OFFSET:
            all_columns(SUMS_HALVES_OFFSET, &u, in, w->cols, n, y + row, ldy);
            break;
        }
    }
}

#endif
