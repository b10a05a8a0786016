/* Do two answers say the same? By their words: what answers to near questions share beyond the
 * words of the questions. A cheap and imperfect judge, of which many words make one that can be
 * learned from. Pure; any thread. */
#ifndef CACHE_AGREEMENT_H
#define CACHE_AGREEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "cache/guard_text.h"

enum agreement { AGREEMENT_NO, AGREEMENT_YES, AGREEMENT_UNSURE };

/* A question and its answer, read once and compared with several. Of each text no more is
 * looked at than guard_text.h says. */
struct agreement_text {
    struct span answer; /* borrowed */
    uint32_t asked[GUARD_TEXT_WORDS_MAX];
    size_t asked_count;
    uint32_t said[GUARD_TEXT_WORDS_MAX]; /* each once; stop words are left out, but for a no */
    double weight[GUARD_TEXT_WORDS_MAX];
    size_t said_count;
};

void agreement_read(struct span question, struct span answer, struct agreement_text *out);

/* Equal answers agree, whatever their words. */
enum agreement agreement_of(const struct agreement_text *a, const struct agreement_text *b);

/* Of what was said and stands in neither question: twice what they share, of what both have,
 * weighted (Dice 1945), 0..1. Below 0: one of them has no such word. */
double agreement_overlap(const struct agreement_text *a, const struct agreement_text *b);

#endif
