/* A decoder's matrices, from the order of the file into that of the kernels, in place. */
#ifndef ENGINE_DECODER_PACK_H
#define ENGINE_DECODER_PACK_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/decoder_model.h"
#include "engine/threads.h"

/* Packs (kernels/quant_pack.h) every matrix that products are taken of; their bytes must be
 * writable now, and are what they were but for their order. Embeddings that are no head stay as
 * they are. `t` share the work. ST_NOMEM: the model is of no use any more. */
enum status decoder_pack(struct decoder_weights *w, struct threads *t) MUST_CHECK;

#endif
