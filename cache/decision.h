/* Same question or not: candidates -> guards -> probability -> policy. The one
 * screen to read about why a semantic hit was served or refused. Pure; any
 * thread. */
#ifndef CACHE_DECISION_H
#define CACHE_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "cache/traffic.h"

#define DECISION_CANDIDATES_MAX 8
#define DECISION_REASON_BYTES   32
#define DECISION_FEATURES_MAX   8
#define DECISION_NEAR_MAX       4

/* Input above, what was made of it below. */
struct decision_candidate {
    struct digest key;
    float similarity;     /* cosine */
    struct span question; /* of the stored entry */

    double probability; /* P(same); 0 below the floor */
    bool refused;       /* a guard fired */
    const char *reason; /* as of a decision; NULL: one before it was taken. Static. */
};

struct refusals;

struct decision_policy {
    double threshold; /* on P(same), 0..1, higher is stricter */
    float floor;      /* cosine below which nothing is looked at */
    /* Pairs that somebody reported as wrong, and the partition in which they are looked
     * for; borrowed. NULL: none. */
    struct refusals *refusals;
    const struct digest *partition;
    /* Strangers share the stored answers: what one of them may have written around a
     * question that he expects is refused, at the price of honest paraphrases. */
    bool strangers;
    /* What was seen of the partition: decision_make() moves P(same) by it; among strangers
     * never up. Zeros: nothing. */
    struct traffic_counts traffic;
};

/* What the policy `bounded` keeps of a decision, to learn from it when the truth is known. */
struct decision_lesson {
    bool judged; /* a candidate was open: the rest is set */
    bool serve;  /* it was served, or would have been, had it not been asked anyway */
    size_t at;   /* that candidate */
    double features[DECISION_FEATURES_MAX];
    size_t count; /* of candidates */
    struct digest keys[DECISION_CANDIDATES_MAX];
    bool open[DECISION_CANDIDATES_MAX]; /* nothing but the probability spoke against it */
};

struct decision {
    bool hit;
    struct digest key; /* of the best candidate, when there is one */
    bool has_candidate;
    float similarity;   /* its cosine */
    double probability; /* P(same) of it, guards included */
    double threshold;   /* what it was compared with */
    double moved;       /* log-odds of every P(same) that the partition's traffic added */
    struct traffic_counts traffic; /* … and what was seen of it */
    /* "hit", or why not: "no_candidate", "below_floor", "below_threshold", the
     * name of the guard that fired (cache/guard_list.h), "reported": it would have been
     * a hit, but somebody said that it is wrong, "pool": only among strangers it is
     * not, or "explored": it was one, but the policy
     * wants to know whether it is right. Static storage. */
    const char *reason;
    struct decision_lesson lesson; /* of the policy `bounded` only */
    /* What lay near, the nearest first, whatever was decided: set by cache_decide(). */
    struct digest near[DECISION_NEAR_MAX];
    size_t near_count;
};

/* Candidates best first. The first that passes is taken; if none does, the facts
 * of the nearest one are reported. One that is not the nearest needs more: what was nearer
 * was another question. Of each candidate it keeps the first guard that fired:
 * what all of them say costs more, and is made when somebody asks (explain.h). */
void decision_make(struct span question, struct decision_candidate *c, size_t n,
                   const struct decision_policy *policy, struct decision *out);

/* Judges each, none is taken: "hit" for those that pass. */
void decision_judge(struct span question, struct decision_candidate *c, size_t n,
                    const struct decision_policy *policy);

/* P(same) from cosine and guards: one that fired makes it less likely, and refuses the
 * candidate whatever is left; constants fitted off-line (see bench/quality/fit.py). */
struct guard_outcome;
double decision_probability(float cosine, const struct guard_outcome *g);
/* Log-odds where a nearer candidate was not taken. */
#define DECISION_OVERTAKEN (-0.15)

/* Every reason there can be, for metrics: NULL-terminated. */
const char *const *decision_reasons(void);

#endif
