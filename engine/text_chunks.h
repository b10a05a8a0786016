/* A text as a decoder is given it to be measured: its tokens in chunks of one length, each
 * by itself. The first token of a chunk gives way to the beginning token where the model has
 * texts begin with one, as llama.cpp's tools do. */
#ifndef ENGINE_TEXT_CHUNKS_H
#define ENGINE_TEXT_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct text_chunks {
    uint32_t *ids;  /* owned */
    size_t tokens;  /* of the text, the beginning token included */
    size_t context; /* tokens of a chunk */
    size_t count;   /* whole chunks: what is left over is not used */
};

/* context > 0. ST_NOMEM, ST_LIMIT: the text is too long. */
enum status text_chunks_open(const struct decoder *d, struct span text, size_t context,
                             struct text_chunks *out) MUST_CHECK;
void text_chunks_close(struct text_chunks *c);

/* The `context` ids of chunk i < count. */
const uint32_t *text_chunks_get(const struct text_chunks *c, size_t i);

#endif
