/* From a conversation to a model's tokens, by family. The file's template is a program
 * (Jinja) and is not run: its family is recognised by its marks. */
#ifndef ENGINE_CHAT_TEMPLATE_H
#define ENGINE_CHAT_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/tokenizer/bpe.h"

struct chat_template {
    enum chat_family { CHAT_CHATML, CHAT_LLAMA3 } family;
    struct span system;               /* of a conversation without one; may be empty */
    struct span before_system;        /* a text that opens every system turn; may be empty */
    uint32_t begin, end, open, close; /* control tokens; begin UINT32_MAX: none */
};

/* `name` (NULL: by the file's own template text). */
enum status chat_template_open(const struct bpe *b, struct span text, const char *name,
                               struct chat_template *out, struct engine_error *err) MUST_CHECK;

/* The whole conversation and the opening of an assistant's turn. ST_LIMIT: more than `cap`
 * ids, found without reading the rest. */
enum status chat_template_encode(const struct chat_template *t, const struct bpe *b,
                                 const struct decoder_turn *turns, size_t n, uint32_t *ids,
                                 size_t cap, size_t *count) MUST_CHECK;

#endif
