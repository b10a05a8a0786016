/* An encoder's shape from the keys of a GGUF file, as llama.cpp's converter writes them. */
#ifndef ENGINE_ENCODER_GGUF_H
#define ENGINE_ENCODER_GGUF_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_model.h"

struct gguf;

/* What we do not compute is refused by name. */
enum status encoder_gguf_shape(const struct gguf *g, struct encoder_shape *out,
                               struct engine_error *err) MUST_CHECK;

#endif
