/* GGUF v2 and v3 (github.com/ggml-org/ggml, docs/gguf.md): key-value pairs, tensor
 * infos, aligned data. Little endian. Validated whole at reading; spans point into the
 * file. */
#ifndef ENGINE_GGUF_H
#define ENGINE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

#define GGUF_DIMS_MAX 4

struct gguf_tensor {
    struct span name;
    unsigned dims;
    uint64_t shape[GGUF_DIMS_MAX]; /* [0] is contiguous: inputs; [1]: outputs */
    uint32_t type;                 /* enum format_id */
    struct span data;
};

enum gguf_kind { /* the format's numbers */
                 GGUF_U8,
                 GGUF_I8,
                 GGUF_U16,
                 GGUF_I16,
                 GGUF_U32,
                 GGUF_I32,
                 GGUF_FLOAT32,
                 GGUF_BOOL,
                 GGUF_STRING,
                 GGUF_ARRAY,
                 GGUF_U64,
                 GGUF_I64,
                 GGUF_FLOAT64,
};

struct gguf_pair {
    struct span key;
    uint32_t kind;
    struct span value; /* its bytes; a string without its length */
    /* arrays: */
    uint32_t element;
    uint64_t count;
};

struct gguf {
    struct gguf_pair *pairs; /* in the arena, sorted by key */
    size_t pair_count;
    struct gguf_tensor *tensors; /* in the arena, sorted by name */
    size_t tensor_count;
};

enum status gguf_read(struct span file, struct arena *arena, struct gguf *out,
                      struct engine_error *err) MUST_CHECK;

/* NULL when absent. */
const struct gguf_pair *gguf_find(const struct gguf *g, const char *key);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name);

/* Any integer kind; false when absent, negative or another kind. */
bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out) MUST_CHECK;
bool gguf_f32(const struct gguf *g, const char *key, float *out) MUST_CHECK;
bool gguf_bool(const struct gguf *g, const char *key, bool *out) MUST_CHECK;
/* ptr NULL when absent or no string. */
struct span gguf_string(const struct gguf *g, const char *key);
/* Walks an array of strings: *at starts at 0; false at its end. */
bool gguf_next_string(const struct gguf_pair *p, size_t *at, struct span *out) MUST_CHECK;

#endif
