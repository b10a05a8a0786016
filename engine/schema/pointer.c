#include "engine/schema/pointer.h"

/* "a~1b" is "a/b" (RFC 6901). */
static bool part_is(struct span part, struct span key)
{
    size_t k = 0;

    for (size_t i = 0; i < part.len; i++, k++) {
        char ch = part.ptr[i];

        if (ch == '~' && i + 1 < part.len)
            ch = part.ptr[++i] == '1' ? '/' : '~';
        if (k >= key.len || key.ptr[k] != ch)
            return false;
    }
    return k == key.len;
}

static const struct json *step_into(const struct json *v, struct span part)
{
    uint64_t at = 0, i = 0;

    if (v->type != JSON_OBJECT && v->type != JSON_ARRAY)
        return NULL;
    for (size_t k = 0; k < part.len && v->type == JSON_ARRAY; k++) {
        if (part.ptr[k] < '0' || part.ptr[k] > '9')
            return NULL;
        at = at * 10 + (uint64_t)(part.ptr[k] - '0');
    }
    for (const struct json *m = v->child; m != NULL; m = m->next, i++) {
        if (v->type == JSON_OBJECT ? part_is(part, m->key) : i == at && part.len > 0)
            return m;
    }
    return NULL;
}

const struct json *pointer_resolve(const struct json *root, struct span ref)
{
    const struct json *v = root;
    size_t at = 1;

    if (ref.len == 0 || ref.ptr[0] != '#')
        return NULL;
    while (v != NULL && at < ref.len) {
        size_t end = at + 1;

        if (ref.ptr[at] != '/')
            return NULL;
        while (end < ref.len && ref.ptr[end] != '/')
            end++;
        v = step_into(v, (struct span){ref.ptr + at + 1, end - at - 1});
        at = end;
    }
    return v;
}
