/* Where the scales of a block lie, so that tests can make blocks of random bytes with weights
 * of a size of their choice. */
#ifndef TESTS_FORMAT_SCALES_H
#define TESTS_FORMAT_SCALES_H

#include <stdint.h>

/* Sets the block's own scale, and what offsets are multiplied with where there are any (m), so
 * that both together make weights of about `size`. `a` and `b` of 0..1 vary them. */
void format_scales_set(uint32_t type, uint8_t *block, float size, float a, float b);

#endif
