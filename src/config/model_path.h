/* From a model's name in the configuration to its files. Touches the file system
 * (stat, one folder read); start-up only. */
#ifndef CONFIG_MODEL_PATH_H
#define CONFIG_MODEL_PATH_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

/* `model` is a path when it holds a '/' or ends in .gguf or .safetensors; otherwise
 * a folder of model_dir. An encoder is a folder (or its file) with model.safetensors, or
 * the one .gguf file in it, a decoder always that. ST_NOTFOUND with `why`, which names the way
 * out; ST_LIMIT when the path does not fit `cap`. */
enum status model_path_encoder(const char *model_dir, const char *model, char *path, size_t cap,
                               char *why, size_t why_cap) MUST_CHECK;
enum status model_path_decoder(const char *model_dir, const char *model, char *path, size_t cap,
                               char *why, size_t why_cap) MUST_CHECK;

/* What answers are labelled with: the name itself, or a path's last part without
 * its extension. Cut at cap. */
void model_path_name(const char *model, char *name, size_t cap);

#endif
