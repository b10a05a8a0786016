/* What the files of an encoder say of its shape: config.json and the description of the
 * pooling beside it, or the keys of a GGUF file. */
#ifndef ENGINE_ENCODER_CONFIG_H
#define ENGINE_ENCODER_CONFIG_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_model.h"

/* The model's shape from the files in folder `dir`. What we do not compute (another
 * architecture, activation, kind of positions or pooling) is refused by name. A static
 * model's sizes are those of its table: encoder_load_shape(). The pooling is
 * ENCODER_POOLING_AUTO where the files do not say it. */
enum status encoder_config_read(const char *dir, struct encoder_shape *out,
                                struct engine_error *err) MUST_CHECK;

/* The same from the text of config.json. */
enum status encoder_config_parse(struct span json, struct encoder_shape *out,
                                 struct engine_error *err) MUST_CHECK;

/* Are the sizes such as the kernels can work with? */
enum status encoder_config_check(const struct encoder_shape *s,
                                 struct engine_error *err) MUST_CHECK;

#endif
