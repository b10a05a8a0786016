/* Both have quoted words, code, a path, flag, file name or address that the other has not.
 * One alone may only be spelled out: "`ls`" / "list files". */
#include "cache/guard_list.h"

static size_t find_own(const struct guard_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->words[i].code && guard_pair_own(&t->words[i]))
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_quote(const struct guard_pair *p, struct guard_conflict *where)
{
    *where = (struct guard_conflict){find_own(p->a), find_own(p->b), 0, 0};
    return where->a != GUARD_TEXT_NONE && where->b != GUARD_TEXT_NONE;
}
