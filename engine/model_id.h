/* What a model file is known by, stable across machines. */
#ifndef ENGINE_MODEL_ID_H
#define ENGINE_MODEL_ID_H

#include "base/span.h"

#define MODEL_ID_BYTES 72

/* "xxh3:" and 32 hex digits. The header tells shapes and names; the weights are sampled,
 * because reading all of a large file would be most of the start. */
void model_id(struct span file, char out[MODEL_ID_BYTES]);

#endif
