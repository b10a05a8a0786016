/* The weights of an encoder, from its file into the layouts of the kernels. */
#ifndef ENGINE_ENCODER_LOAD_H
#define ENGINE_ENCODER_LOAD_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_model.h"
#include "engine/safetensors.h"

/* w->shape, precision and window are set. All tensors are checked against the shape
 * before anything is allocated. What was loaded is released by encoder_load_release(),
 * also after an error. */
enum status encoder_load(struct encoder_weights *w, struct safetensors *s,
                         uint64_t memory_max_bytes, struct engine_error *err) MUST_CHECK;
void encoder_load_release(struct encoder_weights *w);

#endif
