/* The forward pass of an encoder over texts that lie one after the other. */
#ifndef ENGINE_ENCODER_FORWARD_H
#define ENGINE_ENCODER_FORWARD_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_model.h"

/* One thread's workspace, grown as needed. */
struct encoder_scratch {
    const struct encoder_weights *weights; /* borrowed */
    const struct dense_kernels *kernels;
    size_t tokens_cap;
    /* owned, tokens_cap rows each: [d], [3d], [d]; of a model without layers only x */
    float *x, *qkv, *mixed;
    float *feed;      /* owned, [encoder_shape_feed()], rows for a piece of the tokens */
    float *attention; /* owned: dense_attention_scratch(tokens_cap, d / heads) */
    struct dense_bytes bytes;
};

/* Bytes that a workspace for so many tokens takes. */
uint64_t encoder_forward_bytes(const struct encoder_shape *h, size_t tokens);

void encoder_forward_init(struct encoder_scratch *s, const struct encoder_weights *w);
void encoder_forward_release(struct encoder_scratch *s);

/* `n` ids of texts with these lengths; s->x is then [n][d], the last layer's output.
 * ST_NOMEM, or ST_CANCELED soon after `stop` says so. */
enum status encoder_forward(struct encoder_scratch *s, const uint32_t *ids,
                            const size_t *lengths, size_t texts, size_t n,
                            struct engine_stop stop) MUST_CHECK;

#endif
