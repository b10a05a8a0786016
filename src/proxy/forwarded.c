#include "proxy/forwarded.h"

#include <stdio.h>

#include "config/config.h"
#include "http/head.h"
#include "http/server.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/trace.h"

/* What others have written, then ours (RFC 9110 7.6.3). */
static enum status put(struct request *r, struct http_head *h, struct span name,
                       struct span own)
{
    struct buf value;
    enum status st = ST_OK;
    size_t n = 0;

    buf_init(&value, 64 * 1024);
    for (size_t i = 0; i < h->field_count; i++) {
        if (!http_name_eq(h->fields[i].name, name)) {
            h->fields[n++] = h->fields[i];
            continue;
        }
        if (st == ST_OK)
            st = buf_append(&value, h->fields[i].value);
        if (st == ST_OK)
            st = buf_append(&value, SPAN(", "));
    }
    if (st == ST_OK)
        st = buf_append(&value, own);
    h->fields[n].name = name;
    if (st == ST_OK)
        st = arena_copy(&r->arena, buf_span(&value), &h->fields[n].value);
    h->field_count = n + 1;
    buf_release(&value);
    return st;
}

/* In place of the client's: the question to the upstream is ours (W3C Trace Context 3.2). */
static enum status put_trace(struct request *r, struct http_head *h)
{
    char text[TRACE_PARENT_BYTES + 1];
    size_t n = 0;

    trace_context_write(r->trace, text);
    for (size_t i = 0; i < h->field_count; i++) {
        if (!http_name_eq(h->fields[i].name, SPAN("traceparent")))
            h->fields[n++] = h->fields[i];
    }
    h->fields[n].name = SPAN("traceparent");
    h->field_count = n + 1;
    return arena_copy(&r->arena, span_of(text), &h->fields[n].value);
}

const struct http_head *forwarded_head(struct request *r)
{
    bool forwarded = r->setup->config->upstream.forwarded;
    struct http_head *h;
    struct http_field *list;
    struct span via;
    enum status st = ST_OK;

    if (!forwarded && r->trace == NULL)
        return r->head;
    h = arena_alloc(&r->arena, sizeof(*h), _Alignof(struct http_head));
    list = arena_alloc(&r->arena, (r->head->field_count + 3) * sizeof(*list),
                       _Alignof(struct http_field));
    if (h == NULL || list == NULL)
        return NULL;
    *h = *r->head;
    h->fields = list;
    for (size_t i = 0; i < h->field_count; i++)
        list[i] = r->head->fields[i];
    via = h->minor >= 1 ? SPAN("1.1 ibid") : SPAN("1.0 ibid");
    if (r->trace != NULL)
        st = put_trace(r, h);
    if (st == ST_OK && forwarded)
        st = put(r, h, SPAN("Via"), via);
    if (st == ST_OK && forwarded)
        st = put(r, h, SPAN("X-Forwarded-For"), span_of(http_stream_peer(r->stream)));
    return st == ST_OK ? h : NULL;
}
