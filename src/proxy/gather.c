/* First every input is looked for. With none known the request goes its usual way; with all
 * known their answers make an entry, which is replayed like any other. In between, the
 * upstream is asked for the others, and what the client gets is put together: the one case
 * where a request of a cached dialect does not go out as it came. */
#include "proxy/gather.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "cache/cache.h"
#include "config/config.h"
#include "http/client.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "protocol/embeddings_batch.h"
#include "proxy/admit.h"
#include "proxy/forwarded.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/respond.h"
#include "proxy/steps.h"
#include "proxy/tap.h"
#include "proxy/upstream.h"
#include "rt/loop.h"

struct gather {
    size_t count, at; /* inputs; the one that is looked for */
    size_t known;
    struct digest *keys;    /* owned, like what follows; one of each input */
    struct entry **entries; /* references; NULL: not known */
    bool *wanted;
    struct buf body; /* for the upstream */
};

static bool applies(const struct request *r)
{
    return r->entry == NULL && r->protocol != NULL && r->protocol->batched && r->may_read &&
           !r->to_local && r->vault == NULL && r->chat.batch_count > 1;
}

void gather_release(struct request *r)
{
    struct gather *g = r->gather;

    if (g == NULL)
        return;
    for (size_t i = 0; i < g->count; i++)
        entry_unref(g->entries[i]);
    buf_release(&g->body);
    free(g->keys);
    free(g->entries);
    free(g->wanted);
    free(g);
    r->gather = NULL;
}

static struct gather *gather_new(struct request *r)
{
    struct gather *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->count = r->chat.batch_count;
    buf_init(&g->body, 2 * r->body.len + 4096);
    g->keys = calloc(g->count, sizeof(*g->keys));
    g->entries = calloc(g->count, sizeof(struct entry *));
    g->wanted = calloc(g->count, sizeof(*g->wanted));
    r->gather = g;
    if (g->keys != NULL && g->entries != NULL && g->wanted != NULL)
        return g;
    g->count = 0;
    gather_release(r);
    return NULL;
}

/* --- what is known --------------------------------------------------------------------------
 */

static void take(struct request *r, struct entry *e)
{
    struct gather *g = r->gather;
    uint64_t now_ms = clock_wall_ms();
    bool fresh =
        digest_eq(&e->key, &g->keys[g->at]) && entry_fresh_ms(e) > now_ms &&
        (!r->controls.has_max_age || now_ms - e->created_ms <= r->controls.max_age_s * 1000);

    if (!fresh) {
        entry_unref(e);
        return;
    }
    g->entries[g->at] = e;
    g->known++;
}

static void on_fetched(struct cache_get *op, enum status st, struct entry *e);

/* false: it waits for the store. */
static bool look(struct request *r)
{
    struct gather *g = r->gather;
    struct cache *cache = r->proxy->parts.cache;

    for (; g->at < g->count; g->at++) {
        struct entry *e = NULL;

        switch (cache_find(cache, &g->keys[g->at], &e)) {
        case CACHE_HIT:
            take(r, e);
            break;
        case CACHE_ABSENT:
            break;
        case CACHE_ASK:
            if (cache_fetch(cache, &r->get, &g->keys[g->at], on_fetched) != ST_OK)
                break;
            request_hold(r);
            return false;
        }
    }
    return true;
}

static enum status identify(struct request *r)
{
    struct gather *g = r->gather;
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < g->count; i++) {
        const struct json *form;

        st = embeddings_batch_form(&r->arena, &r->chat, i, &form);
        if (st == ST_OK)
            st = admit_key(r, form, &g->keys[i]);
    }
    return st;
}

/* --- entries of each input ------------------------------------------------------------------
 */

/* Takes the reference that is known over; *out is one of the cache's. */
static enum status put_entry(struct request *r, const struct digest *key,
                             const struct answer *a, struct entry **out)
{
    enum status st = record_entry(r, key, a, out);

    if (st == ST_OK && r->may_store)
        cache_put(r->proxy->parts.cache, *out);
    return st;
}

static uint64_t *weights_of(struct request *r)
{
    uint64_t *w = arena_alloc(&r->arena, r->chat.batch_count * sizeof(*w), _Alignof(uint64_t));

    if (w != NULL)
        embeddings_batch_weights(&r->chat, w);
    return w;
}

