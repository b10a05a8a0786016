/* `ibid models pull`: a model's files from its package into the model folder. */
#ifndef CLI_MODELS_PULL_H
#define CLI_MODELS_PULL_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct manifest_model;

struct models_pull_options {
    bool quiet;  /* errors only */
    bool verify; /* read present files again instead of trusting the note */
};

/* What goes wrong is said on stderr. */
enum status models_pull(const char *model_dir, const struct manifest_model *m,
                        const struct models_pull_options *o) MUST_CHECK;

#endif
