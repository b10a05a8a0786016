#include "cache/guard_common.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/* clang-format off */
static const char *const common[] = {
#include "cache/guard_common.inc"
};
/* clang-format on */

static int order(const void *key, const void *element)
{
    const struct span *s = key;
    const char *word = *(const char *const *)element;
    size_t n = strlen(word);
    int cmp = memcmp(s->ptr, word, s->len < n ? s->len : n);

    return cmp != 0 ? cmp : (s->len > n) - (s->len < n);
}

static bool listed(struct span w)
{
    return w.len > 0 &&
           bsearch(&w, common, ARRAY_LEN(common), sizeof(common[0]), order) != NULL;
}

/* The stem as it is, with an e, or with its last letter once ("stopp" -> "stop"). */
static bool listed_stem(struct span word, size_t cut)
{
    char text[48];
    struct span stem = {word.ptr, word.len - cut};

    if (word.len < cut + 3 || stem.len < 3 || stem.len + 1 >= sizeof(text))
        return false;
    if (listed(stem))
        return true;
    memcpy(text, stem.ptr, stem.len);
    text[stem.len] = 'e';
    if (listed((struct span){text, stem.len + 1}))
        return true;
    if (text[stem.len - 1] == 'i') {
        text[stem.len - 1] = 'y';
        if (listed((struct span){text, stem.len}))
            return true;
    }
    return stem.ptr[stem.len - 1] == stem.ptr[stem.len - 2] &&
           listed((struct span){stem.ptr, stem.len - 1});
}

static bool ends(struct span w, const char *tail)
{
    size_t n = strlen(tail);

    return w.len > n && memcmp(w.ptr + w.len - n, tail, n) == 0;
}

bool guard_common(struct span w)
{
    static const char *const tails[] = {"s",  "es", "ed",   "ing",  "er",  "est",  "ly",
                                        "'s", "or", "ment", "able", "ion", "ation"};

    if (w.len < 3 || listed(w))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        if (ends(w, tails[i]) && listed_stem(w, strlen(tails[i])))
            return true;
    }
    return false;
}

bool guard_common_typo(struct span a, struct span b)
{
    struct span longer = a.len >= b.len ? a : b, shorter = a.len >= b.len ? b : a;
    size_t i = 0, tail;

    if (shorter.len < 5 || longer.len > shorter.len + 1)
        return false;
    while (i < shorter.len && longer.ptr[i] == shorter.ptr[i])
        i++;
    if (longer.len > shorter.len)
        return memcmp(longer.ptr + i + 1, shorter.ptr + i, shorter.len - i) == 0;
    if (i == shorter.len)
        return true;
    tail = shorter.len - i - 1;
    if (memcmp(longer.ptr + i + 1, shorter.ptr + i + 1, tail) == 0)
        return true;
    return tail > 0 && longer.ptr[i] == shorter.ptr[i + 1] &&
           longer.ptr[i + 1] == shorter.ptr[i] &&
           memcmp(longer.ptr + i + 2, shorter.ptr + i + 2, tail - 1) == 0;
}
