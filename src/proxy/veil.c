/* What goes to the upstream is another body: placeholders stand for the values that were found.
 * The request itself, its key and what the built-in model would read stay as they came.
 *
 * The key is made to hold which placeholder stands for which value: the stored answer has
 * placeholders in it, and is right only where each means the same. */
#include "base/digest.h"
#include "privacy/texts.h"
#include "privacy/vault.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/screen.h"
#include "proxy/setup.h"
#include "proxy/steps.h"

/* A value that stands in a text of JSON has its escapes there; it is kept without them. */
static enum status put(struct request *r, const struct find *f, struct span value, bool in_json,
                       struct buf *out)
{
    struct buf quoted;
    struct json_error why;
    struct json *v;
    enum status st;

    if (!in_json || memchr(value.ptr, '\\', value.len) == NULL)
        return vault_put(r->vault, f->class, value, out);
    buf_init(&quoted, value.len + 2);
    st = buf_append(&quoted, SPAN("\""));
    if (st == ST_OK)
        st = buf_append(&quoted, value);
    if (st == ST_OK)
        st = buf_append(&quoted, SPAN("\""));
    if (st == ST_OK && json_parse(&r->arena, buf_span(&quoted), 1, &v, &why) == ST_OK &&
        v->type == JSON_STRING)
        value = v->text;
    buf_release(&quoted);
    return st == ST_OK ? vault_put(r->vault, f->class, value, out) : st;
}

static enum status replace(void *owner, const struct texts_walk *w, struct span text,
                           bool is_name, struct buf *out, bool *changed)
{
    struct request *r = owner;
    const struct find *list;
    size_t n, done = 0;
    enum status st;

    if (!texts_is_written(w, text, is_name))
        return ST_OK;
    st = finder_scan(r->setup->finder, text, &list, &n);
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        if (screen_rule(r, &list[i]) != RULE_REPLACE)
            continue;
        st = buf_append(out, (struct span){text.ptr + done, list[i].at - done});
        if (st == ST_OK)
            st = put(r, &list[i], (struct span){text.ptr + list[i].at, list[i].len},
                     texts_is_json(w), out);
        done = list[i].at + list[i].len;
        *changed = true;
    }
    if (st != ST_OK || !*changed)
        return st;
    return buf_append(out, (struct span){text.ptr + done, text.len - done});
}

static void update(struct digest_ctx *c, const void *bytes, size_t n)
{
    digest_update(c, (struct span){bytes, n});
}

static void bind_key(struct request *r)
{
    struct digest_ctx *c = &r->proxy->digest_ctx;
    const struct vault *v = r->vault;

    digest_start(c);
    digest_update(c, SPAN("ibid veil 1"));
    update(c, r->key.bytes, DIGEST_BYTES);
    update(c, v->mark, sizeof(v->mark));
    for (size_t i = 0; i < v->count; i++) {
        const struct vault_value *x = &v->values[i];
        uint64_t what[2] = {x->class, x->text.len};

        update(c, what, sizeof(what));
        digest_update(c, x->text);
    }
    digest_final(c, &r->key);
}

static enum status veil(struct request *r)
{
    struct screen *s = &r->proxy->screen;
    struct vault *v = ARENA_NEW(&r->arena, struct vault);
    enum status st;

    if (v == NULL)
        return ST_NOMEM;
    /* Whoever shares an answer has the same letters. */
    st = vault_init(v, &r->arena, &r->scope, buf_span(&r->body));
    if (st != ST_OK)
        return st;
    r->vault = v;
    buf_clear(&s->out);
    st = texts_walk(r->chat.body, replace, r, &s->scratch, &s->out);
    if (st != ST_OK)
        return st;
    buf_clear(&r->body); /* its texts are in the arena */
    st = buf_append(&r->body, buf_span(&s->out));
    if (st == ST_OK)
        bind_key(r);
    return st;
}

enum step_result veil_enter(struct request *r)
{
    enum status st;

    if (!r->screen.replace || r->to_local || r->protocol == NULL)
        return STEP_NEXT;
    st = veil(r);
    if (st == ST_OK)
        return STEP_NEXT;
    if (st == ST_LIMIT)
        respond_error(r, 413, "invalid_request_error", "request_too_large", "",
                      "with placeholders for personal data the body is larger than "
                      "limits.body_max_bytes, or there are more than 4096 values");
    else
        respond_error(r, 503, "server_error", "overloaded", "",
                      "no memory to replace personal data");
    return STEP_DONE;
}
