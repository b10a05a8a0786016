/* A request for the vectors of several inputs, taken apart and put together: each input is
 * what a request of its own would ask, and has an answer of its own. Pure; any thread. */
#ifndef PROTOCOL_EMBEDDINGS_BATCH_H
#define PROTOCOL_EMBEDDINGS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct answer;
struct chat_request;
struct json;

/* The inputs of an "input": 0 for one alone, be it a text or a list of tokens, and for what
 * we do not know. */
size_t embeddings_batch_count(const struct json *input);

/* The exact form of a body, with a list of one input as that input. */
enum status embeddings_batch_normal(struct arena *arena, const struct json *form,
                                    const struct json **out) MUST_CHECK;
/* The same with the input at `i` alone. */
enum status embeddings_batch_form(struct arena *arena, const struct chat_request *q, size_t i,
                                  const struct json **out) MUST_CHECK;
/* The body with those inputs that are `wanted`, for the upstream. */
enum status embeddings_batch_body(struct arena *arena, const struct chat_request *q,
                                  const bool *wanted, struct buf *out) MUST_CHECK;

/* The answer of each of `n` inputs out of a whole one: all[k] is in the arena. What they cost
 * together is shared out by the length of the inputs, so that the shares add up to it.
 * `weights` are those lengths. ST_INVALID: it has not n vectors, each in its place. */
enum status embeddings_batch_split(struct arena *arena, const struct answer *whole,
                                   const uint64_t *weights, size_t n,
                                   struct answer *all) MUST_CHECK;
/* One answer of n inputs out of their own, in order; in the arena. */
enum status embeddings_batch_join(struct arena *arena, const struct answer *all, size_t n,
                                  struct answer *out) MUST_CHECK;
/* The length of each input. */
void embeddings_batch_weights(const struct chat_request *q, uint64_t *out);

#endif
