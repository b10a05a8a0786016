/* Floats into blocks of IQ2_XS: the way back of format_iq.h. */
#ifndef ENGINE_FORMAT_IQ_PACK_H
#define ENGINE_FORMAT_IQ_PACK_H

#include <stdint.h>

/* x [256] finite, w [256]: how much each counts, above 0; p: the 74 bytes of a block. Any
 * thread; the first call makes a table, which takes some 50 ms. */
void format_iq_pack_2xs(const float *x, const float *w, uint8_t *p);

#endif
