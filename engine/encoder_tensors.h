/* The tensors of an encoder's file, safetensors or GGUF, as rows of floats. One thread. */
#ifndef ENGINE_ENCODER_TENSORS_H
#define ENGINE_ENCODER_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/status.h"
#include "engine/encoder_architecture.h"
#include "engine/engine.h"
#include "engine/file.h"
#include "engine/gguf.h"
#include "engine/safetensors.h"

struct encoder_tensors {
    enum encoder_format format;
    struct safetensors safetensors;
    struct file file; /* a GGUF is read whole; owned */
    struct arena arena;
    struct gguf gguf;
    bool *used;       /* of the GGUF's tensors: asked for; in the arena */
    uint64_t hash[2]; /* of all that was read, in the order read */
};

struct encoder_tensor {
    const struct tensor *safetensor; /* one of them; in the file's list */
    const struct gguf_tensor *gguf;
    unsigned dims;
    size_t rows, cols; /* of a vector: 1 and its length */
};

/* A file of more than `most` bytes that would have to be read whole is refused (0: no
 * limit). Released by encoder_tensors_close() on ST_OK only. */
enum status encoder_tensors_open(const char *path, uint64_t most, struct encoder_tensors *out,
                                 struct engine_error *err) MUST_CHECK;
void encoder_tensors_close(struct encoder_tensors *t);

/* Bytes that are taken while it is open, beside a header. */
uint64_t encoder_tensors_bytes(const struct encoder_tensors *t);

/* By its name in the file; false when there is none, or one of more than two dimensions. */
bool encoder_tensors_find(struct encoder_tensors *t, const char *name,
                          struct encoder_tensor *out) MUST_CHECK;

/* `n` rows from `row` on. ST_INVALID: outside the tensor, not of a type with fractions, not
 * finite, or the file ended. */
enum status encoder_tensors_rows(struct encoder_tensors *t, const struct encoder_tensor *which,
                                 size_t row, size_t n, float *out,
                                 struct engine_error *err) MUST_CHECK;

/* A GGUF has a bias, say, only where it is needed: one that nobody asked for is refused. In
 * safetensors there are always some (heads for training). */
enum status encoder_tensors_check_unused(const struct encoder_tensors *t,
                                         struct engine_error *err) MUST_CHECK;

#endif
