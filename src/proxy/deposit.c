/* The request is walked as far as it decides what an answer is kept under; nobody waits for
 * it, and nothing is asked. */
#include "proxy/deposit.h"

#include <stdio.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "config/config.h"
#include "http/head.h"
#include "protocol/answer.h"
#include "proxy/admit.h"
#include "proxy/choose.h"
#include "proxy/controls_body.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/upstreams.h"

struct reason {
    char *text;
    size_t cap;
    const char **unfit;
};

static enum status unfit_for(struct reason *why, const char *reason)
{
    *why->unfit = reason;
    return ST_NOTFOUND;
}

static enum status say(struct reason *why, enum status st, const char *text)
{
    snprintf(why->text, why->cap, "%s", text);
    return st;
}

static enum status set_head(struct request *r, const struct deposit *d)
{
    struct http_head *h = arena_alloc(&r->arena, sizeof(*h), _Alignof(struct http_head));
    const char *mark = memchr(d->target.ptr, '?', d->target.len);
    size_t n = mark != NULL ? (size_t)(mark - d->target.ptr) : d->target.len;
    enum status st = ST_OK;

    if (h == NULL)
        return ST_NOMEM;
    *h = (struct http_head){.method = SPAN("POST"),
                            .path = {d->target.ptr, n},
                            .query = {"", 0},
                            .field_count = d->field_count};
    if (mark != NULL)
        h->query = (struct span){mark + 1, d->target.len - n - 1};
    h->fields = arena_alloc(&r->arena, (d->field_count + 1) * sizeof(*h->fields),
                            _Alignof(struct http_field));
    if (h->fields == NULL)
        st = ST_NOMEM;
    else if (d->field_count > 0)
        memcpy(h->fields, d->fields, d->field_count * sizeof(*h->fields));
    r->stripped = upstreams_strip(r->setup->upstreams, h->path);
    h->path.ptr += r->stripped.len;
    h->path.len -= r->stripped.len;
    h->target = h->path;
    r->head = h;
    return st;
}

static enum status decode(struct request *r, struct reason *why)
{
    struct protocol_error err = {{0}, {0}};
    struct protocol_request in = {r->head->path, r->head->query, buf_span(&r->body),
                                  (unsigned)r->setup->config->limits.json_depth_max};
    enum status st = r->protocol->decode(&r->arena, &in, &r->chat, &err);

    return st == ST_OK ? ST_OK
                       : say(why, st, err.message[0] != '\0' ? err.message : status_text(st));
}

/* Whose request, to which upstream, under which key. */
static enum status address(struct request *r, const struct deposit *d, struct reason *why)
{
    struct proxy *p = r->proxy;
    struct protocol_error err;
    bool changed;
    enum status st = choose_upstream(r, &changed);

    if (st == ST_OK && changed)
        st = decode(r, why);
    if (st != ST_OK)
        return say(why, st, status_text(st));
    if (r->upstream == NULL)
        return say(why, ST_INVALID, "no upstream takes its model; see upstreams, upstream.url");
    r->controls.name_space = d->name_space;
    st = controls_body_read(r->wishes, &r->controls, &err);
    if (st != ST_OK)
        return say(why, st, err.message);
    st = credential_of(&p->credentials, r->head, &r->credential);
    return st == ST_OK ? ST_OK : say(why, st, status_text(st));
}

static enum status make(struct request *r, const struct deposit *d, struct entry **out,
                        struct reason *why)
{
    const char *unfit;
    struct answer a;
    enum status st = set_head(r, d);

    if (st == ST_OK)
        st = buf_append(&r->body, d->body);
    if (st != ST_OK)
        return say(why, ST_INVALID, "the request is larger than limits.body_max_bytes");
    r->protocol = protocol_find(r->head->method, r->head->path);
    if (r->protocol == NULL)
        return say(why, ST_INVALID, "no dialect has this path");
    st = decode(r, why);
    if (st == ST_OK)
        st = address(r, d, why);
    if (st != ST_OK)
        return st;
    unfit = admit_deposit(r);
    if (unfit != NULL)
        return unfit_for(why, unfit);
    st = answer_read(r->protocol, &r->arena, d->answer, &a);
    if (st != ST_OK)
        return say(why, ST_INVALID, status_text(st));
    unfit = record_unfit(r, &a);
    if (unfit != NULL)
        return a.verdict == ANSWER_MALFORMED ? say(why, ST_INVALID, "its answer is malformed")
                                             : unfit_for(why, unfit);
    st = record_entry(r, &r->key, &a, out);
    return st == ST_OK ? ST_OK : say(why, st, status_text(st));
}

/* As old as the answer is; good from now on. */
static enum status date_back(struct entry **e, uint64_t created_ms)
{
    struct entry aged = **e, *copy;
    enum status st;

    if (created_ms == 0 || created_ms > aged.created_ms)
        return ST_OK;
    aged.created_ms = created_ms;
    st = entry_new(&aged, &copy);
    if (st == ST_OK) {
        entry_unref(*e);
        *e = copy;
    }
    return st;
}

enum status deposit_make(struct proxy *p, const struct deposit *d, struct entry **out,
                         const char **unfit, char *why, size_t why_cap)
{
    struct request *r = request_open_detached(p, p->parts.setup);
    struct reason reason = {why, why_cap, unfit};
    struct entry *e;
    enum status st;

    if (r == NULL)
        return say(&reason, ST_NOMEM, "out of memory");
    st = make(r, d, &e, &reason);
    if (st == ST_OK)
        st = date_back(&e, d->created_ms);
    if (st == ST_OK)
        *out = e;
    (void)!request_drop(r);
    return st;
}
