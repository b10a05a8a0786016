/* The parts of a BERT encoder as the files around encoder.c share them. */
#ifndef ENGINE_ENCODER_MODEL_H
#define ENGINE_ENCODER_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/kernels/dense.h"

#define ENCODER_LAYERS_MAX 64

struct encoder_norm {
    float *weight, *bias; /* [d], owned */
};

/* One product in the precision of the model. */
struct encoder_product {
    struct dense_i8 i8;
    struct dense_f32 f32;
};

struct encoder_layer {
    struct encoder_product qkv, out, up, down;
    struct encoder_norm after_attention, after_feed;
};

struct encoder_shape {
    size_t d, ffn, heads, layers, positions, types, words;
    float eps;
};

struct encoder_weights {
    struct encoder_shape shape;
    enum encoder_precision precision;
    size_t window; /* positions that are kept */
    /* Words: bytes with a scale each, or floats; [words][d], owned. */
    int8_t *words_i8;
    float *word_scales;
    float *words_f32;
    float *positions; /* [window][d], owned; the token type's row is in it */
    struct encoder_norm embed_norm;
    struct encoder_layer *layers; /* [shape.layers], owned */
    uint64_t memory_bytes;
};

#endif
