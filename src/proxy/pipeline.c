/* The path of a request. Read the table from top to bottom; every step is a file
 * of its name. A step that finds the answer chosen passes at once. Below the
 * table: how a request gets here (the events of the HTTP server) and how its
 * answer flows on.
 *
 * A request on a route we know is walked once its body is there, because its
 * identity is its body. Any other request is walked at its head and streams
 * through to the upstream untouched: that is what makes ibid a drop-in. */
#include "proxy/pipeline.h"

#include "config/config.h"
#include "http/client.h"
#include "http/server.h"
#include "proxy/access_log.h"
#include "proxy/charge.h"
#include "proxy/cors.h"
#include "proxy/follow.h"
#include "proxy/forward.h"
#include "proxy/judge.h"
#include "proxy/models.h"
#include "proxy/ollama.h"
#include "proxy/proxy.h"
#include "proxy/replay.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/trace.h"
#include "proxy/upstreams.h"
#include "rt/loop.h"

/* clang-format off */
static const struct step pipeline[] = {
    {"decode",  decode_enter,  NULL},           /* bytes -> what is asked; a 400 names the field */
    {"choose",  choose_enter,  NULL},           /* which upstream, and its name of the model */
    {"screen",  screen_enter,  NULL},           /* personal data and secrets: may it pass? */
    {"admit",   admit_enter,   NULL},           /* who asks, who would answer, what may be reused */
    {"veil",    veil_enter,    NULL},           /* placeholders for them in what goes upstream */
    {"exact",   exact_enter,   exact_cancel},   /* the same request before: memory, then the store */
    {"gather",  gather_enter,  gather_cancel},  /* several inputs: each may be known */
    {"join",    join_enter,    join_cancel},    /* the same request in flight: wait for its answer */
    {"rewrite", rewrite_enter, NULL},           /* a follow-up question: is it clear what is meant? */
    {"lookup",  lookup_enter,  lookup_cancel},  /* embed, nearest, verify: one hop to a worker */
    {"recall",  recall_enter,  recall_cancel},  /* the entry that the decision chose */
    {"lease",   lease_enter,   lease_cancel},   /* … in flight at another replica: likewise */
    {"replay",  replay_enter,  NULL},           /* answer from an entry */
    {"route",   route_enter,   NULL},           /* nothing stored: who answers? */
    {"vectors", vectors_enter, vectors_cancel}, /* the built-in encoder */
    {"count",   count_enter,   count_cancel},   /* its tokens: how many a conversation has */
    {"local",   local_enter,   local_cancel},   /* the built-in model */
    {"forward", forward_enter, forward_cancel}, /* the upstream, relayed and recorded beside */
    {NULL, NULL, NULL},
};
/* clang-format on */

const char *pipeline_step_name(size_t i)
{
    return i < ARRAY_LEN(pipeline) ? pipeline[i].name : NULL;
}

void pipeline_step_took(struct request *r, uint64_t us)
{
    size_t i = (size_t)(r->step - pipeline);

    if (i < ACCOUNT_STEPS)
        account_latency(&r->proxy->account.step[i], us);
    if (r->trace != NULL)
        trace_step(r->trace, i, r->step_us, us);
}

size_t pipeline_step_index(const struct request *r)
{
    return r->step != NULL ? (size_t)(r->step - pipeline) : ARRAY_LEN(pipeline);
}

/* What of the path names an upstream is no part of what is asked. false: no memory. */
static bool strip_path(struct request *r)
{
    struct span start = upstreams_strip(r->setup->upstreams, r->head->path);
    struct http_head *h;

    if (start.len == 0)
        return true;
    h = arena_alloc(&r->arena, sizeof(*h), _Alignof(struct http_head));
    if (h == NULL)
        return false;
    *h = *r->head;
    h->path = (struct span){h->path.ptr + start.len, h->path.len - start.len};
    h->target = (struct span){h->target.ptr + start.len, h->target.len - start.len};
    r->head = h;
    r->stripped = start;
    return true;
}

