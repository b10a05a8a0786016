/* The parts of a llama-like decoder as the files around decoder.c share them. */
#ifndef ENGINE_DECODER_MODEL_H
#define ENGINE_DECODER_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/quant.h"

/* Weights stay in the file's own bytes: all pointers are borrowed from there. */
struct decoder_layer {
    const float *attn_norm, *ffn_norm; /* [d] */
    struct quant_matrix q, k, v, o, gate, up, down;
};

struct decoder_shape {
    size_t d, ffn, layers, vocabulary;
    size_t heads, kv_heads, width; /* width: of a head */
    size_t q, kv;                  /* heads * width, kv_heads * width */
    size_t rope;                   /* dimensions of a head that are turned */
    uint32_t context;
    float eps, base;
};

struct decoder_weights {
    struct decoder_shape shape;
    struct quant_matrix embeddings, head;
    const float *out_norm;        /* [d] */
    const float *rope_factors;    /* [rope / 2], or NULL */
    struct decoder_layer *layers; /* [shape.layers], in the arena */
};

#endif
