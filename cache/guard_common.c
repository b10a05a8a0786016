#include "cache/guard_common.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/* clang-format off */
static const struct entry {
    const char *word;
    unsigned char tenths; /* of weight */
} common[] = {
#include "cache/guard_common.inc"
};
/* clang-format on */

#define SHORT_WEIGHT 0.8 /* of words of one or two letters that are not listed */

static int order(const void *key, const void *element)
{
    const struct span *s = key;
    const char *word = ((const struct entry *)element)->word;
    size_t n = strlen(word);
    int cmp = memcmp(s->ptr, word, s->len < n ? s->len : n);

    return cmp != 0 ? cmp : (s->len > n) - (s->len < n);
}

static const struct entry *listed(struct span w)
{
    return w.len == 0 ? NULL : bsearch(&w, common, ARRAY_LEN(common), sizeof(common[0]), order);
}

/* The stem as it is, with an e, a y for its i, or its last letter once ("stopp": "stop"). */
static const struct entry *listed_stem(struct span word, size_t cut)
{
    const struct entry *found;
    struct span stem = {word.ptr, word.len - cut};
    char text[48];

    if (stem.len < 3 || stem.len + 1 >= sizeof(text))
        return NULL;
    found = listed(stem);
    if (found != NULL)
        return found;
    memcpy(text, stem.ptr, stem.len);
    text[stem.len] = 'e';
    found = listed((struct span){text, stem.len + 1});
    if (found != NULL)
        return found;
    if (text[stem.len - 1] == 'i') {
        text[stem.len - 1] = 'y';
        return listed((struct span){text, stem.len});
    }
    return stem.ptr[stem.len - 1] == stem.ptr[stem.len - 2]
               ? listed((struct span){stem.ptr, stem.len - 1})
               : NULL;
}

static bool ends(struct span w, const char *tail)
{
    size_t n = strlen(tail);

    return w.len > n && memcmp(w.ptr + w.len - n, tail, n) == 0;
}

static const struct entry *find(struct span w)
{
    static const char *const tails[] = {"s",  "es",   "ed",   "ing", "er",    "est",  "ly",
                                        "or", "ment", "able", "ion", "ation", "ness", "ful"};
    const struct entry *found = listed(w);

    for (size_t i = 0; found == NULL && i < ARRAY_LEN(tails); i++) {
        if (ends(w, tails[i]))
            found = listed_stem(w, strlen(tails[i]));
    }
    return found;
}

bool guard_common(struct span w)
{
    return w.len < 3 || find(w) != NULL;
}

double guard_common_weight(struct span w)
{
    const struct entry *found = find(w), *stem = NULL;

    /* "used" says no more than "use". */
    if (ends(w, "ed"))
        stem = listed_stem(w, 2);
    else if (ends(w, "ing"))
        stem = listed_stem(w, 3);
    if (found != NULL && stem != NULL && stem->tenths < found->tenths)
        found = stem;
    if (found != NULL)
        return found->tenths / 10.0;
    return w.len < 3 ? SHORT_WEIGHT : GUARD_COMMON_RARE;
}

/* From `at` on they differ by two neighbours that changed places, and by nothing else. */
static bool is_exchanged(struct span a, struct span b, size_t at)
{
    return at + 1 < a.len && a.ptr[at] == b.ptr[at + 1] && a.ptr[at + 1] == b.ptr[at] &&
           memcmp(a.ptr + at + 2, b.ptr + at + 2, a.len - at - 2) == 0;
}

bool guard_common_typo(struct span a, struct span b)
{
    struct span longer = a.len >= b.len ? a : b, shorter = a.len >= b.len ? b : a;
    size_t i = 0;

    if (shorter.len < 3 || longer.len > shorter.len + 1)
        return false;
    while (i < shorter.len && longer.ptr[i] == shorter.ptr[i])
        i++;
    if (shorter.len < 5)
        return longer.len == shorter.len && i > 0 && is_exchanged(longer, shorter, i);
    if (longer.len > shorter.len)
        return memcmp(longer.ptr + i + 1, shorter.ptr + i, shorter.len - i) == 0;
    if (i == shorter.len)
        return true;
    return memcmp(longer.ptr + i + 1, shorter.ptr + i + 1, shorter.len - i - 1) == 0 ||
           is_exchanged(longer, shorter, i);
}
