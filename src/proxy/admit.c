#include "proxy/admit.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "http/head.h"
#include "http/server.h"
#include "protocol/canonical.h"
#include "proxy/controls_body.h"
#include "proxy/ladder.h"
#include "proxy/local.h"
#include "proxy/local_models.h"
#include "proxy/ollama.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/rewrite.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/upstream.h"
#include "proxy/vectors.h"
#include "rt/loop.h"

/* The voice of the first model that can be had; of the first where none can. */
static size_t first_there(const struct request *r)
{
    const struct local_models *m = r->proxy->parts.local;
    size_t n = m != NULL ? local_models_count(m) : 0, i = 0;

    while (i + 1 < n && (r->absent >> i & 1) != 0)
        i++;
    return n > 0 && (r->absent >> i & 1) == 0 ? local_models_voice(m, i) : 0;
}

/* Would the built-in model answer? It is named in the request, or by its own
 * header, or there is nobody else. */
static bool wants_local(struct request *r)
{
    const struct proxy_parts *parts = &r->proxy->parts;
    bool named =
        parts->local != NULL && local_models_find(parts->local, r->chat.model, &r->voice);

    if (parts->local != NULL)
        r->absent = local_models_absent(parts->local);
    if (!named)
        r->voice = first_there(r);
    if (r->screen.local)
        return true;
    switch (r->controls.route) {
    case ROUTE_LOCAL:
        return true;
    case ROUTE_UPSTREAM:
        return false;
    case ROUTE_ANY:
        break;
    }
    if (r->setup->upstreams == NULL || vectors_named(r))
        return true;
    return (r->protocol->render != NULL || r->protocol->write_count != NULL) && named;
}

/* Nobody has named who answers: the settings may leave it to us. Without an upstream it is for
 * one of the models here, and which of them is what is left. */
static void settle_route(struct request *r)
{
    const struct proxy_parts *parts = &r->proxy->parts;
    struct routing_wish w = {.head = r->head,
                             .chat = &r->chat,
                             .alias = r->alias,
                             .serves = r->protocol->render != NULL && parts->local != NULL,
                             .cannot = local_cannot(&r->chat)};
    bool alone = r->setup->upstreams == NULL && parts->local != NULL;
    const struct config_route *rule = NULL;
    size_t named;

    /* Of what class it is, rules say also where its model is named. */
    if (r->setup->routing != NULL && !r->protocol->about_model)
        rule = routing_rule(r->setup->routing, &w);
    r->rule = rule != NULL ? rule->name : NULL;
    speed_settle(r, rule);
    if (r->controls.route != ROUTE_ANY || r->setup->routing == NULL ||
        r->protocol->about_model ||
        (alone ? r->protocol->render == NULL ||
                     local_models_find(parts->local, r->chat.model, &named)
               : r->to_local || r->upstream == NULL))
        return;
    w.limits.absent = r->absent;
    if (r->upstream != NULL && parts->local != NULL)
        w.limits.late = r->late =
            local_models_late(parts->local, &r->chat, speed_patience_ms(r));
    r->routed = routing_settle(r->setup->routing, &w, rule);
    if (alone && r->routed.tier == ROUTING_UPSTREAM)
        r->routed = (struct routing_verdict){.tier = ROUTING_NONE};
    r->to_local = alone || r->routed.tier == ROUTING_LOCAL;
    if (parts->local != NULL && r->routed.model != ROUTING_ANY &&
        (r->routed.tier == ROUTING_LOCAL || r->routed.tier == ROUTING_OPEN))
        r->voice = local_models_voice(parts->local, r->routed.model);
    /* By its own name, where it is an adapter. */
    if (parts->local != NULL && r->routed.tier == ROUTING_LOCAL && r->routed.voice.len > 0 &&
        local_models_find(parts->local, r->routed.voice, &named))
        r->voice = named;
    r->rung = r->routed.rung;
}

/* An adapter that a reload replaces answers those that came before. */
static void hold_voice(struct request *r)
{
    struct local_models *m = r->proxy->parts.local;

    if (m == NULL || r->holds_voice || local_models_parent(m, r->voice).len == 0)
        return;
    r->held_voice = local_models_hold(m, r->voice);
    r->holds_voice = true;
}

