/* Many columns (a prompt): eight rows become a panel, one byte a code, of each row in turn the
 * codes that four inputs meet. So one vector meets four inputs of a column, spread to all
 * lanes, each lane adds up a row, and nothing is added across lanes. A panel is made once and
 * meets all columns, four at a time. Rows of the rarer types go this way whatever the number
 * of columns. Included by quant_body.h. */
#ifndef ENGINE_KERNELS_QUANT_PROMPT_BODY_H
#define ENGINE_KERNELS_QUANT_PROMPT_BODY_H

#include "engine/kernels/quant_decode_body.h"

#define COLUMNS    4
#define PANEL_ROWS 8
#define FOUR       4 /* codes of a row in a lane */

/* `acc` with the products of four codes and four inputs a lane added, as far as its kind of
 * sum holds them; `total` with such sums added. */
static inline __m256i sum_more(__m256i acc, __m256i codes, __m256i q);
static inline __m256i sum_up(__m256i total, __m256i acc);

/* How codes, scales and offsets of a type are summed up. */
struct sums {
    bool is_signed; /* codes -128..127, or 0..127 */
    bool halves;    /* a scale for each 16, or for each 32 */
    bool offsets;
    size_t depth; /* sum_more()s of 16 bits: 32767 / (2 * 127 * largest code) or less */
};

struct panel {
    _Alignas(32) int8_t codes[PANEL_ROWS * QUANT_COLS_MAX]; /* [cols / 4][row][4] */
    _Alignas(32) float d[PANEL_ROWS * QUANT_COLS_MAX / 16]; /* [group][row] */
    _Alignas(32) float m[PANEL_ROWS * QUANT_COLS_MAX / 16];
};

/* The same block of eight rows, row by row. */
struct panel_block {
    _Alignas(32) int8_t codes[PANEL_ROWS][FORMAT_VALUES_MAX];
    float d[PANEL_ROWS][FORMAT_GROUPS_MAX], m[PANEL_ROWS][FORMAT_GROUPS_MAX];
};

/* --- blocks --------------------------------------------------------------------------- */

INLINE void store32(void *p, __m256i codes)
{
    _mm256_store_si256((__m256i *)p, codes);
}

INLINE void unpack_32(uint32_t type, const uint8_t *p, int8_t *codes, float *d, float *m)
{
    store32(codes, block_codes(type, p));
    *d = block_scale(type, p);
    *m = block_zero(type) != 0 ? (float)-block_zero(type) * *d : block_offset(type, p);
}

/* A scale for each 32. */
INLINE void unpack_256(uint32_t type, const uint8_t *p, int8_t *codes, float *d, float *m)
{
    __m256i slices[SLICES];
    __m256 scales, offsets;

    block_codes_256(type, p, slices);
    block_scales(type, p, &scales, &offsets);
    for (size_t j = 0; j < SLICES; j++)
        store32(codes + 32 * j, slices[j]);
    _mm256_storeu_ps(d, scales);
    _mm256_storeu_ps(m, offsets);
}

/* A scale for each 16: there is no sum of 16 inputs at hand for an offset, so that codes are
 * made signed where that takes it away. */
INLINE void unpack_256_16(uint32_t type, const uint8_t *p, int8_t *codes, float *d, float *m)
{
    const __m256i zero = _mm256_set1_epi8((char)block_zero(type));
    __m256i slices[SLICES];
    __m256 scales[2], offsets[2];

    block_codes_256(type, p, slices);
    block_scales_16(type, p, scales, offsets);
    for (size_t j = 0; j < SLICES; j++)
        store32(codes + 32 * j, _mm256_sub_epi8(slices[j], zero));
    for (size_t h = 0; h < 2; h++) {
        _mm256_storeu_ps(d + 8 * h, scales[h]);
        _mm256_storeu_ps(m + 8 * h, offsets[h]);
    }
}

/* One block, with codes as panel_product() takes them. */
static void unpack(const struct format *f, uint32_t type, const uint8_t *p, int8_t *codes,
                   float *d, float *m)
{
    switch (type) {
    case FORMAT_Q4_0:
        unpack_32(FORMAT_Q4_0, p, codes, d, m);
        break;
    case FORMAT_Q4_1:
        unpack_32(FORMAT_Q4_1, p, codes, d, m);
        break;
    case FORMAT_Q5_0:
        unpack_32(FORMAT_Q5_0, p, codes, d, m);
        break;
    case FORMAT_Q5_1:
        unpack_32(FORMAT_Q5_1, p, codes, d, m);
        break;
    case FORMAT_Q8_0:
        unpack_32(FORMAT_Q8_0, p, codes, d, m);
        break;
    case FORMAT_IQ4_NL:
        unpack_32(FORMAT_IQ4_NL, p, codes, d, m);
        break;
    case FORMAT_MXFP4:
        unpack_32(FORMAT_MXFP4, p, codes, d, m);
        break;
    case FORMAT_Q2_K:
        unpack_256_16(FORMAT_Q2_K, p, codes, d, m);
        break;
    case FORMAT_Q3_K:
        unpack_256_16(FORMAT_Q3_K, p, codes, d, m);
        break;
    case FORMAT_Q4_K:
        unpack_256(FORMAT_Q4_K, p, codes, d, m);
        break;
    case FORMAT_Q5_K:
        unpack_256(FORMAT_Q5_K, p, codes, d, m);
        break;
    case FORMAT_Q6_K:
        unpack_256_16(FORMAT_Q6_K, p, codes, d, m);
        break;
    case FORMAT_IQ4_XS:
        unpack_256(FORMAT_IQ4_XS, p, codes, d, m);
        break;
    default:
        f->unpack(p, codes, d, m);
    }
}

