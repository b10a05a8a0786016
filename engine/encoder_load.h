/* The weights of an encoder, from its file into the layouts of the kernels. */
#ifndef ENGINE_ENCODER_LOAD_H
#define ENGINE_ENCODER_LOAD_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_model.h"
#include "engine/encoder_tensors.h"

/* A static model's sizes are those of its table. */
enum status encoder_load_shape(struct encoder_shape *s, struct encoder_tensors *t,
                               struct engine_error *err) MUST_CHECK;

/* w->shape, precision and window are set. All tensors are checked against the shape, and
 * what they need (with `beside`, which others take) against the limit, before anything is
 * allocated. What was loaded is released by encoder_load_release(), also after an error. */
enum status encoder_load(struct encoder_weights *w, struct encoder_tensors *t, uint64_t beside,
                         uint64_t memory_max_bytes, struct engine_error *err) MUST_CHECK;
void encoder_load_release(struct encoder_weights *w);

#endif
