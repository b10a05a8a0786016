/* The conversation as the built-in model is given it: with the operator's profile, solved
 * examples before the question, and the functions that it may call. */
#ifndef PROXY_LOCAL_TURNS_H
#define PROXY_LOCAL_TURNS_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct local_request;
struct prompt;
struct request;

/* Of the model that is asked (r->voice). NULL: none; a text that goes on is no question. */
const struct prompt *local_turns_profile(const struct request *r);
/* Shall it think before it answers? Not where its words are JSON. */
bool local_turns_think(const struct request *r, const struct prompt *profile);

/* Sets turns and turn_count of `ask`, in the request's arena. Of functions the model is told at
 * the end of the system's turn, which is there then; examples come before the question, and are
 * noted in the request. r->thinks says whether it is asked to think. */
enum status local_turns_take(struct request *r, const struct prompt *profile,
                             struct local_request *ask) MUST_CHECK;

#endif
