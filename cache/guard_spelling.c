#include "cache/guard_spelling.h"

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"

/* clang-format off */
/* Written by us. Months and weekdays whose short form is another word too (may, mar, sun,
 * sat) stay as they are. Sorted by the first. */
static const struct { const char *word, *first, *second; } spellings[] = {
    {"aint", "is", "not"}, {"apr", "april", NULL},
    {"arent", "are", "not"}, {"aug", "august", NULL}, {"behaviour", "behavior", NULL},
    {"bike", "bicycle", NULL}, {"cancelled", "canceled", NULL}, {"cannot", "can", "not"},
    {"cant", "can", "not"}, {"centre", "center", NULL}, {"cheque", "check", NULL},
    {"colour", "color", NULL}, {"colours", "color", NULL}, {"cos", "because", NULL},
    {"couldnt", "could", "not"}, {"coz", "because", NULL}, {"cuz", "because", NULL},
    {"dec", "december", NULL}, {"didnt", "did", "not"}, {"doesnt", "does", "not"},
    {"dont", "do", "not"}, {"dr", "doctor", NULL}, {"favourite", "favorite", NULL},
    {"feb", "february", NULL}, {"flavour", "flavor", NULL}, {"fri", "friday", NULL},
    {"gonna", "going", "to"}, {"grey", "gray", NULL}, {"hadnt", "had", "not"},
    {"hasnt", "has", "not"}, {"havent", "have", "not"},
    {"im", "i", NULL}, {"info", "information", NULL}, {"isnt", "is", "not"},
    {"ive", "i", NULL}, {"jan", "january", NULL}, {"jul", "july", NULL}, {"jun", "june", NULL},
    {"labour", "labor", NULL}, {"lbs", "lb", NULL}, {"licence", "license", NULL},
    {"math", "mathematics", NULL}, {"maths", "mathematics", NULL},
    {"mom", "mother", NULL}, {"mon", "monday", NULL}, {"mum", "mother", NULL},
    {"neighbour", "neighbor", NULL}, {"nov", "november", NULL}, {"oct", "october", NULL},
    {"ok", "okay", NULL}, {"organisation", "organization", NULL}, {"organise", "organize", NULL},
    {"photo", "picture", NULL},
    {"photos", "picture", NULL}, {"pic", "picture", NULL}, {"pics", "picture", NULL},
    {"pls", "please", NULL}, {"plz", "please", NULL}, {"programme", "program", NULL},
    {"pwd", "password", NULL}, {"realise", "realize", NULL}, {"recognise", "recognize", NULL},
    {"sept", "september", NULL}, {"shouldnt", "should", "not"}, {"signup", "sign", "up"},
    {"thru", "through", NULL}, {"thur", "thursday", NULL},
    {"thurs", "thursday", NULL}, {"traveller", "traveler", NULL}, {"tue", "tuesday", NULL},
    {"tues", "tuesday", NULL}, {"tv", "television", NULL}, {"tvs", "television", NULL},
    {"u", "you", NULL}, {"ur", "your", NULL}, {"wanna", "want", "to"}, {"wasnt", "was", "not"},
    {"wed", "wednesday", NULL}, {"werent", "were", "not"}, {"wont", "will", "not"},
    {"wouldnt", "would", "not"}, {"yr", "year", NULL}, {"yrs", "year", NULL},
};
/* clang-format on */

static bool cut_tail(struct span *w, const char *tail)
{
    size_t n = strlen(tail);

    if (w->len <= n || memcmp(w->ptr + w->len - n, tail, n) != 0)
        return false;
    w->len -= n;
    return true;
}

static void look_up(struct span word, struct span *first, struct span *second)
{
    size_t low = 0, high = ARRAY_LEN(spellings);

    while (low < high) {
        size_t mid = low + (high - low) / 2, n = strlen(spellings[mid].word);
        int cmp = memcmp(word.ptr, spellings[mid].word, word.len < n ? word.len : n);

        if (cmp == 0 && word.len == n) {
            *first = span_of(spellings[mid].first);
            if (spellings[mid].second != NULL)
                *second = span_of(spellings[mid].second);
            return;
        }
        if (cmp < 0 || (cmp == 0 && word.len < n))
            high = mid;
        else
            low = mid + 1;
    }
}

void guard_spelling_expand(struct span word, struct span *first, struct span *second)
{
    static const char *const clitics[] = {"'s", "'re", "'ve", "'ll", "'d", "'m"};

    *first = word;
    *second = (struct span){NULL, 0};
    if (memchr(word.ptr, '\'', word.len) == NULL) {
        look_up(word, first, second);
        return;
    }
    if (cut_tail(first, "n't")) {
        *second = span_of("not");
        if (span_eq(*first, span_of("ca")))
            *first = span_of("can");
        else if (span_eq(*first, span_of("wo")))
            *first = span_of("will");
        else if (span_eq(*first, span_of("ai")))
            *first = span_of("is");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(clitics); i++) {
        if (cut_tail(first, clitics[i]))
            return;
    }
    (void)cut_tail(first, "'");
}
