/* Writes GGUF files: for tools. */
#ifndef ENGINE_GGUF_SAVE_H
#define ENGINE_GGUF_SAVE_H

#include <stdio.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/gguf.h"

#define GGUF_SAVE_NO_TYPE UINT32_MAX /* as a file type: the keys are all there are */

struct gguf_save {
    FILE *file; /* borrowed */
    uint64_t alignment;
    uint64_t at; /* bytes of data written */
};

/* The header: the keys of `g`, but for these two, which become `file_type` and 2
 * (general.file_type, general.quantization_version), and its tensors with the types of
 * `types` [tensor_count]. Then gguf_save_data() for all of them, in the order of g->tensors.
 * ST_UNAVAILABLE: the file could not be written. */
enum status gguf_save_open(struct gguf_save *s, FILE *file, const struct gguf *g,
                           const uint32_t *types, uint32_t file_type) MUST_CHECK;
/* A piece of a tensor's data. */
enum status gguf_save_data(struct gguf_save *s, const void *p, size_t n) MUST_CHECK;
/* Behind the last piece of each tensor. */
enum status gguf_save_pad(struct gguf_save *s) MUST_CHECK;

/* Bytes of a tensor if it were of this type. */
uint64_t gguf_save_bytes(const struct gguf_tensor *t, uint32_t type);

#endif
