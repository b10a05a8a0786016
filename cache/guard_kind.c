/* Another one of the same kind: a part of the body, an illness ("my knee hurts" / "my elbow
 * hurts"). A word and what it is a kind of are no two ("flu" / "illness"). The words are in
 * guard_kind.inc (tools/kinds.py). */
#include <string.h>

#include "base/compiler.h"
#include "cache/guard_list.h"

/* Kinds form trees, numbered so that what is below a word has the numbers between its first
 * and last; a word has a row for each of its senses. Sorted. */
/* clang-format off */
static const struct kind { const char *word; unsigned short kind, first, last; } kinds[] = {
#include "cache/guard_kind.inc"
};
/* clang-format on */

enum { KINDS = ARRAY_LEN(kinds) };

static int order(struct span w, const char *word)
{
    size_t n = strlen(word);
    int cmp = memcmp(w.ptr, word, w.len < n ? w.len : n);

    return cmp != 0 ? cmp : (w.len > n) - (w.len < n);
}

/* The first row of a word, or KINDS when there is none. */
static size_t listed(struct span w)
{
    size_t low = 0, high = KINDS;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (order(w, kinds[mid].word) <= 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low < KINDS && order(w, kinds[low].word) == 0 ? low : KINDS;
}

static size_t find(const struct guard_word *w)
{
    size_t found = guard_pair_own(w) ? listed(w->raw) : KINDS;

    return found < KINDS || !guard_pair_own(w) ? found : listed(w->text);
}

static bool is_of(size_t row, const char *word)
{
    return row < KINDS && strcmp(kinds[row].word, word) == 0;
}

/* Of one kind, and in no sense one and the same, or one a kind of the other. */
static bool are_others(size_t x, size_t y)
{
    const char *word_x = kinds[x].word, *word_y = kinds[y].word;

    for (size_t i = x; is_of(i, word_x); i++) {
        for (size_t j = y; is_of(j, word_y); j++) {
            if (kinds[i].kind != kinds[j].kind ||
                (kinds[i].first <= kinds[j].last && kinds[j].first <= kinds[i].last))
                return false;
        }
    }
    return true;
}

bool guard_kind(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < p->a->count; i++) {
        size_t x = find(&p->a->words[i]);

        for (size_t j = 0; x < KINDS && j < p->b->count; j++) {
            size_t y = find(&p->b->words[j]);

            if (y < KINDS && are_others(x, y))
                guard_pair_keep(p, (struct guard_conflict){i, j, 0, 0}, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}