/* The model that it is for is there, or can be. */
static bool is_there(const struct request *r)
{
    const struct local_models *m = r->proxy->parts.local;

    return m != NULL && (r->absent >> local_models_of(m, r->voice) & 1) == 0;
}

/* Is there a model of ours that does what this dialect asks for? */
static bool serves_locally(const struct request *r)
{
    const struct proxy_parts *parts = &r->proxy->parts;

    return r->protocol->write_vectors != NULL ? parts->embedder != NULL : is_there(r);
}

/* Any of them: an answer that the one gave is good for whom another would be asked, as long as
 * these are the ones. */
static enum status open_answerer(struct request *r, struct span *out)
{
    const struct local_models *m = r->proxy->parts.local;
    const struct ladder *l = routing_ladder(r->setup->routing);
    struct span up = r->upstream != NULL ? upstream_identity(r->upstream) : SPAN("");
    struct buf text;
    enum status st;

    buf_init(&text, SIZE_MAX / 4);
    st = buf_append(&text, SPAN("routed:"));
    if (st == ST_OK)
        st = buf_append(&text, up);
    for (size_t i = 0; st == ST_OK && i < l->count; i++) {
        st = buf_append(&text, SPAN("\n"));
        if (st == ST_OK)
            st = buf_append(&text,
                            local_models_identity(m, local_models_voice(m, l->rungs[i].model)));
    }
    if (st == ST_OK)
        st = arena_copy(&r->arena, buf_span(&text), out);
    buf_release(&text);
    return st;
}

static enum status answerer_of(struct request *r, struct span *out)
{
    const struct proxy_parts *parts = &r->proxy->parts;

    if (r->routed.tier == ROUTING_OPEN)
        return open_answerer(r, out);
    if (!r->to_local)
        *out = upstream_identity(r->upstream);
    else if (r->protocol->write_vectors != NULL)
        *out = parts->encoder_id;
    else
        *out = local_models_identity(parts->local, r->voice);
    return ST_OK;
}

/* Why no stored answer may be used or made, or NULL. The same for reading and
 * storing: what can not be stored was never stored. */
static const char *not_reusable(const struct request *r)
{
    const struct config *c = r->setup->config;
    const struct chat_request *q = &r->chat;

    if (!c->cache.exact)
        return "cache_off";
    /* What was found would be in what is kept. */
    if (r->screen.found &&
        (r->to_local || r->routed.tier == ROUTING_OPEN || r->screen.in_clear))
        return "private";
    if (q->choices != 1)
        return "choices";
    if (q->has_temperature && q->temperature > c->cache.temperature_max)
        return "temperature";
    /* The end of a tool call: an agent must never get a stale action's sequel. */
    if (!c->cache.tool_calls_exact &&
        (q->ends_in_tool_result || (q->has_tool_turns && q->last_text.ptr == NULL)))
        return "tool_result";
    if (q->has_state)
        return "server_state";
    if (q->store_false && !c->cache.store_false_ignore)
        return "store_false";
    return NULL;
}

/* Why this request may not be compared by meaning, or NULL. */
static const char *not_comparable(const struct request *r)
{
    const struct proxy_parts *parts = &r->proxy->parts;
    const struct chat_request *q = &r->chat;

    if (r->setup->config->cache.semantic == SEMANTIC_OFF)
        return "semantic_off";
    if (parts->embedder == NULL)
        return "no_encoder";
    if (r->controls.exact_only)
        return "exact_only";
    if (r->protocol->comparable == NULL)
        return "dialect";
    if (r->screen.found)
        return "private";
    if (q->last_text.ptr == NULL || q->last_text.len == 0)
        return "no_user_text";
    if (q->has_tools || q->has_tool_turns)
        return "tools";
    return NULL;
}

