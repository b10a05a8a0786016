#include "admin/call.h"

#include "base/compiler.h"
#include "http/server.h"

void call_respond(struct admin_call *c, unsigned status, const char *type, struct span body)
{
    struct http_field fields[] = {
        {SPAN("Content-Type"), span_of(type)},
        {SPAN("Cache-Control"), SPAN("no-store")},
        {SPAN("X-Content-Type-Options"), SPAN("nosniff")},
        {SPAN("WWW-Authenticate"), SPAN("Bearer")},
    };
    size_t n = ARRAY_LEN(fields) - (status == 401 ? 0 : 1);
    bool wait;

    c->audit.status = status;
    if (http_respond(c->stream, status, fields, n, body.len) != ST_OK ||
        http_write(c->stream, body, &wait) != ST_OK) {
        http_abort(c->stream);
        return;
    }
    http_end(c->stream);
}

void call_refuse(struct admin_call *c, unsigned status, const char *message)
{
    struct buf b;

    buf_init(&b, 512);
    if (buf_printf(&b, "{\"error\":{\"message\":\"%s\"}}", message) != ST_OK)
        buf_clear(&b);
    call_respond(c, status, JSON_TYPE, buf_span(&b));
    buf_release(&b);
}
