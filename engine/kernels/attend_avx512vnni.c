/* AVX-512: sixteen of 32 registers hold sums. */
#define TILE_ROWS 8
#define TILE_VECS 2

#include "engine/kernels/attend_body.h"

const struct attend_kernels attend_avx512vnni = ATTEND_TABLE;
