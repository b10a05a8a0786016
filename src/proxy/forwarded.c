#include "proxy/forwarded.h"

#include <stdio.h>

#include "config/config.h"
#include "http/head.h"
#include "http/server.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"

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

const struct http_head *forwarded_head(struct request *r)
{
    struct http_head *h;
    struct http_field *list;
    struct span via;
    enum status st;

    if (!r->setup->config->upstream.forwarded)
        return r->head;
    h = arena_alloc(&r->arena, sizeof(*h), _Alignof(struct http_head));
    list = arena_alloc(&r->arena, (r->head->field_count + 2) * sizeof(*list),
                       _Alignof(struct http_field));
    if (h == NULL || list == NULL)
        return NULL;
    *h = *r->head;
    h->fields = list;
    for (size_t i = 0; i < h->field_count; i++)
        list[i] = r->head->fields[i];
    via = h->minor >= 1 ? SPAN("1.1 ibid") : SPAN("1.0 ibid");
    st = put(r, h, SPAN("Via"), via);
    if (st == ST_OK)
        st = put(r, h, SPAN("X-Forwarded-For"), span_of(http_stream_peer(r->stream)));
    return st == ST_OK ? h : NULL;
}
