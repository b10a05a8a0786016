/* Two questions as words, and what of them is common: what every guard looks at. */
#ifndef CACHE_GUARD_WORDS_H
#define CACHE_GUARD_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define GUARD_WORDS_MAX 192
#define GUARD_TEXT_MAX  4096

struct guard_word {
    struct span text; /* lower case, without a plural's or possessive's ending */
    struct span raw;  /* lower case as written */
    bool capital;     /* begins with a capital, and not only because a sentence does */
    bool stop;        /* a, the, of, is, …: carries little */
    bool number;
    bool quoted;  /* within quotation marks or backquotes, or looks like code or a path */
    bool matched; /* stands in the other question too */
    double value; /* of a number, in its base unit */
    char unit;    /* 0 none; 't' time (s), 'd' length, 'm' mass, 'b' bytes, '$' money, '%' */
};

struct guard_text {
    struct guard_word words[GUARD_WORDS_MAX];
    size_t count;
    char bytes[GUARD_TEXT_MAX * 2];
    size_t used;
};

struct guard_pair {
    struct guard_text a, b;
    double overlap;      /* weighted Jaccard of all words */
    double rest_overlap; /* the same when each question may have two words of its own */
};

typedef bool guard_fn(const struct guard_pair *p);

void guard_words_read(struct span a, struct span b, struct guard_pair *out);

guard_fn guard_number, guard_quote, guard_negation, guard_antonym, guard_time, guard_direction,
    guard_swapped, guard_name, guard_length;

#endif
