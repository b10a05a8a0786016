/* Small models of every architecture with random weights, the same on every machine, each
 * with what sets it apart: as GGUF files. */
#ifndef TESTS_TINY_MODELS_H
#define TESTS_TINY_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "gguf_writer.h"

struct tiny_model {
    const char *name, *arch;
    uint32_t type; /* of its matrices; embeddings are F32 or Q8_0 */
    uint32_t d, ffn, layers, heads, kv_heads, width, rope;
    unsigned parts; /* TINY_… */
    uint32_t window, pattern, original;
    float stretch, magnitude, scale; /* 0: no such key */
    uint32_t experts, used;
    uint32_t expert_ffn, shared_ffn; /* 0: the file does not say */
    bool yarn;                       /* how positions are stretched */
    float fast, slow;                /* of YaRN */
};

enum {
    TINY_QKV_BIAS = 1 << 0,
    TINY_OUT_BIAS = 1 << 1,
    TINY_HEAD_NORMS = 1 << 2,
    TINY_POST_NORMS = 1 << 3,
    TINY_FUSED = 1 << 4,
    TINY_ROPE_FREQS = 1 << 5,
    TINY_ROPE_FACTORS = 1 << 6,
    TINY_HEAD = 1 << 7, /* not tied */
    TINY_SUB_NORMS = 1 << 8,
    TINY_SHARED_EXPERT = 1 << 9,
};

enum { TINY_MODELS_CONTEXT = 160 };

extern const struct tiny_model tiny_models[];
extern const size_t tiny_models_count;

/* NULL: none of that name. */
const struct tiny_model *tiny_models_find(const char *name);

/* The file's bytes, appended. */
void tiny_models_write(const struct tiny_model *m, const struct gguf_edit *edit,
                       struct buf *out);
/* A LoRA adapter of it: of all matrices of its layers but experts'. */
void tiny_models_adapter_write(const struct tiny_model *m, struct buf *out);

#endif
