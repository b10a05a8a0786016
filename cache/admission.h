/* What may be stored for the very same request only: questions in the shape of an attempt to
 * put words into other people's answers, and answers that are none or that are of today. By
 * rule, English; a rule that fires costs hits in other words, nothing else. Pure; any thread.
 */
#ifndef CACHE_ADMISSION_H
#define CACHE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* NULL: it may be found by meaning. Else why not (static):
 * "instruction"     the question tells its reader what to say, or to leave something aside
 * "many_questions"  three or more in one
 * "noise"           a word that carries meaning stands there four times or more
 * "personal"        the answer greets somebody by a name that the question does not say
 * or what admission_no_answer() says of the answer. */
const char *admission_exact_only(struct span question, struct span answer, uint64_t now_ms);

/* The question is of the moment ("the weather today", "the latest version"): its answer holds
 * for a short time. Not in a text of more than 1 KiB; what depends on the day without saying so
 * is not recognized. */
bool admission_timely(struct span question);

/* The answer points back at the conversation that it is part of ("as mentioned above"): who has
 * not had that conversation can not read it. */
bool admission_leans_back(struct span answer);

/* NULL: nothing speaks against the answer. Else what (static):
 * "no_answer"       a short answer that says that it does not know, or will not help
 * "nonsense"        it ends in saying the same words again and again
 * "dated"           it names the day of now_ms (wall clock, UTC) */
const char *admission_no_answer(struct span answer, uint64_t now_ms);

#endif
