/* The decoders that we compute, a row each: what sets one apart from another. Names and
 * order of the parts are those of the files that llama.cpp's converters write. Nothing else
 * asks for an architecture's name. */
#ifndef ENGINE_DECODER_ARCHITECTURE_H
#define ENGINE_DECODER_ARCHITECTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "engine/rope.h"

/* What a layer has beside its norms attn_norm and ffn_norm and its matrices. */
enum {
    LAYER_QKV_BIAS = 1 << 0,   /* attn_q, attn_k, attn_v */
    LAYER_OUT_BIAS = 1 << 1,   /* attn_output */
    LAYER_HEAD_NORMS = 1 << 2, /* attn_q_norm, attn_k_norm: of each head, before it is turned */
    LAYER_POST_NORMS = 1 << 3, /* post_attention_norm, post_ffw_norm: of what is added to x */
    /* One tensor for several matrices: attn_qkv; gate and up in ffn_up. */
    LAYER_FUSED = 1 << 4,
    LAYER_SUB_NORMS = 1 << 5, /* attn_sub_norm, ffn_sub_norm: before attn_output, ffn_down */
    LAYER_EXPERTS = 1 << 6,   /* several feed-forwards, some for each token */
    LAYER_SHARED_EXPERT = 1 << 7, /* and one for all of them */
};

/* What the gate of the feed-forward goes through before it is multiplied. */
enum decoder_gate {
    GATE_SILU,
    GATE_GELU,  /* its tanh form */
    GATE_RELU2, /* max(x, 0)^2 */
};

struct decoder_architecture {
    const char *name;            /* general.architecture, and the head of its keys */
    unsigned required, optional; /* LAYER_… */
    enum rope_pairs pairs;
    enum decoder_gate gate;
    bool scales_embeddings;    /* by sqrt(d) */
    bool renormalizes_experts; /* the weights of the chosen ones add up to 1 */
    /* All layers but each `window_every`th see a window, if the file gives one; 0: none do,
     * and a file that gives one is refused, or not. */
    uint8_t window_every;
    bool ignores_window;
    uint8_t unturned_every; /* each so-manyth layer has no positions; 0: none */
    /* A model of so many layers divides scores by sqrt(d / heads); 0: none does. */
    uint8_t wide_scores_layers;
};

/* NULL: none that we compute. */
const struct decoder_architecture *decoder_architecture_find(struct span name);
/* "llama, smollm3, …" */
const char *decoder_architecture_known(void);

#endif
