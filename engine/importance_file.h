/* Importances in a file, as llama.cpp keeps them (GGUF, general.type imatrix). */
#ifndef ENGINE_IMPORTANCE_FILE_H
#define ENGINE_IMPORTANCE_FILE_H

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/importance.h"

/* A file of this program or of llama.cpp, into an empty *m. */
enum status importance_file_load(struct importance *m, const char *path,
                                 struct engine_error *err) MUST_CHECK;
/* Writes `path`, which must not be there yet; `text`: where it is from. */
enum status importance_file_save(const struct importance *m, const char *path, struct span text,
                                 struct engine_error *err) MUST_CHECK;

#endif
