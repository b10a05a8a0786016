/* Rows that are not packed (grids, and what is left behind whole strips) with few columns
 * (decoding): eight rows at a time are taken apart by the type's own function, a block after
 * the other, and stay in the first cache for all columns. A vector holds 32 codes of one row;
 * what it sums up to is added across lanes for eight rows at once. With more columns panels are
 * faster. Included by quant_body.h. */
#ifndef ENGINE_KERNELS_QUANT_ROWS_BODY_H
#define ENGINE_KERNELS_QUANT_ROWS_BODY_H

#include "engine/kernels/quant_prompt_body.h"

#if defined(__x86_64__)

#include "engine/kernels/quant_grid_body.h"

#define ROW_COLUMNS 8 /* columns of a call, at most */
#define ROW_LANES   8 /* rows */

/* A block of each row. */
struct row_blocks {
    _Alignas(64) int8_t codes[ROW_LANES][FORMAT_VALUES_MAX];
    _Alignas(64) float d[FORMAT_GROUPS_MAX][ROW_LANES], m[FORMAT_GROUPS_MAX][ROW_LANES];
};

static void unpack_block(const struct format *f, uint32_t type, const uint8_t *p, int8_t *codes,
                         float *d, float *m)
{
    if (type == FORMAT_IQ2_XS)
        grid_2xs(p, codes, d);
    else if (type == FORMAT_IQ2_XXS)
        grid_2xxs(p, codes, d);
    else
        f->unpack(p, codes, d, m);
}

/* Block i of rows row..row + rows; the other rows keep what they had. */
static void unpack_rows(const struct format *f, const struct quant_matrix *w, size_t row,
                        size_t rows, size_t i, struct row_blocks *to)
{
    for (size_t r = 0; r < rows; r++) {
        float d[FORMAT_GROUPS_MAX], m[FORMAT_GROUPS_MAX];

        unpack_block(f, w->type, w->data + (row + r) * w->row_bytes + i * f->bytes,
                     to->codes[r], d, m);
        for (size_t g = 0; g < f->values / f->group; g++) {
            to->d[g][r] = d[g];
            to->m[g][r] = f->offsets ? m[g] : 0;
        }
    }
}

/* Codes at..at + 32 of each row with 32 inputs: sums of their first halves and of their second
 * ones. Two products fit 16 bits: 128 * 127 each. */
INLINE void row_sums(const struct row_blocks *b, size_t at, const int8_t *x, __m256i sums[2])
{
    const __m256i in = _mm256_loadu_si256((const __m256i *)(const void *)x);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i v[ROW_LANES];

    for (size_t r = 0; r < ROW_LANES; r++) {
        __m256i codes = _mm256_load_si256((const __m256i *)(const void *)(b->codes[r] + at));

        v[r] = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(in, codes));
        v[r] = _mm256_madd_epi16(v[r], ones);
    }
    for (size_t n = ROW_LANES; n > 2; n /= 2) {
        for (size_t r = 0; r < n / 2; r++)
            v[r] = _mm256_hadd_epi32(v[2 * r], v[2 * r + 1]);
    }
    sums[0] = _mm256_permute2x128_si256(v[0], v[1], 0x20);
    sums[1] = _mm256_permute2x128_si256(v[0], v[1], 0x31);
}

/* acc = d dx sum + acc, and m offset on top: in the order of add_panel(), or an answer would
 * depend on the number of columns beside its own. */
INLINE __m256 add_rows(const struct row_blocks *b, size_t g, float dx, __m256i sum,
                       bool offsets, float offset, __m256 acc)
{
    __m256 d = _mm256_mul_ps(_mm256_load_ps(b->d[g]), _mm256_set1_ps(dx));

    acc = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(sum), acc);
    return offsets ? _mm256_fmadd_ps(_mm256_load_ps(b->m[g]), _mm256_set1_ps(offset), acc)
                   : acc;
}

/* Block i of the rows, of which `b` has the codes, with n columns. */
static void meet_rows(const struct format *f, const struct row_blocks *b, size_t cols, size_t i,
                      const struct quant_input *in, size_t n, __m256 acc[ROW_COLUMNS])
{
    for (size_t j = 0; j < f->values / (size_t)QUANT_BLOCK; j++) {
        const size_t from = i * f->values / QUANT_BLOCK + j;

        for (size_t k = 0; k < n; k++) {
            const size_t block = k * (cols / QUANT_BLOCK) + from;
            const int16_t *halves = in->sums + 2 * block;
            float dx = in->d[block];
            __m256i sums[2];

            row_sums(b, QUANT_BLOCK * j, in->q + block * QUANT_BLOCK, sums);
            if (f->group == QUANT_BLOCK) {
                acc[k] = add_rows(b, j, dx, _mm256_add_epi32(sums[0], sums[1]), f->offsets,
                                  in->s[block], acc[k]);
                continue;
            }
            for (size_t h = 0; h < 2; h++)
                acc[k] = add_rows(b, 2 * j + h, dx, sums[h], f->offsets, dx * (float)halves[h],
                                  acc[k]);
        }
    }
}

/* Rows from..to, which are not packed, n <= ROW_COLUMNS columns. */
static void decode_rows(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                        size_t from, size_t to, float *y, size_t ldy)
{
    const struct format *f = format_of(w->type);
    struct row_blocks b = {0};

    for (size_t row = from; row < to; row += ROW_LANES) {
        size_t rows = to - row < ROW_LANES ? to - row : ROW_LANES;
        __m256 acc[ROW_COLUMNS];

        for (size_t k = 0; k < n; k++)
            acc[k] = _mm256_setzero_ps();
        for (size_t i = 0; i < w->cols / f->values; i++) {
            unpack_rows(f, w, row, rows, i, &b);
            meet_rows(f, &b, w->cols, i, in, n, acc);
        }
        for (size_t k = 0; k < n; k++) {
            float all[ROW_LANES];

            _mm256_storeu_ps(all, acc[k]);
            memcpy(y + k * ldy + row, all, rows * sizeof(*all));
        }
    }
}

#else

#define ROW_COLUMNS 0 /* panels, whatever the number of columns */

static void decode_rows(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                        size_t from, size_t to, float *y, size_t ldy)
{
    prompt(w, in, n, from, to, y, ldy);
}

#endif
#endif
