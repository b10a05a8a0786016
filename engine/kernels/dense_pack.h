/* Weights into the layouts of dense.h. */
#ifndef ENGINE_KERNELS_DENSE_PACK_H
#define ENGINE_KERNELS_DENSE_PACK_H

#include <stddef.h>

#include "engine/kernels/dense.h"

/* Row `row` of the matrix from its cols values, which it may change. */
void dense_pack_i8(struct dense_i8 *w, size_t row, float *values);
void dense_pack_f32(struct dense_f32 *w, size_t row, const float *values);

#endif
