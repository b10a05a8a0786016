#include "http/url.h"

#include <stdio.h>
#include <string.h>

#include "http/head.h"

static enum status refuse(char *why, size_t cap, const char *text)
{
    snprintf(why, cap, "%s", text);
    return ST_INVALID;
}

/* RFC 3986 3.1: in any case. */
static bool starts_scheme(struct span s, const char *scheme)
{
    size_t n = strlen(scheme);

    return s.len >= n && http_name_eq((struct span){s.ptr, n}, (struct span){scheme, n});
}

static bool starts(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);

    return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

static bool parse_port(struct span s, uint16_t *out)
{
    unsigned n = 0;

    if (s.len == 0 || s.len > 5)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n = n * 10 + (unsigned)(s.ptr[i] - '0');
    }
    if (n == 0 || n > 65535)
        return false;
    *out = (uint16_t)n;
    return true;
}

static bool all_of(struct span s, const char *extra)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr(extra, c) != NULL))
            return false;
    }
    return s.len > 0;
}

/* Splits host, host:port, [v6], [v6]:port; port.ptr is NULL when there is none. */
static enum status split_authority(struct span a, struct span *host, struct span *port,
                                   char *why, size_t cap)
{
    const char *end = a.ptr + a.len, *colon;
    bool bracketed = a.len > 0 && a.ptr[0] == '[';

    *port = (struct span){NULL, 0};
    if (bracketed) {
        const char *close = memchr(a.ptr, ']', a.len);

        if (close == NULL)
            return refuse(why, cap, "'[' without ']'");
        *host = (struct span){a.ptr + 1, (size_t)(close - a.ptr - 1)};
        if (!all_of(*host, ":.") || memchr(host->ptr, ':', host->len) == NULL)
            return refuse(why, cap, "only an IPv6 address may stand in brackets");
        colon = close + 1;
        if (colon != end && *colon != ':')
            return refuse(why, cap, "text after ']'");
    } else {
        colon = a.len > 0 ? memchr(a.ptr, ':', a.len) : NULL;
        if (colon == NULL)
            colon = end;
        *host = (struct span){a.ptr, (size_t)(colon - a.ptr)};
        if (!all_of(*host, "-._"))
            return refuse(why, cap,
                          "the host is missing or has a character that is not allowed");
    }
    if (colon != end)
        *port = (struct span){colon + 1, (size_t)(end - colon - 1)};
    return ST_OK;
}

static enum status parse_authority(struct span a, struct url *u, char *why, size_t cap)
{
    uint16_t usual = u->port;
    struct span host, port;
    enum status st = split_authority(a, &host, &port, why, cap);

    if (st != ST_OK)
        return st;
    if (host.len >= sizeof(u->host))
        return refuse(why, cap, "the host is too long");
    if (port.ptr != NULL && !parse_port(port, &u->port))
        return refuse(why, cap, "the port must be 1..65535");
    memcpy(u->host, host.ptr, host.len);
    if (port.ptr != NULL && u->port == usual)
        a.len -= port.len + 1;
    memcpy(u->authority, a.ptr, a.len);
    return ST_OK;
}

enum status url_parse(struct span text, struct url *out, char *why, size_t why_cap)
{
    struct url u = {.port = 80};
    struct span rest, authority;
    const char *slash;
    enum status st;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c <= 0x20 || c >= 0x7f)
            return refuse(why, why_cap, "it has white space or a control character");
        if (c == '?' || c == '#')
            return refuse(why, why_cap, "it must not have a query or a fragment");
    }
    if (starts_scheme(text, "https://")) {
        u.tls = true;
        u.port = 443;
        rest = (struct span){text.ptr + 8, text.len - 8};
    } else if (starts_scheme(text, "http://")) {
        rest = (struct span){text.ptr + 7, text.len - 7};
    } else {
        return refuse(why, why_cap, "it must begin with http:// or https://");
    }
    slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
    authority = (struct span){rest.ptr, slash != NULL ? (size_t)(slash - rest.ptr) : rest.len};
    if (authority.len > 0 && memchr(authority.ptr, '@', authority.len) != NULL)
        return refuse(why, why_cap, "it must not have a user name or password");
    if (authority.len >= sizeof(u.authority))
        return refuse(why, why_cap, "the host is missing or too long");
    st = parse_authority(authority, &u, why, why_cap);
    if (st != ST_OK)
        return st;
    rest.ptr += authority.len;
    rest.len -= authority.len;
    while (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    if (rest.len >= sizeof(u.prefix))
        return refuse(why, why_cap, "the path is too long");
    if (rest.len > 0)
        memcpy(u.prefix, rest.ptr, rest.len);
    *out = u;
    return ST_OK;
}

enum status url_target(const struct url *u, struct span target, char *out, size_t cap,
                       size_t *len)
{
    size_t n = strlen(u->prefix);
    bool doubled = n >= 3 && memcmp(u->prefix + n - 3, "/v1", 3) == 0 &&
                   starts(target, "/v1") &&
                   (target.len == 3 || target.ptr[3] == '/' || target.ptr[3] == '?');

    if (doubled)
        n -= 3;
    if (n + target.len >= cap)
        return ST_LIMIT;
    memcpy(out, u->prefix, n);
    if (target.len > 0)
        memcpy(out + n, target.ptr, target.len);
    out[n + target.len] = '\0';
    *len = n + target.len;
    return ST_OK;
}
