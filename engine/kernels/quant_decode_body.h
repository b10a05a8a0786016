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

INLINE float offset_at(uint32_t type, const uint8_t *block)
{
    return type == FORMAT_Q4_1 || type == FORMAT_Q5_1 ? block_half(block + 2) : 0;
}

/* `n` rows (ROWS, or 1) of a type with blocks of 32. */
INLINE void decode_rows_32(uint32_t type, size_t bytes, const struct quant_matrix *w,
                           const struct quant_input *in, size_t row, size_t n, float *y)
{
    const uint8_t *p = w->data + row * w->row_bytes;
    __m256 acc[ROWS];
    float rest[ROWS];

    for (size_t r = 0; r < n; r++) {
        acc[r] = _mm256_setzero_ps();
        rest[r] = 0;
    }
    for (size_t b = 0; b < w->cols / QUANT_BLOCK; b++) {
        __m256i q = load32(in->q + b * QUANT_BLOCK), start = start_of(block_zero(type), q);

        for (size_t r = 0; r < n; r++) {
            const uint8_t *block = p + r * w->row_bytes + b * bytes;
            __m256 d = _mm256_set1_ps(block_half(block) * in->d[b]);
            __m256i codes = block_codes(type, block);
            __m256i sum = type == FORMAT_Q8_0 ? dot_signed(codes, q) : dot4(start, codes, q);

            fetch_ahead(block, 1);
            acc[r] = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(sum), acc[r]);
            rest[r] += offset_at(type, block) * in->s[b];
        }
    }
    for (size_t r = 0; r < n; r++)
        y[row + r] = add_lanes(acc[r]) + rest[r];
}

/* A block of 256 with eight scales, `d` times those of the inputs: two sums, so that each
 * addition need not wait for the one before. */
INLINE __m256 block_product(uint32_t type, const uint8_t *block, const int8_t *q, __m256 d)
{
    __m256 even = _mm256_setzero_ps(), odd = even;
    __m256i codes[SLICES], none = _mm256_setzero_si256();
    float scales[SLICES];

    block_codes_k(type, block, codes);
    _mm256_storeu_ps(scales, d);
    for (size_t j = 0; j < SLICES; j += 2) {
        __m256i a = dot4(none, codes[j], load32(q + 32 * j));
        __m256i b = dot4(none, codes[j + 1], load32(q + 32 * j + 32));

        even = _mm256_fmadd_ps(_mm256_broadcast_ss(scales + j), _mm256_cvtepi32_ps(a), even);
        odd = _mm256_fmadd_ps(_mm256_broadcast_ss(scales + j + 1), _mm256_cvtepi32_ps(b), odd);
    }
    return _mm256_add_ps(even, odd);
}

/* Q4_K and Q5_K. */
INLINE void decode_rows_k(uint32_t type, size_t bytes, const struct quant_matrix *w,
                          const struct quant_input *in, size_t row, size_t n, float *y)
{
    const uint8_t *p = w->data + row * w->row_bytes;
    __m256 acc[ROWS], rest[ROWS];

    for (size_t r = 0; r < n; r++)
        acc[r] = rest[r] = _mm256_setzero_ps();
    for (size_t b = 0; b < w->cols / FORMAT_VALUES_MAX; b++) {
        __m256 dx = _mm256_loadu_ps(in->d + b * SLICES),
               s = _mm256_loadu_ps(in->s + b * SLICES);

        for (size_t r = 0; r < n; r++) {
            const uint8_t *block = p + r * w->row_bytes + b * bytes;
            __m256 d, m;

            fetch_ahead(block, bytes);
            block_scales(block, &d, &m);
            rest[r] = _mm256_fmadd_ps(m, s, rest[r]);
            acc[r] =
                _mm256_add_ps(acc[r], block_product(type, block, in->q + b * FORMAT_VALUES_MAX,
                                                    _mm256_mul_ps(d, dx)));
        }
    }
    for (size_t r = 0; r < n; r++)
        y[row + r] = add_lanes(_mm256_add_ps(acc[r], rest[r]));
}

/* Lanes 0..3 of v's pair 2j, 4..7 of 2j + 1; j of 0..3. */
INLINE __m256 spread_pair(__m256 v, int j)
{
    __m256i at = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);

    return _mm256_permutevar8x32_ps(v, _mm256_add_epi32(at, _mm256_set1_epi32(2 * j)));
}

