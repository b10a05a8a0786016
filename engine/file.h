/* A file's bytes. A model that is computed with is read and not mapped: a file that is cut
 * while it is in use would be a signal then, in the middle of a product, and not an error. */
#ifndef ENGINE_FILE_H
#define ENGINE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/threads.h"

struct file {
    struct span bytes; /* owned; aligned to a page */
};

/* A regular file of 1 byte at least, and of `most` at most (0: no limit; beyond it
 * ST_LIMIT, and nothing is allocated). */
enum status file_read(const char *path, uint64_t most, struct file *out,
                      struct engine_error *err) MUST_CHECK;
/* The same by several threads: the kernel's copying and clearing of pages is what it takes. */
enum status file_read_by(struct threads *t, const char *path, uint64_t most, struct file *out,
                         struct engine_error *err) MUST_CHECK;
/* The same, mapped: for tools that look at a file, or go through it once, larger than memory
 * as it may be. */
enum status file_map(const char *path, struct file *out, struct engine_error *err) MUST_CHECK;
void file_release(struct file *f);
/* Its bytes can be written to, or no longer: at first they cannot. */
enum status file_set_writable(const struct file *f, bool writable,
                              struct engine_error *err) MUST_CHECK;

#endif
