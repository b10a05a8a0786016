/* What config.json, and the description of the pooling beside it, say of an encoder. */
#ifndef ENGINE_ENCODER_CONFIG_H
#define ENGINE_ENCODER_CONFIG_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_model.h"

/* The model's shape from the files in folder `dir`. What we do not compute (another
 * architecture, activation, kind of positions or pooling) is refused by name. */
enum status encoder_config_read(const char *dir, struct encoder_shape *out,
                                struct engine_error *err) MUST_CHECK;

/* The same from the text of config.json. */
enum status encoder_config_parse(struct span json, struct encoder_shape *out,
                                 struct engine_error *err) MUST_CHECK;

#endif
