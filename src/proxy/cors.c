#include "proxy/cors.h"

#include "config/config.h"
#include "http/head.h"
#include "http/server.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"

/* The origin of the page that asks; ptr NULL: none, or none that may. */
static struct span allowed_origin(const struct request *r)
{
    struct span list = span_of(r->setup->config->cors.origins), word;
    struct span origin = http_head_get(r->head, SPAN("origin")), none = {NULL, 0};

    if (origin.ptr == NULL || list.len == 0)
        return none;
    while ((word = config_word(&list)).len > 0) {
        if (span_eq(word, SPAN("*")) || span_eq(word, origin))
            return origin;
    }
    return none;
}

static bool is_cors(struct span name)
{
    struct span start = SPAN("access-control-");

    return name.len > start.len && http_name_eq((struct span){name.ptr, start.len}, start);
}

void cors_add(const struct request *r, struct respond_fields *f)
{
    struct span origin;
    size_t n = 0;

    if (r->setup->config->cors.origins[0] == '\0')
        return;
    for (size_t i = 0; i < f->count; i++) {
        if (!is_cors(f->list[i].name))
            f->list[n++] = f->list[i];
    }
    f->count = n;
    respond_add(f, SPAN("Vary"), SPAN("Origin"));
    origin = allowed_origin(r);
    if (origin.ptr == NULL)
        return;
    respond_add(f, SPAN("Access-Control-Allow-Origin"), origin);
    respond_add(f, SPAN("Access-Control-Expose-Headers"), SPAN("*"));
}

bool cors_preflight(struct request *r)
{
    struct respond_fields f;
    struct span wanted;

    if (r->setup->config->cors.origins[0] == '\0' ||
        !span_eq(r->head->method, SPAN("OPTIONS")) ||
        http_head_get(r->head, SPAN("access-control-request-method")).ptr == NULL)
        return false;
    f.count = 0;
    wanted = http_head_get(r->head, SPAN("access-control-request-headers"));
    cors_add(r, &f);
    if (allowed_origin(r).ptr != NULL) {
        respond_add(&f, SPAN("Access-Control-Allow-Methods"),
                    SPAN("GET, POST, PUT, PATCH, DELETE"));
        respond_add(&f, SPAN("Access-Control-Max-Age"), SPAN("600"));
        if (wanted.ptr != NULL)
            respond_add(&f, SPAN("Access-Control-Allow-Headers"), wanted);
    }
    if (http_respond(r->stream, 204, f.list, f.count, 0) == ST_OK)
        http_end(r->stream);
    else
        http_abort(r->stream);
    return true;
}
