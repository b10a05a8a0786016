/* Attention of some columns of one sequence in one layer (Vaswani et al. 2017; heads may
 * share keys, Ainslie et al. 2023): split into pieces for the threads, and put together. */
#ifndef ENGINE_ATTENTION_H
#define ENGINE_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/attend.h"
#include "engine/kv_cache.h"
#include "engine/threads.h"

struct attention {
    const struct attend_kernels *k;
    struct threads *threads; /* NULL: the caller alone, to the same last bit */
    const struct kv_sequence *sequence;
    size_t layer, heads, kv_heads, width;
    size_t window;  /* positions that a column sees, its own included; 0: all before it */
    size_t pos, n;  /* columns pos..pos + n */
    bool alone;     /* n is 1: split by positions instead, which rounds otherwise */
    float scale;    /* of scores */
    const float *q; /* [n][heads * width] */
    float *out;     /* [n][heads * width] */
    float *parts;   /* room of attention_parts_floats() */
};

size_t attention_parts_floats(size_t heads, size_t width);

/* Keys and values [n][kv_heads * width] of the columns go into their places. */
void attention_store(const struct attention *a, const float *keys, const float *values);

/* out = softmax(scale q k) v of each head. The columns' keys and values are stored. */
void attention_run(const struct attention *a);

#endif