static void on_request(void *owner, struct http_stream *s)
{
    struct proxy *p = owner;
    struct request *r = request_open(p, s);
    const struct http_head *h;

    if (r == NULL) {
        http_abort(s);
        return;
    }
    http_stream_set_owner(s, r);
    p->account.requests_total++;
    if (p->request_count > r->setup->config->limits.requests_max) {
        p->account.refused_total++;
        r->dialect = protocol_spoken(r->head->path);
        respond_error(r, 503, "server_error", "overloaded", "",
                      "too many requests in flight; see limits.requests_max");
        return;
    }
    if (cors_preflight(r))
        return;
    if (!strip_path(r)) {
        http_abort(s);
        return;
    }
    trace_begin(r);
    h = r->head;
    r->dialect = protocol_spoken(h->path);
    if (models_serve(r) || ollama_serve(r))
        return;
    r->protocol = protocol_find(h->method, h->path);
    /* A coded body is not ours to read; it goes through as it is. */
    if (r->protocol != NULL && http_head_get(h, SPAN("content-encoding")).ptr != NULL)
        r->protocol = NULL;
    if (r->protocol == NULL) {
        p->account.passthrough_total++;
        request_start(r, pipeline);
        return;
    }
    if (h->framing == HTTP_LENGTH && h->content_length > r->body.limit)
        r->oversize = true;
    if (r->oversize || (h->framing == HTTP_LENGTH &&
                        buf_reserve(&r->body, (size_t)h->content_length) != ST_OK)) {
        r->oversize = true;
        request_start(r, pipeline);
        return;
    }
    http_read_start(s);
}

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    struct request *r = owner;

    if (r->step != NULL) {
        forward_upload(r, data);
        return;
    }
    if (buf_append(&r->body, data) == ST_OK)
        return;
    /* Larger than we decode: relay what came, then the rest as it comes. */
    http_read_stop(s);
    r->oversize = true;
    request_start(r, pipeline);
    if (!r->closed && r->call != NULL)
        forward_upload(r, data);
}

static void on_body_end(void *owner, struct http_stream *s)
{
    struct request *r = owner;

    (void)s;
    r->body_complete = true;
    if (r->step != NULL)
        forward_upload_end(r);
    else
        request_start(r, pipeline);
}

static void on_drained(void *owner, struct http_stream *s)
{
    struct request *r = owner;

    (void)s;
    if (r->call != NULL)
        forward_drained(r);
    else if (r->follow.followed != NULL)
        follow_drained(r);
    else if (r->entry != NULL)
        replay_drained(r);
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    struct request *r = owner;
    struct account *a = &r->proxy->account;
    uint64_t took_us = loop_clock_us(r->proxy->parts.loop) - r->started_us;

    (void)s;
    a->tunnels_now -= r->tunnel;
    speed_count(r, took_us);
    if (st == ST_OK) {
        a->by_source[r->source]++;
        account_latency(&a->latency[r->source], took_us);
        charge_delivered(r, took_us);
    } else {
        a->client_gone_total += st != ST_CANCELED;
        charge_broken(r);
    }
    judge_decision(r);
    trace_end(r, st == ST_OK);
    access_log_note(r->proxy->parts.access_log, r, took_us, st == ST_OK);
    /* The list of models is asked for outside the walk, which cancels its own. */
    if (r->step == NULL && r->call != NULL)
        http_call_cancel(r->call);
    request_close(r);
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    struct proxy *p = owner;

    p->account.errors_total++;
    respond_error_body(out, status, status >= 500 ? "server_error" : "invalid_request_error",
                       "", "", text);
}

void pipeline_request_gone(struct proxy *p)
{
    if (p->closed != NULL && p->request_count == 0 && p->catch_up.under_way == 0 &&
        p->judging == 0)
        proxy_requests_gone(p);
}

const struct http_server_events pipeline_events = {
    .on_request = on_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_drained = on_drained,
    .on_closed = on_closed,
    .write_error = write_error,
};
