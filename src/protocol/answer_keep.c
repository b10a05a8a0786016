#include "protocol/answer_keep.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "protocol/answer.h"

/* A placeholder with what is before it, in quotes or not. */
struct placeholder {
    char text[64];
    size_t len;
    size_t mark;       /* where in it the part that changes begins */
    bool quoted;       /* in JSON */
    uint32_t *kept_at; /* where that part is in what is kept */
};

static struct placeholder id_placeholder(const struct answer_shape *s, struct answer *a)
{
    struct placeholder p = {.quoted = true, .kept_at = &a->id_at};

    if (s->id_prefix.len > 0)
        memcpy(p.text, s->id_prefix.ptr, s->id_prefix.len);
    memset(p.text + s->id_prefix.len, '0', s->id_letters);
    p.len = s->id_prefix.len + s->id_letters;
    p.mark = s->id_prefix.len;
    return p;
}

static struct placeholder time_placeholder(const struct answer_shape *s, struct answer *a)
{
    struct placeholder p = {.quoted = s->time_form == ANSWER_TIME_RFC3339,
                            .kept_at = &a->time_at};

    /* JSON knows no leading zeros. */
    p.len = answer_time_write(s->time_form, 1000000000, p.text);
    return p;
}

/* --- as the upstream wrote it ----------------------------------------------------------- */

/* A part of the body that gives its place to another text. */
struct splice {
    size_t at, len;
    struct placeholder by;
};

/* Was it written as most do: of the right type, nothing decoded in it, or it would end
 * elsewhere? */
static bool splice_of(struct span body, const struct json *v, struct placeholder by,
                      struct splice *out)
{
    uint64_t number;

    if (v == NULL || v->type != (by.quoted ? JSON_STRING : JSON_NUMBER) ||
        (!by.quoted && !json_u64(v, &number)))
        return false;
    *out = (struct splice){v->at, v->text.len, by};
    return !by.quoted || (body.ptr[v->at + v->text.len] == '"' &&
                          memcmp(body.ptr + v->at, v->text.ptr, v->text.len) == 0);
}

/* false: written otherwise than most do. */
static bool splices_of(struct span body, const struct json *root, const struct answer_shape *s,
                       struct answer *a, struct splice out[2], size_t *n)
{
    *n = 0;
    if (s->object.len > 0 && !span_eq(json_str(json_get(root, SPAN("object"))), s->object))
        return false;
    if (s->id.len > 0 &&
        !splice_of(body, json_get(root, s->id), id_placeholder(s, a), &out[(*n)++]))
        return false;
    if (s->time.len > 0 &&
        !splice_of(body, json_get(root, s->time), time_placeholder(s, a), &out[(*n)++]))
        return false;
    if (*n == 2 && out[0].at > out[1].at) {
        struct splice first = out[1];

        out[1] = out[0];
        out[0] = first;
    }
    return true;
}

static enum status keep_spliced(struct arena *arena, struct span body,
                                const struct splice *splices, size_t n, struct answer *a)
{
    size_t room = body.len, from = 0;
    char *p, *to;

    for (size_t i = 0; i < n; i++)
        room += splices[i].by.len;
    p = to = arena_alloc(arena, room, 1);
    if (p == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct splice *s = &splices[i];

        memcpy(to, body.ptr + from, s->at - from);
        to += s->at - from;
        *s->by.kept_at = (uint32_t)((size_t)(to - p) + s->by.mark);
        memcpy(to, s->by.text, s->by.len);
        to += s->by.len;
        from = s->at + s->len;
    }
    memcpy(to, body.ptr + from, body.len - from);
    a->json = (struct span){p, (size_t)(to - p) + body.len - from};
    return ST_OK;
}

/* The parser's copy of the body, in which texts lie where they began; NULL where it is not
 * seen at once. */
static const char *copy_of(const struct json *v)
{
    while (v != NULL && (v->type == JSON_OBJECT || v->type == JSON_ARRAY))
        v = v->child;
    return v != NULL && v->text.ptr != NULL ? v->text.ptr - v->at : NULL;
}

/* A part that stands in the body as it was said, with nothing decoded, is found in what is kept
 * of it: it need not be kept twice. */
