/* A llama of two layers with random weights: as a GGUF file, and once more as floats with
 * a forward pass of its own, in double and one token after the other. */
#ifndef TESTS_TINY_LLAMA_H
#define TESTS_TINY_LLAMA_H

#include <stddef.h>
#include <stdint.h>

#include "gguf_writer.h"

enum {
    TINY_D = 64,
    TINY_FFN = 96,
    TINY_HEADS = 4,
    TINY_KV_HEADS = 2,
    TINY_WIDTH = 16,
    TINY_ROPE = 12, /* not all of a head is turned */
    TINY_LAYERS = 2,
    TINY_CONTEXT = 160,
    TINY_CONTROLS = 3, /* <|endoftext|> <|im_start|> <|im_end|>: ids 0, 1, 2 */
    TINY_MERGES = 6,
    TINY_WORDS = TINY_CONTROLS + 256 + TINY_MERGES,
    TINY_KV = TINY_KV_HEADS * TINY_WIDTH,
    TINY_TENSORS = 9 * TINY_LAYERS + 3,
};

struct tiny_tensor {
    char name[40];
    size_t rows, cols; /* rows 0: a vector */
    float *values;     /* owned: what the file says, exactly */
};

struct tiny_llama {
    struct tiny_tensor tensors[TINY_TENSORS];
    size_t count;
};

/* Writes the file's bytes, matrices of `type` (the format's number: 0, 1, 2, 3, 8), and
 * keeps the floats they stand for. `alignment` of the format, usually 32. */
void tiny_llama_init(struct tiny_llama *t, uint32_t type, uint64_t alignment,
                     const struct gguf_edit *edit, struct buf *out);
void tiny_llama_release(struct tiny_llama *t);

/* Keys of a tokenizer alone: bytes, some merges, control tokens. */
void tiny_llama_tokenizer(struct gguf_writer *w, const char *pre);

/* Logits after all n (<= TINY_CONTEXT) tokens. rounded: inputs of products of quantized
 * matrices go through blocks of 32 bytes. */
void tiny_llama_logits(const struct tiny_llama *t, const uint32_t *ids, size_t n, int rounded,
                       float *out);

#endif
