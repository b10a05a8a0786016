/* How likely an answer begins with one word or another: the chances of the words' first tokens
 * in the distribution that the answer's first token is drawn from, before temperature, top_p
 * and schema. So a question that yes or no answers costs its prompt and one pass. One thread.
 */
#ifndef ENGINE_CHOICE_H
#define ENGINE_CHOICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

/* "Yes", "yes", and both behind a blank, as tokenizers have them. */
#define CHOICE_FORMS 4

struct choice {
    size_t words;
    uint32_t ids[DECODER_WORDS_MAX][CHOICE_FORMS]; /* first tokens, each once */
    size_t counts[DECODER_WORDS_MAX];
};

/* A token that two words begin with speaks for neither. ST_INVALID: more than
 * DECODER_WORDS_MAX, or a word is longer than 32 bytes or has no token of its own. */
enum status choice_read(struct choice *c, const struct decoder *d, const struct span *words,
                        size_t n) MUST_CHECK;

/* out[c->words]: the chance of each, 0..1. */
void choice_look(const struct choice *c, const float *logits, size_t vocabulary, double *out);

#endif
