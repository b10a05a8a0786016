#include "privacy/texts.h"

#include <stdio.h>
#include <string.h>

/* --- the walk -------------------------------------------------------------------------------
 */

struct writer {
    struct texts_walk w;
    texts_fn *fn;
    void *owner;
    struct buf *scratch, *out; /* out: NULL: nothing is written */
    enum status st;
};

static void put(struct writer *x, struct span s)
{
    if (x->st == ST_OK && x->out != NULL)
        x->st = buf_append(x->out, s);
}

static void put_text(struct writer *x, struct span text, bool is_name)
{
    bool changed = false;

    buf_clear(x->scratch);
    if (x->st == ST_OK)
        x->st = x->fn(x->owner, &x->w, text, is_name, x->scratch, &changed);
    if (x->st == ST_OK && x->out != NULL)
        x->st = json_write_string(x->out, changed ? buf_span(x->scratch) : text);
}

/* A value that has no members, or its opening bracket. true: it is to be gone into. */
static bool put_value(struct writer *x, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        put(x, SPAN("null"));
        return false;
    case JSON_FALSE:
        put(x, SPAN("false"));
        return false;
    case JSON_TRUE:
        put(x, SPAN("true"));
        return false;
    case JSON_NUMBER:
        put(x, v->text);
        return false;
    case JSON_STRING:
        put_text(x, v->text, false);
        return false;
    case JSON_ARRAY:
        put(x, SPAN("["));
        break;
    case JSON_OBJECT:
        put(x, SPAN("{"));
        break;
    }
    if (v->child != NULL && x->w.depth <= JSON_DEPTH_MAX)
        return true;
    put(x, v->type == JSON_ARRAY ? SPAN("]") : SPAN("}"));
    return false;
}

static void put_name(struct writer *x)
{
    const struct texts_place *above = x->w.depth > 1 ? &x->w.stack[x->w.depth - 2] : NULL;

    if (above == NULL || above->node->type != JSON_OBJECT)
        return;
    put_text(x, x->w.stack[x->w.depth - 1].node->key, true);
    put(x, SPAN(":"));
}

enum status texts_walk(const struct json *root, texts_fn *fn, void *owner, struct buf *scratch,
                       struct buf *out)
{
    struct writer x = {.fn = fn, .owner = owner, .scratch = scratch, .out = out, .st = ST_OK};
    struct texts_walk *w = &x.w;

    w->stack[w->depth++] = (struct texts_place){root, 0};
    while (x.st == ST_OK && w->depth > 0) {
        struct texts_place *p = &w->stack[w->depth - 1];

        put_name(&x);
        if (put_value(&x, p->node)) {
            w->stack[w->depth++] = (struct texts_place){p->node->child, 0};
            continue;
        }
        /* Up to where there is another one. */
        while (w->depth > 0) {
            p = &w->stack[w->depth - 1];
            if (w->depth > 1 && p->node->next != NULL) {
                *p = (struct texts_place){p->node->next, p->at + 1};
                put(&x, SPAN(","));
                break;
            }
            w->depth--;
            if (w->depth > 0)
                put(&x,
                    w->stack[w->depth - 1].node->type == JSON_ARRAY ? SPAN("]") : SPAN("}"));
        }
    }
    return x.st;
}

/* --- what a text is -------------------------------------------------------------------------
 */

/* Of the text, or of the list that it stands in. */
static struct span name_of(const struct texts_walk *w)
{
    for (size_t i = w->depth; i > 1; i--) {
        if (w->stack[i - 2].node->type == JSON_OBJECT)
            return w->stack[i - 1].node->key;
    }
    return (struct span){"", 0};
}

static bool ends_in(struct span s, struct span tail)
{
    return s.len >= tail.len && memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len) == 0;
}

bool texts_is_json(const struct texts_walk *w)
{
    struct span name = name_of(w);

    if (span_eq(name, SPAN("arguments")) || span_eq(name, SPAN("partial_json")))
        return true;
    /* response.function_call_arguments.delta */
    return span_eq(name, SPAN("delta")) && w->depth == 2 &&
           ends_in(json_str(json_get(w->stack[0].node, SPAN("type"))), SPAN("arguments.delta"));
}

/* What is somebody's own, with names of his own: what a tool is given, and what it gives. */
static bool is_free(const struct texts_walk *w)
{
    static const struct span names[] = {
        {"input", 5}, {"arguments", 9}, {"args", 4}, {"response", 8}, {"metadata", 8}};

    for (size_t i = 1; i + 1 < w->depth; i++) {
        const struct json *v = w->stack[i].node;

        for (size_t k = 0; v->type == JSON_OBJECT && k < sizeof(names) / sizeof(names[0]);
             k++) {
            if (span_eq(v->key, names[k]))
                return true;
        }
    }
    return false;
}

/* Members whose values are the API's: changed, they would be refused. */
static bool is_technical(struct span name)
{
    static const struct span names[] = {{"model", 5},
                                        {"role", 4},
                                        {"type", 4},
                                        {"id", 2},
                                        {"object", 6},
                                        {"signature", 9},
                                        {"thoughtSignature", 16},
                                        {"thought_signature", 17},
                                        {"encrypted_content", 17},
                                        {"format", 6},
                                        {"pattern", 7},
                                        {"$ref", 4},
                                        {"$schema", 7},
                                        {"mimeType", 8},
                                        {"media_type", 10},
                                        {"include", 7},
                                        {"created_at", 10}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq(name, names[i]))
            return true;
    }
    return ends_in(name, SPAN("_id")) && !span_eq(name, SPAN("user_id"));
}

/* A picture or a file. Nobody writes half a kilobyte without a blank. */
static bool is_base64(struct span s)
{
    size_t from = 0;

    if (s.len > 5 && memcmp(s.ptr, "data:", 5) == 0) {
        const char *comma = memchr(s.ptr, ',', s.len < 256 ? s.len : 256);

        from = comma != NULL ? (size_t)(comma - s.ptr) + 1 : 0;
    }
    if (s.len - from < 512)
        return false;
    for (size_t i = from; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '+' ||
              c == '/' || c == '=' || c == '-' || c == '_' || c == '\r' || c == '\n'))
            return false;
    }
    return true;
}

bool texts_is_written(const struct texts_walk *w, struct span text, bool is_name)
{
    if (text.len < 4)
        return false;
    if (is_free(w))
        return !is_base64(text);
    return !is_name && !is_technical(name_of(w)) && !is_base64(text);
}

void texts_path(const struct texts_walk *w, char *out, size_t cap)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 1; i < w->depth && n < cap; i++) {
        const struct texts_place *p = &w->stack[i];
        size_t most = p->node->key.len < 32 ? p->node->key.len : 32;
        int k;

        if (w->stack[i - 1].node->type == JSON_ARRAY)
            k = snprintf(out + n, cap - n, "[%u]", (unsigned)p->at);
        else
            k = snprintf(out + n, cap - n, "%s%.*s", n > 0 ? "." : "", (int)most,
                         most > 0 ? p->node->key.ptr : "");
        n += k > 0 ? (size_t)k : 0;
    }
}
