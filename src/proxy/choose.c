/* Which upstream would answer, and what it calls the model. An alias becomes the true name
 * before anything else is made of the request, so that it is one and the same request by
 * either name, and what the upstream says about its model is true. What other gateways'
 * clients say of caching in the body ends here too: upstreams refuse members that they do
 * not know. */
#include "proxy/choose.h"

#include "base/json.h"
#include "config/config.h"
#include "proxy/controls_body.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"

/* Does a member of the body end here? */
static bool is_control(const struct request *r, const struct json *v)
{
    return (r->upstream == NULL || !r->upstream->own->gateway) && controls_body_takes(v);
}

/* The body with another "model" and without what is said to us, all else in its order. */
static enum status write_again(struct request *r, struct span model)
{
    struct buf *b = &r->body;
    enum status st;

    buf_clear(b); /* its text is in the arena */
    st = buf_append(b, SPAN("{"));
    for (const struct json *v = r->chat.body->child; st == ST_OK && v != NULL; v = v->next) {
        if (is_control(r, v))
            continue;
        if (b->len > 1)
            st = buf_append(b, SPAN(","));
        if (st == ST_OK)
            st = json_write_string(b, v->key);
        if (st == ST_OK)
            st = buf_append(b, SPAN(":"));
        if (st == ST_OK)
            st =
                span_eq(v->key, SPAN("model")) ? json_write_string(b, model) : json_write(b, v);
    }
    return st == ST_OK ? buf_append(b, SPAN("}")) : st;
}

/* A model that is named in the path has no alias. */
static enum status settle_body(struct request *r, bool *changed)
{
    struct span name = json_str(json_get(r->chat.body, SPAN("model"))), model = name;

    if (r->upstream != NULL)
        model = upstreams_alias(r->upstream, name);
    *changed = !span_eq(model, name);
    if (*changed)
        r->alias = name;
    for (const struct json *v = r->chat.body != NULL ? r->chat.body->child : NULL;
         r->wishes == NULL && v != NULL; v = v->next) {
        if (is_control(r, v))
            r->wishes = r->chat.body;
    }
    *changed |= r->wishes != NULL;
    return *changed ? write_again(r, model) : ST_OK;
}

/* "model=gpt-realtime&…": of paths that we do not know the one place where a model stands. */
static bool named_in_query(struct span query, struct span *model)
{
    struct span name = SPAN("model=");

    while (query.len > 0) {
        const char *end = memchr(query.ptr, '&', query.len);
        size_t n = end != NULL ? (size_t)(end - query.ptr) : query.len;

        if (n > name.len && memcmp(query.ptr, name.ptr, name.len) == 0) {
            *model = (struct span){query.ptr + name.len, n - name.len};
            return true;
        }
        n += end != NULL;
        query.ptr += n;
        query.len -= n;
    }
    return false;
}

/* /v1/models/NAME. A coded name is not read. */
static bool named_in_path(struct span path, struct span *model)
{
    struct span start = SPAN("/v1/models/");

    if (path.len <= start.len || memcmp(path.ptr, start.ptr, start.len) != 0 ||
        memchr(path.ptr, '%', path.len) != NULL)
        return false;
    *model = (struct span){path.ptr + start.len, path.len - start.len};
    return true;
}

enum status choose_upstream(struct request *r, bool *changed)
{
    struct upstreams_wish w = {.head = r->head, .stripped = r->stripped};

    *changed = false;
    if (r->protocol != NULL)
        w.model = r->chat.model;
    else if (protocol_find(r->head->method, r->head->path) == NULL)
        w.any_model = !named_in_query(r->head->query, &w.model) &&
                      !named_in_path(r->head->path, &w.model);
    /* Else a body that we did not read may well name one. */
    r->upstream = upstreams_pick(r->setup->upstreams, &w);
    return r->protocol != NULL ? settle_body(r, changed) : ST_OK;
}

enum step_result choose_enter(struct request *r)
{
    bool changed;

    if (choose_upstream(r, &changed) != ST_OK) {
        respond_error(r, 413, "invalid_request_error", "request_too_large", "",
                      "the body with the alias resolved is larger than "
                      "limits.body_max_bytes");
        return STEP_DONE;
    }
    return changed ? decode_enter(r) : STEP_NEXT;
}
