#include "proxy/otlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "config/config.h"
#include "http/client.h"
#include "http/url.h"
#include "rt/connect.h"
#include "rt/io_tls.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define FLUSH_US          1000000
#define BATCH_BYTES       (256 * 1024) /* sent before it is time */
#define METRICS_MAX_BYTES (4 * 1024 * 1024)
#define FRAME_BYTES       4096 /* around a batch */
#define CLOSE_US          2000000
#define ARENA_CHUNK_BYTES 4096
#define ARENA_MAX_BYTES   (128 * 1024)
#define HEAD_MAX_BYTES    16384
#define KEEP_US           90000000

static const char *const paths[] = {
    [OTLP_TRACES] = "/v1/traces", [OTLP_METRICS] = "/v1/metrics"};

/* One at a time of each kind. */
struct post {
    struct otlp *x;
    enum otlp_signal signal;
    struct http_call *call; /* NULL: none is under way */
    struct arena arena;
    struct buf body;
    uint64_t traces; /* requests in it */
    unsigned status;
};

struct otlp {
    struct loop *loop;
    struct url url;
    struct io_tls_ctx *tls;
    struct http_pool *pool;
    struct trace_ids ids;
    struct buf resource; /* JSON: of whom all of this is */
    struct buf spans;
    uint64_t traces; /* requests in `spans` */
    struct post posts[2];
    struct timer flush, measure, close_deadline;
    uint64_t measure_us;
    uint64_t started_us;
    otlp_metrics_fn *write;
    void *write_owner;
    struct otlp_stats stats;
    bool failing;
    bool closing;
    void (*closed)(void *owner);
    void *owner;
};

/* --- sending --------------------------------------------------------------------------------
 */

static void maybe_closed(struct otlp *x);

static void on_head(void *owner, struct http_call *c, const struct http_head *h)
{
    struct post *p = owner;

    (void)c;
    p->status = h->status;
}

/* What a collector has to say in JSON is of no use to anybody here. */
static void on_body(void *owner, struct http_call *c, struct span data)
{
    (void)owner;
    (void)c;
    (void)data;
}

static void on_upload_drained(void *owner, struct http_call *c)
{
    (void)owner;
    (void)c;
}

static void note(struct otlp *x, const struct post *p, const char *why)
{
    bool failed = why != NULL;

    x->stats.posts_total[p->signal]++;
    if (failed) {
        x->stats.failures_total[p->signal]++;
        x->stats.dropped_total += p->traces;
    }
    /* A line when it begins and one when it ends. */
    if (failed && !x->failing)
        log_at(LOG_WARN, NULL, kv_event("telemetry_failed"), kv_str("path", paths[p->signal]),
               kv_str("why", why));
    else if (!failed && x->failing)
        log_at(LOG_INFO, NULL, kv_event("telemetry_recovered"));
    x->failing = failed;
}

static void on_end(void *owner, struct http_call *c, enum status st, const char *why)
{
    struct post *p = owner;
    char text[64];

    (void)c;
    p->call = NULL;
    if (st == ST_OK && (p->status < 200 || p->status > 299)) {
        snprintf(text, sizeof(text), "the collector answers %u", p->status);
        note(p->x, p, text);
    } else {
        note(p->x, p, st == ST_OK ? NULL : why);
    }
    arena_reset(&p->arena);
    if (p->body.cap > BATCH_BYTES)
        buf_release(&p->body);
    maybe_closed(p->x);
}

static const struct http_call_events events = {
    .on_head = on_head, .on_body = on_body, .on_drained = on_upload_drained, .on_end = on_end};

static enum status send_body(struct post *p)
{
    struct otlp *x = p->x;
    const struct http_field fields[] = {{SPAN("Content-Type"), SPAN("application/json")}};
    struct http_request q = {.method = SPAN("POST"),
                             .fields = fields,
                             .field_count = ARRAY_LEN(fields),
                             .host = span_of(x->url.authority),
                             .body = buf_span(&p->body)};
    char target[sizeof(x->url.prefix) + 32];

    snprintf(target, sizeof(target), "%s%s", x->url.prefix, paths[p->signal]);
    q.target = span_of(target);
    p->status = 0;
    return http_call_start(x->pool, &q, &p->arena, &events, p, &p->call);
}

/* --- batches --------------------------------------------------------------------------------
 */

