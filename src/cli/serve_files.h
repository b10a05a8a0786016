/* The small files that `ibid serve` keeps in its data directory: the secret that
 * keys the scopes, the admin token. */
#ifndef CLI_SERVE_FILES_H
#define CLI_SERVE_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

/* Creates `path` and its parents (0700 where it must create). */
enum status serve_files_mkdir(const char *path, char *why, size_t why_cap) MUST_CHECK;

/* The secret at `path`, or, when `path` is empty, data_dir/name: made of 32 random
 * bytes in hexadecimal (mode 0600, never replacing a file) when it is not there.
 * *generated tells. The text without trailing white space is appended to out. A
 * secret others can read, or shorter than 16 bytes, is ST_INVALID. */
enum status serve_files_secret(const char *path, const char *data_dir, const char *name,
                               struct buf *out, bool *generated, char *why,
                               size_t why_cap) MUST_CHECK;

#endif
