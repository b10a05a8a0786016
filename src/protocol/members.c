#include "protocol/members.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define CAP_FIRST 4

void members_init(struct members *m, size_t limit)
{
    *m = (struct members){.limit = limit};
}

void members_release(struct members *m)
{
    for (size_t i = 0; i < m->count; i++)
        buf_release(&m->list[i].value);
    free(m->list);
    members_init(m, m->limit);
}

bool members_empty(const struct members *m)
{
    return m->count == 0;
}

static struct member *find(const struct members *m, struct span name)
{
    for (size_t i = 0; i < m->count; i++) {
        if (span_eq(span_of(m->list[i].name), name))
            return &m->list[i];
    }
    return NULL;
}

const struct member *members_find(const struct members *m, struct span name)
{
    return find(m, name);
}

static bool make_room(struct members *m)
{
    size_t cap = m->cap == 0 ? CAP_FIRST : 2 * m->cap;
    struct member *grown;

    if (m->count < m->cap)
        return true;
    grown = m->count < MEMBERS_MAX ? realloc(m->list, cap * sizeof(*grown)) : NULL;
    if (grown == NULL)
        return false;
    m->list = grown;
    m->cap = cap;
    return true;
}

/* Of that name, or a new one, whose `how` the caller sets; NULL: too many, too long a name, or
 * no memory. */
static struct member *place_of(struct members *m, struct span name)
{
    struct member *x = find(m, name);

    if (x != NULL)
        return x;
    /* A NUL in a name would make it another one. */
    if (name.len >= MEMBERS_NAME_MAX_BYTES || memchr(name.ptr, '\0', name.len) != NULL ||
        !make_room(m))
        return NULL;
    x = &m->list[m->count++];
    *x = (struct member){.how = MERGE_NONE};
    buf_init(&x->value, m->limit);
    memcpy(x->name, name.ptr, name.len);
    return x;
}

static enum status append_to(struct member *x, const struct json *v)
{
    enum status st = x->value.len > 0 ? buf_append(&x->value, SPAN(",")) : ST_OK;

    return st == ST_OK ? json_write(&x->value, v) : st;
}

enum status members_append(struct members *m, struct span name, const struct json *v)
{
    struct member *x = place_of(m, name);

    if (x == NULL)
        return ST_LIMIT;
    if (x->how != MERGE_ARRAY)
        buf_clear(&x->value);
    x->how = MERGE_ARRAY;
    return append_to(x, v);
}

enum status members_set(struct members *m, struct span name, const struct json *v)
{
    struct member *x = place_of(m, name);

    if (x == NULL)
        return ST_LIMIT;
    x->how = MERGE_LAST;
    buf_clear(&x->value);
    return json_write(&x->value, v);
}

enum status members_merge(struct members *m, struct span name, const struct json *v)
{
    struct member *x = place_of(m, name);
    enum status st = ST_OK;

    if (x == NULL)
        return ST_LIMIT;
    if (v->type == JSON_STRING && x->how != MERGE_ARRAY) {
        if (x->how == MERGE_LAST)
            buf_clear(&x->value);
        x->how = MERGE_STRING;
        return buf_append(&x->value, v->text);
    }
    if (v->type == JSON_ARRAY && (x->how == MERGE_NONE || x->how == MERGE_ARRAY)) {
        x->how = MERGE_ARRAY;
        for (const struct json *e = v->child; st == ST_OK && e != NULL; e = e->next)
            st = append_to(x, e);
        return st;
    }
    /* null says "nothing more" of what is there, and "null" of what is not. */
    if (v->type == JSON_NULL && x->how != MERGE_NONE)
        return ST_OK;
    return members_set(m, name, v);
}

enum status members_write_one(struct buf *out, const struct member *x)
{
    enum status st = json_write_string(out, span_of(x->name));

    if (st == ST_OK)
        st = buf_append(out, SPAN(":"));
    if (st != ST_OK)
        return st;
    if (x->how == MERGE_STRING)
        return json_write_string(out, buf_span(&x->value));
    if (x->how == MERGE_LAST)
        return buf_append(out, buf_span(&x->value));
    st = buf_append(out, SPAN("["));
    if (st == ST_OK)
        st = buf_append(out, buf_span(&x->value));
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

enum status members_write(struct buf *out, const struct members *m, bool first)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < m->count; i++) {
        if (!first)
            st = buf_append(out, SPAN(","));
        first = false;
        if (st == ST_OK)
            st = members_write_one(out, &m->list[i]);
    }
    return st;
}

enum status members_put_others(struct buf *out, const struct json *v, const struct span *skip,
                               size_t n)
{
    enum status st = ST_OK;

    for (const struct json *m = v->child; st == ST_OK && m != NULL; m = m->next) {
        bool known = false;

        for (size_t i = 0; i < n; i++)
            known |= span_eq(m->key, skip[i]);
        if (known)
            continue;
        st = buf_append(out, SPAN(","));
        if (st == ST_OK)
            st = json_write_string(out, m->key);
        if (st == ST_OK)
            st = buf_append(out, SPAN(":"));
        if (st == ST_OK)
            st = json_write(out, m);
    }
    return st;
}
