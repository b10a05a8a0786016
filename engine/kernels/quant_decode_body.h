/* One column (decoding): a strip after the other, straight from their bits, fetched ahead,
 * because the hardware's own fetching stops at each page. `type` is a constant at each call,
 * so the compiler makes one loop a type. Included by quant_body.h. */
#ifndef ENGINE_KERNELS_QUANT_DECODE_BODY_H
#define ENGINE_KERNELS_QUANT_DECODE_BODY_H

#include "engine/kernels/quant_strip_body.h"

#define AHEAD_BYTES 4096
#define LINE_BYTES  64

INLINE void fetch_ahead(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE_BYTES)
        _mm_prefetch((const char *)p + AHEAD_BYTES + i, _MM_HINT_T0);
}

/* What the rows of a strip have added up: products, and offsets apart. */
struct decoded {
    floats acc[HALVES], rest[HALVES];
};

/* Group j of a block with block `at` of the inputs. */
INLINE void decode_group(uint32_t type, const struct strip_block *b, size_t j, size_t half,
                         const struct quant_input *in, size_t at, struct decoded *to)
{
    const struct sums s = sums_of(type);
    const size_t bytes = quant_pack_group(quant_pack_layout(type));
    const int8_t *q = in->q + QUANT_BLOCK * at;
    const int16_t *sums = in->sums + 2 * at;
    floats dx = floats_all(in->d[at]);
    ints codes[FOURS], sum;

    strip_codes(type, b->codes + bytes * j, half, codes);
    for (size_t i = 0; i < 1 + (size_t)s.halves; i++) {
        size_t count = s.halves ? FOURS / 2 : FOURS, g = (1 + (size_t)s.halves) * j + i;

        sum = s.zero == 0
                  ? ints_zero()
                  : start_of(sums, i == 0 ? s.zero : 0, !s.halves || i == 1 ? s.zero : 0);
        add_products(s, codes + count * i, count, &q, 4 * count * i, 1, &sum);
        to->acc[half] = floats_fma(floats_mul(strip_scale(type, b, half, g), dx),
                                   floats_of(sum), to->acc[half]);
        if (s.offsets)
            to->rest[half] = floats_fma(strip_offset(type, b, half, g),
                                        s.halves ? floats_all(in->d[at] * (float)sums[i])
                                                 : floats_all(in->s[at]),
                                        to->rest[half]);
    }
}

/* y: of the strip's rows. */
INLINE void decode_strip(uint32_t type, const struct quant_matrix *w, const uint8_t *p,
                         const struct quant_input *in, float *y)
{
    const struct quant_pack_layout l = quant_pack_layout(type);
    const size_t bytes = ROWS * (size_t)l.bytes, blocks = w->row_bytes / l.bytes;
    struct decoded sums;
    struct strip_block b;

    for (size_t h = 0; h < HALVES; h++)
        sums.acc[h] = sums.rest[h] = floats_zero();
    for (size_t i = 0; i < blocks; i++, p += bytes) {
        strip_open(type, p, &b);
        for (size_t j = 0; j < l.groups; j++) {
            fetch_ahead(p + j * (bytes / l.groups), bytes / l.groups);
            for (size_t h = 0; h < HALVES; h++)
                decode_group(type, &b, j, h, in, i * l.groups + j, &sums);
        }
    }
    for (size_t h = 0; h < HALVES; h++)
        floats_store(y + LANES * h, floats_add(sums.acc[h], sums.rest[h]));
}

/* Of a strip that is not wanted whole, rows from..to. */
INLINE void decode_type(uint32_t type, const struct quant_matrix *w,
                        const struct quant_input *in, size_t from, size_t to, float *y)
{
    float part[ROWS];

    for (size_t row = from - from % ROWS; row < to; row += ROWS) {
        const uint8_t *p = w->data + row * w->row_bytes;

        if (row >= from && row + ROWS <= to) {
            decode_strip(type, w, p, in, y + row);
            continue;
        }
        decode_strip(type, w, p, in, part);
        for (size_t r = 0; r < ROWS; r++) {
            if (row + r >= from && row + r < to)
                y[row + r] = part[r];
        }
    }
}

/* Packed rows from..to. */
static void decode(const struct quant_matrix *w, const struct quant_input *in, size_t from,
                   size_t to, float *y)
{
    switch (w->type) {
    case FORMAT_Q4_0:
        decode_type(FORMAT_Q4_0, w, in, from, to, y);
        break;
    case FORMAT_Q4_1:
        decode_type(FORMAT_Q4_1, w, in, from, to, y);
        break;
    case FORMAT_Q5_0:
        decode_type(FORMAT_Q5_0, w, in, from, to, y);
        break;
    case FORMAT_Q5_1:
        decode_type(FORMAT_Q5_1, w, in, from, to, y);
        break;
    case FORMAT_Q8_0:
        decode_type(FORMAT_Q8_0, w, in, from, to, y);
        break;
    case FORMAT_IQ4_NL:
        decode_type(FORMAT_IQ4_NL, w, in, from, to, y);
        break;
    case FORMAT_MXFP4:
        decode_type(FORMAT_MXFP4, w, in, from, to, y);
        break;
    case FORMAT_Q2_K:
        decode_type(FORMAT_Q2_K, w, in, from, to, y);
        break;
    case FORMAT_Q3_K:
        decode_type(FORMAT_Q3_K, w, in, from, to, y);
        break;
    case FORMAT_Q4_K:
        decode_type(FORMAT_Q4_K, w, in, from, to, y);
        break;
    case FORMAT_Q5_K:
        decode_type(FORMAT_Q5_K, w, in, from, to, y);
        break;
    case FORMAT_Q6_K:
        decode_type(FORMAT_Q6_K, w, in, from, to, y);
        break;
    case FORMAT_IQ4_XS:
        decode_type(FORMAT_IQ4_XS, w, in, from, to, y);
        break;
    default:
        break;
    }
}

#endif
