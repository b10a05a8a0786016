#include "proxy/models_merge.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "http/client.h"
#include "proxy/forwarded.h"
#include "proxy/models_list.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/respond.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"
#include "rt/loop.h"

#define LIST_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* Of one list that is kept; longer ones are asked for each time. */
#define KEEP_MAX_BYTES ((size_t)256 * 1024)
#define KEEP_US        (UINT64_C(30) * 1000000)
/* For all of them: a list is asked for by people who wait, and at the start of programs. */
#define DEADLINE_US (UINT64_C(5) * 1000000)

struct part {
    struct merge *merge;
    struct upstream *upstream;
    struct upstream_place *place;
    struct http_call *call; /* NULL: it is not, or no more, being asked */
    struct buf body;        /* owned */
    unsigned status;        /* 0: it did not answer */
    bool whole;             /* its answer came to its end */
    bool recalled;          /* … some time ago */
    bool by_client;         /* asked with the client's credential */
};

/* In the request's arena; each call holds the request. */
struct merge {
    struct request *request;
    struct timer deadline;
    const struct http_head *head; /* as it goes upstream */
    struct digest credential;
    struct part *parts;
    size_t count, waiting;
    bool refused; /* a body too long, or the deadline */
};

void models_merge_release(struct models_memos *m)
{
    for (size_t i = 0; i < MODELS_MERGE_MEMOS; i++)
        buf_release(&m->slots[i].body);
}

/* --- who is asked -------------------------------------------------------------------- */

static bool has_own_credential(const struct upstream *u)
{
    return u->credential.name.ptr != NULL;
}

size_t models_merge_whom(struct request *r, struct upstream **out, size_t cap)
{
    struct upstreams *all = r->setup->upstreams;
    struct upstreams_wish w = {.head = r->head, .stripped = r->stripped, .any_model = true};
    uint64_t now = loop_now_us(r->proxy->parts.loop);
    struct digest who;
    size_t n = 0;

    if (all == NULL || credential_of(&r->proxy->credentials, r->head, &who) != ST_OK)
        return 0;
    for (size_t i = 0; i < all->count && n < cap; i++) {
        struct upstream *u = all->list[i];

        if (!upstreams_takes(u, &w))
            continue;
        if (n == 0 || has_own_credential(u) ||
            credential_accepted(&r->proxy->credentials, &who, &u->id, now))
            out[n++] = u;
    }
    return n;
}

/* --- what is remembered -------------------------------------------------------------- */

/* With its own credential an upstream says the same to all. */
static enum status whose(const struct part *p, struct digest *out)
{
    struct digest_ctx ctx;
    enum status st = digest_init(&ctx);

    if (st != ST_OK)
        return st;
    digest_start(&ctx);
    digest_update(&ctx, (struct span){(const char *)&p->upstream->id, sizeof(struct digest)});
    if (p->by_client)
        digest_update(
            &ctx, (struct span){(const char *)&p->merge->credential, sizeof(struct digest)});
    digest_final(&ctx, out);
    digest_release(&ctx);
    return ST_OK;
}

/* Who was refused since gets nothing that was said before. */
static bool recall(struct part *p, uint64_t now)
{
    struct proxy *x = p->merge->request->proxy;
    struct digest id;

    if ((p->by_client &&
         !credential_accepted(&x->credentials, &p->merge->credential, &p->upstream->id, now)) ||
        whose(p, &id) != ST_OK)
        return false;
    for (size_t i = 0; i < MODELS_MERGE_MEMOS; i++) {
        const struct models_memo *m = &x->models.slots[i];

        if (m->until_us > now && memcmp(&m->whose, &id, sizeof(id)) == 0) {
            p->whole = buf_append(&p->body, buf_span(&m->body)) == ST_OK;
            p->recalled = p->whole;
            p->status = 200;
            return p->whole;
        }
    }
    return false;
}

static void remember(const struct part *p, uint64_t now)
{
    struct models_memos *all = &p->merge->request->proxy->models;
    struct models_memo *m = &all->slots[all->next];
    struct digest id;

    if (p->body.len > KEEP_MAX_BYTES || whose(p, &id) != ST_OK)
        return;
    buf_release(&m->body);
    buf_init(&m->body, KEEP_MAX_BYTES);
    m->until_us = 0;
    if (buf_append(&m->body, buf_span(&p->body)) != ST_OK)
        return;
    m->whose = id;
    m->until_us = now + KEEP_US;
    all->next = (all->next + 1) % MODELS_MERGE_MEMOS;
}

/* --- the answer ---------------------------------------------------------------------- */

static void release(struct merge *m)
{
    timer_stop(m->request->proxy->parts.loop, &m->deadline);
    for (size_t i = 0; i < m->count; i++)
        buf_release(&m->parts[i].body);
}

static void failed(const struct part *p, const char *why)
{
    p->merge->request->proxy->models.failures_total++;
    log_at(LOG_WARN, NULL, kv_event("models_list_failed"),
           kv_str("upstream", p->upstream->own->name), kv_u64("status", p->status),
           kv_str("why", why));
}

/* All have failed: the first one's own words, where it said some. */
static void respond_failure(struct merge *m)
{
    struct request *r = m->request;
    const struct part *first = &m->parts[0];

    if (first->whole && first->status >= 400)
        respond_whole(r, first->status, SPAN("application/json"), buf_span(&first->body));
    else
        respond_error(r, m->refused ? 504 : 502, "server_error", "upstream_failed", "",
                      "no upstream gave its list of models");
}