/* --- panels --------------------------------------------------------------------------- */

INLINE __m256i four_of(const struct panel_block *b, size_t at, size_t low, size_t high)
{
    __m128i x = _mm_load_si128((const __m128i *)(const void *)(b->codes[low] + at));
    __m128i y = _mm_load_si128((const __m128i *)(const void *)(b->codes[high] + at));

    return _mm256_inserti128_si256(_mm256_castsi128_si256(x), y, 1);
}

/* 16 codes of each row: four vectors, each with four codes of every row. */
INLINE void interleave(const struct panel_block *b, size_t at, int8_t *to)
{
    __m256i r04 = four_of(b, at, 0, 4), r15 = four_of(b, at, 1, 5);
    __m256i r26 = four_of(b, at, 2, 6), r37 = four_of(b, at, 3, 7);
    __m256i a = _mm256_unpacklo_epi32(r04, r15), c = _mm256_unpackhi_epi32(r04, r15);
    __m256i e = _mm256_unpacklo_epi32(r26, r37), g = _mm256_unpackhi_epi32(r26, r37);

    store32(to, _mm256_unpacklo_epi64(a, e));
    store32(to + 32, _mm256_unpackhi_epi64(a, e));
    store32(to + 64, _mm256_unpacklo_epi64(c, g));
    store32(to + 96, _mm256_unpackhi_epi64(c, g));
}

/* Rows row..row + n; the others of the panel are zeros. */
static void fill_panel(const struct quant_matrix *w, size_t row, size_t n, struct panel *to)
{
    const struct format *f = format_of(w->type);
    size_t groups = f->values / f->group;
    struct panel_block b;

    memset(&b, 0, sizeof(b));
    for (size_t i = 0; i < w->cols / f->values; i++) {
        for (size_t r = 0; r < n; r++) {
            const uint8_t *p = w->data + (row + r) * w->row_bytes + i * f->bytes;

            fetch_ahead(p, f->bytes);
            unpack(f, w->type, p, b.codes[r], b.d[r], b.m[r]);
        }
        for (size_t at = 0; at < f->values; at += 16)
            interleave(&b, at, to->codes + PANEL_ROWS * (i * f->values + at));
        for (size_t g = 0; g < groups; g++) {
            for (size_t r = 0; r < PANEL_ROWS; r++) {
                to->d[PANEL_ROWS * (i * groups + g) + r] = b.d[r][g];
                to->m[PANEL_ROWS * (i * groups + g) + r] = b.m[r][g];
            }
        }
    }
}

/* --- products ------------------------------------------------------------------------- */

/* Four inputs, in all lanes. */
INLINE __m256i spread_four(const int8_t *q)
{
    int four;

    memcpy(&four, q, sizeof(four));
    return _mm256_set1_epi32(four);
}

/* sum[k] += codes of `count` inputs with those of column k, q[k]. */
INLINE void group_sums(struct sums s, const int8_t *codes, const int8_t *const q[COLUMNS],
                       size_t at, size_t count, size_t n, __m256i sum[COLUMNS])
{
    for (size_t from = 0; from < count; from += FOUR * s.depth) {
        __m256i part[COLUMNS];

        for (size_t k = 0; k < n; k++)
            part[k] = _mm256_setzero_si256();
        for (size_t i = from; i < from + FOUR * s.depth; i += FOUR) {
            __m256i w = load32(codes + PANEL_ROWS * i);
            __m256i size = s.is_signed ? _mm256_sign_epi8(w, w) : w;

            for (size_t k = 0; k < n; k++) {
                __m256i x = spread_four(q[k] + at + i);

                part[k] = sum_more(part[k], size, s.is_signed ? _mm256_sign_epi8(x, w) : x);
            }
        }
        for (size_t k = 0; k < n; k++)
            sum[k] = sum_up(sum[k], part[k]);
    }
}

/* The inputs of half a block alone. */
INLINE __m256 half_sum(const int8_t *q)
{
    __m256i sum = _mm256_setzero_si256();

    for (size_t i = 0; i < 16; i += FOUR)
        sum = sum_more(sum, _mm256_set1_epi8(1), spread_four(q + i));
    return _mm256_cvtepi32_ps(sum_up(_mm256_setzero_si256(), sum));
}

