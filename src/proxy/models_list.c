#include "proxy/models_list.h"

#include "config/config.h"
#include "proxy/local_models.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"

/* A list whose first failure sticks. */
struct list {
    struct buf *out;
    const struct request *request;
    enum status st;
    bool comma;
};

static void put(struct list *l, struct span s)
{
    if (l->st == ST_OK)
        l->st = buf_append(l->out, s);
}

static void next(struct list *l)
{
    if (l->comma)
        put(l, SPAN(","));
    l->comma = true;
}

static enum status write_model(struct buf *out, struct span name, struct span owner,
                               struct span parent)
{
    enum status st = buf_append(out, SPAN("{\"id\":"));

    if (st == ST_OK)
        st = json_write_string(out, name);
    if (st == ST_OK)
        st = buf_append(out, SPAN(",\"object\":\"model\",\"created\":0,\"owned_by\":"));
    if (st == ST_OK)
        st = json_write_string(out, owner);
    if (st == ST_OK && parent.len > 0)
        st = buf_append(out, SPAN(",\"parent\":"));
    if (st == ST_OK && parent.len > 0)
        st = json_write_string(out, parent);
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

enum status models_list_write_local(struct buf *out, struct local_models *m, size_t voice)
{
    return write_model(out, local_models_name(m, voice), SPAN("ibid"),
                       local_models_parent(m, voice));
}

enum status models_list_write_alias(struct buf *out, const struct upstream *u, struct span name)
{
    return write_model(out, name, span_of(u->own->name), upstreams_alias(u, name));
}

/* Would a request for it be this upstream's? */
static bool goes_to(const struct list *l, struct span model, const struct upstream *u)
{
    const struct request *r = l->request;
    struct upstreams_wish w = {.head = r->head, .stripped = r->stripped, .model = model};

    return model.len > 0 && upstreams_pick(r->setup->upstreams, &w) == u;
}

static void add_part(struct list *l, const struct models_list_part *p, bool only)
{
    const struct json *data = json_get(p->list, SPAN("data"));
    struct span aliases = span_of(p->upstream->own->aliases), pair;

    for (const struct json *x = data != NULL ? data->child : NULL; x != NULL; x = x->next) {
        if (!only && !goes_to(l, json_str(json_get(x, SPAN("id"))), p->upstream))
            continue;
        next(l);
        if (l->st == ST_OK)
            l->st = json_write(l->out, x);
    }
    while ((pair = config_word(&aliases)).len > 0) {
        const char *equals = memchr(pair.ptr, '=', pair.len);
        struct span name = {pair.ptr, equals != NULL ? (size_t)(equals - pair.ptr) : 0};

        if (!goes_to(l, name, p->upstream))
            continue;
        next(l);
        if (l->st == ST_OK)
            l->st = models_list_write_alias(l->out, p->upstream, name);
    }
}

enum status models_list_write(struct buf *out, const struct request *r,
                              const struct models_list_part *parts, size_t n, bool only)
{
    struct list l = {.out = out, .request = r};
    struct local_models *m = r->proxy->parts.local;

    put(&l, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < n; i++)
        add_part(&l, &parts[i], only);
    for (size_t i = 0; m != NULL && i < local_models_voices(m); i++) {
        if (!local_models_is_listed(m, i))
            continue;
        next(&l);
        if (l.st == ST_OK)
            l.st = models_list_write_local(out, m, i);
    }
    put(&l, SPAN("]}"));
    return l.st;
}
