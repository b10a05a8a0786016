/* Byte-level BPE (Sennrich et al. 2016; GPT-2's byte alphabet) from a GGUF's vocabulary.
 * Immutable once open; any thread. */
#ifndef ENGINE_TOKENIZER_BPE_H
#define ENGINE_TOKENIZER_BPE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/tokenizer/token_sink.h"
#include "engine/tokenizer/vocabulary.h"

struct bpe;
struct gguf;

/* tokenizer.ggml.pre must be one we know (pieces.h). `words` outlives it. */
enum status bpe_open(const struct gguf *g, const struct vocabulary *words, struct bpe **out,
                     struct engine_error *err) MUST_CHECK;
void bpe_close(struct bpe *b);
/* Does a text begin with the token of beginnings when the file does not say? */
/* Bytes that it keeps, and that encoding a text takes at most. */
size_t bpe_bytes(const struct bpe *b);
size_t bpe_work_bytes(const struct bpe *b, size_t text_bytes);
bool bpe_begins(const struct bpe *b);

/* A text without special tokens. ST_LIMIT: more than s->most, the rest was not read. */
enum status bpe_encode(const struct bpe *b, struct span text, struct token_sink *s) MUST_CHECK;
/* The bytes that the text of a normal token stands for. */
enum status bpe_decode(const struct bpe *b, struct span text, struct buf *out) MUST_CHECK;

#endif