/* NULL: it gave no list. */
static const struct json *list_of(const struct part *p)
{
    struct request *r = p->merge->request;
    struct json_error err;
    struct json *list;

    if (!p->whole || p->status != 200)
        failed(p, p->whole ? "it refuses" : "no whole answer came");
    else if (json_parse(&r->arena, buf_span(&p->body), JSON_DEPTH_MAX, &list, &err) != ST_OK ||
             json_get(list, SPAN("data")) == NULL)
        failed(p, "its answer is no list of models");
    else
        return list;
    return NULL;
}

static void respond(struct merge *m)
{
    struct models_list_part parts[CONFIG_UPSTREAMS_MAX + 1];
    struct request *r = m->request;
    struct buf *out = &r->proxy->scratch;
    size_t n = 0;

    for (size_t i = 0; i < m->count; i++) {
        const struct part *p = &m->parts[i];
        const struct json *list = list_of(p);

        if (list == NULL)
            continue;
        parts[n++] = (struct models_list_part){p->upstream, list};
        if (!p->recalled)
            remember(p, loop_now_us(r->proxy->parts.loop));
    }
    r->source = SOURCE_UPSTREAM;
    buf_clear(out);
    if (n == 0)
        respond_failure(m);
    else if (models_list_write(out, r, parts, n, false) != ST_OK)
        respond_error(r, 500, "server_error", "", "", "the list of models is too large");
    else
        respond_whole(r, 200, SPAN("application/json"), buf_span(out));
    release(m);
}

/* --- asking -------------------------------------------------------------------------- */

static void on_head(void *owner, struct http_call *c, const struct http_head *h)
{
    struct part *p = owner;
    struct proxy *x = p->merge->request->proxy;

    (void)c;
    p->status = h->status;
    upstream_reached(p->place);
    if (p->by_client && (h->status == 401 || h->status == 403))
        credential_revoke(&x->credentials, &p->merge->credential, &p->upstream->id);
}

static void on_body(void *owner, struct http_call *c, struct span data)
{
    struct part *p = owner;

    if (buf_append(&p->body, data) != ST_OK)
        http_call_cancel(c);
}

static void on_drained(void *owner, struct http_call *c)
{
    (void)owner;
    (void)c;
}

static bool ask(struct part *p);

static void on_end(void *owner, struct http_call *c, enum status st, const char *why)
{
    struct part *p = owner;
    struct merge *m = p->merge;
    struct request *r = m->request;
    uint64_t now = loop_now_us(r->proxy->parts.loop);
    bool last;

    (void)why;
    p->call = NULL;
    p->whole = st == ST_OK;
    if (!r->closed && http_call_unreached(c)) {
        p->place = upstream_unreached(p->place, now);
        if (p->place != NULL && ask(p)) {
            r->proxy->account.upstream_failovers_total++;
            (void)!request_drop(r); /* the next call holds it */
            return;
        }
    }
    last = --m->waiting == 0;
    if (last && r->closed)
        release(m);
    if (request_drop(r) && last)
        respond(m);
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

static bool ask(struct part *p)
{
    struct request *r = p->merge->request;
    struct http_request q = {.method = SPAN("GET")};

    buf_clear(&p->body);
    p->status = 0;
    if (upstream_start(p->place, p->merge->head, true, &q, &r->arena, &events, p, &p->call) !=
        ST_OK)
        return false;
    request_hold(r);
    return true;
}

static void on_deadline(struct timer *t)
{
    struct merge *m = CONTAINER_OF(t, struct merge, deadline);

    m->refused = true;
    for (size_t i = 0; i < m->count; i++) {
        if (m->parts[i].call != NULL)
            http_call_cancel(m->parts[i].call);
    }
}

static void begin(struct merge *m, struct part *p, struct upstream *u)
{
    uint64_t now = loop_now_us(m->request->proxy->parts.loop);

    *p = (struct part){.merge = m, .upstream = u, .by_client = !has_own_credential(u)};
    buf_init(&p->body, LIST_MAX_BYTES);
    if (recall(p, now))
        return;
    p->place = upstream_choose(u, now);
    if (ask(p))
        m->waiting++;
}

void models_merge_start(struct request *r, struct upstream *const *list, size_t n)
{
    struct merge *m = ARENA_NEW(&r->arena, struct merge);
    struct part *parts = arena_alloc(&r->arena, n * sizeof(*parts), _Alignof(struct part));
    const struct http_head *head = forwarded_head(r);

    if (m == NULL || parts == NULL || head == NULL) {
        respond_error(r, 503, "server_error", "overloaded", "", "out of memory");
        return;
    }
    *m = (struct merge){.request = r, .head = head, .parts = parts, .count = n};
    /* No memory for it is nobody: then nothing is remembered. */
    if (credential_of(&r->proxy->credentials, r->head, &m->credential) != ST_OK) {
        respond_error(r, 503, "server_error", "overloaded", "", "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++)
        begin(m, &parts[i], list[i]);
    if (m->waiting == 0)
        respond(m);
    else
        timer_start(r->proxy->parts.loop, &m->deadline, DEADLINE_US, on_deadline);
}
