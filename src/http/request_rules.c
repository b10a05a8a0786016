#include "http/request_rules.h"

#include <string.h>

/* HTAB, SP, ',', '/', '\\', '@', '?', '#'. */
static const uint64_t not_in_host[4] = {0x8000900900000200u, 0x0000000010000001u, 0, 0};

static enum status refuse(unsigned *status, const char **text, unsigned code, const char *why)
{
    *status = code;
    *text = why;
    return ST_INVALID;
}

enum status request_rules_check(struct http_head *h, unsigned *status, const char **text)
{
    struct span host = {"", 0}, expect = {NULL, 0};
    size_t hosts = 0;

    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];

        if (http_name_eq(f->name, SPAN("host"))) {
            host = f->value;
            hosts++;
        } else if (expect.ptr == NULL && http_name_eq(f->name, SPAN("expect"))) {
            expect = f->value;
        }
    }
    if (hosts > 1 || (hosts == 0 && h->minor >= 1))
        return refuse(status, text, 400, "exactly one Host is needed");
    for (size_t i = 0; i < host.len; i++) {
        if (http_in_set(not_in_host, host.ptr[i]))
            return refuse(status, text, 400, "the Host has a character that is not allowed");
    }
    if (expect.ptr != NULL && !http_name_eq(expect, SPAN("100-continue")))
        return refuse(status, text, 417, "the only expectation is 100-continue");
    h->expect_continue = expect.ptr != NULL && h->minor >= 1;
    if (span_eq(h->method, SPAN("CONNECT")) || span_eq(h->method, SPAN("PRI")))
        return refuse(status, text, 501, "this method is not supported");
    if (memchr(h->target.ptr, '#', h->target.len) != NULL)
        return refuse(status, text, 400, "a fragment in the request target");
    if (span_eq(h->target, SPAN("*")) && !span_eq(h->method, SPAN("OPTIONS")))
        return refuse(status, text, 400, "the request target must begin with '/'");
    return ST_OK;
}

void request_rules_split(struct http_head *h)
{
    const char *q = memchr(h->target.ptr, '?', h->target.len);

    h->path = h->target;
    h->query = (struct span){"", 0};
    if (q != NULL) {
        h->path.len = (size_t)(q - h->target.ptr);
        h->query = (struct span){q + 1, h->target.len - h->path.len - 1};
    }
}

bool request_rules_length(struct span s, uint64_t *out)
{
    uint64_t n = 0;

    if (s.len == 0 || s.len > 18)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = n;
    return true;
}
