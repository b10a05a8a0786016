/* A unigram model as an encoder has it (XLM-RoBERTa; multilingual-e5, bge-m3):
 * <s> text </s>. Equal to the `tokenizers` library on the same file. Immutable once open;
 * any thread. */
#ifndef ENGINE_TOKENIZER_XLMR_H
#define ENGINE_TOKENIZER_XLMR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct xlmr;
struct gguf;
struct json;

/* From the tree of a tokenizer.json, which may go afterwards. What is not supported is
 * refused by name. `bare`: nothing around a text, nothing for what is not known in it. */
enum status xlmr_open(const struct json *root, bool bare, struct xlmr **out,
                      struct engine_error *err) MUST_CHECK;
/* From a GGUF file, which may go afterwards: tokenizer.ggml.model "t5". */
enum status xlmr_open_gguf(const struct gguf *g, struct xlmr **out,
                           struct engine_error *err) MUST_CHECK;
void xlmr_close(struct xlmr *x);
uint32_t xlmr_size(const struct xlmr *x);
/* Bytes that it keeps. */
size_t xlmr_bytes(const struct xlmr *x);

/* As wordpiece_encode(); of a bare one, what is not known counts among what is beyond cap. */
enum status xlmr_encode(const struct xlmr *x, struct span text, uint32_t *ids, size_t cap,
                        size_t most, size_t *count) MUST_CHECK;

#endif