static void decide_reuse(struct request *r)
{
    struct proxy *p = r->proxy;
    const char *reason = not_reusable(r), *semantic = not_comparable(r);
    bool accepted =
        r->to_local || credential_accepted(&p->credentials, &r->credential, &r->upstream->id,
                                           loop_now_us(p->parts.loop));
    bool reusable = reason == NULL;

    r->may_store = reusable && !r->controls.no_store;
    r->may_store_semantic = r->may_store && semantic == NULL;
    if (reusable && r->controls.no_cache)
        reason = "no_cache";
    else if (reusable && !accepted)
        reason = "credential_unproven";
    r->may_read = reason == NULL;
    r->may_read_semantic = r->may_read && semantic == NULL;
    r->miss_reason = reason != NULL ? reason : semantic != NULL ? semantic : "absent";
}

/* The fields that the upstream will see: one that Connection names stays here, and must
 * not be what its answer is kept under. */
static enum status end_to_end(struct request *r, struct identity *id)
{
    const struct http_head *h = r->head;
    struct http_field *list;

    id->fields = h->fields;
    id->field_count = h->field_count;
    if (http_head_get(h, SPAN("connection")).ptr == NULL)
        return ST_OK;
    list = arena_alloc(&r->arena, h->field_count * sizeof(*list), _Alignof(struct http_field));
    if (list == NULL)
        return ST_NOMEM;
    id->fields = list;
    id->field_count = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        if (!http_head_is_hop_by_hop(h, h->fields[i].name))
            list[id->field_count++] = h->fields[i];
    }
    return ST_OK;
}

static enum status identity_of(struct request *r, struct identity *out)
{
    struct proxy *p = r->proxy;
    struct span answerer;
    enum status st = answerer_of(r, &answerer);

    if (st != ST_OK)
        return st;
    *out = (struct identity){
        .protocol = span_of(r->protocol->name),
        .method = r->head->method,
        .path = r->head->path,
        .query = r->head->query,
        .answerer = answerer,
        .scope = r->scope,
        .name_space = r->controls.name_space,
        .encoder = p->parts.encoder_id,
        .epoch = r->setup->config->cache.epoch,
    };

    return end_to_end(r, out);
}

static enum status identify(struct request *r)
{
    struct proxy *p = r->proxy;
    const struct credential_claims claims = {
        r->head, &r->credential, r->chat.body,
        span_of(r->stream != NULL ? http_stream_client(r->stream) : "")};
    struct identity id;
    enum status st = credential_scope(&p->credentials, r->setup->config, &claims, &r->scope);

    if (st == ST_OK)
        st = identity_of(r, &id);
    if (st != ST_OK)
        return st;
    return canonical_fingerprint(&r->chat, &id, &p->digest_ctx, &p->scratch, &r->key);
}

enum status admit_key(struct request *r, const struct json *form, struct digest *out)
{
    struct proxy *p = r->proxy;
    struct chat_request q = r->chat;
    struct identity id;
    enum status st = identity_of(r, &id);

    q.exact_form = form;
    return st == ST_OK ? canonical_fingerprint(&q, &id, &p->digest_ctx, &p->scratch, out) : st;
}

bool admit_partition(struct request *r)
{
    struct proxy *p = r->proxy;
    struct identity id;

    return identity_of(r, &id) == ST_OK &&
           (r->alone.ptr != NULL
                ? protocol_alone(r->protocol, &r->arena, &r->chat)
                : protocol_hollow(r->protocol, &r->arena, &r->chat)) == ST_OK &&
           canonical_partition(&r->chat, &id, &p->digest_ctx, &p->scratch, &r->partition) ==
               ST_OK;
}

const char *admit_deposit(struct request *r)
{
    enum privacy_class what;
    char where[64];

    if (screen_look(r, where, sizeof(where), &what) != ST_OK || r->screen.found)
        return "private";
    decide_reuse(r);
    if (!r->may_store)
        return not_reusable(r);
    if (identify(r) != ST_OK)
        return "internal";
    if (r->may_store_semantic) {
        rewrite_resolve(r);
        r->may_store_semantic = admit_partition(r);
    }
    return NULL;
}

/* There is nobody else, or the client wants nobody else. */
static enum step_result refuse_local(struct request *r)
{
    respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model",
                  r->controls.route == ROUTE_LOCAL ? "x-ibid-route" : "",
                  "the built-in model does not serve this path");
    return STEP_DONE;
}

