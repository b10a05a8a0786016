/* The upstream: the request goes out as it came, the answer comes back as it is.
 * Reading it for the cache happens beside the relay, never in it.
 *
 * An answer that breaks off is never finished cleanly: a stream gets an error event
 * and then a cut connection, anything else just the cut, so that no SDK takes half
 * an answer for a whole one. */
#include "proxy/forward.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "http/client.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "protocol/collector.h"
#include "proxy/beside.h"
#include "proxy/charge.h"
#include "proxy/follow.h"
#include "proxy/forwarded.h"
#include "proxy/hedge.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/replay.h"
#include "proxy/respond.h"
#include "proxy/steps.h"
#include "proxy/tap.h"
#include "proxy/unveil.h"
#include "proxy/upstream.h"
#include "rt/loop.h"

/* Only an answer about the request itself proves it: a 429 or a 5xx may come before any
 * check. */
void forward_note_credential(struct request *r, unsigned status)
{
    struct credentials *c = &r->proxy->credentials;

    if (status >= 200 && status < 300)
        credential_accept(c, &r->credential, &r->upstream->id,
                          loop_now_us(r->proxy->parts.loop));
    else if (status == 401 || status == 403)
        credential_revoke(c, &r->credential, &r->upstream->id);
}

static bool is_head_request(const struct request *r)
{
    return span_eq(r->head->method, SPAN("HEAD"));
}

/* Nothing but WebSockets: "h2c" would be requests that nobody looked at. */
static bool wants_tunnel(const struct request *r)
{
    const struct http_head *h = r->head;

    return r->protocol == NULL && h->framing == HTTP_NO_BODY && h->minor >= 1 &&
           span_eq(h->method, SPAN("GET")) &&
           http_head_has_token(h, SPAN("connection"), SPAN("upgrade")) &&
           http_head_count(h, SPAN("upgrade")) == 1 &&
           http_name_eq(http_head_get(h, SPAN("upgrade")), SPAN("websocket"));
}

