/* Where things stand in a slot (attend.h). */
#ifndef ENGINE_KERNELS_ATTEND_SLOT_H
#define ENGINE_KERNELS_ATTEND_SLOT_H

#include "engine/kernels/attend.h"

/* Parts of a CACHE_Q8 slot. */
struct attend_q8 {
    float *key_scales, *value_scales; /* [blocks][PAGE] */
    int8_t *keys, *values;            /* [width / 2][PAGE][2], [PAGE / 2][width][2] */
    size_t blocks;
};

static inline struct attend_q8 attend_q8_at(uint8_t *slot, size_t width)
{
    struct attend_q8 p = {.blocks = (width + ATTEND_BLOCK - 1) / ATTEND_BLOCK};

    p.key_scales = (float *)(void *)slot;
    p.value_scales = p.key_scales + p.blocks * ATTEND_PAGE;
    p.keys = (int8_t *)(void *)(p.value_scales + p.blocks * ATTEND_PAGE);
    p.values = p.keys + width * ATTEND_PAGE;
    return p;
}

/* Where dimension c of a position is among the keys, and among the values. */
static inline size_t attend_q8_key(size_t at, size_t c)
{
    return (c / 2 * ATTEND_PAGE + at) * 2 + c % 2;
}

static inline size_t attend_q8_value(size_t at, size_t c, size_t width)
{
    return (at / 2 * width + c) * 2 + at % 2;
}

/* Dimensions that a Hadamard matrix mixes. */
static inline size_t attend_q8_mixed(size_t width)
{
    return width & (~width + 1);
}

/* Dimensions of the block that begins at `from`. */
static inline size_t attend_q8_length(size_t width, size_t from)
{
    return width - from < ATTEND_BLOCK ? width - from : ATTEND_BLOCK;
}

#endif
