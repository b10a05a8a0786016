/* Text to a decoder's tokens and back, whatever its file's tokenizer is. Immutable once
 * open; any thread. Strings are borrowed from the file. */
#ifndef ENGINE_TOKENIZER_TOKENIZER_H
#define ENGINE_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct tokenizer;
struct gguf;

#define TOKENIZER_NONE UINT32_MAX

/* tokenizer.ggml.model "gpt2" (byte-level BPE), "llama" (SentencePiece BPE) or "t5"
 * (unigram); another is refused by name. */
enum status tokenizer_open(const struct gguf *g, struct tokenizer **out,
                           struct engine_error *err) MUST_CHECK;
void tokenizer_close(struct tokenizer *t);
uint32_t tokenizer_size(const struct tokenizer *t);

/* Appends the ids of `text` to ids[*count] on, up to cap; *count goes on counting beyond
 * it. With `special` a control token written in the text becomes that token. ST_LIMIT: *count
 * grew beyond `most`; the rest of the text was not read. ST_INVALID: no UTF-8, where the
 * tokenizer ("t5") has nothing for that. ST_NOMEM. */
enum status tokenizer_encode(const struct tokenizer *t, struct span text, bool special,
                             uint32_t *ids, size_t cap, size_t most, size_t *count) MUST_CHECK;

/* The bytes of a token; nothing for control tokens. */
enum status tokenizer_decode(const struct tokenizer *t, uint32_t id,
                             struct buf *out) MUST_CHECK;

/* Bytes that it keeps, and that encoding a text takes at most, beside the ids. */
size_t tokenizer_bytes(const struct tokenizer *t);
size_t tokenizer_work_bytes(const struct tokenizer *t, size_t text_bytes);
/* Of the longest token's text. */
size_t tokenizer_longest(const struct tokenizer *t);

/* A token by its very text; false when there is none. */
bool tokenizer_find(const struct tokenizer *t, const char *text, uint32_t *id) MUST_CHECK;
/* The same if it is a control token, which no text can write. */
bool tokenizer_find_control(const struct tokenizer *t, const char *text,
                            uint32_t *id) MUST_CHECK;
bool tokenizer_is_control(const struct tokenizer *t, uint32_t id);
struct span tokenizer_text(const struct tokenizer *t, uint32_t id);

/* The tokens of beginnings and ends, TOKENIZER_NONE if there is none; does every text begin
 * with the first? */
uint32_t tokenizer_begin(const struct tokenizer *t);
uint32_t tokenizer_end(const struct tokenizer *t);
bool tokenizer_begins(const struct tokenizer *t);
bool tokenizer_is_sentencepiece(const struct tokenizer *t);
/* Is a space put before each text between control tokens? */
bool tokenizer_prefixes(const struct tokenizer *t);

#endif
