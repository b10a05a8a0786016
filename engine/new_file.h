/* A file that appears whole or not at all: what is half written has another name. */
#ifndef ENGINE_NEW_FILE_H
#define ENGINE_NEW_FILE_H

#include <stdio.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/engine.h"

#define NEW_FILE_PATH 4096 /* bytes of a path, its ending included */

struct new_file {
    FILE *file;       /* owned: to write to */
    const char *path; /* borrowed */
    char part[NEW_FILE_PATH];
};

/* ST_INVALID: there is such a file already. ST_UNAVAILABLE: it cannot be written. */
enum status new_file_open(struct new_file *f, const char *path,
                          struct engine_error *err) MUST_CHECK;
/* Ends the writing. `written` ST_OK: gives the file its name, unless something written before
 * was lost. Otherwise, and on failure, it is removed; ST_UNAVAILABLE is told as a failed
 * write, any other error is the caller's, who has told it. */
enum status new_file_close(struct new_file *f, enum status written,
                           struct engine_error *err) MUST_CHECK;

#endif