static void keep_inside(struct span body, const char *copy, const struct splice *splices,
                        size_t n, struct span json, struct span *part)
{
    size_t at = (size_t)((uintptr_t)part->ptr - (uintptr_t)copy), kept = at;

    if (part->len == 0 || at >= body.len || part->len >= body.len - at ||
        body.ptr[at + part->len] != '"' || memcmp(body.ptr + at, part->ptr, part->len) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (splices[i].at < at + part->len && at < splices[i].at + splices[i].len)
            return;
        if (splices[i].at < at)
            kept += splices[i].by.len - splices[i].len;
    }
    part->ptr = json.ptr + kept;
}

static void keep_parts_inside(struct span body, const struct json *root,
                              const struct splice *splices, size_t n, struct answer *a)
{
    const char *copy = copy_of(root);

    if (copy == NULL)
        return;
    keep_inside(body, copy, splices, n, a->json, &a->model);
    keep_inside(body, copy, splices, n, a->json, &a->text);
    keep_inside(body, copy, splices, n, a->json, &a->finish_reason);
}

/* --- written anew ------------------------------------------------------------------------ */

/* A member that we write; the upstream's of that name is left out. */
struct fixed {
    struct span name;
    struct placeholder by;
};

static enum status put_fixed(struct buf *b, const struct fixed *f)
{
    struct span quote = {"\"", f->by.quoted ? 1 : 0};
    enum status st = json_write_string(b, f->name);

    if (st == ST_OK)
        st = buf_append(b, SPAN(":"));
    if (st == ST_OK)
        st = buf_append(b, quote);
    if (f->by.kept_at != NULL)
        *f->by.kept_at = (uint32_t)(b->len + f->by.mark);
    if (st == ST_OK)
        st = buf_append(b, (struct span){f->by.text, f->by.len});
    return st == ST_OK ? buf_append(b, quote) : st;
}

static size_t fixed_of(const struct answer_shape *s, struct answer *a, struct fixed out[3])
{
    size_t n = 0;

    if (s->id.len > 0)
        out[n++] = (struct fixed){s->id, id_placeholder(s, a)};
    if (s->object.len > 0) {
        struct placeholder p = {.quoted = true, .len = s->object.len};

        memcpy(p.text, s->object.ptr, s->object.len);
        out[n++] = (struct fixed){SPAN("object"), p};
    }
    if (s->time.len > 0)
        out[n++] = (struct fixed){s->time, time_placeholder(s, a)};
    return n;
}

static enum status render(struct buf *b, const struct answer_shape *s, const struct json *root,
                          struct answer *a)
{
    struct fixed fixed[3];
    size_t n = fixed_of(s, a, fixed);
    enum status st = buf_append(b, SPAN("{"));

    for (size_t i = 0; st == ST_OK && i < n; i++) {
        st = i > 0 ? buf_append(b, SPAN(",")) : ST_OK;
        if (st == ST_OK)
            st = put_fixed(b, &fixed[i]);
    }
    for (const struct json *m = root->child; st == ST_OK && m != NULL; m = m->next) {
        bool known = false;

        for (size_t i = 0; i < n; i++)
            known |= span_eq(m->key, fixed[i].name);
        if (known)
            continue;
        st = buf_append(b, SPAN(",")); /* what is fixed came before */
        if (st == ST_OK)
            st = json_write_string(b, m->key);
        if (st == ST_OK)
            st = buf_append(b, SPAN(":"));
        if (st == ST_OK)
            st = json_write(b, m);
    }
    return st == ST_OK ? buf_append(b, SPAN("}")) : st;
}

enum status answer_keep(struct arena *arena, const struct answer_shape *shape, struct span body,
                        const struct json *root, struct answer *a)
{
    static const struct answer_shape as_it_is = {0};
    struct splice splices[2];
    struct buf json;
    enum status st;
    size_t n;

    if (shape->names_state != NULL && shape->names_state(root))
        shape = &as_it_is;
    a->id_letters = shape->id.len > 0 ? shape->id_letters : 0;
    a->time_form = shape->time.len > 0 ? shape->time_form : ANSWER_TIME_NONE;
    if (splices_of(body, root, shape, a, splices, &n)) {
        st = keep_spliced(arena, body, splices, n, a);
        if (st == ST_OK)
            keep_parts_inside(body, root, splices, n, a);
        return st;
    }
    buf_init(&json, 8 * body.len + 65536);
    st = buf_reserve(&json, body.len + 256);
    if (st == ST_OK)
        st = render(&json, shape, root, a);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&json), &a->json);
    buf_release(&json);
    return st;
}
