#include "http/compose.h"

#include "http/client.h"
#include "http/server.h"

enum status compose_field(struct buf *b, struct span name, struct span value)
{
    enum status st = buf_reserve(b, name.len + value.len + 4);

    if (st != ST_OK)
        return st;
    (void)!buf_append(b, name);
    (void)!buf_append(b, SPAN(": "));
    (void)!buf_append(b, value);
    return buf_append(b, SPAN("\r\n"));
}

enum status compose_length(struct buf *b, uint64_t n)
{
    enum status st = buf_append(b, SPAN("Content-Length: "));

    if (st == ST_OK)
        st = buf_append_u64(b, n, 1);
    return st == ST_OK ? buf_append(b, SPAN("\r\n")) : st;
}

static enum status put_framing(struct buf *b, const struct http_request *r)
{
    bool expected = !span_eq(r->method, SPAN("GET")) && !span_eq(r->method, SPAN("HEAD")) &&
                    !span_eq(r->method, SPAN("DELETE")) && !span_eq(r->method, SPAN("OPTIONS"));
    uint64_t n = r->body_streams ? r->body_bytes : r->body.len;

    if (n == HTTP_BODY_CHUNKED)
        return buf_append(b, SPAN("Transfer-Encoding: chunked\r\n"));
    if (n == 0 && !expected && !r->body_streams)
        return ST_OK;
    return compose_length(b, n);
}

bool compose_is_safe(const struct http_request *r)
{
    struct http_field host = {SPAN("Host"), r->host};
    struct http_field upgrade = {SPAN("Upgrade"), r->upgrade};

    if (r->upgrade.ptr != NULL && !http_field_is_safe(&upgrade))
        return false;
    for (size_t i = 0; i < r->method.len; i++) {
        if (!http_is_token_char(r->method.ptr[i]))
            return false;
    }
    for (size_t i = 0; i < r->target.len; i++) {
        if ((unsigned char)r->target.ptr[i] <= 0x20 || r->target.ptr[i] == 0x7f)
            return false;
    }
    for (size_t i = 0; i < r->field_count; i++) {
        struct span name = r->fields[i].name;

        if (!http_field_is_safe(&r->fields[i]) || http_name_eq(name, SPAN("content-length")) ||
            http_name_eq(name, SPAN("transfer-encoding")))
            return false;
    }
    return r->method.len > 0 && r->target.len > 0 && http_field_is_safe(&host);
}

enum status compose_request(struct buf *b, const struct http_request *r)
{
    bool has_host = false;
    enum status st = buf_reserve(b, 2048);

    if (st == ST_OK)
        st = buf_append(b, r->method);
    if (st == ST_OK)
        st = buf_append(b, SPAN(" "));
    if (st == ST_OK)
        st = buf_append(b, r->target);
    if (st == ST_OK)
        st = buf_append(b, SPAN(" HTTP/1.1\r\n"));
    for (size_t i = 0; i < r->field_count && !has_host; i++)
        has_host = http_name_eq(r->fields[i].name, SPAN("host"));
    if (st == ST_OK && !has_host)
        st = compose_field(b, SPAN("Host"), r->host);
    for (size_t i = 0; st == ST_OK && i < r->field_count; i++)
        st = compose_field(b, r->fields[i].name, r->fields[i].value);
    if (st == ST_OK && r->upgrade.ptr != NULL) {
        st = buf_append(b, SPAN("Connection: Upgrade\r\n"));
        if (st == ST_OK)
            st = compose_field(b, SPAN("Upgrade"), r->upgrade);
    }
    if (st == ST_OK)
        st = put_framing(b, r);
    return st == ST_OK ? buf_append(b, SPAN("\r\n")) : st;
}
