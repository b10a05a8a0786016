/* Another month, weekday, day, season or frequency: "in May" / "in June", "today" /
 * "tomorrow", "last week" / "next week", "daily" / "weekly". */
#include "base/compiler.h"
#include "cache/guard_list.h"

#define GROUP_MAX 13

/* Within a group each word is another time. */
static const char *const groups[][GROUP_MAX] = {
    {"january", "february", "march", "april", "may", "june", "july", "august", "september",
     "october", "november", "december", NULL},
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", NULL},
    {"yesterday", "today", "tomorrow", NULL},
    {"yesterday", "tonight", "tomorrow", NULL},
    {"morning", "noon", "afternoon", "evening", "midnight", NULL},
    {"weekday", "weekend", NULL},
    {"spring", "summer", "autumn", "winter", NULL},
    {"spring", "summer", "fall", "winter", NULL},
    {"hourly", "daily", "weekly", "monthly", "quarterly", "yearly", NULL},
    {"last", "this", "next", NULL},
    {"previous", "current", "next", NULL},
    {"past", "current", "upcoming", NULL},
    {"easter", "christmas", "thanksgiving", "halloween", NULL},
};

/* "may" and "march" are months only beside a number or "in", "of", …, or in capitals. */
static bool is_month(const struct guard_text *t, size_t i)
{
    static const char *const before[] = {"in",   "of",   "until", "till",   "since", "last",
                                         "next", "this", "by",    "during", "on",    NULL};

    return t->words[i].capital || (i > 0 && t->words[i - 1].number) ||
           (i > 0 && guard_text_among(&t->words[i - 1], before)) ||
           (i + 1 < t->count && t->words[i + 1].number);
}

/* The place of a word of the group that the other question has not. */
static size_t find_own(const struct guard_text *t, const char *const *group)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct guard_word *w = &t->words[i];
        bool doubtful = guard_text_is(w, "may") || guard_text_is(w, "march");

        if (w->partner != GUARD_TEXT_NONE || (doubtful && !is_month(t, i)))
            continue;
        for (const char *const *g = group; *g != NULL; g++) {
            if (guard_text_is(w, *g) || span_eq(w->text, span_of(*g)))
                return i;
        }
    }
    return GUARD_TEXT_NONE;
}

bool guard_time(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        *where =
            (struct guard_conflict){find_own(p->a, groups[i]), find_own(p->b, groups[i]), 0, 0};
        if (where->a != GUARD_TEXT_NONE && where->b != GUARD_TEXT_NONE)
            return true;
    }
    return false;
}
