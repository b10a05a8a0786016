/* Types whose codes are points of a grid: format_unpack_fn each. */
#ifndef ENGINE_FORMAT_IQ_H
#define ENGINE_FORMAT_IQ_H

#include "engine/format.h"

format_unpack_fn format_iq_1s, format_iq_1m, format_iq_2xxs, format_iq_2xs, format_iq_2s,
    format_iq_3xxs, format_iq_3s;

#endif
