#include "admin/audit_call.h"

#include <stdarg.h>
#include <stdio.h>

#include "admin/admin.h"
#include "admin/audit.h"
#include "admin/call.h"
#include "http/server.h"

static void copy(char *out, size_t cap, struct span s)
{
    snprintf(out, cap, "%.*s", (int)(s.len < cap ? s.len : cap - 1), s.len > 0 ? s.ptr : "");
}

void audit_call_begin(struct admin_call *c, const char *action, bool token)
{
    const struct http_head *h = http_stream_head(c->stream);
    struct audit_call *a = &c->audit;

    a->action = action;
    a->by = token ? "admin" : "unknown";
    snprintf(a->peer, sizeof(a->peer), "%s", http_stream_peer(c->stream));
    copy(a->client, sizeof(a->client), span_of(http_stream_client(c->stream)));
    copy(a->method, sizeof(a->method), h->method);
    copy(a->path, sizeof(a->path), h->path);
    if (token && span_eq(h->method, SPAN("DELETE")))
        copy(a->query, sizeof(a->query), h->query);
}

void audit_call_detail(struct admin_call *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(c->audit.detail, sizeof(c->audit.detail), fmt, args);
    va_end(args);
}

/* Without an answer it is not known what came of it: the client went away. */
static const char *outcome_of(unsigned status)
{
    if (status == 0)
        return "unknown";
    if (status < 400)
        return "done";
    return status < 500 ? "refused" : "failed";
}

void audit_call_end(struct admin_call *c)
{
    const struct audit_call *a = &c->audit;
    const struct audit_event e = {.action = a->action,
                                  .by = a->by,
                                  .outcome = outcome_of(a->status),
                                  .peer = a->peer,
                                  .client = a->client,
                                  .method = span_of(a->method),
                                  .path = span_of(a->path),
                                  .query = span_of(a->query),
                                  .status = a->status,
                                  .detail = a->detail};

    if (a->action != NULL)
        audit_note(c->view->audit, &e);
}
