/* The shape of a decoder, from its file's keys. */
#ifndef ENGINE_DECODER_SHAPE_H
#define ENGINE_DECODER_SHAPE_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/decoder_model.h"
#include "engine/gguf.h"

/* All but the vocabulary. Another architecture, and what one may have that we do not
 * compute, is refused by name. */
enum status decoder_shape_read(const struct gguf *g, struct decoder_shape *out,
                               struct engine_error *err) MUST_CHECK;

#endif
