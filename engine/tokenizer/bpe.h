/* Byte-level BPE (Sennrich et al. 2016; GPT-2's byte alphabet) from a GGUF's vocabulary.
 * Immutable once open; any thread. Strings are borrowed from the file. */
#ifndef ENGINE_TOKENIZER_BPE_H
#define ENGINE_TOKENIZER_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct bpe;
struct gguf;

/* tokenizer.ggml.model must be "gpt2", tokenizer.ggml.pre one we know. */
enum status bpe_open(const struct gguf *g, struct bpe **out,
                     struct engine_error *err) MUST_CHECK;
void bpe_close(struct bpe *b);
uint32_t bpe_size(const struct bpe *b);

/* Appends the ids of `text` to ids[*count] on, up to cap; *count goes on counting beyond
 * it. With `special` a control token written in the text becomes that token. ST_LIMIT: *count
 * grew beyond `most`; the rest of the text was not read. */
enum status bpe_encode(const struct bpe *b, struct span text, bool special, uint32_t *ids,
                       size_t cap, size_t most, size_t *count) MUST_CHECK;

/* The bytes of a token; nothing for control tokens. */
enum status bpe_decode(const struct bpe *b, uint32_t id, struct buf *out) MUST_CHECK;

/* A token by its very text; false when there is none. */
bool bpe_find(const struct bpe *b, const char *text, uint32_t *id) MUST_CHECK;
bool bpe_is_control(const struct bpe *b, uint32_t id);

#endif
