/* The weights of a decoder, from its file. */
#ifndef ENGINE_DECODER_LOAD_H
#define ENGINE_DECODER_LOAD_H

#include "base/arena.h"
#include "base/compiler.h"
#include "base/status.h"
#include "engine/decoder_model.h"
#include "engine/gguf.h"

/* w->shape is set but for its vocabulary, which must be `words`. Every tensor must be
 * there with exactly the shape it implies, and none beside them. */
enum status decoder_load(struct decoder_weights *w, const struct gguf *g, size_t words,
                         struct arena *arena, struct engine_error *err) MUST_CHECK;

#endif
