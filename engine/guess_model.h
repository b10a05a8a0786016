/* Guesses of a smaller model of the same vocabulary: it writes a few tokens ahead of each
 * answer, for all of them at a time, and the larger one checks them (Leviathan et al. 2023). It
 * always takes what it finds the likeliest, so that guess.h holds for it as well. One thread.
 */
#ifndef ENGINE_GUESS_MODEL_H
#define ENGINE_GUESS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/decoder_forward.h"
#include "engine/decoder_model.h"
#include "engine/guess.h"

struct guess_model {
    const struct decoder *model; /* borrowed */
    struct decoder_state state;
    double us; /* of a pass with a token of each answer, a moving mean; 0: none was run */
};

/* One answer's tokens, and what is to be guessed behind them. */
struct guess_model_task {
    struct kv_sequence *sequence; /* in the model's cache */
    const uint32_t *ids;          /* [count] */
    size_t count;
    struct guesser *guesser;
};

/* ST_NOMEM. */
enum status guess_model_open(const struct decoder *d, unsigned threads,
                             struct guess_model **out) MUST_CHECK;
/* After its sequences were released. */
void guess_model_close(struct guess_model *m);

/* The next n tokens of each task into its guesser, 1..GUESS_MAX. A sequence that is far behind
 * its tokens comes nearer only, and so does one without room: nothing is guessed for it. */
void guess_model_run(struct guess_model *m, const struct guess_model_task *tasks, size_t count,
                     size_t n);

#endif