static enum step_result refuse_upstream(struct request *r)
{
    char text[192];

    if (r->setup->upstreams == NULL) {
        respond_error(r, 503, "server_error", "no_upstream", "",
                      "no upstream is configured; set upstream.url");
        return STEP_DONE;
    }
    snprintf(text, sizeof(text), "none of the upstreams takes the model '%.*s'; see upstreams",
             (int)(r->chat.model.len < 96 ? r->chat.model.len : 96),
             r->chat.model.len > 0 ? r->chat.model.ptr : "");
    respond_error(r, 404, "invalid_request_error", "model_not_found", "model", text);
    return STEP_DONE;
}

/* What is relayed untouched can not be kept from the upstream and answered all the
 * same; whoever asks for that must not be passed on. */
static enum step_result admit_untouched(struct request *r)
{
    if (r->controls.route != ROUTE_LOCAL)
        return STEP_NEXT;
    if (r->oversize)
        respond_error(r, 413, "invalid_request_error", "request_too_large", "",
                      "the body is larger than limits.body_max_bytes: the built-in model "
                      "can not answer it, and x-ibid-route keeps it from the upstream");
    else
        return refuse_local(r);
    return STEP_DONE;
}

/* What was found would go as it came. */
static enum step_result refuse_relay(struct request *r)
{
    respond_error(r, 503, "server_error", "overloaded", "",
                  "no memory to keep personal data from the upstream");
    return STEP_DONE;
}

/* Who asks, who would answer, and what may be reused. A client's wish that can not
 * be met is said here, before anything is spent. */
enum step_result admit_enter(struct request *r)
{
    struct proxy *p = r->proxy;
    struct protocol_error err = {{0}, {0}};
    enum status st;

    if (controls_parse(r->head, &r->controls, &err) != ST_OK) {
        respond_error(r, 400, "invalid_request_error", "", err.param, err.message);
        return STEP_DONE;
    }
    /* Without memory to know the caller: a plain relay, that proves nothing. */
    if (credential_of(&p->credentials, r->head, &r->credential) != ST_OK) {
        if (r->screen.found)
            return refuse_relay(r);
        r->protocol = NULL;
    }
    if (r->protocol == NULL)
        return admit_untouched(r);
    st = controls_body_read(r->wishes != NULL ? r->wishes : r->chat.body, &r->controls, &err);
    if (st != ST_OK) {
        respond_error(r, 400, "invalid_request_error", "", err.param, err.message);
        return STEP_DONE;
    }
    r->to_local = wants_local(r);
    settle_route(r);
    hold_voice(r);
    if (r->to_local && r->protocol->about_model && r->controls.route == ROUTE_ANY) {
        ollama_show(r);
        return STEP_DONE;
    }
    if (r->to_local && r->protocol->render == NULL && r->protocol->write_vectors == NULL &&
        r->protocol->write_count == NULL && (is_there(r) || r->controls.route == ROUTE_LOCAL))
        return refuse_local(r);
    if (r->to_local && r->routed.tier != ROUTING_OPEN && !serves_locally(r)) {
        respond_error(r, 503, "server_error", "no_answerer", "",
                      r->screen.local
                          ? "the request has personal data or a secret that may not leave, and "
                            "the built-in model is not available; see privacy. and /readyz"
                      : r->setup->upstreams == NULL
                          ? "neither an upstream nor a built-in model is available; set "
                            "upstream.url, or run 'ibid models pull' and see /readyz"
                          : "the built-in model is not available; see /readyz");
        return STEP_DONE;
    }
    if (!r->to_local && r->upstream == NULL)
        return refuse_upstream(r);
    st = identify(r);
    if (st == ST_OK)
        cache_expect(p->parts.cache, &r->key);
    decide_reuse(r);
    if (st != ST_OK) {
        r->may_read = r->may_read_semantic = r->may_store = r->may_store_semantic = false;
        r->miss_reason = "internal";
    }
    return STEP_NEXT;
}
