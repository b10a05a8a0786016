/* NEON: 24 of 32 registers hold sums. */
#define TILE_ROWS 6
#define TILE_VECS 1

#include "engine/kernels/attend_body.h"

const struct attend_kernels attend_neon = ATTEND_TABLE;
