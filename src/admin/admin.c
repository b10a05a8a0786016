#include "admin/admin.h"

#include <stdlib.h>

#include "admin/actions.h"
#include "admin/call.h"
#include "admin/dashboard.h"
#include "admin/entries.h"
#include "admin/entries_import.h"
#include "admin/entries_list.h"
#include "admin/metrics.h"
#include "admin/review.h"
#include "admin/series.h"
#include "admin/reload.h"
#include "admin/views.h"
#include "base/buf.h"
#include "base/digest.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/proxy.h"
#include "rt/loop.h"

#define BODY_MAX_BYTES    (8 * 1024 * 1024) /* LEDGER_FILE_BYTES_MAX */
#define HEAD_MAX_BYTES    16384
#define CONNECTIONS_MAX   64
#define TIMEOUT_US        10000000
#define REQUEST_MAX_BYTES 16384

struct admin {
    struct http_server *server;
    const struct admin_view *view;
    struct buf body; /* of the answer at hand */
    unsigned calls;  /* that are not freed yet */
    struct series series;
    bool server_closed;
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
    ROUTE("/admin/v1/ledger", views_ledger, JSON_TYPE, false),
    ROUTE("/admin/v1/policy", views_policy, JSON_TYPE, false),
    ROUTE("/admin/v1/latency", views_latency, JSON_TYPE, false),
    ROUTE("/admin/v1/similarity", review_similarity, JSON_TYPE, false),
    ROUTE("/admin/v1/inbox", review_inbox, JSON_TYPE, false),
    ROUTE("/admin/v1/routes", views_routes, JSON_TYPE, false),
    ROUTE("/admin/v1/engine", views_engine, JSON_TYPE, false),
    ROUTE("/admin/v1/models", views_models, JSON_TYPE, false),
    ROUTE("/admin/v1/config", views_config, "application/yaml", false),
};

/* What does something, or takes an argument; always with the token. */
struct action {
    struct span method, path;
    bool has_rest; /* the path goes on behind this one: an argument */
    bool has_body; /* run when it is there */
    void (*run)(struct admin_call *c);
    const char *audit; /* its name in the audit log; NULL: nothing of it is there */
    bool shows;        /* there only when questions are shown (explain.questions) */
};

#define ACTION(method, path, rest, body, run, ...)                                             \
    {                                                                                          \
        {method, sizeof(method) - 1}, {path, sizeof(path) - 1}, rest, body, run, __VA_ARGS__   \
    }

/* What was counted over time is the listener's own. */
static void show_series(struct admin_call *c);

static const struct action actions[] = {
    ACTION("GET", "/admin/v1/series", false, false, show_series, NULL, false),
    ACTION("GET", "/admin/v1/explain/", true, false, actions_explain, "read_decision", true),
    ACTION("GET", "/admin/v1/decisions", false, false, actions_decisions, NULL, false),
    ACTION("POST", "/admin/v1/feedback", false, true, actions_feedback, "feedback", false),
    ACTION("GET", "/admin/v1/entries", false, false, entries_list, "read_entries", true),
    ACTION("POST", "/admin/v1/reload", false, true, reload_run, "reload", false),
    ACTION("GET", "/admin/v1/entries/", true, false, entries_show, NULL, false),
    ACTION("DELETE", "/admin/v1/entries/", true, false, entries_remove, "remove_entry", false),
    ACTION("DELETE", "/admin/v1/entries", false, false, entries_purge, "purge", false),
    ACTION("POST", "/admin/v1/entries", false, true, entries_import, "import", false),
};

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

static void serve_ready(struct admin *a, struct admin_call *c)
{
    bool ready = false;

    buf_clear(&a->body);
    if (views_ready(&a->body, a->view, &ready) != ST_OK) {
        call_refuse(c, 500, "out of memory");
        return;
    }
    call_respond(c, ready ? 200 : 503, JSON_TYPE, buf_span(&a->body));
}

static bool shows_questions(const struct admin_call *c)
{
    return c->view->proxy->parts.config->explain.show_questions;
}

static void serve(struct admin *a, struct admin_call *c, const struct route *r)
{
    if (r->write == review_inbox && shows_questions(c))
        audit_call_begin(c, "read_inbox", true);
    buf_clear(&a->body);
    if (r->write(&a->body, a->view) != ST_OK)
        call_refuse(c, 500, "the view does not fit its buffer");
    else
        call_respond(c, 200, r->type, buf_span(&a->body));
}

static void show_series(struct admin_call *c)
{
    struct admin *a = c->admin;

    buf_clear(&a->body);
    if (series_write(&a->series, &a->body) != ST_OK)
        call_refuse(c, 500, "out of memory");
    else
        call_respond(c, 200, JSON_TYPE, buf_span(&a->body));
}

static const struct route *find_route(struct span path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (span_eq(path, routes[i].path))
            return &routes[i];
    }
    return NULL;
}

