/* From a conversation to a model's tokens, by family. The file's template is a program
 * (Jinja) and is not run: its family is recognised by its marks. What a text says stays
 * text: only what the family puts between the turns becomes a control token. */
#ifndef ENGINE_CHAT_TEMPLATE_H
#define ENGINE_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/tokenizer/tokenizer.h"

struct chat_family;

struct chat_template {
    const struct chat_family *family;
    struct span system;  /* of a conversation without one; may be empty */
    struct span literal; /* the same as a string of the template's program; may be empty */
    struct span dates;   /* a text that opens the system turn; may be empty */
    bool newlines;       /* a line ends behind control tokens (phi3) */
    bool trims;          /* answers, or all texts, lose the white space around them */
    bool alternates;     /* questions and answers in turn and nothing else (mistral-v7) */
    bool thinks;         /* an answer begins with thoughts (deepseek) */
    bool spaces;         /* each text stands behind one (mistral-v7) */
    uint32_t begin;      /* TOKENIZER_NONE: no text begins with it */
    /* Control tokens before a turn (before its role), behind its role, and behind it. */
    uint32_t open, middle, close;
    uint32_t system_open, system_close; /* around a system text (mistral-v7) */
};

/* `name` (NULL: by the file's own template `text`, which must outlive *out). */
enum status chat_template_open(const struct tokenizer *k, struct span text, const char *name,
                               struct chat_template *out, struct engine_error *err) MUST_CHECK;

/* What encoding a conversation of at most `cap` ids takes, beside them: a text that is longer
 * than so many tokens can be is not gathered. */
size_t chat_template_bytes(const struct tokenizer *k, size_t cap);

/* "chatml", …: the family of an open one. */
const char *chat_template_name(const struct chat_template *t);

/* The whole conversation and the opening of an assistant's turn. ST_LIMIT: more than `cap`
 * ids, found without reading the rest. ST_INVALID: a role, or an order of roles, that the
 * family has no place for; or a template that was never opened. */
enum status chat_template_encode(const struct chat_template *t, const struct tokenizer *k,
                                 const struct decoder_turn *turns, size_t n, uint32_t *ids,
                                 size_t cap, size_t *count) MUST_CHECK;

/* The names that chat_template_open() knows: "chatml, smollm, …". */
const char *chat_template_known(void);

#endif
