/* A unigram model as an encoder's tokenizer.json has it (XLM-RoBERTa; multilingual-e5):
 * <s> text </s>. Equal to the `tokenizers` library on the same file. Immutable once open;
 * any thread. */
#ifndef ENGINE_TOKENIZER_XLMR_H
#define ENGINE_TOKENIZER_XLMR_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct xlmr;
struct json;

/* From the tree of a tokenizer.json, which may go afterwards. What is not supported is
 * refused by name. */
enum status xlmr_open(const struct json *root, struct xlmr **out,
                      struct engine_error *err) MUST_CHECK;
void xlmr_close(struct xlmr *x);
uint32_t xlmr_size(const struct xlmr *x);

/* As wordpiece_encode(). */
enum status xlmr_encode(const struct xlmr *x, struct span text, uint32_t *ids, size_t cap,
                        size_t most, size_t *count) MUST_CHECK;

#endif
