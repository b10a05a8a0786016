/* An encoder's tokens, whatever its files say they are: WordPiece (wordpiece.h) or unigram
 * (xlmr.h). Immutable once open; any thread. */
#ifndef ENGINE_TOKENIZER_ENCODER_TOKENS_H
#define ENGINE_TOKENIZER_ENCODER_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct encoder_tokens;
struct gguf;

/* From the text of tokenizer.json. `bare`: no special tokens around a text, and none for
 * what is not known in it. memory_max_bytes (0: no limit) is for what reading takes. Another
 * model is refused by name. */
enum status encoder_tokens_open(struct span json, bool bare, uint64_t memory_max_bytes,
                                struct encoder_tokens **out,
                                struct engine_error *err) MUST_CHECK;
/* From a GGUF file, which may go afterwards: tokenizer.ggml.model "bert" or "t5". */
enum status encoder_tokens_open_gguf(const struct gguf *g, struct encoder_tokens **out,
                                     struct engine_error *err) MUST_CHECK;
void encoder_tokens_close(struct encoder_tokens *t);
uint32_t encoder_tokens_size(const struct encoder_tokens *t);
/* Bytes that it keeps. */
size_t encoder_tokens_bytes(const struct encoder_tokens *t);

/* Ids of the text with its special tokens; at most cap are written, *count is the whole
 * number. ST_INVALID: not UTF-8. ST_LIMIT: more than `most`, found without reading the
 * rest of the text; *count is then not written. */
enum status encoder_tokens_encode(const struct encoder_tokens *t, struct span text,
                                  uint32_t *ids, size_t cap, size_t most,
                                  size_t *count) MUST_CHECK;

#endif
