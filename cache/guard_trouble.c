#include "cache/guard_trouble.h"

/* Our own list. Mere denials ("not", "can't") are not in it: they are in too many plain
 * questions. */
static const char *const words[] = {
    "problem",    "problems",     "trouble", "issue",   "issues",   "difficult",
    "difficulty", "difficulties", "unable",  "fail",    "fails",    "failed",
    "failing",    "failure",      "error",   "errors",  "wrong",    "wrongly",
    "incorrect",  "incorrectly",  "broken",  "stuck",   "declined", "decline",
    "denied",     "rejected",     "refused", "blocked", "reverted", "cancelled",
    "canceled",   "mistake",      NULL};

bool guard_trouble_told(const struct guard_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (guard_text_among(&t->words[i], words))
            return true;
    }
    return false;
}
