/* The forward pass of a decoder, and the memory of one conversation. */
#ifndef ENGINE_DECODER_FORWARD_H
#define ENGINE_DECODER_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/decoder_model.h"
#include "engine/engine.h"
#include "engine/experts.h"
#include "engine/kernels/quant.h"
#include "engine/threads.h"

/* One thread's workspace. */
struct decoder_state {
    const struct decoder_weights *weights; /* borrowed */
    const struct quant_kernels *k;
    struct threads *threads; /* owned */
    uint32_t pos;            /* tokens in the cache */
    float *keys, *values;    /* owned: [layer][kv][context], [layer][context][kv] */
    /* owned, QUANT_TOKENS rows each: [d], [d], [q + 2 kv], [q], and of the widest feed-forward
     * twice */
    float *x, *h, *qkv, *a, *gate, *up;
    struct rope ropes[DECODER_ROPES]; /* of `context` positions; owned */
    /* owned, of models with experts: QUANT_TOKENS rows each: [experts], [experts_used], [d],
     * [d] */
    float *router;
    struct expert_choice *choices;
    float *part, *mixed;
    float *scores;         /* owned: [heads][context] */
    float *logits;         /* owned: [vocabulary] */
    struct quant_input in; /* of the widest matrix; owned but for x */
};

/* Bytes that decoder_forward_init() takes for a model of this shape, at most. */
uint64_t decoder_forward_bytes(const struct decoder_shape *s);

/* ST_NOMEM; the state is then to be released as well. */
enum status decoder_forward_init(struct decoder_state *s, const struct decoder_weights *w,
                                 unsigned threads) MUST_CHECK;
void decoder_forward_release(struct decoder_state *s);

/* The tokens after those in the cache; s->logits are then of the last one. ST_LIMIT: none,
 * or more than the context has room for. ST_INVALID: an id out of range. ST_CANCELED soon
 * after `stop` says so. */
enum status decoder_forward(struct decoder_state *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop) MUST_CHECK;

#endif
