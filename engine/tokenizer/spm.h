/* SentencePiece's BPE (Kudo and Richardson 2018), as Llama 2, Mistral and Gemma use it:
 * characters are merged to the token with the best score, what is left unknown becomes its
 * bytes. From a GGUF's vocabulary. Immutable once open; any thread. */
#ifndef ENGINE_TOKENIZER_SPM_H
#define ENGINE_TOKENIZER_SPM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/tokenizer/token_sink.h"
#include "engine/tokenizer/vocabulary.h"

struct spm;
struct gguf;

/* tokenizer.ggml.scores must be there. `words` outlives it. */
enum status spm_open(const struct gguf *g, const struct vocabulary *words, struct spm **out,
                     struct engine_error *err) MUST_CHECK;
void spm_close(struct spm *m);
/* Is a space put before each text (add_space_prefix)? */
/* Bytes that it keeps, and that encoding a text takes at most. */
size_t spm_bytes(const struct spm *m);
size_t spm_work_bytes(size_t text_bytes);
bool spm_prefixes(const struct spm *m);

/* A text without special tokens. ST_LIMIT: more than s->most, the rest was not read. */
enum status spm_encode(const struct spm *m, struct span text, struct token_sink *s) MUST_CHECK;
enum status spm_decode(const struct spm *m, uint32_t id, struct buf *out) MUST_CHECK;

#endif
