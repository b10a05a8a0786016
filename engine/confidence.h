/* How sure a model was of an answer: figures of the distributions that its tokens were drawn
 * from, before temperature, top_p and schema. One thread. */
#ifndef ENGINE_CONFIDENCE_H
#define ENGINE_CONFIDENCE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

/* Before a token is chosen, because what a schema forbids is taken out of the logits then. */
struct confidence_row {
    float most, next; /* the two largest logits */
    double log_sum;   /* of exp(logit - most) */
    double entropy;   /* nats */
};

void confidence_look(const float *logits, size_t n, struct confidence_row *out);
/* The token with this logit was chosen. */
void confidence_add(struct decoder_confidence *c, const struct confidence_row *row,
                    float logit);

#endif
