/* One names a moment and the other none: "the weather" / "the weather tomorrow". "today"
 * and "now" are what is meant anyway. */
#include "cache/guard_list.h"

static const char *const moments[] = {
    "yesterday", "tomorrow",  "tonight",   "january", "february", "april",    "june",
    "july",      "august",    "september", "october", "november", "december", "monday",
    "tuesday",   "wednesday", "thursday",  "friday",  "saturday", "sunday",   "weekend",
    "christmas", "easter",    "winter",    "summer",  "autumn",   NULL};

static size_t find_own(const struct guard_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->words[i].partner == GUARD_TEXT_NONE && guard_text_among(&t->words[i], moments))
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_moment(const struct guard_pair *p, struct guard_conflict *where)
{
    *where = (struct guard_conflict){find_own(p->a), find_own(p->b), 0, 0};
    return (where->a != GUARD_TEXT_NONE) != (where->b != GUARD_TEXT_NONE);
}
