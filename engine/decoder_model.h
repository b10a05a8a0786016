/* The parts of a decoder as the files around decoder.c share them. */
#ifndef ENGINE_DECODER_MODEL_H
#define ENGINE_DECODER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/chat_template.h"
#include "engine/decoder_architecture.h"
#include "engine/decoder_fill.h"
#include "engine/engine.h"
#include "engine/file.h"
#include "engine/gguf.h"
#include "engine/kernels/quant.h"
#include "engine/model_id.h"
#include "engine/rope.h"
#include "engine/tokenizer/tokenizer.h"

/* How a layer knows positions. */
enum decoder_positions {
    DECODER_FAR,  /* the model's angles */
    DECODER_NEAR, /* those of layers that see a window */
    DECODER_NONE,
};

#define DECODER_ROPES 2 /* DECODER_FAR, DECODER_NEAR */

/* y = down (f(gate x) * (up x)) */
struct decoder_feed {
    struct quant_matrix gate, up, down;
};

/* The sum of the chosen ones' y, each times its weight; see experts.h. */
struct decoder_experts {
    struct quant_matrix router; /* [experts][d] */
    struct decoder_feed *list;  /* [experts], in the arena */
    /* y of all tokens, times 1 / (1 + e^-(shared_gate x)); shared_gate NULL: there is none */
    struct decoder_feed shared;
    const float *shared_gate; /* [d] */
};

/* Weights stay where the file's bytes are: all pointers are borrowed from there. What an
 * architecture has not got is NULL. */
struct decoder_layer {
    const float *attn_norm, *ffn_norm;           /* [d] */
    const float *q_norm, *k_norm;                /* [width] */
    const float *attn_sub_norm, *ffn_sub_norm;   /* [q], [ffn] */
    const float *attn_post_norm, *ffn_post_norm; /* [d] */
    const float *q_bias, *k_bias, *v_bias;       /* [q], [kv], [kv] */
    const float *o_bias;                         /* [d] */
    struct quant_matrix q, k, v, o;
    struct decoder_feed feed;
    struct decoder_experts *experts; /* instead of `feed`, in the arena; or NULL */
    enum decoder_positions positions;
    uint32_t window; /* tokens that it sees, the last included; 0: all */
};

struct decoder_shape {
    const struct decoder_architecture *arch;
    size_t d, ffn, layers, vocabulary;
    size_t heads, kv_heads, width; /* width: of a head */
    size_t q, kv;                  /* heads * width, kv_heads * width */
    size_t experts, experts_used;  /* of each layer, and of them of each token; 0: none */
    size_t expert_ffn, shared_ffn;
    uint32_t context;
    enum decoder_cache kv_type; /* as asked for, as the next three: */
    size_t sequences;           /* of a session; 0 is 1 */
    enum decoder_guessing guessing;
    size_t cache_tokens;           /* that they have room for, if more than `context` */
    uint32_t window, window_every; /* as in struct decoder_architecture; window 0: none */
    float eps;
    float embedding_scale;
    float query_scale; /* beside the division of scores by sqrt(width) */
    struct rope_scheme ropes[DECODER_ROPES];
    bool rope_long;         /* there are two sets of factors: */
    uint32_t rope_original; /* for contexts up to it, and above */
};

struct decoder_weights {
    struct decoder_shape shape;
    struct quant_matrix embeddings, head;
    const float *out_norm;                 /* [d] */
    const float *rope_factors, *rope_long; /* [dimensions / 2], or NULL; of DECODER_FAR */
    struct decoder_layer *layers;          /* [shape.layers], in the arena */
};

#define DECODER_ENDS_MAX 16

struct decoder {
    struct decoder_weights weights;
    struct file file;   /* owned */
    struct arena arena; /* what was read of the file */
    struct gguf gguf;
    struct tokenizer *tokens; /* owned */
    struct chat_template chat;
    struct decoder_fill fill;
    uint32_t ends[DECODER_ENDS_MAX]; /* end of generation */
    size_t end_count;
    char id[MODEL_ID_BYTES];
    uint64_t memory_max;            /* 0: no limit */
    _Atomic uint64_t memory_needed; /* also by adapters, which come and go */
};

#endif