static enum status frame(struct otlp *x, struct buf *out, const char *all, const char *scopes,
                         const char *items)
{
    return buf_printf(out,
                      "{\"%s\":[{\"resource\":%.*s,\"%s\":[{\"scope\":{\"name\":\"ibid\"},"
                      "\"%s\":[",
                      all, (int)x->resource.len, x->resource.ptr, scopes, items);
}

static void send_spans(struct otlp *x)
{
    struct post *p = &x->posts[OTLP_TRACES];
    enum status st;

    if (p->call != NULL || x->spans.len == 0)
        return;
    buf_clear(&p->body);
    st = frame(x, &p->body, "resourceSpans", "scopeSpans", "spans");
    if (st == ST_OK)
        st = buf_append(&p->body, buf_span(&x->spans));
    if (st == ST_OK)
        st = buf_append(&p->body, SPAN("]}]}]}"));
    p->traces = x->traces;
    x->traces = 0;
    buf_clear(&x->spans);
    if (st == ST_OK)
        st = send_body(p);
    if (st != ST_OK)
        note(x, p, status_text(st));
}

static void send_metrics(struct otlp *x)
{
    struct post *p = &x->posts[OTLP_METRICS];
    enum status st;

    if (p->call != NULL || x->write == NULL)
        return;
    buf_clear(&p->body);
    st = frame(x, &p->body, "resourceMetrics", "scopeMetrics", "metrics");
    if (st == ST_OK)
        st = x->write(x->write_owner, &p->body, x->started_us, clock_wall_ms() * 1000);
    if (st == ST_OK)
        st = buf_append(&p->body, SPAN("]}]}]}"));
    if (st == ST_OK)
        st = send_body(p);
    if (st != ST_OK)
        note(x, p, status_text(st));
}

static void on_flush(struct timer *t)
{
    struct otlp *x = CONTAINER_OF(t, struct otlp, flush);

    send_spans(x);
    timer_start(x->loop, &x->flush, FLUSH_US, on_flush);
}

static void on_measure(struct timer *t)
{
    struct otlp *x = CONTAINER_OF(t, struct otlp, measure);

    send_metrics(x);
    timer_start(x->loop, &x->measure, x->measure_us, on_measure);
}

void otlp_spans_added(struct otlp *x, bool fits)
{
    if (!fits) {
        x->stats.dropped_total++;
        return;
    }
    x->stats.traces_total++;
    x->traces++;
    if (x->spans.len >= BATCH_BYTES)
        send_spans(x);
}

/* --- opening and closing
 * ---------------------------------------------------------------------- */

static enum status write_resource(struct otlp *x, const struct config *c, const char *version)
{
    struct json_writer w = {&x->resource, ST_OK, false};
    const char *const pairs[][2] = {{"service.name", c->telemetry.service_name},
                                    {"service.version", version},
                                    {"telemetry.sdk.name", "ibid"},
                                    {"telemetry.sdk.language", "c"}};

    json_writer_open(&w, NULL, '{');
    json_writer_open(&w, "attributes", '[');
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        json_writer_open(&w, NULL, '{');
        json_writer_text(&w, "key", span_of(pairs[i][0]));
        json_writer_open(&w, "value", '{');
        json_writer_text(&w, "stringValue", span_of(pairs[i][1]));
        json_writer_close(&w, '}');
        json_writer_close(&w, '}');
    }
    json_writer_close(&w, ']');
    json_writer_close(&w, '}');
    return w.st;
}

static enum status open_pool(struct otlp *x, struct connector *connector,
                             const struct config *c, char *why, size_t why_cap)
{
    struct http_pool_options o = {.to = {.host = x->url.host, .port = x->url.port},
                                  .connections_max = 2,
                                  .waiting_max = 2,
                                  .head_max_bytes = HEAD_MAX_BYTES,
                                  .keep_us = KEEP_US,
                                  .out_high_bytes = BATCH_BYTES,
                                  .out_low_bytes = BATCH_BYTES / 2};
    enum status st = ST_OK;

    o.connect_timeout_us = o.first_byte_timeout_us = o.idle_timeout_us = o.total_timeout_us =
        c->telemetry.deadline_ms * 1000;
    if (x->url.tls)
        st = io_tls_ctx_open(x->loop,
                             c->telemetry.ca_file[0] != '\0' ? c->telemetry.ca_file : NULL,
                             &x->tls, why, why_cap);
    o.to.tls = x->tls;
    return st == ST_OK ? http_pool_open(x->loop, connector, &o, &x->pool) : st;
}