/* A panel with n columns, into y[k * ldy + row]. */
INLINE void tile(struct sums s, const struct panel *p, const struct quant_input *in,
                 size_t cols, size_t t, size_t n, float *y, size_t ldy)
{
    const size_t group = s.halves ? 16 : 32;
    size_t blocks = cols / QUANT_BLOCK;
    const int8_t *q[COLUMNS];
    __m256 acc[COLUMNS];

    for (size_t k = 0; k < n; k++) {
        q[k] = in->q + (t + k) * cols;
        acc[k] = _mm256_setzero_ps();
    }
    for (size_t at = 0; at < cols; at += group) {
        __m256 d = _mm256_load_ps(p->d + PANEL_ROWS * (at / group));
        __m256i sum[COLUMNS];

        for (size_t k = 0; k < n; k++)
            sum[k] = _mm256_setzero_si256();
        group_sums(s, p->codes + PANEL_ROWS * at, q, at, group, n, sum);
        for (size_t k = 0; k < n; k++) {
            size_t b = (t + k) * blocks + at / QUANT_BLOCK;
            __m256 dx = _mm256_broadcast_ss(in->d + b), m;

            acc[k] = _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(sum[k]), acc[k]);
            if (!s.offsets)
                continue;
            m = _mm256_load_ps(p->m + PANEL_ROWS * (at / group));
            acc[k] = _mm256_fmadd_ps(m,
                                     s.halves ? _mm256_mul_ps(half_sum(q[k] + at), dx)
                                              : _mm256_broadcast_ss(in->s + b),
                                     acc[k]);
        }
    }
    for (size_t k = 0; k < n; k++)
        _mm256_storeu_ps(y + k * ldy, acc[k]);
}

/* The last panel may have fewer rows than there is room for. */
static void copy_rows(const float *from, size_t rows, size_t n, float *y, size_t ldy)
{
    for (size_t k = 0; k < n; k++) {
        for (size_t r = 0; r < rows; r++)
            y[k * ldy + r] = from[k * PANEL_ROWS + r];
    }
}

INLINE void all_tiles(struct sums s, const struct panel *p, const struct quant_input *in,
                      size_t cols, size_t n, size_t rows, float *y, size_t ldy)
{
    float part[COLUMNS * PANEL_ROWS];
    bool whole = rows == PANEL_ROWS;
    size_t t = 0;

    for (; t + COLUMNS <= n; t += COLUMNS) {
        tile(s, p, in, cols, t, COLUMNS, whole ? y + t * ldy : part, whole ? ldy : PANEL_ROWS);
        if (!whole)
            copy_rows(part, rows, COLUMNS, y + t * ldy, ldy);
    }
    for (; t < n; t++) {
        tile(s, p, in, cols, t, 1, part, PANEL_ROWS);
        copy_rows(part, rows, 1, y + t * ldy, ldy);
    }
}

/* One loop a kind of sum: the constants below are what the compiler makes them of. */
static void panel_product(const struct quant_matrix *w, const struct panel *p,
                          const struct quant_input *in, size_t n, size_t rows, float *y,
                          size_t ldy)
{
    const struct format *f = format_of(w->type);

    switch (w->type) {
    case FORMAT_Q4_0:
    case FORMAT_Q4_1:
    case FORMAT_Q4_K:
        all_tiles((struct sums){.offsets = true, .depth = 8}, p, in, w->cols, n, rows, y, ldy);
        return;
    case FORMAT_Q5_0:
    case FORMAT_Q5_1:
    case FORMAT_Q5_K:
        all_tiles((struct sums){.offsets = true, .depth = 4}, p, in, w->cols, n, rows, y, ldy);
        return;
    case FORMAT_Q3_K:
    case FORMAT_Q6_K:
        all_tiles((struct sums){.is_signed = true, .halves = true, .depth = 4}, p, in, w->cols,
                  n, rows, y, ldy);
        return;
    case FORMAT_Q2_K:
        all_tiles((struct sums){.halves = true, .offsets = true, .depth = 4}, p, in, w->cols, n,
                  rows, y, ldy);
        return;
    default:
        if (f->group == QUANT_BLOCK)
            all_tiles((struct sums){.is_signed = true, .depth = 1}, p, in, w->cols, n, rows, y,
                      ldy);
        else
            all_tiles((struct sums){.is_signed = true, .halves = true, .depth = 1}, p, in,
                      w->cols, n, rows, y, ldy);
    }
}

static void prompt(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    struct panel p;

    for (size_t row = from; row < to; row += PANEL_ROWS) {
        size_t rows = to - row < PANEL_ROWS ? to - row : PANEL_ROWS;

        fill_panel(w, row, rows, &p);
        panel_product(w, &p, in, n, rows, y + row, ldy);
    }
}

#endif
