/* What a model's name on the command line stands for. */
#ifndef CLI_MODEL_PLACE_H
#define CLI_MODEL_PLACE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "cli/model_files.h"
#include "engine/engine.h"

struct config;

struct model_place {
    char path[MODEL_FILES_PATH]; /* what encoder_open() or decoder_open() takes */
    bool decoder;
};

/* `model`: a path, a name of the manifest, or a folder of model_dir. Its kind is what the
 * manifest says of the name; else a .gguf is what its architecture is, all others encoders.
 * ST_NOTFOUND with the way out in *err.
 */
enum status model_place_find(const struct config *c, const char *model, struct model_place *out,
                             struct engine_error *err) MUST_CHECK;

#endif
