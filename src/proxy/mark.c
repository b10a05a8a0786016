#include "proxy/mark.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/day.h"
#include "base/json.h"
#include "cache/entry.h"
#include "config/config.h"
#include "proxy/local_models.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"

#define MODEL_MAX_BYTES 96 /* bytes of a model's name; a longer one is cut */
#define MARK_MAX        1024

/* What is said of an answer. */
struct maker {
    struct span by, model; /* empty: nobody has a name */
    uint64_t at_s;
};

static struct maker maker_of(const struct request *r)
{
    const struct proxy_parts *parts = &r->proxy->parts;
    struct maker m = {.by = SPAN("ibid")};

    if (r->to_local)
        m.by = SPAN("local");
    else if (r->upstream != NULL)
        m.by = span_of(r->upstream->own->name);
    if (r->entry != NULL)
        m.model = r->entry->model;
    else if (r->protocol == NULL)
        m.model = (struct span){NULL, 0};
    else if (r->to_local && r->protocol->write_vectors != NULL)
        m.model = parts->encoder_name;
    else if (r->to_local && parts->local != NULL)
        m.model = local_models_name(parts->local, r->voice);
    else
        m.model = r->chat.model;
    if (m.model.len > MODEL_MAX_BYTES)
        m.model.len = MODEL_MAX_BYTES;
    m.at_s = (r->entry != NULL ? r->entry->created_ms : clock_wall_ms()) / 1000;
    return m;
}

/* --- the header -------------------------------------------------------------------------- */

/* RFC 9651, 3.3.3: printable ASCII; what is not is a question mark here. */
static char *put_string(char *at, struct span s)
{
    *at++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '"' || c == '\\')
            *at++ = '\\';
        *at++ = c >= ' ' && c <= '~' ? c : '?';
    }
    *at++ = '"';
    return at;
}

