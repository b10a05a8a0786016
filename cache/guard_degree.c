/* A comparative against a superlative of the same word: "a faster way" / "the fastest way",
 * "more" / "most". A better way is what is asked for by "the best way", too. */
#include <string.h>

#include "cache/guard_list.h"

static bool graded(struct span x, struct span y)
{
    return x.len > 4 && y.len == x.len + 1 && memcmp(x.ptr + x.len - 2, "er", 2) == 0 &&
           memcmp(y.ptr + y.len - 3, "est", 3) == 0 && memcmp(x.ptr, y.ptr, x.len - 2) == 0;
}

static bool is_pair(const struct guard_word *x, const struct guard_word *y)
{
    return (guard_text_is(x, "more") && guard_text_is(y, "most")) || graded(x->raw, y->raw);
}

bool guard_degree(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < p->a->count; i++) {
        const struct guard_word *x = &p->a->words[i];

        for (size_t j = 0; guard_pair_own(x) && j < p->b->count; j++) {
            const struct guard_word *y = &p->b->words[j];

            if (guard_pair_own(y) && (is_pair(x, y) || is_pair(y, x)))
                guard_pair_keep(p, (struct guard_conflict){i, j, 0, 0}, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}
