/* Guards: cheap reasons to say that two questions differ, however alike their vectors
 * are. Each has a name and two gates: how alike the rest of the wording must be for it to be
 * heard, and to refuse, because elsewhere it would refuse honest paraphrases. English. They
 * allocate nothing and take any bytes; some microseconds a pair. Pure; any thread. */
#ifndef CACHE_GUARD_H
#define CACHE_GUARD_H

#include <stdbool.h>

#include "base/span.h"
#include "cache/guard_list.h"
#include "cache/guard_text.h"

struct guard_outcome {
    const char *fired;  /* name of the first guard that fired; NULL: none. Static. */
    double doubt;       /* of the first that was heard (guard_list.h); 0: none */
    double overlap;     /* weighted share of common words, 0..1 */
    double common;      /* weight of the words that both have */
    double stops;       /* weight of the stop words that differ (guard_stops.h) */
    double exchanged;   /* weight of the words that stand against words of the other */
    unsigned respelled; /* numbers that both have, but not as written: "3", "three" */
    bool bare;          /* the words that carry meaning are the same, in the same order */
    unsigned words;     /* of the shorter question */
    bool names;         /* each has a word with a capital that the other has not */
    bool substituted;   /* of what carries meaning one word stands for one other */
    bool added;         /* … one word is in one of them only */
    bool reworded;      /* … more than one word is only in the one, and in the other */
    bool trouble;       /* one says that something goes wrong, the other does not */
    bool enclosed;      /* most of a is in b, and b says more */
};

/* a is asked, b is stored. */
void guard_check(struct span a, struct span b, struct guard_outcome *out);
/* The same for a question that was read (guard_text_read) and is compared more than once;
 * only its partners change. */
void guard_check_read(struct guard_text *a, struct span b, struct guard_outcome *out);

enum guard_verdict {
    GUARD_PASSED,  /* nothing to refuse */
    GUARD_GATED,   /* not heard: the rest of the wording is not alike enough */
    GUARD_DOUBTED, /* heard, but it is not alike enough to refuse: P(same) is less likely */
    GUARD_FIRED,   /* refused, and P(same) less likely */
};

struct guard_report {
    const char *name; /* static */
    enum guard_verdict verdict;
};

/* The same with what each guard says, in the order in which they are asked. It asks all of
 * them, where the others stop at the first that fires. The partners of both texts' words
 * stay set. */
void guard_explain(struct guard_text *a, struct guard_text *b, struct guard_outcome *out,
                   struct guard_report each[GUARD_COUNT]);
/* "passed", "gated", "doubted", "fired". */
const char *guard_verdict_name(enum guard_verdict v);

#endif
