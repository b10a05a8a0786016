#include "admin/admin.h"

#include <stdlib.h>

#include "admin/metrics.h"
#include "admin/views.h"
#include "base/buf.h"
#include "base/digest.h"
#include "http/server.h"
#include "rt/loop.h"

#define BODY_MAX_BYTES  (4 * 1024 * 1024)
#define HEAD_MAX_BYTES  16384
#define CONNECTIONS_MAX 64
#define TIMEOUT_US      10000000

struct admin {
    struct http_server *server;
    const struct admin_view *view;
    struct buf body; /* of the answer at hand */
    void (*closed)(void *owner);
    void *owner;
};

typedef enum status view_fn(struct buf *out, const struct admin_view *v);

struct route {
    struct span path;
    view_fn *write;
    const char *type;
    bool open; /* no token needed */
};

static enum status write_health(struct buf *out, const struct admin_view *v)
{
    (void)v;
    return buf_append(out, SPAN("ok\n"));
}

#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"

#define ROUTE(path, fn, type, open)                                                            \
    {                                                                                          \
        {path, sizeof(path) - 1}, fn, type, open                                               \
    }

static const struct route routes[] = {
    ROUTE("/healthz", write_health, TEXT_TYPE, true),
    ROUTE("/metrics", metrics_write, "text/plain; version=0.0.4; charset=utf-8", true),
    ROUTE("/admin/v1/stats", views_stats, JSON_TYPE, false),
    ROUTE("/admin/v1/savings", views_savings, JSON_TYPE, false),
    ROUTE("/admin/v1/models", views_models, JSON_TYPE, false),
    ROUTE("/admin/v1/config", views_config, "application/yaml", false),
};

static void respond(struct http_stream *s, unsigned status, const char *type, struct span body)
{
    struct http_field fields[] = {
        {SPAN("Content-Type"), span_of(type)},
        {SPAN("Cache-Control"), SPAN("no-store")},
        {SPAN("X-Content-Type-Options"), SPAN("nosniff")},
        {SPAN("WWW-Authenticate"), SPAN("Bearer")},
    };
    size_t n = status == 401 ? 4 : 3;
    bool wait;

    if (http_respond(s, status, fields, n, body.len) != ST_OK ||
        http_write(s, body, &wait) != ST_OK) {
        http_abort(s);
        return;
    }
    http_end(s);
}

static void refuse(struct http_stream *s, unsigned status, const char *message)
{
    struct buf b;

    buf_init(&b, 512);
    if (buf_printf(&b, "{\"error\":{\"message\":\"%s\"}}", message) != ST_OK)
        buf_clear(&b);
    respond(s, status, JSON_TYPE, buf_span(&b));
    buf_release(&b);
}

static bool has_token(const struct admin *a, const struct http_head *h)
{
    static const struct span scheme = {"Bearer ", 7};
    struct span v = http_head_get(h, SPAN("authorization"));

    /* Two of them: which one counts would be a guess. */
    if (http_head_count(h, SPAN("authorization")) != 1 || v.len < scheme.len ||
        !http_name_eq((struct span){v.ptr, scheme.len}, scheme))
        return false;
    v.ptr += scheme.len;
    v.len -= scheme.len;
    return a->view->token.len > 0 && digest_equal_secret(v, a->view->token);
}

static void serve_ready(struct admin *a, struct http_stream *s)
{
    bool ready = false;

    buf_clear(&a->body);
    if (views_ready(&a->body, a->view, &ready) != ST_OK) {
        refuse(s, 500, "out of memory");
        return;
    }
    respond(s, ready ? 200 : 503, JSON_TYPE, buf_span(&a->body));
}

static void serve(struct admin *a, struct http_stream *s, const struct route *r)
{
    buf_clear(&a->body);
    if (r->write(&a->body, a->view) != ST_OK)
        refuse(s, 500, "the view does not fit its buffer");
    else
        respond(s, 200, r->type, buf_span(&a->body));
}

static void on_request(void *owner, struct http_stream *s)
{
    struct admin *a = owner;
    const struct http_head *h = http_stream_head(s);
    bool get = span_eq(h->method, SPAN("GET")), token = has_token(a, h);

    http_stream_set_owner(s, a);
    if (get && span_eq(h->path, SPAN("/readyz"))) {
        serve_ready(a, s);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!span_eq(h->path, routes[i].path))
            continue;
        if (!get)
            refuse(s, 405, "use GET");
        else if (!routes[i].open && !token)
            refuse(s, 401, "the admin token is needed: Authorization: Bearer TOKEN");
        else
            serve(a, s, &routes[i]);
        return;
    }
    /* Unknown paths look alike to those without the token. */
    if (token)
        refuse(s, 404, "no such path");
    else
        refuse(s, 401, "the admin token is needed: Authorization: Bearer TOKEN");
}

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    (void)owner;
    (void)s;
    (void)data;
}

static void on_nothing(void *owner, struct http_stream *s)
{
    (void)owner;
    (void)s;
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    (void)owner;
    (void)s;
    (void)st;
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    (void)owner;
    (void)status;
    if (buf_printf(out, "{\"error\":{\"message\":\"%s\"}}", text) != ST_OK)
        buf_clear(out);
}

static const struct http_server_events events = {
    .on_request = on_request,
    .on_body = on_body,
    .on_body_end = on_nothing,
    .on_drained = on_nothing,
    .on_closed = on_closed,
    .write_error = write_error,
};

enum status admin_open(struct loop *loop, const struct admin_view *view, struct admin **out)
{
    static const struct http_server_options options = {
        .head_max_bytes = HEAD_MAX_BYTES,
        .connections_max = CONNECTIONS_MAX,
        .head_timeout_us = TIMEOUT_US,
        .body_timeout_us = TIMEOUT_US,
        .idle_timeout_us = 6 * TIMEOUT_US,
        .write_timeout_us = TIMEOUT_US,
        .out_high_bytes = BODY_MAX_BYTES,
        .out_low_bytes = BODY_MAX_BYTES / 2,
        .arena_max_bytes = 8 * HEAD_MAX_BYTES,
    };
    struct admin *a = calloc(1, sizeof(*a));
    enum status st;

    if (a == NULL)
        return ST_NOMEM;
    a->view = view;
    buf_init(&a->body, BODY_MAX_BYTES);
    st = http_server_open(loop, &options, &events, a, &a->server);
    if (st != ST_OK) {
        free(a);
        return st;
    }
    *out = a;
    return ST_OK;
}

void admin_accept(struct admin *a, struct io *io, const char *peer)
{
    http_server_accept(a->server, io, peer);
}

static void on_server_closed(void *owner)
{
    struct admin *a = owner;
    void (*closed)(void *) = a->closed;
    void *arg = a->owner;

    buf_release(&a->body);
    free(a);
    closed(arg);
}

void admin_close(struct admin *a, void (*closed)(void *owner), void *owner)
{
    a->closed = closed;
    a->owner = owner;
    http_server_close(a->server, on_server_closed);
}