static char *put(char *at, struct span s)
{
    memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static char *put_u64(char *at, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return put(at, (struct span){digits + i, sizeof(digits) - i});
}

void mark_add(struct request *r, struct respond_fields *f)
{
    struct maker m = maker_of(r);
    /* The names, each byte of them escaped, and what is around them. */
    size_t most = 2 * (m.by.len + m.model.len) + 64;
    char *text = arena_alloc(&r->arena, most, 1), *at = text;

    if (text == NULL)
        return;
    at = put(at, SPAN("by="));
    at = put_string(at, m.by);
    if (m.model.len > 0) {
        at = put(at, SPAN(", model="));
        at = put_string(at, m.model);
    }
    at = put(at, SPAN(", at=@"));
    at = put_u64(at, m.at_s);
    respond_add(f, SPAN("x-ibid-made"), (struct span){text, (size_t)(at - text)});
}

/* --- the body ---------------------------------------------------------------------------- */

bool mark_wanted(const struct request *r)
{
    return r->controls.metadata || r->setup->config->answers.metadata_always;
}

static enum status put_member(struct buf *b, const char *name, struct span value)
{
    enum status st = buf_printf(b, "%s\"ibid_%s\":", b->len > 0 ? "," : "", name);

    return st == ST_OK ? json_write_string(b, value) : st;
}

/* Members of a "metadata", strings all as OpenAI has them. */
static enum status write_members(struct request *r, struct buf *b)
{
    struct maker m = maker_of(r);
    char day[DAY_TEXT_BYTES], at[32];
    uint64_t s = m.at_s % 86400;
    enum status st;

    day_write((uint32_t)(m.at_s / 86400 < DAY_MAX ? m.at_s / 86400 : DAY_MAX), day);
    (void)snprintf(at, sizeof(at), "%sT%02u:%02u:%02uZ", day, (unsigned)(s / 3600),
                   (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    st = put_member(b, "source", span_of(source_name(r->source)));
    if (st == ST_OK)
        st = put_member(b, "made_by", m.by);
    if (st == ST_OK && m.model.len > 0)
        st = put_member(b, "model", m.model);
    return st == ST_OK ? put_member(b, "made_at", span_of(at)) : st;
}

/* In the middle of `out`. */
static enum status insert(struct buf *out, size_t at, struct span text)
{
    enum status st = buf_reserve(out, text.len);

    if (st != ST_OK)
        return st;
    memmove(out->ptr + at + text.len, out->ptr + at, out->len - at);
    memcpy(out->ptr + at, text.ptr, text.len);
    out->len += text.len;
    return ST_OK;
}

/* Behind the first brace. */
static enum status insert_member(struct request *r, struct buf *out, size_t from)
{
    const char *brace = out->len > from ? memchr(out->ptr + from, '{', out->len - from) : NULL;
    struct buf own, text;
    enum status st;

    if (brace == NULL)
        return ST_OK;
    buf_init(&own, MARK_MAX);
    buf_init(&text, MARK_MAX + 32);
    st = write_members(r, &own);
    if (st == ST_OK)
        st = buf_printf(&text, "\"metadata\":{%.*s},", (int)own.len, own.ptr);
    if (st == ST_OK)
        st = insert(out, (size_t)(brace - out->ptr) + 1, buf_span(&text));
    buf_release(&own);
    buf_release(&text);
    return st;
}

enum status mark_stream(struct request *r, struct buf *out)
{
    if (r->flow.marked || !mark_wanted(r) || memchr(out->ptr, '{', out->len) == NULL)
        return ST_OK;
    r->flow.marked = true;
    return insert_member(r, out, 0);
}

static enum status put_other(struct buf *out, const struct json *v)
{
    enum status st = buf_append(out, SPAN(","));

    if (st == ST_OK)
        st = json_write_string(out, v->key);
    if (st == ST_OK)
        st = buf_append(out, SPAN(":"));
    return st == ST_OK ? json_write(out, v) : st;
}

/* The object anew, with ours before the members of its own metadata. */
static enum status rewrite(struct request *r, struct buf *out, size_t from,
                           const struct json *root)
{
    enum status st;

    out->len = from;
    st = buf_append(out, SPAN("{\"metadata\":{"));
    if (st == ST_OK) {
        struct buf own;

        buf_init(&own, MARK_MAX);
        st = write_members(r, &own);
        if (st == ST_OK)
            st = buf_append(out, buf_span(&own));
        buf_release(&own);
    }
    for (const struct json *v = json_get(root, SPAN("metadata"))->child;
         v != NULL && st == ST_OK; v = v->next) {
        st = put_other(out, v);
    }
    if (st == ST_OK)
        st = buf_append(out, SPAN("}"));
    for (const struct json *v = root->child; v != NULL && st == ST_OK; v = v->next) {
        if (span_eq(v->key, SPAN("metadata")))
            continue;
        st = put_other(out, v);
    }
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

static bool contains(struct span s, struct span what)
{
    while (s.len >= what.len) {
        const char *at = memchr(s.ptr, what.ptr[0], s.len - what.len + 1);

        if (at == NULL)
            return false;
        if (memcmp(at, what.ptr, what.len) == 0)
            return true;
        s.len -= (size_t)(at - s.ptr) + 1;
        s.ptr = at + 1;
    }
    return false;
}

enum status mark_whole(struct request *r, struct buf *out, size_t from)
{
    const struct span whole = {out->ptr + from, out->len - from};
    const struct json *own;
    struct json_error why;
    struct json *root;

    /* Mostly nothing of that name is there, and nothing has to be parsed. */
    if (!contains(whole, SPAN("\"metadata\"")))
        return insert_member(r, out, from);
    if (json_parse(&r->arena, whole, JSON_DEPTH_MAX, &root, &why) != ST_OK)
        return ST_NOMEM; /* it was written by us: the arena is full */
    own = json_get(root, SPAN("metadata"));
    return own == NULL ? insert_member(r, out, from) : rewrite(r, out, from, root);
}
