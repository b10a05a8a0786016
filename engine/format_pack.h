/* Floats into the blocks of a type of weights: the way back of format.h. Scales are searched
 * for (format_fit.h) and rounded as the type stores them; codes are then chosen for the
 * rounded ones. Pure; any thread. */
#ifndef ENGINE_FORMAT_PACK_H
#define ENGINE_FORMAT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is there a way back for this type: F32, F16, Q8_0, Q4_0, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K,
 * IQ4_NL, TQ2_0. */
bool format_pack_knows(uint32_t type);
/* n finite values, a whole number of blocks, into their bytes. */
void format_pack_row(uint32_t type, const float *x, size_t n, uint8_t *out);

#endif