static enum status split(struct request *r, const struct answer *a, const uint64_t *weights,
                         size_t n, struct answer **out)
{
    *out = arena_alloc(&r->arena, n * sizeof(**out), _Alignof(struct answer));
    return *out != NULL ? embeddings_batch_split(&r->arena, a, weights, n, *out) : ST_NOMEM;
}

void gather_record(struct request *r, const struct answer *a)
{
    struct answer *all;
    uint64_t *weights;

    if (r->protocol == NULL || !r->protocol->batched || !r->may_store || r->to_local ||
        r->vault != NULL || r->chat.batch_count < 2 || a->verdict != ANSWER_STORABLE)
        return;
    weights = weights_of(r);
    if (weights == NULL || split(r, a, weights, r->chat.batch_count, &all) != ST_OK)
        return;
    for (size_t i = 0; i < r->chat.batch_count; i++) {
        const struct json *form;
        struct digest key;
        struct entry *e;

        if (embeddings_batch_form(&r->arena, &r->chat, i, &form) != ST_OK ||
            admit_key(r, form, &key) != ST_OK || put_entry(r, &key, &all[i], &e) != ST_OK)
            return;
        entry_unref(e);
    }
}

/* --- all together ---------------------------------------------------------------------------
 */

static enum status join(struct request *r, struct answer *out)
{
    struct gather *g = r->gather;
    struct answer *all =
        arena_alloc(&r->arena, g->count * sizeof(*all), _Alignof(struct answer));
    enum status st = all != NULL ? ST_OK : ST_NOMEM;

    for (size_t i = 0; st == ST_OK && i < g->count; i++)
        st = answer_unpack(g->entries[i]->answer, &all[i]);
    return st == ST_OK ? embeddings_batch_join(&r->arena, all, g->count, out) : st;
}

/* As old as the oldest, and good for as long as the first that goes. */
static enum status join_entry(struct request *r)
{
    struct gather *g = r->gather;
    struct answer a;
    struct entry *e, aged;
    enum status st = join(r, &a);

    if (st == ST_OK)
        st = record_entry(r, &r->key, &a, &e);
    if (st != ST_OK)
        return st;
    aged = *e;
    aged.took_us = 0;
    aged.expires_ms = entry_fresh_ms(e);
    aged.stale_min = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct entry *x = g->entries[i];

        aged.created_ms = x->created_ms < aged.created_ms ? x->created_ms : aged.created_ms;
        aged.expires_ms =
            entry_fresh_ms(x) < aged.expires_ms ? entry_fresh_ms(x) : aged.expires_ms;
        aged.took_us = x->took_us > aged.took_us ? x->took_us : aged.took_us;
    }
    st = entry_new(&aged, &r->entry);
    entry_unref(e);
    if (st == ST_OK)
        r->source = SOURCE_EXACT;
    return st;
}

/* --- the rest, from the upstream
 * -------------------------------------------------------------- */

static void on_head(void *owner, struct http_call *call, const struct http_head *h)
{
    struct request *r = owner;
    struct respond_fields f = {.count = 0};

    (void)call;
    upstream_reached(r->place);
    if (r->closed)
        return;
    account_miss(&r->proxy->account, r->miss_reason);
    if (h->status == 401 || h->status == 403)
        credential_revoke(&r->proxy->credentials, &r->credential, &r->upstream->id);
    if (h->status == 200 && !tap_is_coded(h) &&
        http_name_eq(tap_media_type(h), SPAN("application/json")))
        return;
    /* An upstream that refuses keeps its own words. */
    upstream_answer_fields(h, &f);
    respond_add_facts(r, &f);
    r->flow.head_sent = true;
    if (h->status != 200)
        charge_nothing(r);
    if (http_respond(r->stream, h->status, f.list, f.count,
                     h->framing == HTTP_LENGTH    ? h->content_length
                     : h->framing == HTTP_NO_BODY ? 0
                                                  : HTTP_BODY_CHUNKED) != ST_OK)
        http_abort(r->stream);
}

static void on_body(void *owner, struct http_call *call, struct span data)
{
    struct request *r = owner;
    bool wait = false;

    if (r->closed)
        return;
    if (!r->flow.head_sent) {
        if (buf_append(&r->recorded, data) != ST_OK)
            http_call_cancel(call);
    } else if (http_write(r->stream, data, &wait) != ST_OK) {
        http_abort(r->stream);
    } else if (wait) {
        http_call_pause(call);
    }
}

static void on_drained(void *owner, struct http_call *call)
{
    (void)owner;
    (void)call;
}

