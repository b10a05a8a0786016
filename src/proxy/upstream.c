#include "proxy/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proxy/controls.h"
#include "rt/connect.h"
#include "rt/io_tls.h"

static void pool_options(const struct config *c, struct upstream *u,
                         struct http_pool_options *o)
{
    *o = (struct http_pool_options){
        .to = {.host = u->url.host, .port = u->url.port, .tls = u->tls},
        .connections_max = (uint32_t)c->upstream.connections_max,
        .waiting_max = (uint32_t)c->upstream.waiting_max,
        .head_max_bytes = (uint32_t)c->limits.head_max_bytes,
        .connect_timeout_us = c->upstream.connect_timeout_ms * 1000,
        .first_byte_timeout_us = c->upstream.first_byte_timeout_ms * 1000,
        .idle_timeout_us = c->upstream.idle_timeout_ms * 1000,
        .total_timeout_us = c->upstream.total_timeout_ms * 1000,
        .keep_us = c->upstream.keep_ms * 1000,
        .out_high_bytes = c->limits.buffer_bytes,
        .out_low_bytes = c->limits.buffer_bytes / 2,
    };
}

/* One of the places where the API is. */
struct place {
    struct loop *loop;
    struct connector *connector;
    const struct config *config;
    const char *setting, *url;
};

static enum status open_place(const struct place *at, struct upstream **out, char *why,
                              size_t why_cap)
{
    const struct config *config = at->config;
    struct upstream *u = calloc(1, sizeof(*u));
    struct http_pool_options o;
    enum status st;

    if (u == NULL)
        return ST_NOMEM;
    st = url_parse(span_of(at->url), &u->url, why, why_cap);
    if (st != ST_OK)
        goto fail_url;
    if (u->url.tls) {
        const char *ca = config->upstream.ca_file[0] != '\0' ? config->upstream.ca_file : NULL;

        st = io_tls_ctx_open(at->loop, ca, &u->tls, why, why_cap);
        if (st != ST_OK)
            goto fail_url;
    }
    snprintf(u->name, sizeof(u->name), "%s", config->upstream.name);
    snprintf(u->identity, sizeof(u->identity), "upstream:%s %s://%s%s", u->name,
             u->url.tls ? "https" : "http", u->url.authority, u->url.prefix);
    u->retry_us = config->upstream.retry_ms * 1000;
    pool_options(config, u, &o);
    st = http_pool_open(at->loop, at->connector, &o, &u->pool);
    if (st != ST_OK) {
        snprintf(why, why_cap, "%s", status_text(st));
        goto fail_pool;
    }
    *out = u;
    return ST_OK;

fail_pool:
    if (u->tls != NULL)
        io_tls_ctx_close(u->tls);
fail_url:
    free(u);
    return st;
}

/* What is closed next, and for whom. */
struct closing {
    struct upstream *upstream;
    void (*closed)(void *owner);
    void *owner;
};

static void on_pool_closed(void *arg)
{
    struct closing *c = arg;
    struct upstream *fallback = c->upstream->fallback;

    if (c->upstream->tls != NULL)
        io_tls_ctx_close(c->upstream->tls);
    free(c->upstream);
    c->upstream = fallback;
    if (fallback != NULL) {
        http_pool_close(fallback->pool, on_pool_closed, c);
        return;
    }
    c->closed(c->owner);
    free(c);
}

void upstream_close(struct upstream *u, void (*closed)(void *owner), void *owner)
{
    struct closing *c = malloc(sizeof(*c));

    if (c == NULL)
        abort(); /* at the very end, without 24 bytes left */
    *c = (struct closing){u, closed, owner};
    http_pool_close(u->pool, on_pool_closed, c);
}

/* `why` begins with the setting. */
static enum status open_at(const struct place *at, struct upstream **out, char *why,
                           size_t why_cap)
{
    char reason[192] = "";
    enum status st = open_place(at, out, reason, sizeof(reason));

    if (st != ST_OK)
        snprintf(why, why_cap, "%s: %s", at->setting, reason);
    return st;
}

