/* The fields of a HEADERS block -> struct http_head, as one of HTTP/1.1 would be (RFC 9113
 * 8.3.1). nghttp2 has seen to the order and the number of pseudo-headers, to upper case and to
 * fields of one hop (RFC 9113 8.2). */
#include "http/http2_internal.h"

#include <string.h>

#include "http/conn.h"
#include "http/request_rules.h"

#define FIELD_COST  32 /* beside its bytes, RFC 9113 6.5.2 */
#define FIELDS_ONCE 16

void http2_head_refuse(struct http2_stream *s, unsigned status, const char *text)
{
    if (s->refuse_status != 0)
        return;
    s->refuse_status = status;
    s->refuse_text = text;
}

static void out_of_memory(struct http2_stream *s)
{
    http2_head_refuse(s, 503, "out of memory");
}

static bool grow(struct http2_stream *s)
{
    size_t cap = s->field_cap > 0 ? 2 * s->field_cap : FIELDS_ONCE;
    struct http_field *more =
        arena_alloc(&s->arena, cap * sizeof(*more), _Alignof(struct http_field));

    if (more == NULL)
        return false;
    if (s->head.field_count > 0)
        memcpy(more, s->head.fields, s->head.field_count * sizeof(*more));
    s->head.fields = more;
    s->field_cap = cap;
    return true;
}

static void add_field(struct http2_stream *s, struct span name, struct span value)
{
    struct http_field f;

    if (s->head.field_count == HTTP_FIELDS_MAX) {
        http2_head_refuse(s, 431, "too many header fields");
        return;
    }
    if ((s->head.field_count == s->field_cap && !grow(s)) ||
        arena_copy(&s->arena, name, &f.name) != ST_OK ||
        arena_copy(&s->arena, value, &f.value) != ST_OK) {
        out_of_memory(s);
        return;
    }
    s->head.fields[s->head.field_count++] = f;
}

static void add_pseudo(struct http2_stream *s, struct span name, struct span value)
{
    struct span *to = NULL;

    if (span_eq(name, SPAN(":method")))
        to = &s->head.method;
    else if (span_eq(name, SPAN(":path")))
        to = &s->head.target;
    else if (span_eq(name, SPAN(":authority")))
        to = &s->authority;
    if (to != NULL && arena_copy(&s->arena, value, to) != ST_OK)
        out_of_memory(s);
}

void http2_head_add(struct http2_stream *s, struct span name, struct span value)
{
    if (s->refuse_status != 0)
        return;
    s->head_bytes += name.len + value.len + FIELD_COST;
    if (s->head_bytes > s->stream.conn->server->o.head_max_bytes)
        http2_head_refuse(s, 431, "the head is too large");
    else if (name.len > 0 && name.ptr[0] == ':')
        add_pseudo(s, name, value);
    else
        add_field(s, name, value);
}

/* A cookie may come in crumbs, which for all others are one field (RFC 9113 8.2.3). */
static void join_cookies(struct http2_stream *s)
{
    struct http_head *h = &s->head;
    size_t count = http_head_count(h, SPAN("cookie")), len = 0, at = 0, n = 0;
    struct http_field *whole = NULL;
    char *text;

    if (count < 2)
        return;
    for (size_t i = 0; i < h->field_count; i++) {
        if (http_name_eq(h->fields[i].name, SPAN("cookie")))
            len += h->fields[i].value.len + 2;
    }
    text = arena_alloc(&s->arena, len, 1);
    if (text == NULL) {
        out_of_memory(s);
        return;
    }
    for (size_t i = 0; i < h->field_count; i++) {
        struct http_field f = h->fields[i];
        bool crumb = http_name_eq(f.name, SPAN("cookie"));

        if (crumb) {
            memcpy(text + at, f.value.ptr, f.value.len);
            memcpy(text + at + f.value.len, "; ", 2);
            at += f.value.len + 2;
        }
        if (crumb && whole != NULL)
            continue;
        h->fields[n] = f;
        if (crumb)
            whole = &h->fields[n];
        n++;
    }
    whole->value = (struct span){text, len - 2};
    h->field_count = n;
}

/* :authority is the Host; where both are there, they must agree. */
static void find_host(struct http2_stream *s)
{
    size_t hosts = http_head_count(&s->head, SPAN("host"));

    if (hosts == 0 && s->authority.len > 0)
        add_field(s, SPAN("host"), s->authority);
    else if (hosts > 0 && s->authority.ptr != NULL &&
             !http_name_eq(s->authority, http_head_get(&s->head, SPAN("host"))))
        http2_head_refuse(s, 400, "the target's authority is not the Host");
}

static bool is_target(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] <= 0x20 || (unsigned char)s.ptr[i] >= 0x7f)
            return false;
    }
    return s.len > 0 && (s.ptr[0] == '/' || span_eq(s, SPAN("*")));
}

static void read_framing(struct http2_stream *s, bool no_body)
{
    struct http_head *h = &s->head;
    struct span length = http_head_get(h, SPAN("content-length"));

    if (length.ptr != NULL && !request_rules_length(length, &h->content_length)) {
        http2_head_refuse(s, 400, "Content-Length must be a number");
        return;
    }
    if (no_body || (length.ptr != NULL && h->content_length == 0))
        h->framing = HTTP_NO_BODY;
    else
        h->framing = length.ptr != NULL ? HTTP_LENGTH : HTTP_CHUNKED;
}

void http2_head_finish(struct http2_stream *s, bool no_body)
{
    struct http_head *h = &s->head;

    h->minor = 1;
    h->keep_alive = true;
    if (s->refuse_status != 0)
        return;
    if (span_eq(h->method, SPAN("CONNECT")))
        h->target = SPAN("/"); /* it has none; the method itself is refused below */
    if (!is_target(h->target)) {
        http2_head_refuse(s, 400, "the request target must begin with '/'");
        return;
    }
    find_host(s);
    join_cookies(s);
    read_framing(s, no_body);
    if (s->refuse_status != 0 ||
        request_rules_check(h, &s->refuse_status, &s->refuse_text) != ST_OK)
        return;
    request_rules_split(h);
}