/* The fresh answers take their places among those that were known. */
static enum status fill_in(struct request *r)
{
    struct gather *g = r->gather;
    uint64_t *weights = weights_of(r);
    size_t n = 0, k = 0;
    struct answer whole, *fresh;
    enum status st = weights != NULL
                         ? answer_read(r->protocol, &r->arena, buf_span(&r->recorded), &whole)
                         : ST_NOMEM;

    if (st != ST_OK)
        return st;
    charge_answer(r, &whole);
    if (whole.verdict != ANSWER_STORABLE)
        return ST_INVALID;
    for (size_t i = 0; i < g->count; i++) {
        if (g->wanted[i])
            weights[n++] = weights[i];
    }
    st = split(r, &whole, weights, n, &fresh);
    for (size_t i = 0; st == ST_OK && i < g->count; i++) {
        if (g->wanted[i])
            st = put_entry(r, &g->keys[i], &fresh[k++], &g->entries[i]);
    }
    return st;
}

static void succeed(struct request *r)
{
    struct answer a;

    if (fill_in(r) == ST_OK && join(r, &a) == ST_OK) {
        respond_whole(r, 200, SPAN("application/json"), a.json);
        return;
    }
    record_nothing(r, "malformed");
    respond_error(r, 502, "server_error", "upstream_failed", "",
                  "the upstream's answer has not a vector of each input");
}

static void on_end(void *owner, struct http_call *call, enum status st, const char *why)
{
    struct request *r = owner;

    (void)why;
    r->call = NULL;
    if (!request_drop(r))
        return;
    if (st != ST_OK && http_call_unreached(call)) {
        /* The usual way from here on: it knows who else may be asked. */
        (void)upstream_unreached(r->place, loop_now_us(r->proxy->parts.loop));
        request_resume(r);
        return;
    }
    request_finish(r);
    if (r->flow.head_sent && st == ST_OK)
        http_end(r->stream);
    else if (r->flow.head_sent)
        http_abort(r->stream);
    else if (st == ST_OK)
        succeed(r);
    else
        respond_error(r, st == ST_TIMEOUT ? 504 : 502, "server_error", "upstream_failed", "",
                      "the upstream did not answer");
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

static enum status ask_for_rest(struct request *r)
{
    struct gather *g = r->gather;
    struct http_request q = {.method = r->head->method};
    const struct http_head *h;
    enum status st;

    for (size_t i = 0; i < g->count; i++)
        g->wanted[i] = g->entries[i] == NULL;
    st = embeddings_batch_body(&r->arena, &r->chat, g->wanted, &g->body);
    if (st != ST_OK)
        return st;
    buf_clear(&r->recorded);
    q.body = buf_span(&g->body);
    r->place = upstream_choose(r->upstream, loop_now_us(r->proxy->parts.loop));
    h = forwarded_head(r);
    if (h == NULL)
        return ST_NOMEM;
    return upstream_start(r->place, h, true, &q, &r->arena, &events, r, &r->call);
}

/* What comes of what is known. */
static enum step_result decide(struct request *r)
{
    struct gather *g = r->gather;

    r->proxy->account.inputs_reused_total += g->known;
    if (g->known == g->count && join_entry(r) == ST_OK)
        return STEP_NEXT;
    if (g->known == 0 || g->known == g->count || r->controls.only_if_cached ||
        ask_for_rest(r) != ST_OK)
        return STEP_NEXT;
    r->source = SOURCE_UPSTREAM;
    request_hold(r);
    return STEP_WAIT;
}

static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    struct request *r = CONTAINER_OF(op, struct request, get);

    if (!request_drop(r)) {
        if (st == ST_OK)
            entry_unref(e);
        return;
    }
    if (st == ST_OK)
        take(r, e);
    r->gather->at++;
    if (look(r) && decide(r) == STEP_NEXT)
        request_resume(r);
}

/* Several inputs: what of them is known already? */
enum step_result gather_enter(struct request *r)
{
    if (!applies(r))
        return STEP_NEXT;
    if (gather_new(r) == NULL)
        return STEP_NEXT;
    if (identify(r) != ST_OK) {
        gather_release(r);
        return STEP_NEXT;
    }
    return look(r) ? decide(r) : STEP_WAIT;
}

void gather_cancel(struct request *r)
{
    if (r->call != NULL)
        http_call_cancel(r->call);
    else
        cache_cancel(&r->get);
}
