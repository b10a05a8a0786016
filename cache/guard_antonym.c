/* A word of one is the opposite of a word of the other: "open" / "closed", "buy" / "sell",
 * "before" / "after". The pairs are in guard_antonym.inc (tools/antonyms.py). */
#include <string.h>

#include "base/compiler.h"
#include "cache/guard_list.h"

/* clang-format off */
static const struct { const char *small, *great; } antonyms[] = {
#include "cache/guard_antonym.inc"
};
/* clang-format on */

static int order(struct span w, const char *word)
{
    size_t n = strlen(word);
    int cmp = memcmp(w.ptr, word, w.len < n ? w.len : n);

    return cmp != 0 ? cmp : (w.len > n) - (w.len < n);
}

static bool listed(struct span x, struct span y)
{
    size_t low = 0, high = ARRAY_LEN(antonyms);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = order(x, antonyms[mid].small);

        if (cmp == 0)
            cmp = order(y, antonyms[mid].great);
        if (cmp == 0)
            return true;
        if (cmp < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

static bool opposite(struct span x, struct span y)
{
    size_t n = x.len < y.len ? x.len : y.len;
    int cmp = memcmp(x.ptr, y.ptr, n);

    return cmp < 0 || (cmp == 0 && x.len < y.len) ? listed(x, y) : listed(y, x);
}

/* What the table may call a word: as written, singular, without its ending, that with an e. */
#define FORMS_MAX  4
#define FORM_BYTES 32

struct forms {
    struct span form[FORMS_MAX];
    size_t count;
    char bytes[FORM_BYTES];
};

static void find_forms(const struct guard_word *w, struct forms *f)
{
    f->count = 0;
    f->form[f->count++] = w->raw;
    if (!span_eq(w->text, w->raw))
        f->form[f->count++] = w->text;
    if (!w->inflected || w->base.len + 1 > sizeof(f->bytes))
        return;
    f->form[f->count++] = w->base;
    memcpy(f->bytes, w->base.ptr, w->base.len);
    f->bytes[w->base.len] = 'e';
    f->form[f->count++] = (struct span){f->bytes, w->base.len + 1};
}

static bool are_opposite(const struct forms *a, const struct forms *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            if (opposite(a->form[i], b->form[j]))
                return true;
        }
    }
    return false;
}

/* "for", "of", "the" have no opposite; "with", "on", "up" and "first" do. */
static bool may_have(const struct guard_word *w)
{
    static const char *const little[] = {"on", "up", "in", "out", "all", "some", "with", NULL};

    return w->partner == GUARD_TEXT_NONE && (!w->number || w->soft) && !w->code &&
           (!w->stop || guard_text_among(w, little));
}

bool guard_antonym(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < p->a->count; i++) {
        struct forms x;

        if (!may_have(&p->a->words[i]))
            continue;
        find_forms(&p->a->words[i], &x);
        for (size_t j = 0; j < p->b->count; j++) {
            struct forms y;

            if (!may_have(&p->b->words[j]))
                continue;
            find_forms(&p->b->words[j], &y);
            if (are_opposite(&x, &y))
                guard_pair_keep(p, (struct guard_conflict){i, j, 0, 0}, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}
