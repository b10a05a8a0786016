/* Attention of query rows over pages of keys and values, in one pass: scores, softmax and
 * weighted sum page by page with a running maximum (Milakov and Gimelshein 2018; Dao et al.
 * 2022). All rows of a call read the same keys: several columns of a sequence, and the query
 * heads that share a key head, so a page is read and unpacked once for all of them.
 *
 * A slot is what one page holds for one layer and key head, ATTEND_PAGE positions:
 *
 *     CACHE_F32, CACHE_F16  keys [width][PAGE], values [PAGE][width]
 *     CACHE_Q8              key scales f32 [blocks][PAGE], value scales f32 [blocks][PAGE],
 *                           keys i8 [width / 2][PAGE][2], values i8 [PAGE / 2][width][2]
 *
 * Keys lie turned, so that scores are sums of rows; bytes lie in pairs, as instructions that
 * multiply and add two neighbours want them. A block is up to 32 dimensions of one
 * position, x = q * scale.
 *
 * Keys that become bytes are multiplied by a Hadamard matrix first, and queries by the same
 * over its size, which changes no score: a few dimensions of keys are far larger than the
 * others, and spread over all of them they cost less of the bytes' precision (Ashkboos et al.
 * 2024). Its size is the largest power of two that divides the width.
 *
 * Bytes are multiplied as whole numbers: a query is rounded to 16 bits of its largest
 * dimension, and the weights of a page, times the scales of its values, to 16 bits of the
 * largest one. Pure; any thread. */
#ifndef ENGINE_KERNELS_ATTEND_H
#define ENGINE_KERNELS_ATTEND_H

#include <stddef.h>
#include <stdint.h>

#include "engine/cpu.h"
#include "engine/engine.h"

#define ATTEND_PAGE      32  /* positions */
#define ATTEND_WIDTH_MAX 256 /* of a head; a multiple of ATTEND_STEP */
#define ATTEND_STEP      16
#define ATTEND_ROWS_MAX  64
#define ATTEND_BLOCK     32 /* dimensions that share a scale */
/* A block without a larger value is zeros. */
#define ATTEND_TINY 1e-30f

/* The pages of a sequence, seen by one layer and key head. */
struct attend_keys {
    enum decoder_cache type;
    const uint32_t *pages; /* [i]: which page has the positions i * PAGE and on */
    uint8_t *slots;        /* of all pages, one behind the other; aligned to 64 bytes */
    size_t slot_bytes;
};

static inline uint8_t *attend_slot(const struct attend_keys *k, size_t i)
{
    return k->slots + k->pages[i] * k->slot_bytes;
}

struct attend_queries {
    const float *q; /* [rows][width], 1 / sqrt(width) or the like is in it */
    /* [rows] positions that a row sees, both included; last[] ascends. */
    const uint32_t *first, *last;
    size_t rows, width;
};

/* What was seen so far: with s the scores, most = max(s), sum = sum(exp(s - most)) and
 * out = sum(exp(s - most) values). A row that saw nothing has sum 0. */
struct attend_state {
    float *most, *sum; /* [rows] */
    float *out;        /* [rows][width] */
};

struct attend_kernels {
    /* Writes one position, at (0..PAGE - 1) of a slot. */
    void (*store)(enum decoder_cache type, uint8_t *slot, size_t at, size_t width,
                  const float *key, const float *value);
    /* Sets `s` to what the rows see in pages from..to. rows <= ATTEND_ROWS_MAX. */
    void (*pages)(const struct attend_queries *q, const struct attend_keys *k, size_t from,
                  size_t to, const struct attend_state *s);
};

extern const struct attend_kernels attend_ref;
extern const struct attend_kernels attend_avx2;
extern const struct attend_kernels attend_avx512vnni;
extern const struct attend_kernels attend_neon;
/* By level; NULL: not compiled in. */
extern const struct attend_kernels *const attend_sets[CPU_LEVELS];

const struct attend_kernels *attend_kernels(void);

/* Bytes of a slot, a multiple of 64. */
size_t attend_slot_bytes(enum decoder_cache type, size_t width);

/* s += t, states of the same rows over other pages. */
void attend_merge(const struct attend_state *s, const struct attend_state *t, size_t rows,
                  size_t width);

#endif
