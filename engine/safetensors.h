/* safetensors: u64 length, that many bytes of JSON {name: {dtype, shape,
 * data_offsets}}, then raw data; row-major, little endian
 * (github.com/huggingface/safetensors, README "Format").
 *
 * The file is read in slices and never mapped: one that is cut while it is read is an
 * error then, not a signal, and its 90 MB do not stay in memory. One thread. */
#ifndef ENGINE_SAFETENSORS_H
#define ENGINE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_OTHER };

#define TENSOR_DIMS_MAX 4

struct tensor {
    struct span name; /* in the arena */
    enum tensor_type type;
    unsigned dims;
    size_t shape[TENSOR_DIMS_MAX];
    uint64_t at, bytes; /* in the data behind the header */
};

struct safetensors {
    struct tensor *list; /* in the arena */
    size_t count;
    struct arena arena;
    int fd;           /* owned; -1: none */
    uint64_t data_at; /* of the first data byte in the file */
    uint64_t hash[2]; /* of all that was read, in the order read */
};

/* Opens the file and validates all of its header. Released by safetensors_close() on
 * ST_OK only. */
enum status safetensors_open(const char *path, struct safetensors *out,
                             struct engine_error *err) MUST_CHECK;
void safetensors_close(struct safetensors *s);

/* The header alone, for `data` bytes behind it: types, sizes, places inside the data, none
 * overlapping. */
enum status safetensors_parse(struct span header, uint64_t data, struct arena *arena,
                              struct safetensors *out, struct engine_error *err) MUST_CHECK;

/* By exact name or with "bert." or "roberta." before it; NULL when absent. */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);

/* n values from element `at` on, as floats. ST_INVALID: outside the tensor, not of a type
 * with fractions, not finite, or the file ended. */
enum status safetensors_floats(struct safetensors *s, const struct tensor *t, size_t at,
                               size_t n, float *out, struct engine_error *err) MUST_CHECK;

#endif
