/* One column (decoding): four rows at a time, straight from the file's blocks, fetched ahead,
 * because the hardware's own fetching stops at each page. `type` is a constant at each call,
 * so the compiler makes one loop a type. Included by quant_body.h. */
#ifndef ENGINE_KERNELS_QUANT_DECODE_BODY_H
#define ENGINE_KERNELS_QUANT_DECODE_BODY_H

#include "engine/kernels/quant.h"
#include "engine/kernels/quant_block_body.h"

#define AHEAD_BYTES 4096
#define LINE_BYTES  64
#define ROWS        4

static inline __m256i dot4(__m256i acc, __m256i codes, __m256i q);

INLINE float add_lanes(__m256 v)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

INLINE void fetch_ahead(const uint8_t *block, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE_BYTES)
        _mm_prefetch((const char *)block + AHEAD_BYTES + i, _MM_HINT_T0);
}

/* Sum of products of signed bytes; those of q within -127..127. */
INLINE __m256i dot_signed(__m256i w, __m256i q)
{
    return dot4(_mm256_setzero_si256(), _mm256_sign_epi8(w, w), _mm256_sign_epi8(q, w));
}

/* Where sums start, so that the code `zero` counts nothing: four inputs a lane. */
INLINE __m256i start_of(int zero, __m256i q)
{
    __m256i none = _mm256_setzero_si256();

    return zero == 0 ? none
                     : _mm256_sub_epi32(none, dot4(none, _mm256_set1_epi8((char)zero), q));
}

/* What the rows of a call have added up: in lanes, and offsets apart. */
struct decoded {
    __m256 acc[ROWS], rest[ROWS];
};

/* 256 codes with eight scales, those of the inputs in them: two sums, so that an addition need
 * not wait for the one before. */
INLINE __m256 run_product(uint32_t type, const uint8_t *p, const int8_t *q,
                          const __m256i start[SLICES], __m256 d)
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256i codes[SLICES];
    float scales[SLICES];

    block_codes_256(type, p, codes);
    _mm256_storeu_ps(scales, d);
    for (size_t j = 0; j < SLICES; j++) {
        __m256i x = load32(q + 32 * j);
        __m256i part =
            block_is_signed(type) ? dot_signed(codes[j], x) : dot4(start[j], codes[j], x);

        sum[j % 2] = _mm256_fmadd_ps(_mm256_broadcast_ss(scales + j), _mm256_cvtepi32_ps(part),
                                     sum[j % 2]);
    }
    return _mm256_add_ps(sum[0], sum[1]);
}

/* Run b of 256 columns, rows from p on. */
INLINE void decode_run(uint32_t type, const struct quant_matrix *w, const uint8_t *p,
                       const struct quant_input *in, size_t b, struct decoded *to)
{
    const size_t bytes = block_size(type) * (block_is_256(type) ? 1 : SLICES);
    const int8_t *q = in->q + b * FORMAT_VALUES_MAX;
    __m256 dx = _mm256_loadu_ps(in->d + b * SLICES), s = _mm256_loadu_ps(in->s + b * SLICES);
    __m256i start[SLICES];

    for (size_t j = 0; j < SLICES; j++)
        start[j] = start_of(block_zero(type), load32(q + 32 * j));
    for (size_t r = 0; r < ROWS; r++) {
        const uint8_t *run = p + r * w->row_bytes + b * bytes;
        __m256 d, m;

        fetch_ahead(run, bytes);
        block_scales(type, run, &d, &m);
        if (block_has_offsets(type))
            to->rest[r] = _mm256_fmadd_ps(m, s, to->rest[r]);
        to->acc[r] =
            _mm256_add_ps(to->acc[r], run_product(type, run, q, start, _mm256_mul_ps(d, dx)));
    }
}

/* Lanes 0..3 of v's pair 2j, 4..7 of 2j + 1; j of 0..3. */
INLINE __m256 spread_pair(__m256 v, int j)
{
    __m256i at = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);

    return _mm256_permutevar8x32_ps(v, _mm256_add_epi32(at, _mm256_set1_epi32(2 * j)));
}

/* 256 codes with sixteen scales. */
INLINE __m256 run_product_16(uint32_t type, const uint8_t *p, const int8_t *q,
                             const __m256i start[SLICES], const __m256 d[2])
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256i codes[SLICES];

    block_codes_256(type, p, codes);
    for (size_t j = 0; j < SLICES; j++) {
        __m256i part = dot4(start[j], codes[j], load32(q + 32 * j));

        sum[j / 4] = _mm256_fmadd_ps(spread_pair(d[j / 4], (int)(j % 4)),
                                     _mm256_cvtepi32_ps(part), sum[j / 4]);
    }
    return _mm256_add_ps(sum[0], sum[1]);
}

/* Four scales of inputs, each twice. */
INLINE __m256 twice(const float *d)
{
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(d)),
                                    _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}

/* Offsets, an m for each 16, with the inputs alone. */
INLINE __m256 offsets_16(const int8_t *q, const __m256 m[2])
{
    __m256 sum = _mm256_setzero_ps();

    for (size_t j = 0; j < SLICES; j++) {
        __m256i all = dot4(_mm256_setzero_si256(), _mm256_set1_epi8(1), load32(q + 32 * j));

        sum =
            _mm256_fmadd_ps(spread_pair(m[j / 4], (int)(j % 4)), _mm256_cvtepi32_ps(all), sum);
    }
    return sum;
}

