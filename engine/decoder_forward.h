/* The forward pass of a decoder, and the memory of one conversation. */
#ifndef ENGINE_DECODER_FORWARD_H
#define ENGINE_DECODER_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/attention.h"
#include "engine/decoder_adapter.h"
#include "engine/decoder_model.h"
#include "engine/engine.h"
#include "engine/experts.h"
#include "engine/kernels/quant.h"
#include "engine/kv_cache.h"
#include "engine/threads.h"

/* Some columns of one sequence in a pass: its next tokens. */
struct decoder_run {
    struct kv_sequence *sequence; /* borrowed; no other run of the pass has it */
    const uint32_t *ids;          /* borrowed */
    size_t n;
    size_t answers;                        /* of the last of them the logits are wanted */
    const struct decoder_adapter *adapter; /* borrowed; NULL: none. One for the sequence */
};

/* Told of each product: w of x[n][w->cols]. */
typedef void decoder_product_fn(void *arg, const struct quant_matrix *w, const float *x,
                                size_t n);

/* One thread's workspace. */
struct decoder_state {
    const struct decoder_weights *weights; /* borrowed */
    const struct quant_kernels *k;
    const struct attend_kernels *attend;
    struct threads *threads; /* owned */
    struct kv_cache *cache;  /* owned: pages of all sequences, also of those that ended */
    /* owned, QUANT_TOKENS rows each: [d], [d], [q + 2 kv], [q], and of the widest feed-forward
     * twice */
    float *x, *h, *qkv, *a, *gate, *up;
    uint32_t pos[QUANT_TOKENS];       /* of the columns of this pass in their sequences */
    struct rope ropes[DECODER_ROPES]; /* of `context` positions; owned */
    /* owned, of models with experts: QUANT_TOKENS rows each: [experts], [experts_used], [d],
     * [d] */
    float *router;
    struct expert_choice *choices;
    float *part, *mixed;
    float *parts;                   /* owned: of attention, for each sequence */
    float *logits;                  /* owned: [decoder_forward_answers()][vocabulary] */
    struct quant_input in;          /* of the widest matrix; owned but for x */
    float *low;                     /* owned: of adapters */
    const struct decoder_run *runs; /* of this pass, borrowed */
    size_t run_count;
    decoder_product_fn *on_product; /* NULL: nobody looks */
    void *arg;
};

/* Logits that a pass can give. */
size_t decoder_forward_answers(const struct decoder_shape *s);
/* Pages of the cache of a session. */
size_t decoder_forward_pages(const struct decoder_shape *s);
/* Bytes that decoder_forward_init() takes for a model of this shape, at most. */
uint64_t decoder_forward_bytes(const struct decoder_shape *s);

/* ST_NOMEM; the state is then to be released as well. */
enum status decoder_forward_init(struct decoder_state *s, const struct decoder_weights *w,
                                 unsigned threads) MUST_CHECK;
/* After all sequences in its cache were released. */
void decoder_forward_release(struct decoder_state *s);

/* One pass over the weights for all runs: 1..QUANT_TOKENS columns, and up to
 * decoder_forward_answers() answers. s->logits has a row for each answer then, in their order.
 * What is computed for a column depends on its sequence alone, to the last bit, and not on how
 * a prompt was cut into runs. ST_LIMIT: a sequence or the cache has no room. ST_INVALID: an id
 * out of range. ST_CANCELED soon after `stop` says so. Unless ST_OK no sequence has changed. */
enum status decoder_forward(struct decoder_state *s, const struct decoder_run *runs,
                            size_t count, struct engine_stop stop) MUST_CHECK;

/* A run of any number of tokens; s->logits are then of the last one. If it fails, those of some
 * passes may stand in the sequence. */
enum status decoder_forward_feed(struct decoder_state *s, const struct decoder_run *run,
                                 struct engine_stop stop) MUST_CHECK;

#endif
