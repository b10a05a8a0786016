/* How much the columns of a model's matrices matter: the mean square of what a text puts into
 * each ("importance matrix"). An error in a weight costs its square times that, so whoever
 * rounds weights looks for the least sum of them. One thread. */
#ifndef ENGINE_IMPORTANCE_H
#define ENGINE_IMPORTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

#define IMPORTANCE_CHUNK 512 /* tokens that a text is run through in */

/* Of one tensor: a matrix, or those of all experts. */
struct importance_tensor {
    struct span name;      /* in the arena */
    size_t matrices, cols; /* matrices: 1, or experts */
    double *sums;          /* [matrices][cols], in the arena: of squares */
    uint64_t *counts;      /* [matrices], in the arena: columns that were summed */
};

struct importance {
    struct arena arena;
    struct importance_tensor *list; /* owned, [count] */
    size_t count, cap;
    uint32_t chunks, chunk; /* of the text: how many, of how many tokens */
};

void importance_init(struct importance *m);
void importance_release(struct importance *m);

/* One more input x[n][cols] of matrix `at` of `matrices` of a tensor. */
enum status importance_add(struct importance *m, struct span name, size_t matrices, size_t at,
                           const float *x, size_t n, size_t cols) MUST_CHECK;
/* NULL: nothing is known of it. */
const struct importance_tensor *importance_find(const struct importance *m, struct span name);
/* out [cols]: about 1 on average, and above 0. false: nothing went through that matrix. */
bool importance_weights(const struct importance_tensor *t, size_t at, float *out) MUST_CHECK;

/* Chunks done, of how many. */
typedef void importance_progress_fn(void *arg, size_t done, size_t of);

/* Runs the text through the decoder of the GGUF file `path`. */
enum status importance_collect(struct importance *m, const char *path, struct span text,
                               unsigned threads, importance_progress_fn *progress, void *arg,
                               struct engine_error *err) MUST_CHECK;

#endif
