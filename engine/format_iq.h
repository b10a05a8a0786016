/* Types whose codes are points of a grid: format_unpack_fn each. */
#ifndef ENGINE_FORMAT_IQ_H
#define ENGINE_FORMAT_IQ_H

#include "engine/format.h"

format_unpack_fn format_iq_1s, format_iq_1m, format_iq_2xxs, format_iq_2xs, format_iq_2s,
    format_iq_3xxs, format_iq_3s;

/* Grids of eight coordinates, two bits each: 8, 25 or 43. Kernels look points up themselves. */
extern const uint16_t format_iq_grid_2xxs[256], format_iq_grid_2xs[512],
    format_iq_grid_2s[1024];

/* The scales of a block of IQ2_XXS alone. */
void format_iq_scales_2xxs(const uint8_t *p, float d[8]);

/* Of IQ2_XS's 512 points, which of the magnitudes 8, 25, 43 (0 to 2) are its coordinates. */
void format_iq_point_2xs(unsigned index, uint8_t levels[8]);

#endif