/* decode_run() for types with a scale for each 16. */
INLINE void decode_run_16(uint32_t type, const struct quant_matrix *w, const uint8_t *p,
                          const struct quant_input *in, size_t b, struct decoded *to)
{
    const size_t bytes = block_size(type);
    const int8_t *q = in->q + b * FORMAT_VALUES_MAX;
    __m256 dx[2] = {twice(in->d + b * SLICES), twice(in->d + b * SLICES + 4)};
    __m256i start[SLICES];

    for (size_t j = 0; j < SLICES; j++)
        start[j] = start_of(block_zero(type), load32(q + 32 * j));
    for (size_t r = 0; r < ROWS; r++) {
        const uint8_t *run = p + r * w->row_bytes + b * bytes;
        __m256 d[2], m[2];

        fetch_ahead(run, bytes);
        block_scales_16(type, run, d, m);
        for (size_t h = 0; h < 2; h++) {
            d[h] = _mm256_mul_ps(d[h], dx[h]);
            m[h] = _mm256_mul_ps(m[h], dx[h]);
        }
        to->acc[r] = _mm256_add_ps(to->acc[r], run_product_16(type, run, q, start, d));
        if (block_has_offsets(type))
            to->rest[r] = _mm256_add_ps(to->rest[r], offsets_16(q, m));
    }
}

/* Blocks of 32 from `b` on, one by one. */
INLINE void decode_rest(uint32_t type, const struct quant_matrix *w, const uint8_t *p,
                        const struct quant_input *in, size_t b, struct decoded *to)
{
    for (; b < w->cols / QUANT_BLOCK; b++) {
        __m256i q = load32(in->q + b * QUANT_BLOCK), start = start_of(block_zero(type), q);

        for (size_t r = 0; r < ROWS; r++) {
            const uint8_t *block = p + r * w->row_bytes + b * block_size(type);
            __m256i codes = block_codes(type, block);
            __m256i sum = block_is_signed(type) ? dot_signed(codes, q) : dot4(start, codes, q);
            __m256 d = _mm256_set1_ps(block_scale(type, block) * in->d[b]);
            __m128 m = _mm_set_ss(block_offset(type, block) * in->s[b]);

            fetch_ahead(block, 1);
            to->acc[r] = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(sum), to->acc[r]);
            if (block_has_offsets(type))
                to->rest[r] = _mm256_add_ps(to->rest[r], _mm256_zextps128_ps256(m));
        }
    }
}

/* ROWS rows. */
INLINE void decode_rows(uint32_t type, const struct quant_matrix *w,
                        const struct quant_input *in, size_t row, float *y)
{
    const uint8_t *p = w->data + row * w->row_bytes;
    /* Memory bounds Q8_0: gathering scales costs more than it saves. */
    size_t runs = type == FORMAT_Q8_0 ? 0 : w->cols / FORMAT_VALUES_MAX;
    struct decoded sums;

    for (size_t r = 0; r < ROWS; r++)
        sums.acc[r] = sums.rest[r] = _mm256_setzero_ps();
    for (size_t b = 0; b < runs; b++) {
        if (type == FORMAT_Q2_K || type == FORMAT_Q3_K || type == FORMAT_Q6_K)
            decode_run_16(type, w, p, in, b, &sums);
        else
            decode_run(type, w, p, in, b, &sums);
    }
    if (!block_is_256(type))
        decode_rest(type, w, p, in, runs * SLICES, &sums);
    for (size_t r = 0; r < ROWS; r++)
        y[row + r] = add_lanes(_mm256_add_ps(sums.acc[r], sums.rest[r]));
}

INLINE size_t decode_type(uint32_t type, const struct quant_matrix *w,
                          const struct quant_input *in, size_t from, size_t to, float *y)
{
    size_t row = from;

    for (; row + ROWS <= to; row += ROWS)
        decode_rows(type, w, in, row, y);
    return row;
}

/* The first row that is left to others: those of a type that is not here, or too few. */
static size_t decode(const struct quant_matrix *w, const struct quant_input *in, size_t from,
                     size_t to, float *y)
{
    switch (w->type) {
    case FORMAT_Q4_0:
        return decode_type(FORMAT_Q4_0, w, in, from, to, y);
    case FORMAT_Q4_1:
        return decode_type(FORMAT_Q4_1, w, in, from, to, y);
    case FORMAT_Q5_0:
        return decode_type(FORMAT_Q5_0, w, in, from, to, y);
    case FORMAT_Q5_1:
        return decode_type(FORMAT_Q5_1, w, in, from, to, y);
    case FORMAT_Q8_0:
        return decode_type(FORMAT_Q8_0, w, in, from, to, y);
    case FORMAT_IQ4_NL:
        return decode_type(FORMAT_IQ4_NL, w, in, from, to, y);
    case FORMAT_MXFP4:
        return decode_type(FORMAT_MXFP4, w, in, from, to, y);
    case FORMAT_Q2_K:
        return decode_type(FORMAT_Q2_K, w, in, from, to, y);
    case FORMAT_Q3_K:
        return decode_type(FORMAT_Q3_K, w, in, from, to, y);
    case FORMAT_Q4_K:
        return decode_type(FORMAT_Q4_K, w, in, from, to, y);
    case FORMAT_Q5_K:
        return decode_type(FORMAT_Q5_K, w, in, from, to, y);
    case FORMAT_Q6_K:
        return decode_type(FORMAT_Q6_K, w, in, from, to, y);
    case FORMAT_IQ4_XS:
        return decode_type(FORMAT_IQ4_XS, w, in, from, to, y);
    default:
        return from;
    }
}

#endif
