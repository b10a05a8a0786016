/* Numbers in questions: in digits or words, with their unit, in the unit's base. */
#ifndef CACHE_GUARD_UNITS_H
#define CACHE_GUARD_UNITS_H

#include "cache/guard_words.h"

/* Is the word a number ("3", "3.5", "1,000", "three")? Sets number and value. */
void guard_units_number(struct guard_word *w);
/* A number followed by a unit becomes one word ("90 minutes" = "1.5 hours"). */
void guard_units_join(struct guard_text *t);
bool guard_units_equal(const struct guard_word *a, const struct guard_word *b);

#endif
