/* Types with values -1, 0, 1, blocks of 256 and one scale: format_unpack_fn each. */
#ifndef ENGINE_FORMAT_TERNARY_H
#define ENGINE_FORMAT_TERNARY_H

#include "engine/format.h"

format_unpack_fn format_ternary_tq1, format_ternary_tq2;

#endif
