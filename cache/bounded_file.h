/* What the policy `bounded` has learned, in a file of its own: data_dir/bounded. It belongs to
 * this machine: its numbers are written as they lie in memory, with a version, the size of a
 * model and a checksum before them. */
#ifndef CACHE_BOUNDED_FILE_H
#define CACHE_BOUNDED_FILE_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct answer_groups;
struct bounded_model;

struct bounded_contents {
    struct bounded_model *all, *models; /* borrowed */
    size_t models_max, model_count;
    struct answer_groups *groups; /* borrowed */
};

/* The file before or this one, never half of it. No folder: ST_OK, nothing is done.
 * ST_UNAVAILABLE, told in the log. */
enum status bounded_file_write(const char *data_dir,
                               const struct bounded_contents *c) MUST_CHECK;
/* Of more models than models_max the last used are taken. ST_NOTFOUND: there is none;
 * ST_INVALID, told in the log: not one of ours, or harmed; then nothing was changed. */
enum status bounded_file_read(const char *data_dir, struct bounded_contents *c) MUST_CHECK;

#endif
