/* Where things stand in a slot (attend.h). */
#ifndef ENGINE_KERNELS_ATTEND_SLOT_H
#define ENGINE_KERNELS_ATTEND_SLOT_H

#include "engine/kernels/attend.h"

/* Parts of a CACHE_Q8 slot. */
struct attend_q8 {
    float *key_scales; /* [blocks][PAGE] */
    int8_t *keys;      /* [width][PAGE] */
    float *scales;     /* [PAGE][blocks] */
    int8_t *values;    /* [PAGE][width] */
    size_t blocks;
};

static inline struct attend_q8 attend_q8_at(uint8_t *slot, size_t width)
{
    struct attend_q8 p = {.blocks = (width + ATTEND_BLOCK - 1) / ATTEND_BLOCK};
    size_t scales = p.blocks * ATTEND_PAGE * sizeof(float);

    p.key_scales = (float *)(void *)slot;
    p.keys = (int8_t *)slot + scales;
    p.scales = (float *)(void *)(slot + scales + width * ATTEND_PAGE);
    p.values = (int8_t *)slot + 2 * scales + width * ATTEND_PAGE;
    return p;
}

/* Quantizes the block of x that begins at `from`; q goes `step` apart. */
static inline float attend_q8_block(const float *x, size_t width, size_t from, int8_t *q,
                                    size_t step)
{
    size_t n = width - from < ATTEND_BLOCK ? width - from : ATTEND_BLOCK;
    float most = 0, factor;

    for (size_t i = 0; i < n; i++) {
        float a = x[from + i] < 0 ? -x[from + i] : x[from + i];

        most = a > most ? a : most;
    }
    /* Not a number becomes -127, what is too small to divide by 0. */
    factor = most > 1e-30f ? 127.0f / most : 0;
    for (size_t i = 0; i < n; i++) {
        float v = x[from + i] * factor;

        v = v > -127.0f ? v : -127.0f;
        v = v < 127.0f ? v : 127.0f;
        q[i * step] = (int8_t)(int)(v + 12582912.0f - 12582912.0f);
    }
    return most / 127.0f;
}

/* A position of a CACHE_Q8 slot: the same for every set of kernels. */
static inline void attend_q8_store(uint8_t *slot, size_t at, size_t width, const float *key,
                                   const float *value)
{
    struct attend_q8 p = attend_q8_at(slot, width);

    for (size_t b = 0; b < p.blocks; b++) {
        size_t from = b * ATTEND_BLOCK;

        p.key_scales[b * ATTEND_PAGE + at] =
            attend_q8_block(key, width, from, p.keys + from * ATTEND_PAGE + at, ATTEND_PAGE);
        p.scales[at * p.blocks + b] =
            attend_q8_block(value, width, from, p.values + at * width + from, 1);
    }
}

#endif
