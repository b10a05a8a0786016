/* Llamas of two layers whose matrices are of several types, as files that people have mix
 * them: random bytes, the same on every machine. */
#ifndef TESTS_MIXED_LLAMA_H
#define TESTS_MIXED_LLAMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { MIXED_MODELS = 7, MIXED_LAYERS = 2, MIXED_MATRICES = 7 };

struct mixed_model {
    const char *name;
    uint32_t d, ffn, heads, kv_heads;
    uint32_t embeddings, head; /* types; a head of F32 stands for none: tied */
    /* attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down */
    uint32_t layers[MIXED_LAYERS][MIXED_MATRICES];
};

extern const struct mixed_model mixed_llama_models[MIXED_MODELS];

/* The file's bytes, appended. */
void mixed_llama_write(const struct mixed_model *m, struct buf *out);

#endif
