/* What two questions have in common, word by word. */
#ifndef CACHE_GUARD_PAIR_H
#define CACHE_GUARD_PAIR_H

#include "cache/guard_text.h"

struct guard_pair {
    struct guard_text *a, *b;
    double common;           /* weight of the words that both have */
    double own_a, own_b;     /* … that only one has */
    size_t words_a, words_b; /* how many of these are no stop words */
    unsigned respelled;      /* numbers both have, written in another way */
    double overlap;          /* weighted Jaccard: common / (common + own), 1 when empty */
};

/* The words of each that are in conflict: the first, GUARD_TEXT_NONE when there is none in
 * particular, and how many. */
struct guard_conflict {
    size_t a, b;
    size_t words_a, words_b; /* 0 counts as 1 */
};

/* Sets the partners of the words. */
void guard_pair_compare(struct guard_text *a, struct guard_text *b, struct guard_pair *out);

/* How alike the wording is but for some words of one's own: their weight is `forgiven`. */
double guard_pair_rest(const struct guard_pair *p, double forgiven);
/* The weight of own words among `count` of them from `first` on. */
double guard_pair_weight(const struct guard_text *t, size_t first, size_t count);

/* The weight of the words in conflict. */
double guard_pair_forgiven(const struct guard_pair *p, const struct guard_conflict *at);
/* Keeps the heavier of two conflicts: with it the rest is the most alike, and it is the same
 * one whoever of the two came first. *kept begins with GUARD_TEXT_NONE for both. */
void guard_pair_keep(const struct guard_pair *p, struct guard_conflict found,
                     struct guard_conflict *kept);

/* A word of a question's own that carries meaning. */
bool guard_pair_own(const struct guard_word *w);

#endif
