/* How fast models are on this machine, as `ibid models bench` has measured it: speeds.json in
 * model_dir. A figure holds for the file it was taken of, told by its path and size. Any
 * thread. */
#ifndef PROXY_MODEL_SPEEDS_H
#define PROXY_MODEL_SPEEDS_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

#define MODEL_SPEEDS_FILE "speeds.json"

struct model_speed {
    double prompt_per_s, decode_per_s; /* tokens; 0: not known */
    uint64_t threads;
    char day[16]; /* "2026-01-31" */
};

/* Zeros when nothing is known of that file, or speeds.json can not be read. */
void model_speeds_get(const char *model_dir, const char *path, struct model_speed *out);
/* In place of what was known of it; up to 256 models, of more the first goes. ST_INVALID: what
 * is there is no such file; ST_UNAVAILABLE: it can not be written, errno says why. */
enum status model_speeds_put(const char *model_dir, const char *path,
                             const struct model_speed *s) MUST_CHECK;

#endif
