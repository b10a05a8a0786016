/* What is made of a conversation for a small model, by the operator's profile of it (prompts):
 * another form of the question, a shorter system prompt, solved examples, room to think. Of
 * what the model is given only: what is compared, keyed and stored is as the client sent it.
 * Loop thread only. */
#ifndef PROXY_PROMPT_H
#define PROXY_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct config;
struct decoder_turn;
struct prompt;
struct prompt_book;

/* *out is NULL when there are no profiles. ST_INVALID, ST_UNAVAILABLE: `why` says which file of
 * examples is wrong, and where. */
enum status prompt_open(const struct config *c, struct prompt_book **out, char *why,
                        size_t why_cap) MUST_CHECK;
/* NULL is fine. */
void prompt_close(struct prompt_book *b);

/* The first profile that is for the model and the rule that applies to the request (NULL: none
 * does); NULL: none is, or there is no book. */
const struct prompt *prompt_find(const struct prompt_book *b, struct span model,
                                 const char *rule);

/* Pairs of turns, user and assistant, of the operator's examples: those that have most words in
 * common with the question, the nearest last. Up to EXAMPLES_MAX pairs; borrowed from the book.
 * NULL: none. Returns how many turns. */
size_t prompt_examples(const struct prompt *p, struct span question,
                       struct decoder_turn *turns);

/* The turns in their new form, in `arena`. The last one is the question; `thinks`: it is asked
 * to think, see prompt_strip(). NULL: they stay. */
enum status prompt_shape(const struct prompt *p, struct arena *arena,
                         struct decoder_turn *turns, size_t n, bool thinks) MUST_CHECK;

bool prompt_thinks(const struct prompt *p);
/* Tokens that thinking may take, beside the answer's. */
#define PROMPT_THINK_TOKENS 256
/* What a model that was asked to think said, down to its answer. false: it has come to none,
 * and stays as it is. */
bool prompt_strip(struct buf *said) MUST_CHECK;

#endif
