/* The parts of an encoder as the files around encoder.c share them. */
#ifndef ENGINE_ENCODER_MODEL_H
#define ENGINE_ENCODER_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/encoder_architecture.h"
#include "engine/engine.h"
#include "engine/kernels/dense.h"
#include "engine/rope.h"

#define ENCODER_LAYERS_MAX    64
#define ENCODER_WIDTH_MAX     4096
#define ENCODER_FEED_MAX      16384
#define ENCODER_HEADS_MAX     128
#define ENCODER_POSITIONS_MAX 65536
#define ENCODER_WORDS_MAX     1000000
#define ENCODER_TYPES_MAX     16

/* NULL: the architecture has none. */
struct encoder_norm {
    float *weight, *bias; /* [d], owned */
};

/* One product in the precision of the model. */
struct encoder_product {
    struct dense_i8 i8;
    struct dense_f32 f32;
};

struct encoder_layer {
    struct encoder_product qkv, out, up, down; /* up: with the gate's rows below */
    struct encoder_norm after_attention, after_feed;
};

struct encoder_shape {
    const struct encoder_architecture *architecture;
    enum encoder_pooling pooling; /* not ENCODER_POOLING_AUTO */
    size_t d, ffn, heads, layers, words;
    size_t positions; /* rows of the table, or how far rotary ones were trained */
    size_t first;     /* row of a text's first position */
    size_t types;     /* 0: no table of them */
    float eps;
    float base; /* of rotary positions (Su et al. 2021) */
};

struct encoder_weights {
    struct encoder_shape shape;
    enum encoder_precision precision;
    size_t window; /* positions that are kept */
    /* Words: bytes with a scale each, or floats; [words][d], owned. */
    int8_t *words_i8;
    float *word_scales;
    float *words_f32;
    float *added;     /* owned: to a word at each position, [window][d], or at all, [d]; its
                         position's and its type's row. NULL: nothing is */
    struct rope rope; /* of rotary positions, or zeros */
    struct encoder_norm embed_norm;
    struct encoder_layer *layers; /* [shape.layers], owned */
    uint64_t memory_bytes;
};

/* Outputs of the first product of the feed-forward. */
static inline size_t encoder_shape_feed(const struct encoder_shape *s)
{
    return s->architecture->gated ? 2 * s->ffn : s->ffn;
}

#endif