static void release(struct otlp *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->posts); i++) {
        arena_release(&x->posts[i].arena);
        buf_release(&x->posts[i].body);
    }
    if (x->tls != NULL)
        io_tls_ctx_close(x->tls);
    buf_release(&x->resource);
    buf_release(&x->spans);
    free(x);
}

static void init(struct otlp *x, struct loop *loop, const struct config *c)
{
    size_t most = c->telemetry.queue_bytes_max;

    x->loop = loop;
    x->started_us = clock_wall_ms() * 1000;
    x->measure_us = c->telemetry.metrics_s * 1000000;
    buf_init(&x->resource, FRAME_BYTES);
    buf_init(&x->spans, most);
    for (size_t i = 0; i < ARRAY_LEN(x->posts); i++) {
        x->posts[i].x = x;
        x->posts[i].signal = (enum otlp_signal)i;
        arena_init(&x->posts[i].arena, ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
        buf_init(&x->posts[i].body,
                 (i == OTLP_TRACES ? most : METRICS_MAX_BYTES) + FRAME_BYTES);
    }
}

enum status otlp_open(struct loop *loop, struct connector *connector, const struct config *c,
                      const char *version, struct otlp **out, char *why, size_t why_cap)
{
    struct otlp *x;
    char reason[192] = "";
    enum status st;

    *out = NULL;
    if (c->telemetry.otlp_url[0] == '\0')
        return ST_OK;
    x = calloc(1, sizeof(*x));
    if (x == NULL) {
        snprintf(why, why_cap, "out of memory");
        return ST_NOMEM;
    }
    init(x, loop, c);
    st = url_parse(span_of(c->telemetry.otlp_url), &x->url, reason, sizeof(reason));
    if (st == ST_OK)
        st = write_resource(x, c, version);
    if (st == ST_OK && !trace_ids_init(&x->ids))
        st = ST_UNAVAILABLE;
    if (st == ST_OK)
        st = open_pool(x, connector, c, reason, sizeof(reason));
    if (st != ST_OK) {
        snprintf(why, why_cap, "telemetry.otlp_url: %s",
                 reason[0] != '\0' ? reason : status_text(st));
        release(x);
        return st;
    }
    timer_start(loop, &x->flush, FLUSH_US, on_flush);
    if (x->measure_us > 0)
        timer_start(loop, &x->measure, x->measure_us, on_measure);
    *out = x;
    return ST_OK;
}

static void on_pool_closed(void *owner)
{
    struct otlp *x = owner;
    void (*closed)(void *) = x->closed;
    void *whose = x->owner;

    release(x);
    closed(whose);
}

static void maybe_closed(struct otlp *x)
{
    struct http_pool *pool = x->pool;

    if (!x->closing || pool == NULL || x->posts[OTLP_TRACES].call != NULL ||
        x->posts[OTLP_METRICS].call != NULL)
        return;
    timer_stop(x->loop, &x->close_deadline);
    x->pool = NULL;
    http_pool_close(pool, on_pool_closed, x);
}

static void on_close_deadline(struct timer *t)
{
    struct otlp *x = CONTAINER_OF(t, struct otlp, close_deadline);

    for (size_t i = 0; i < ARRAY_LEN(x->posts); i++) {
        if (x->posts[i].call != NULL)
            http_call_cancel(x->posts[i].call);
    }
}

void otlp_close(struct otlp *x, void (*closed)(void *owner), void *owner)
{
    x->closing = true;
    x->closed = closed;
    x->owner = owner;
    timer_stop(x->loop, &x->flush);
    timer_stop(x->loop, &x->measure);
    timer_start(x->loop, &x->close_deadline, CLOSE_US, on_close_deadline);
    send_spans(x);
    maybe_closed(x);
}

/* --- what others ask
 * -------------------------------------------------------------------------- */

void otlp_stats(const struct otlp *x, struct otlp_stats *out)
{
    *out = x->stats;
    out->queue_bytes = x->spans.len;
}

void otlp_set_metrics(struct otlp *x, otlp_metrics_fn *write, void *owner)
{
    x->write = write;
    x->write_owner = owner;
}

struct trace_ids *otlp_ids(struct otlp *x)
{
    return &x->ids;
}

uint64_t otlp_wall_us(const struct otlp *x, uint64_t at_us)
{
    uint64_t now_us = loop_clock_us(x->loop);

    return clock_wall_ms() * 1000 - (now_us > at_us ? now_us - at_us : 0);
}

struct buf *otlp_spans(struct otlp *x)
{
    return &x->spans;
}
