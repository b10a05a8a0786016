/* AVX2 and FMA: twelve of sixteen registers hold sums. */
#define TILE_ROWS 6
#define TILE_VECS 1

#include "engine/kernels/attend_body.h"

const struct attend_kernels attend_avx2 = ATTEND_TABLE;
