/* Texts to vectors, for a command that does so once and ends. */
#ifndef CLI_EMBED_TEXTS_H
#define CLI_EMBED_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct config;

/* `count` unit vectors, one after the other, by the encoder of the settings; `model` and
 * `precision` go before them when they are not NULL. The vectors are the caller's to free().
 * False: what is wrong was said on stderr. */
bool embed_texts(const struct config *c, const char *model, const char *precision,
                 const struct span *texts, size_t count, float **vectors,
                 size_t *dimensions) MUST_CHECK;

/* As above, and a text without a vector (beyond the encoder's window, no known word) is no
 * failure: each[i] says what became of it. `encoder`: the id of the encoder and its weights. */
bool embed_texts_each(const struct config *c, const char *model, const struct span *texts,
                      size_t count, float **vectors, size_t *dimensions, enum status *each,
                      char *encoder, size_t encoder_cap) MUST_CHECK;

#endif
