/* Solved examples in a file of the operator's, and which of them are like a question. Loop
 * thread only. */
#ifndef PROXY_LESSONS_H
#define PROXY_LESSONS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct decoder_turn;
struct lessons;

/* JSON lines, {"prompt": …, "answer": …}, up to 1024 of them. `why` says which line is wrong.
 */
enum status lessons_open(const char *path, struct lessons **out, char *why,
                         size_t why_cap) MUST_CHECK;
/* NULL is fine. */
void lessons_close(struct lessons *l);

/* Pairs of turns, user and assistant, of up to `want` examples (EXAMPLES_MAX at most): those
 * that have most words in common with the question, rare ones weighing more, the nearest last.
 * Their texts live as long as the lessons. NULL: none. Returns how many turns. */
size_t lessons_near(const struct lessons *l, struct span question, size_t want,
                    struct decoder_turn *turns);

#endif