/* Of this method when there is one, else of another: that is the wrong method. */
static const struct action *find_action(struct span method, struct span path, struct span *rest)
{
    const struct action *other = NULL;

    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        const struct action *t = &actions[i];
        struct span head = {path.ptr, path.len < t->path.len ? path.len : t->path.len};

        if (!span_eq(head, t->path) || (path.len > head.len) != t->has_rest)
            continue;
        *rest = (struct span){path.ptr + head.len, path.len - head.len};
        if (span_eq(method, t->method))
            return t;
        other = t;
    }
    return other;
}

static void act(struct admin_call *c, const struct action *t)
{
    if (!span_eq(http_stream_head(c->stream)->method, t->method)) {
        call_refuse(c, 405, "this path takes another method");
        return;
    }
    if (t->audit != NULL && (!t->shows || shows_questions(c)))
        audit_call_begin(c, t->audit, true);
    c->run = t->run;
    if (t->run == entries_import)
        buf_init(&c->body, entries_import_bytes_max(c->view));
    if (t->has_body)
        http_read_start(c->stream);
    else
        t->run(c);
}

static void refuse_stranger(struct admin_call *c, const struct http_head *h)
{
    audit_call_begin(c, "authenticate", false);
    audit_call_detail(
        c, "%s", http_head_count(h, SPAN("authorization")) == 0 ? "no token" : "not the token");
    call_refuse(c, 401, "the admin token is needed: Authorization: Bearer TOKEN");
}

static void dispatch(struct admin *a, struct admin_call *c)
{
    const struct http_head *h = http_stream_head(c->stream);
    bool get = span_eq(h->method, SPAN("GET")), token = has_token(a, h);
    const struct route *r = find_route(h->path);
    const struct action *t = find_action(h->method, h->path, &c->rest);
    const struct dashboard_file *page = dashboard_find(h->path);

    if (get && span_eq(h->path, SPAN("/readyz")))
        serve_ready(a, c);
    else if ((r != NULL || page != NULL) && !get)
        call_refuse(c, 405, "use GET");
    else if (r != NULL && (r->open || token))
        serve(a, c, r);
    /* It holds no data: what it shows it asks for, with the token. */
    else if (page != NULL)
        dashboard_respond(c, page);
    /* Unknown paths look alike to those without the token. */
    else if (!token)
        refuse_stranger(c, h);
    else if (t != NULL)
        act(c, t);
    else
        call_refuse(c, 404, "no such path");
}

static void on_request(void *owner, struct http_stream *s)
{
    struct admin *a = owner;
    struct admin_call *c = calloc(1, sizeof(*c));

    http_stream_set_owner(s, c);
    if (c == NULL) {
        http_abort(s);
        return;
    }
    *c = (struct admin_call){.admin = a, .view = a->view, .stream = s};
    buf_init(&c->body, REQUEST_MAX_BYTES);
    a->calls++;
    dispatch(a, c);
}

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    struct admin_call *c = owner;

    if (c->run == NULL || buf_append(&c->body, data) == ST_OK)
        return;
    c->run = NULL;
    http_read_stop(s);
    call_refuse(c, 413, "the body is too large");
}

static void on_body_end(void *owner, struct http_stream *s)
{
    struct admin_call *c = owner;

    (void)s;
    if (c->run != NULL)
        c->run(c);
}

static void on_drained(void *owner, struct http_stream *s)
{
    (void)owner;
    (void)s;
}

static void maybe_closed(struct admin *a)
{
    void (*closed)(void *) = a->closed;
    void *owner = a->owner;

    if (!a->server_closed || a->calls > 0)
        return;
    buf_release(&a->body);
    free(a);
    closed(owner);
}

/* A look-up in the store, a purge, a browse or a reload may outlast its client. */
void admin_call_gone(struct admin_call *c)
{
    struct admin *a = c->admin;

    if (c->stream != NULL || c->fetching || c->purging || c->browse != NULL ||
        c->reload != NULL)
        return;
    audit_call_end(c);
    buf_release(&c->body);
    free(c);
    a->calls--;
    maybe_closed(a);
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    struct admin_call *c = owner;

    (void)s;
    (void)st;
    if (c == NULL)
        return;
    c->stream = NULL;
    if (c->fetching)
        cache_cancel(&c->get);
    if (c->purging)
        purge_cancel(&c->purge.purge);
    if (c->browse != NULL)
        browse_cancel(c->browse);
    admin_call_gone(c);
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
    .on_body_end = on_body_end,
    .on_drained = on_drained,
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
    series_start(&a->series, loop, view->proxy);
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

    a->server_closed = true;
    maybe_closed(a);
}

void admin_close(struct admin *a, void (*closed)(void *owner), void *owner)
{
    a->closed = closed;
    a->owner = owner;
    series_stop(&a->series);
    http_server_close(a->server, on_server_closed);
}
