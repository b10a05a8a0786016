/* safetensors: u64 length, that many bytes of JSON {name: {dtype, shape,
 * data_offsets}}, then raw data; row-major, little endian
 * (github.com/huggingface/safetensors, README "Format"). */
#ifndef ENGINE_SAFETENSORS_H
#define ENGINE_SAFETENSORS_H

#include <stddef.h>

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
    struct span data; /* in the file's bytes */
};

struct safetensors {
    struct tensor *list; /* in the arena */
    size_t count;
};

/* Validates all of it: sizes, types, offsets inside the data, none overlapping. */
enum status safetensors_read(struct span file, struct arena *arena, struct safetensors *out,
                             struct engine_error *err) MUST_CHECK;

/* By exact name or with "bert." before it; NULL when absent. */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);

/* n values from element `at` on, as floats. The caller knows they are inside. */
void safetensors_floats(const struct tensor *t, size_t at, size_t n, float *out);

#endif
