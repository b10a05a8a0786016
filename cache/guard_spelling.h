/* Other spellings of one word: "dont", "pls", "Jan", "colour". */
#ifndef CACHE_GUARD_SPELLING_H
#define CACHE_GUARD_SPELLING_H

#include "base/span.h"

/* Spelled out: first, and second when it is two words ("can't": "can", "not"); an empty
 * second when it is one. What is not known comes back as it is; spans may point into
 * `word` (lower case) or to static text. */
void guard_spelling_expand(struct span word, struct span *first, struct span *second);

#endif
