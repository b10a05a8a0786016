/* The decoder with products of floats: weights unpacked exactly, inputs not rounded to
 * bytes. What is left is what the file says and what the forward pass makes of it, and that
 * can be compared with another implementation to many digits; the products of each kernel
 * set are compared with the reference kernels elsewhere. Slow. */
#ifndef TESTS_GOLDEN_EXACT_H
#define TESTS_GOLDEN_EXACT_H

#include "engine/decoder_forward.h"
#include "engine/engine.h"
#include "engine/file.h"
#include "engine/gguf.h"
#include "engine/tokenizer/tokenizer.h"

struct exact {
    struct file file;
    struct arena arena;
    struct gguf gguf;
    struct tokenizer *tokens;
    struct decoder_weights weights;
    struct decoder_state state;
};

enum status exact_open(const char *path, uint32_t context_max, struct exact *out,
                       struct engine_error *err) MUST_CHECK;
void exact_close(struct exact *e);

#endif
