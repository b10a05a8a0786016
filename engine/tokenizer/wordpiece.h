/* WordPiece as BERT uses it, equal to the `tokenizers` library on the same
 * tokenizer.json (Schuster and Nakajima 2012; Wu et al. 2016): normalizer
 * BertNormalizer, pre-tokenizer BertPreTokenizer, [CLS] text [SEP]. Immutable once
 * open; any thread. */
#ifndef ENGINE_TOKENIZER_WORDPIECE_H
#define ENGINE_TOKENIZER_WORDPIECE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct wordpiece;
struct json;

/* From the text of tokenizer.json. Another model or normalizer is refused by name. */
enum status wordpiece_open(struct span json, struct wordpiece **out,
                           struct engine_error *err) MUST_CHECK;
/* The same from its tree, which may go afterwards. */
enum status wordpiece_open_tree(const struct json *root, struct wordpiece **out,
                                struct engine_error *err) MUST_CHECK;
void wordpiece_close(struct wordpiece *w);
uint32_t wordpiece_size(const struct wordpiece *w);

/* Ids of the text with its special tokens; at most cap are written, *count is the
 * whole number. ST_INVALID: not UTF-8. ST_LIMIT: more than `most`, found without reading
 * the rest of the text; *count is then not written. */
enum status wordpiece_encode(const struct wordpiece *w, struct span text, uint32_t *ids,
                             size_t cap, size_t most, size_t *count) MUST_CHECK;

#endif
