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
    struct kv_sequence sequence;
};

enum status exact_open(const char *path, uint32_t context_max, struct exact *out,
                       struct engine_error *err) MUST_CHECK;
void exact_close(struct exact *e);

/* Feeds the next tokens, from position 0 if `first`; e->state.logits are of the last. */
enum status exact_feed(struct exact *e, const uint32_t *ids, size_t n, bool first) MUST_CHECK;

#endif
