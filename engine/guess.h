/* Guesses of the tokens that an answer goes on with (speculative decoding; Leviathan et al.
 * 2023, Chen et al. 2023): from a text that it may be like, and from what stands in the prompt
 * and the answer already (prompt look-up, Saxena 2023). The model checks them in the pass that
 * would have given one token.
 *
 * A guess is certain of itself, so that their rule (accept x with p(x), else draw from p
 * without x) is the same as: draw from p; the guess was right if that is what was drawn. So
 * each token comes of the same logits and the same random number as without guesses, and the
 * answer is the same, drawn or not. One thread. */
#ifndef ENGINE_GUESS_H
#define ENGINE_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

#define GUESS_MAX 15 /* tokens at a time */

/* How many of the last guesses were right, as a moving share, by where they came from. */
struct guess_shares {
    float right[DECODER_GUESS_SOURCES];
};

struct guesser {
    uint32_t *text;   /* owned: tokens that the answer may be like */
    size_t count, at; /* `at`: where the answer is in it */
    struct guess_shares shares;
    uint32_t idle[DECODER_GUESS_SOURCES]; /* tokens since its last guess */
    /* the guess under way */
    enum decoder_guess source;
    uint32_t ids[GUESS_MAX];
    size_t most;  /* of ids */
    size_t taken; /* of them that are checked in this pass */
};

/* `text`: count tokens, taken over; NULL: none. */
void guess_init(struct guesser *g, uint32_t *text, size_t count,
                const struct guess_shares *start);
void guess_release(struct guesser *g);

/* What may follow ids, of which the answer begins at `prompt`: fills g->ids, up to `most`. */
void guess_next(struct guesser *g, const uint32_t *ids, size_t prompt, size_t count,
                size_t most);
/* Is the source still asked? Now and then one that was wrong is, too. */
bool guess_is_worth(const struct guesser *g, enum decoder_guess source);
/* Chance that guess i (0 the first) is right. */
float guess_chance(const struct guesser *g, size_t i);
/* Of g->taken guesses `right` were right, and `tokens` have come; moves g's shares, and those
 * of the session more slowly. */
void guess_learn(struct guesser *g, size_t right, size_t tokens, struct guess_shares *session);

/* What a pass takes by its columns, as measured: in passes of one column, which are taken anew
 * all the time, since contexts get longer and cores are shared. */
struct guess_cost {
    double us; /* of a pass of one column; 0: none was seen */
    double times[DECODER_SEQUENCES_MAX + GUESS_MAX + 1]; /* [columns]: passes of one */
};

void guess_cost_init(struct guess_cost *c);
void guess_cost_add(struct guess_cost *c, size_t columns, uint64_t us);
double guess_cost_pass(const struct guess_cost *c, size_t columns);

#endif
