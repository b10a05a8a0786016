/* Floats into the blocks of a type of weights: the way back of format.h. Scales are searched
 * for (format_fit.h) and rounded as the type stores them; codes are then chosen for the
 * rounded ones. Pure; any thread. */
#ifndef ENGINE_FORMAT_PACK_H
#define ENGINE_FORMAT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is there a way back for this type: F32, F16, Q8_0, Q4_0, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K,
 * IQ4_NL, IQ2_XS, TQ2_0. */
bool format_pack_knows(uint32_t type);
/* n finite values, a whole number of blocks, into their bytes. weights [n]: how much the square
 * of each value's error counts, above 0 and about 1; NULL: all the same. Q8_0 has no use for
 * them. */
void format_pack_row(uint32_t type, const float *x, const float *weights, size_t n,
                     uint8_t *out);

#endif
