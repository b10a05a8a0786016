#include "cache/decision_record.h"

#include <stdlib.h>
#include <string.h>

#include "cache/guard_text.h"

static struct span cut(struct span s)
{
    if (s.len > GUARD_TEXT_BYTES_MAX)
        s.len = GUARD_TEXT_BYTES_MAX;
    return s;
}

static void place(struct span *s, char **at)
{
    struct span from = cut(*s);

    if (from.len > 0)
        memcpy(*at, from.ptr, from.len);
    *s = (struct span){*at, from.len};
    *at += from.len;
}

enum status decision_record_copy(const struct decision_record *like,
                                 struct decision_record **out)
{
    size_t bytes = sizeof(*like) + cut(like->question).len + cut(like->asked).len;
    struct decision_record *r;
    char *at;

    for (size_t i = 0; i < like->count; i++)
        bytes += cut(like->candidates[i].question).len;
    r = malloc(bytes);
    if (r == NULL)
        return ST_NOMEM;
    *r = *like;
    r->bytes = bytes;
    at = (char *)(r + 1);
    place(&r->question, &at);
    place(&r->asked, &at);
    for (size_t i = 0; i < r->count; i++)
        place(&r->candidates[i].question, &at);
    *out = r;
    return ST_OK;
}
