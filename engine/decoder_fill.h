/* Texts that are continued as they are, or filled in between a beginning and an end, where the
 * model was taught that (Bavarian et al. 2022, "Efficient Training of Language Models to Fill
 * in the Middle", arXiv:2207.14255: prefix, suffix, middle). */
#ifndef ENGINE_DECODER_FILL_H
#define ENGINE_DECODER_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/gguf.h"
#include "engine/tokenizer/tokenizer.h"

struct decoder;
struct decoder_request;

/* Tokens that stand before each of the three. */
struct decoder_fill {
    bool known;
    uint32_t prefix, suffix, middle;
};

/* By the file's keys, or by the tokens that families of models have for it. */
void decoder_fill_find(const struct gguf *g, const struct tokenizer *t, size_t vocabulary,
                       struct decoder_fill *out);

/* The prompt of a request that has `continues`: turns[0] is the beginning, turns[1], where
 * there is one, the end. ST_INVALID: there is an end, and the model can not fill in; ST_LIMIT:
 * more than cap. */
enum status decoder_fill_prompt(const struct decoder *d, const struct decoder_request *q,
                                uint32_t *ids, size_t cap, size_t *count) MUST_CHECK;

#endif
