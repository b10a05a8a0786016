/* Types with blocks of 256 and small whole numbers as scales: format_unpack_fn each. */
#ifndef ENGINE_FORMAT_K_H
#define ENGINE_FORMAT_K_H

#include "engine/format.h"

format_unpack_fn format_k_q2, format_k_q3, format_k_q4, format_k_q5, format_k_q6,
    format_k_iq4_xs;

/* The eight scales and offsets of Q4_K and Q5_K, six bits each in 12 bytes. */
void format_k_scales(const uint8_t s[12], uint8_t scales[8], uint8_t offsets[8]);

#endif
