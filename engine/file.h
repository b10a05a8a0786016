/* A file mapped for reading. */
#ifndef ENGINE_FILE_H
#define ENGINE_FILE_H

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct file {
    struct span bytes; /* the mapping; private, read only */
};

/* A regular file of 1 byte at least. */
enum status file_map(const char *path, struct file *out, struct engine_error *err) MUST_CHECK;
void file_unmap(struct file *f);
/* These bytes of the mapping will not be read again soon: give the memory back. */
void file_forget(const struct file *f, struct span part);

#endif
