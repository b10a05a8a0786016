/* Numbers between bounds, digit by digit. A bound is a whole number of units of 10^-decimals,
 * and so is each number that can be written. */
#ifndef ENGINE_SCHEMA_NUMBER_H
#define ENGINE_SCHEMA_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define NUMBER_DIGITS   15 /* before the point */
#define NUMBER_DECIMALS 12 /* behind it, at most */

__extension__ typedef __int128 number_units;

struct number_range {
    unsigned decimals;        /* 0: whole numbers */
    number_units least, most; /* both included */
    number_units step;        /* a number is a multiple of it; at least 1 */
};

/* A number as far as it is written. */
struct number_part {
    number_units digits;
    uint8_t count;    /* digits before the point */
    uint8_t decimals; /* behind it */
    bool minus, point;
};

/* Units of 10^-decimals of a JSON number, rounded up or down; what is larger than
 * NUMBER_DIGITS allow becomes the largest. */
number_units number_units_of(struct span text, unsigned decimals, bool up);
/* Decimals that are needed to write it; more than NUMBER_DECIMALS: that and one. */
unsigned number_decimals_of(struct span text);

/* Is there any? */
bool number_range_has(const struct number_range *r);
/* Goes on with a byte, if there is an end from there; false: unchanged. */
bool number_go(const struct number_range *r, struct number_part *p, char c) MUST_CHECK;
/* Is it one, as it is? */
bool number_is_whole(const struct number_range *r, const struct number_part *p);

#endif
