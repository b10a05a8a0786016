/* Numbers in questions: in digits or words, with their unit. */
#ifndef CACHE_GUARD_QUANTITY_H
#define CACHE_GUARD_QUANTITY_H

#include "cache/guard_text.h"

/* %, ° and signs of currency: words of their own beside a number. */
bool guard_quantity_is_sign(uint32_t c);

/* Finds numbers ("3", "three", "3rd", "$1,000", "15k", "two hundred", "90 minutes",
 * "7 pm") and makes each one word; a unit without a number keeps its kind and factor. */
void guard_quantity_read(struct guard_text *t);

/* Both are numbers, and the same quantity: "90 minutes" and "1.5 hours". A unit left out
 * is taken to be the other's. */
bool guard_quantity_equal(const struct guard_word *a, const struct guard_word *b);

#endif
