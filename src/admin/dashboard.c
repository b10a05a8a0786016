#include "admin/dashboard.h"

#include "admin/admin.h"
#include "admin/call.h"
#include "base/compiler.h"
#include "http/server.h"

/* Nothing but its own files and its own API: no inline script or style, no frame around it, no
 * form that a browser sends, no string that becomes script (Content Security Policy Level 3;
 * Trusted Types). */
#define POLICY                                                                                 \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "                \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "        \
    "require-trusted-types-for 'script'; trusted-types 'none'"

const struct dashboard_file *dashboard_find(struct span path)
{
    for (const struct dashboard_file *f = dashboard_files; f->path != NULL; f++) {
        if (span_eq(path, span_of(f->path)))
            return f;
    }
    return NULL;
}

void dashboard_respond(struct admin_call *c, const struct dashboard_file *file)
{
    struct http_field fields[] = {
        {SPAN("Content-Type"), span_of(file->type)},
        {SPAN("Content-Security-Policy"), SPAN(POLICY)},
        {SPAN("Cache-Control"), SPAN("no-store")},
        {SPAN("X-Content-Type-Options"), SPAN("nosniff")},
        {SPAN("Referrer-Policy"), SPAN("no-referrer")},
        {SPAN("Cross-Origin-Opener-Policy"), SPAN("same-origin")},
        {SPAN("Cross-Origin-Resource-Policy"), SPAN("same-origin")},
    };
    struct span body = {(const char *)file->bytes, file->len};
    bool wait;

    if (http_respond(c->stream, 200, fields, ARRAY_LEN(fields), body.len) != ST_OK ||
        http_write(c->stream, body, &wait) != ST_OK) {
        http_abort(c->stream);
        return;
    }
    http_end(c->stream);
}
