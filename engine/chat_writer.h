/* What families of chat templates write a conversation with (chat_render.c): text and control
 * tokens into ids. */
#ifndef ENGINE_CHAT_WRITER_H
#define ENGINE_CHAT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/chat_template.h"

/* Text between two control tokens is one text to the tokenizer, as if the template were
 * rendered: it is gathered until the next of them. */
struct chat_writer {
    const struct chat_template *t;
    const struct tokenizer *k;
    const struct decoder_turn *turns;
    size_t n;
    uint32_t *ids;
    size_t cap, *count;
    struct buf text;
    enum status st; /* the first failure stays */
};

void chat_writer_say(struct chat_writer *w, struct span text);
/* What was said becomes tokens. */
void chat_writer_flush(struct chat_writer *w);
/* A control token; TOKENIZER_NONE: nothing. */
void chat_writer_put(struct chat_writer *w, uint32_t id);
/* A space that the tokenizer writes itself at the front of a text. */
void chat_writer_space(struct chat_writer *w);
/* The conversation has what the family has no place for. */
void chat_writer_refuse(struct chat_writer *w);
/* Says what a string of a template's program says: quoted parts with their escapes, joined by
 * + or ~, and the variable `today`, for which `today` is said. `w` NULL: only reads. false:
 * there is something else in it. */
bool chat_writer_literal(struct chat_writer *w, struct span program,
                         struct span today) MUST_CHECK;

/* Without white space at both ends, at one, without newlines. */
struct span chat_writer_trim(struct span s);
struct span chat_writer_trim_front(struct span s);
struct span chat_writer_trim_back(struct span s);
struct span chat_writer_trim_lines(struct span s, bool front, bool back);
/* Where `mark` is, from `from` on; SIZE_MAX: nowhere. */
size_t chat_writer_find(struct span text, struct span mark, size_t from);

/* "developer" is OpenAI's newer name for "system". */
struct span chat_writer_role(const struct decoder_turn *turn);
bool chat_writer_is_role(const struct decoder_turn *turn, const char *role);
bool chat_writer_begins_with_system(const struct chat_writer *w);
/* Takes the system text off the front, for families that put it into a user's turn; of none,
 * its ptr is NULL. What is left must be user, assistant, user, …; they know nothing else. */
struct span chat_writer_take_system(struct chat_writer *w);

#endif