/* A block of Q6_K: a scale, `d`, for each 16 codes. */
INLINE __m256 block_product_q6_k(const uint8_t *block, const int8_t *q,
                                 const __m256i start[SLICES], const __m256 d[2])
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256i codes[SLICES];

    block_codes_q6_k(block, codes);
    for (size_t h = 0; h < 2; h++) {
        for (size_t j = 0; j < SLICES / 2; j++) {
            size_t i = h * SLICES / 2 + j;
            __m256i part = dot4(start[i], codes[i], load32(q + 32 * i));

            sum[h] =
                _mm256_fmadd_ps(spread_pair(d[h], (int)j), _mm256_cvtepi32_ps(part), sum[h]);
        }
    }
    return _mm256_add_ps(sum[0], sum[1]);
}

/* Four scales of inputs, each twice. */
INLINE __m256 twice(const float *d)
{
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(d)),
                                    _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}

INLINE void decode_rows_q6_k(const struct quant_matrix *w, const struct quant_input *in,
                             size_t row, size_t n, float *y)
{
    const size_t bytes = 210;
    const uint8_t *p = w->data + row * w->row_bytes;
    __m256 acc[ROWS];

    for (size_t r = 0; r < n; r++)
        acc[r] = _mm256_setzero_ps();
    for (size_t b = 0; b < w->cols / FORMAT_VALUES_MAX; b++) {
        const int8_t *q = in->q + b * FORMAT_VALUES_MAX;
        __m256 dx[2] = {twice(in->d + b * SLICES), twice(in->d + b * SLICES + 4)};
        __m256i start[SLICES];

        for (size_t j = 0; j < SLICES; j++)
            start[j] = start_of(block_zero(FORMAT_Q6_K), load32(q + 32 * j));
        for (size_t r = 0; r < n; r++) {
            const uint8_t *block = p + r * w->row_bytes + b * bytes;
            __m256 d[2];

            fetch_ahead(block, bytes);
            block_scales_q6_k(block, d);
            d[0] = _mm256_mul_ps(d[0], dx[0]);
            d[1] = _mm256_mul_ps(d[1], dx[1]);
            acc[r] = _mm256_add_ps(acc[r], block_product_q6_k(block, q, start, d));
        }
    }
    for (size_t r = 0; r < n; r++)
        y[row + r] = add_lanes(acc[r]);
}

INLINE void decode_rows(uint32_t type, size_t bytes, const struct quant_matrix *w,
                        const struct quant_input *in, size_t row, size_t n, float *y)
{
    if (type == FORMAT_Q6_K)
        decode_rows_q6_k(w, in, row, n, y);
    else if (type == FORMAT_Q4_K || type == FORMAT_Q5_K)
        decode_rows_k(type, bytes, w, in, row, n, y);
    else
        decode_rows_32(type, bytes, w, in, row, n, y);
}

INLINE void decode_type(uint32_t type, size_t bytes, const struct quant_matrix *w,
                        const struct quant_input *in, size_t from, size_t to, float *y)
{
    size_t row = from;

    for (; row + ROWS <= to; row += ROWS)
        decode_rows(type, bytes, w, in, row, ROWS, y);
    for (; row < to; row++)
        decode_rows(type, bytes, w, in, row, 1, y);
}

/* false: not a type that is decoded here. */
static bool decode(const struct quant_matrix *w, const struct quant_input *in, size_t from,
                   size_t to, float *y)
{
    switch (w->type) {
    case FORMAT_Q4_0:
        decode_type(FORMAT_Q4_0, 18, w, in, from, to, y);
        return true;
    case FORMAT_Q4_1:
        decode_type(FORMAT_Q4_1, 20, w, in, from, to, y);
        return true;
    case FORMAT_Q5_0:
        decode_type(FORMAT_Q5_0, 22, w, in, from, to, y);
        return true;
    case FORMAT_Q5_1:
        decode_type(FORMAT_Q5_1, 24, w, in, from, to, y);
        return true;
    case FORMAT_Q8_0:
        decode_type(FORMAT_Q8_0, 34, w, in, from, to, y);
        return true;
    case FORMAT_Q4_K:
        decode_type(FORMAT_Q4_K, 144, w, in, from, to, y);
        return true;
    case FORMAT_Q5_K:
        decode_type(FORMAT_Q5_K, 176, w, in, from, to, y);
        return true;
    case FORMAT_Q6_K:
        decode_type(FORMAT_Q6_K, 210, w, in, from, to, y);
        return true;
    default:
        return false;
    }
}

#endif
