#include "proxy/proxy.h"

#include <stdlib.h>

#include "base/clock.h"
#include "config/config.h"
#include "http/client.h"
#include "http/server.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/pipeline.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "rt/loop.h"

/* Canonical bytes of a request, or one piece of an answer. */
#define SCRATCH_FACTOR 8
/* Of one connection's head and our fields of its answer. */
#define STREAM_ARENA_BYTES (256 * 1024)
/* An idle connection of who is not told yet that another process serves now. */
#define RETIRE_IDLE_US 5000000

static void server_options(const struct config *c, struct http_server_options *o)
{
    *o = (struct http_server_options){
        .head_max_bytes = (uint32_t)c->limits.head_max_bytes,
        .connections_max = (uint32_t)c->limits.connections_max,
        .head_timeout_us = c->limits.head_timeout_ms * 1000,
        .body_timeout_us = c->limits.body_timeout_ms * 1000,
        .idle_timeout_us = c->limits.idle_timeout_ms * 1000,
        .write_timeout_us = c->limits.write_timeout_ms * 1000,
        .out_high_bytes = c->limits.buffer_bytes,
        .out_low_bytes = c->limits.buffer_bytes / 2,
        .arena_max_bytes = c->limits.head_max_bytes * 4 + STREAM_ARENA_BYTES,
        .http2_streams_max = (uint32_t)c->limits.http2_streams_max,
    };
}

/* What of the proxy itself follows the settings. */
static void set_limits(struct proxy *p, const struct config *c)
{
    p->parts.config = c;
    p->scratch.limit = SCRATCH_FACTOR * (c->limits.body_max_bytes + c->cache.answer_max_bytes);
    screen_limit(&p->screen, c->limits.body_max_bytes);
}

enum status proxy_open(const struct proxy_parts *parts, struct proxy **out)
{
    const struct config *c = parts->setup->config;
    struct proxy *p = calloc(1, sizeof(*p));
    struct http_server_options o;
    enum status st;

    if (p == NULL)
        return ST_NOMEM;
    p->parts = *parts;
    list_init(&p->requests);
    list_init(&p->spare);
    flight_init(&p->flights);
    journal_init(&p->journal, c->explain.bytes_max);
    account_init(&p->account, clock_wall_ms());
    screen_init(&p->screen);
    catch_up_init(&p->catch_up, p);
    buf_init(&p->scratch, 0);
    set_limits(p, c);
    st = digest_init(&p->digest_ctx);
    if (st != ST_OK)
        goto fail_digest;
    st = credential_open(&p->credentials, c, parts->secret);
    if (st != ST_OK)
        goto fail_credentials;
    st = judge_open(p, &p->judge);
    if (st != ST_OK)
        goto fail_judge;
    server_options(c, &o);
    st = http_server_open(parts->loop, &o, &pipeline_events, p, &p->server);
    if (st != ST_OK)
        goto fail_server;
    setup_ref(parts->setup);
    *out = p;
    return ST_OK;

fail_server:
    judge_close(p->judge);
fail_judge:
    credential_close(&p->credentials);
fail_credentials:
    digest_release(&p->digest_ctx);
fail_digest:
    free(p);
    return st;
}

enum status proxy_adopt(struct proxy *p, struct setup *setup)
{
    const struct config *c = setup->config;
    struct setup *before = p->parts.setup;
    struct http_server_options o;
    enum status st = credential_adopt(&p->credentials, c);

    if (st != ST_OK)
        return st;
    p->parts.setup = setup_ref(setup);
    set_limits(p, c);
    server_options(c, &o);
    http_server_adopt(p->server, &o);
    setup_unref(before);
    return ST_OK;
}

void proxy_accept(struct proxy *p, struct io *io, const char *peer)
{
    http_server_accept(p->server, io, peer);
}

static void on_drained(void *owner)
{
    struct proxy *p = owner;

    if (p->drained != NULL)
        p->drained(p->owner);
}

void proxy_drain(struct proxy *p, void (*drained)(void *owner), void *owner)
{
    p->draining = true;
    p->drained = drained;
    p->owner = owner;
    http_server_drain(p->server, on_drained);
}

void proxy_retire(struct proxy *p, void (*drained)(void *owner), void *owner)
{
    p->draining = true;
    p->drained = drained;
    p->owner = owner;
    http_server_retire(p->server, RETIRE_IDLE_US, on_drained);
}

/* Their ends come later, as events; none of them starts anew (forward.c). */
void proxy_cut(struct proxy *p)
{
    p->cutting = true;
    for (struct list_node *n = p->requests.next; n != &p->requests; n = n->next) {
        struct request *r = CONTAINER_OF(n, struct request, link);

        if (r->closed)
            continue;
        /* Both, where the upstream is asked beside the built-in model. */
        if (r->call != NULL)
            http_call_cancel(r->call);
        local_cut(r);
    }
}

void proxy_requests_gone(struct proxy *p)
{
    void (*closed)(void *owner) = p->closed;
    void *owner = p->owner;

    if (p->server != NULL)
        return;
    request_pool_release(p);
    judge_close(p->judge);
    journal_release(&p->journal);
    models_merge_release(&p->models);
    credential_close(&p->credentials);
    digest_release(&p->digest_ctx);
    buf_release(&p->scratch);
    screen_release(&p->screen);
    catch_up_release(&p->catch_up);
    setup_unref(p->parts.setup);
    free(p);
    closed(owner);
}

static void on_server_closed(void *owner)
{
    struct proxy *p = owner;

    p->server = NULL;
    pipeline_request_gone(p);
}

void proxy_close(struct proxy *p, void (*closed)(void *owner), void *owner)
{
    p->drained = NULL;
    p->closed = closed;
    p->owner = owner;
    catch_up_stop(&p->catch_up);
    judge_stop(p->judge);
    /* Nobody waits for these. */
    for (struct list_node *n = p->requests.next; n != &p->requests; n = n->next) {
        struct request *r = CONTAINER_OF(n, struct request, link);

        if (r->closed && r->call != NULL)
            http_call_cancel(r->call);
    }
    http_server_close(p->server, on_server_closed);
}
