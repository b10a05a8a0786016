/* The copy is a request without a client: what is recorded of an answer is recorded by the
 * same code, and nothing is answered. Those who ask the same meanwhile find its flight. */
#include "proxy/refresh.h"

#include "config/config.h"
#include "http/client.h"
#include "http/head.h"
#include "proxy/admit.h"
#include "proxy/forward.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/request.h"
#include "proxy/rewrite.h"
#include "proxy/setup.h"
#include "proxy/tap.h"
#include "proxy/upstream.h"
#include "rt/loop.h"

static void finish(struct request *r, bool stored)
{
    struct account *a = &r->proxy->account;

    if (stored)
        a->refreshes_total++;
    else
        a->refreshes_failed_total++;
    flight_land(r, NULL);
    r->proxy->refreshes--;
    (void)!request_drop(r);
}

static void on_head(void *owner, struct http_call *call, const struct http_head *h)
{
    struct request *r = owner;

    (void)call;
    upstream_reached(r->place);
    forward_note_credential(r, h->status);
    if (h->status != 200)
        charge_nothing(r);
    tap_start(r, h);
}

static void on_body(void *owner, struct http_call *call, struct span data)
{
    (void)call;
    tap_feed(owner, data);
}

static void on_drained(void *owner, struct http_call *call)
{
    (void)owner;
    (void)call;
}

static void on_end(void *owner, struct http_call *call, enum status st, const char *why)
{
    struct request *r = owner;
    uint64_t before = r->proxy->account.stored_total;

    (void)why;
    r->call = NULL;
    if (http_call_unreached(call))
        (void)upstream_unreached(r->place, loop_now_us(r->proxy->parts.loop));
    if (st == ST_OK)
        tap_end(r);
    else
        record_nothing(r, "upstream_failed");
    charge_background(r);
    finish(r, r->proxy->account.stored_total > before);
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

/* --- the copy ----------------------------------------------------------------------------- */

static enum status copy_fields(struct arena *a, struct http_head *h)
{
    struct http_field *list =
        arena_alloc(a, (h->field_count + 1) * sizeof(*list), _Alignof(struct http_field));
    enum status st = list != NULL ? ST_OK : ST_NOMEM;

    for (size_t i = 0; st == ST_OK && i < h->field_count; i++) {
        st = arena_copy(a, h->fields[i].name, &list[i].name);
        if (st == ST_OK)
            st = arena_copy(a, h->fields[i].value, &list[i].value);
    }
    h->fields = list;
    return st;
}

static enum status copy_head(struct request *r, const struct http_head *from)
{
    struct http_head *h = arena_alloc(&r->arena, sizeof(*h), _Alignof(struct http_head));
    struct span *const texts[] = {&h->method, &h->target, &h->path, &h->query};
    enum status st = ST_OK;

    if (h == NULL)
        return ST_NOMEM;
    *h = *from;
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(texts); i++)
        st = arena_copy(&r->arena, *texts[i], texts[i]);
    r->head = h;
    return st == ST_OK ? copy_fields(&r->arena, h) : st;
}

/* What the steps up to here have found out about it, in memory of its own. */
static enum status copy_request(struct request *r, const struct request *from)
{
    struct protocol_error err = {{0}, {0}};
    struct protocol_request in;
    enum status st = copy_head(r, from->head);

    r->protocol = from->protocol;
    r->dialect = from->dialect;
    r->upstream = from->upstream;
    r->controls = from->controls;
    r->credential = from->credential;
    r->scope = from->scope;
    r->key = from->key;
    r->may_store = from->may_store;
    r->may_store_semantic = from->may_store_semantic;
    r->body_complete = true;
    r->source = SOURCE_UPSTREAM;
    if (st == ST_OK)
        st = arena_copy(&r->arena, from->controls.name_space, &r->controls.name_space);
    if (st == ST_OK)
        st = buf_append(&r->body, buf_span(&from->body));
    if (st != ST_OK)
        return st;
    in = (struct protocol_request){r->head->path, r->head->query, buf_span(&r->body),
                                   (unsigned)r->setup->config->limits.json_depth_max};
    st = r->protocol->decode(&r->arena, &in, &r->chat, &err);
    if (st == ST_OK && r->may_store_semantic) {
        rewrite_resolve(r);
        r->may_store_semantic = admit_partition(r);
    }
    return st;
}

static enum status ask(struct request *r)
{
    struct http_request q = {.method = r->head->method, .body = buf_span(&r->body)};

    r->place = upstream_choose(r->upstream, loop_now_us(r->proxy->parts.loop));
    return upstream_start(r->place, r->head, false, &q, &r->arena, &events, r, &r->call);
}

void refresh_start(const struct request *from)
{
    struct proxy *p = from->proxy;
    struct request *r;

    if (!from->may_store || flight_find(&p->flights, &from->key) != NULL)
        return;
    if (p->refreshes >= from->setup->config->cache.refresh_max || p->draining) {
        p->account.refreshes_skipped_total++;
        return;
    }
    r = request_open_detached(p, from->setup);
    if (r == NULL)
        return;
    p->refreshes++;
    if (copy_request(r, from) != ST_OK || flight_lead(&p->flights, r) != ST_OK ||
        ask(r) != ST_OK)
        finish(r, false);
}