/* The upstream agreed. From here on this is no HTTP, and nothing of it is looked at. */
static void open_tunnel(struct request *r, struct respond_fields *f)
{
    struct account *a = &r->proxy->account;

    respond_add(f, SPAN("Upgrade"), SPAN("websocket"));
    if (http_switch(r->stream, f->list, f->count) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    r->tunnel = true;
    a->tunnels_total++;
    a->tunnels_now++;
    http_read_start(r->stream);
}

/* RFC 5861 4, and what overloaded vendors say. */
static bool is_outage(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504 || status == 529;
}

/* Is it this call whose answer is given out? The deadline is the model's as long as one here
 * writes beside. */
static bool is_taken(struct request *r, struct http_call *call, unsigned status)
{
    if (r->beside != BESIDE_BOTH) {
        if (!hedge_takes(r, call, status))
            return false;
        upstream_reached(r->place);
        return true;
    }
    if (call != r->call)
        return false;
    upstream_reached(r->place);
    return beside_upstream(r, status);
}

static void on_head(void *owner, struct http_call *call, const struct http_head *h)
{
    struct request *r = owner;
    struct respond_fields f;
    uint64_t body = HTTP_BODY_CHUNKED;

    f.count = 0;
    if (r->closed || !is_taken(r, call, h->status))
        return;
    if (r->stale != NULL && is_outage(h->status)) {
        r->failed_status = h->status;
        http_call_cancel(call);
        return;
    }
    /* A path we do not know may answer 200 to anybody; it proves nothing. */
    if (r->protocol != NULL || h->status == 401 || h->status == 403)
        forward_note_credential(r, h->status);
    r->flow.is_events = r->protocol != NULL && h->status == 200 && !tap_is_coded(h) &&
                        http_name_eq(tap_media_type(h), protocol_stream_type(r->protocol));
    if (h->status != 200 && h->status != 101)
        charge_nothing(r);
    tap_start(r, h);
    upstream_answer_fields(h, &f);
    if (r->vault != NULL) {
        if (unveil_start(r, h) != ST_OK) {
            http_call_cancel(call);
            return;
        }
        unveil_fields(&f);
        r->flow.is_events = r->protocol != NULL && h->status == 200 &&
                            http_name_eq(tap_media_type(h), protocol_stream_type(r->protocol));
    }
    respond_add_facts(r, &f);
    if (h->framing == HTTP_LENGTH && r->vault == NULL)
        body = h->content_length;
    else if (h->framing == HTTP_NO_BODY)
        body = is_head_request(r) ? h->content_length : 0;
    r->flow.head_sent = true;
    if (h->status == 101)
        open_tunnel(r, &f);
    else if (http_respond(r->stream, h->status, f.list, f.count, body) != ST_OK)
        http_abort(r->stream);
    else
        follow_open(r);
}

static void on_body(void *owner, struct http_call *call, struct span data)
{
    struct request *r = owner;
    bool wait = false;

    if ((r->closed && !follow_wanted(r)) || r->failed_status != 0 || call != r->call)
        return;
    tap_feed(r, data);
    if (r->vault != NULL && unveil_feed(r, data, &data) != ST_OK) {
        http_call_cancel(call);
        return;
    }
    if (data.len > 0)
        r->flow.line_open = data.ptr[data.len - 1] != '\n';
    if (!r->closed && http_write(r->stream, data, &wait) != ST_OK) {
        http_abort(r->stream);
        wait = true; /* until it is closed, which goes on for those who follow */
    }
    r->flow.waits |= wait;
    follow_feed(r, data);
    if (r->flow.waits || follow_full(r))
        http_call_pause(call);
}

void forward_go_on(struct request *r)
{
    if (r->call != NULL && !r->flow.waits && !follow_full(r))
        http_call_resume(r->call);
}

void forward_drained(struct request *r)
{
    r->flow.waits = false;
    forward_go_on(r);
}

static const char shutting_down[] = "ibid is shutting down";

static void fail_before_head(struct request *r, enum status st, const char *why)
{
    struct account *a = &r->proxy->account;
    char text[192];

    record_nothing(r, "upstream_failed");
    if (r->stale != NULL && !r->proxy->cutting) {
        replay_stale(r);
        return;
    }
    r->source = SOURCE_NONE;
    if (st == ST_CANCELED && r->proxy->cutting) {
        respond_error(r, 503, "server_error", "shutting_down", "", shutting_down);
        return;
    }
    if (st == ST_OVERLOAD) {
        a->refused_total++;
        respond_error(r, 503, "server_error", "overloaded", "",
                      "too many requests wait for the upstream; see upstream.waiting_max");
        return;
    }
    snprintf(text, sizeof(text), "the upstream did not answer: %s", why);
    if (st == ST_TIMEOUT)
        respond_error(r, 504, "server_error", "upstream_timeout", "", text);
    else
        respond_error(r, 502, "server_error", "upstream_failed", "", text);
}

/* What ends an event that is half sent. Without a collector nobody knows whether one is;
 * one blank line too many is no event, but it would be a line of its own among lines. */
static struct span cut_event(const struct request *r)
{
    if (r->vault != NULL)
        return (struct span){"", 0}; /* whole events are all that was given out */
    if (r->protocol->framing == FRAMING_LINES)
        return r->flow.line_open ? SPAN("\n") : (struct span){"", 0};
    return r->collector != NULL && collector_between_events(r->collector) ? (struct span){"", 0}
                                                                          : SPAN("\n\n");
}

static void fail_after_head(struct request *r)
{
    struct buf *out = &r->proxy->scratch;
    const struct protocol_failure f = {
        .type = SPAN("server_error"),
        .message =
            span_of(r->proxy->cutting ? shutting_down
                                      : "the upstream broke off in the middle of its answer")};
    bool wait;

    r->proxy->account.broken_streams_total++;
    record_nothing(r, answer_verdict_name(ANSWER_INCOMPLETE));
    buf_clear(out);
    if (r->flow.is_events && (buf_append(out, cut_event(r)) != ST_OK ||
                              r->protocol->write_stream_error(out, &f) != ST_OK))
        buf_clear(out);
    follow_break(r, buf_span(out));
    if (r->closed)
        return;
    if (out->len > 0)
        (void)!http_write(r->stream, buf_span(out), &wait);
    http_abort(r->stream);
}

/* Its client has left, and others follow or followed its answer. */
static void end_unattended(struct request *r, enum status st)
{
    if (!follow_wanted(r)) {
        follow_break(r, (struct span){"", 0});
    } else if (st == ST_OK) {
        tap_end(r);
        follow_end(r);
    } else {
        fail_after_head(r);
    }
    if (r->follow.kept)
        charge_background(r);
}

static void count_failure(struct request *r, enum status st, const char *why)
{
    struct account *a = &r->proxy->account;

    if (st == ST_CANCELED)
        return;
    if (st == ST_TIMEOUT)
        a->upstream_timeouts_total++;
    else
        a->upstream_failures_total++;
    log_at(LOG_WARN, NULL, kv_event("upstream_failed"), kv_status(st), kv_str("why", why));
}

static enum status start_call(struct request *r);

/* Nothing of the request was sent: where else may it go? */
static bool ask_elsewhere(struct request *r, const struct http_call *call)
{
    struct proxy *p = r->proxy;
    struct upstream_place *other;

    if (!http_call_unreached(call))
        return false;
    other = upstream_unreached(r->place, loop_now_us(p->parts.loop));
    if (other == NULL || p->cutting || r->streams)
        return false;
    r->place = other;
    if (start_call(r) != ST_OK)
        return false;
    request_hold(r);
    if (r->beside != BESIDE_BOTH)
        hedge_arm(r, start_call);
    p->account.upstream_failovers_total++;
    return true;
}

/* What of a veiled question's answer waited for its end. */
static bool give_rest(struct request *r)
{
    struct span rest;
    bool wait;

    if (r->vault == NULL)
        return true;
    return unveil_finish(r, true, &rest) == ST_OK &&
           http_write(r->stream, rest, &wait) == ST_OK;
}

static void on_end(void *owner, struct http_call *call, enum status st, const char *why)
{
    struct request *r = owner;

    if (st != ST_OK)
        count_failure(r, st, why);
    /* One that a model here has won against, or that lost to its rival, is nobody's. */
    if ((call != r->call || r->beside != BESIDE_BOTH) && hedge_ended(r, call, st)) {
        (void)!request_drop(r);
        return;
    }
    r->call = NULL;
    if (r->closed && (r->follow.led != NULL || r->follow.kept))
        end_unattended(r, st);
    if (!request_drop(r))
        return;
    if (st != ST_OK && ask_elsewhere(r, call))
        return;
    if (!r->flow.head_sent && beside_failed(r))
        return;
    request_finish(r);
    if (st == ST_OK && r->failed_status == 0) {
        /* First kept, then finished: whoever saw the end finds the entry. */
        tap_end(r);
        follow_end(r);
        if (give_rest(r))
            http_end(r->stream);
        else
            fail_after_head(r);
    } else if (!r->flow.head_sent) {
        fail_before_head(r, st, why);
    } else {
        fail_after_head(r);
    }
}

static void on_drained(void *owner, struct http_call *call)
{
    struct request *r = owner;

    (void)call;
    if (!r->closed && !r->upload_ended)
        http_read_start(r->stream);
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

void forward_upload(struct request *r, struct span data)
{
    bool wait = false;

    if (r->call == NULL)
        return;
    if (http_call_write(r->call, data, &wait) != ST_OK)
        http_call_cancel(r->call);
    else if (wait)
        http_read_stop(r->stream);
}

void forward_upload_end(struct request *r)
{
    r->upload_ended = true;
    if (r->call != NULL)
        http_call_end(r->call);
}

/* A body that was not read whole goes out as it comes in. */
static void start_upload(struct request *r)
{
    if (r->body.len > 0)
        forward_upload(r, buf_span(&r->body));
    if (r->body_complete)
        forward_upload_end(r);
    else
        http_read_start(r->stream);
}

static enum status start_call(struct request *r)
{
    const struct http_head *h = forwarded_head(r);
    struct http_request q = {.method = r->head->method};

    if (h == NULL)
        return ST_NOMEM;

    if (wants_tunnel(r))
        q.upgrade = SPAN("websocket");
    if (!r->streams) {
        q.body = buf_span(&r->body);
    } else {
        q.body_streams = true;
        q.body_bytes = h->framing == HTTP_LENGTH ? h->content_length : HTTP_BODY_CHUNKED;
    }
    return upstream_start(r->place, h, r->vault != NULL, &q, &r->arena, &events, r, &r->call);
}

bool forward_beside(struct request *r)
{
    r->streams = false;
    r->place = upstream_choose(r->upstream, loop_now_us(r->proxy->parts.loop));
    if (start_call(r) != ST_OK)
        return false;
    request_hold(r);
    return true;
}

enum step_result forward_enter(struct request *r)
{
    struct proxy *p = r->proxy;
    struct upstream *u = r->upstream;
    enum status st = ST_UNAVAILABLE;

    r->source = SOURCE_UPSTREAM;
    r->streams = !(r->body_complete && !r->oversize) && r->head->framing != HTTP_NO_BODY;
    if (p->cutting) {
        st = ST_CANCELED;
    } else if (u != NULL) {
        r->place = upstream_choose(u, loop_now_us(p->parts.loop));
        p->account.upstream_failovers_total += r->place != u->places;
        st = start_call(r);
    }
    if (st != ST_OK) {
        fail_before_head(r, st, status_text(st));
        return STEP_DONE;
    }
    request_hold(r);
    hedge_arm(r, start_call);
    if (r->streams)
        start_upload(r);
    return STEP_WAIT;
}

void forward_cancel(struct request *r)
{
    if (!follow_wanted(r) || r->proxy->cutting) {
        hedge_cancel(r);
        return;
    }
    r->flow.waits = false;
    forward_go_on(r);
}
