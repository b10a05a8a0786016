/* What an answer of a small model shows about itself, and the question it was given: numbers
 * from which cascade.h says whether it is right. Any thread. */
#ifndef ROUTER_SIGNS_H
#define ROUTER_SIGNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "router/features.h"

/* Of a longer text only the beginning is read. */
#define SIGNS_READ_MAX 4096

/* The order is that of the files of cascades; after these come the features of the question. */
enum sign {
    SIGN_LOG_P,        /* of a token, on the average; nats */
    SIGN_LEAST_LOG_P,  /* of the least likely one */
    SIGN_ENTROPY,      /* nats, on the average */
    SIGN_FIRST_MARGIN, /* chance of the best first token less that of the second */
    SIGN_LEAST_MARGIN, /* and where that is least */
    SIGN_TOKENS,       /* log(1 + n) */
    SIGN_REPEATS,      /* share of the words that it had said before */
    SIGN_ECHO,         /* share of the words that stand in the question */
    SIGN_EXAMPLES,     /* how many it was shown */
    SIGN_NEAREST,      /* cosine of the nearest of them */
    SIGN_ALIKE,        /* share of them that have the commonest answer */
    SIGN_FOLLOWS,      /* share of them whose answer it gives */
    SIGN_SHAPE,        /* how much longer or shorter than theirs it is: |log| of it */
    SIGN_VOTES,        /* share of the samples that say the same; 0: there was no vote */
    SIGN_ENOUGH,       /* P(the small model is), as the router said before; .5: it did not */
    SIGNS_OWN,
};

#define SIGNS_COUNT (SIGNS_OWN + FEATURES_COUNT)

struct signs_input {
    uint32_t tokens;
    double log_p, least_log_p, entropy; /* log_p and entropy: sums over the tokens */
    double first_margin, least_margin;
    struct span question, answer;
    const struct span *shown; /* the answers of the examples */
    size_t shown_count;
    double nearest, votes, enough;
};

/* SIGNS_COUNT values, all finite. Any bytes are a text. */
void signs_of(const struct signs_input *in, double *out);

/* "log_p", "question_words": for files. Static. */
const char *signs_name(size_t i);

/* Do two texts say the same, but for case, blanks and signs at their ends? */
bool signs_same(struct span a, struct span b);

#endif
