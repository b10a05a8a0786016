/* Types with blocks of 32: format_unpack_fn each. */
#ifndef ENGINE_FORMAT_SMALL_H
#define ENGINE_FORMAT_SMALL_H

#include "engine/format.h"

format_unpack_fn format_small_q4_0, format_small_q4_1, format_small_q5_0, format_small_q5_1,
    format_small_q8_0, format_small_iq4_nl, format_small_mxfp4;

/* What the four bits of IQ4_NL and IQ4_XS stand for. */
extern const int8_t format_small_nl[16];

#endif
