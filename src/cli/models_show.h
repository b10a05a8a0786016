/* `ibid models show`: what a model's files say. */
#ifndef CLI_MODELS_SHOW_H
#define CLI_MODELS_SHOW_H

#include <stdbool.h>

#include "base/compiler.h"

struct models_show_options {
    bool json, tensors;
};

/* Each prints it and returns 0; for a file that is broken one line on stderr, and 1. An
 * encoder is opened for that, a GGUF file is not. */
int models_show_encoder(const char *path, const struct models_show_options *o) MUST_CHECK;
int models_show_gguf(const char *path, const struct models_show_options *o) MUST_CHECK;

#endif