static void on_given_up(void *owner)
{
    (void)owner;
}

enum status upstream_open(struct loop *loop, struct connector *connector,
                          const struct config *config, struct upstream **out, char *why,
                          size_t why_cap)
{
    struct place at = {loop, connector, config, "upstream.fallback_url",
                       config->upstream.fallback_url};
    struct upstream *fallback = NULL;
    enum status st = at.url[0] != '\0' ? open_at(&at, &fallback, why, why_cap) : ST_OK;

    if (st != ST_OK)
        return st;
    at.setting = "upstream.url";
    at.url = config->upstream.url;
    st = open_at(&at, out, why, why_cap);
    if (st == ST_OK)
        (*out)->fallback = fallback;
    else if (fallback != NULL)
        upstream_close(fallback, on_given_up, NULL);
    return st;
}

struct span upstream_identity(const struct upstream *u)
{
    return span_of(u->identity);
}

struct upstream *upstream_choose(struct upstream *u, uint64_t now_us)
{
    if (u->fallback == NULL || u->next_try_us == 0)
        return u;
    if (now_us < u->next_try_us)
        return u->fallback;
    u->next_try_us = now_us + u->retry_us; /* this one tries; the others wait for its word */
    return u;
}

void upstream_reached(struct upstream *u)
{
    u->next_try_us = 0;
}

struct upstream *upstream_unreached(struct upstream *u, uint64_t now_us)
{
    u->next_try_us = now_us + u->retry_us;
    return u->fallback;
}

/* Fields that the client side of our HTTP writes itself. */
static bool is_framing(struct span name)
{
    return http_name_eq(name, SPAN("host")) || http_name_eq(name, SPAN("content-length")) ||
           http_name_eq(name, SPAN("expect"));
}

enum status upstream_request_fields(const struct http_head *h, bool plain, struct arena *arena,
                                    struct http_field **out, size_t *n)
{
    struct http_field *list =
        arena_alloc(arena, (h->field_count + 1) * sizeof(*list), _Alignof(struct http_field));
    size_t count = 0;

    if (list == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < h->field_count; i++) {
        struct span name = h->fields[i].name;

        if (is_framing(name) || controls_is_ours(name) || http_head_is_hop_by_hop(h, name) ||
            (plain && http_name_eq(name, SPAN("accept-encoding"))))
            continue;
        list[count++] = h->fields[i];
    }
    if (plain)
        list[count++] = (struct http_field){SPAN("Accept-Encoding"), SPAN("identity")};
    *out = list;
    *n = count;
    return ST_OK;
}

enum status upstream_start(struct upstream *u, const struct http_head *h, bool plain,
                           struct http_request *q, struct arena *arena,
                           const struct http_call_events *events, void *owner,
                           struct http_call **out)
{
    size_t n = strlen(u->url.prefix) + h->target.len + 1;
    char *target = arena_alloc(arena, n, 1);
    struct http_field *fields;
    enum status st;

    if (target == NULL)
        return ST_NOMEM;
    st = url_target(&u->url, h->target, target, n, &n);
    if (st == ST_OK)
        st = upstream_request_fields(h, plain, arena, &fields, &q->field_count);
    if (st != ST_OK)
        return st;
    q->target = (struct span){target, n};
    q->host = span_of(u->url.authority);
    q->fields = fields;
    return http_call_start(u->pool, q, arena, events, owner, out);
}

void upstream_answer_fields(const struct http_head *h, struct respond_fields *f)
{
    for (size_t i = 0; i < h->field_count; i++) {
        struct span name = h->fields[i].name;

        if (http_name_eq(name, SPAN("content-length")) || controls_is_ours(name) ||
            http_head_is_hop_by_hop(h, name) || http_name_eq(name, SPAN("date")))
            continue;
        respond_add(f, name, h->fields[i].value);
    }
}
