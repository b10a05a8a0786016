/* The forward pass of a decoder, and the memory of one conversation. */
#ifndef ENGINE_DECODER_FORWARD_H
#define ENGINE_DECODER_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/attention.h"
#include "engine/decoder_model.h"
#include "engine/engine.h"
#include "engine/experts.h"
#include "engine/kernels/quant.h"
#include "engine/kv_cache.h"
#include "engine/threads.h"

/* One thread's workspace. */
struct decoder_state {
    const struct decoder_weights *weights; /* borrowed */
    const struct quant_kernels *k;
    const struct attend_kernels *attend;
    struct threads *threads; /* owned */
    uint32_t pos;            /* tokens in the cache */
    struct kv_cache *cache;  /* owned: a context's pages, also those of earlier prompts */
    struct kv_sequence sequence;
    /* owned, QUANT_TOKENS rows each: [d], [d], [q + 2 kv], [q], and of the widest feed-forward
     * twice */
    float *x, *h, *qkv, *a, *gate, *up;
    struct rope ropes[DECODER_ROPES]; /* of `context` positions; owned */
    /* owned, of models with experts: QUANT_TOKENS rows each: [experts], [experts_used], [d],
     * [d] */
    float *router;
    struct expert_choice *choices;
    float *part, *mixed;
    float *parts;          /* owned: of attention */
    float *logits;         /* owned: [vocabulary] */
    struct quant_input in; /* of the widest matrix; owned but for x */
};

/* Bytes that decoder_forward_init() takes for a model of this shape, at most. */
uint64_t decoder_forward_bytes(const struct decoder_shape *s);

/* ST_NOMEM; the state is then to be released as well. */
enum status decoder_forward_init(struct decoder_state *s, const struct decoder_weights *w,
                                 unsigned threads) MUST_CHECK;
void decoder_forward_release(struct decoder_state *s);

/* Forgets the conversation. */
void decoder_forward_begin(struct decoder_state *s);
/* The same, and takes what an earlier one has computed for the beginning of these tokens:
 * how many, always less than n, stand in the cache then. */
uint32_t decoder_forward_reuse(struct decoder_state *s, const uint32_t *ids, size_t n);

/* The tokens after those in the cache; s->logits are then of the last one. ST_LIMIT: none,
 * or more than the context has room for. ST_INVALID: an id out of range. ST_CANCELED soon
 * after `stop` says so. */
enum status decoder_forward(struct decoder_state *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop) MUST_CHECK;

#endif
