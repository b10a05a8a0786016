#include "rt/address.h"

#include <stdio.h>
#include <string.h>

#define UNIX_PREFIX    "unix:"
#define UNIX_PATH_SIZE 108 /* sun_path, Linux */

static bool parse_port(const char *s, uint16_t *out)
{
    unsigned n = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || (n = n * 10 + (unsigned)(*s - '0')) > 65535)
            return false;
    }
    *out = (uint16_t)n;
    return true;
}

static enum status parse_unix(const char *path, struct address *out, char *why, size_t why_cap)
{
    size_t n = strlen(path);

    if (n == 0 || n >= UNIX_PATH_SIZE) {
        snprintf(why, why_cap, "the path of a Unix socket has 1 to %d bytes",
                 UNIX_PATH_SIZE - 1);
        return ST_INVALID;
    }
    *out = (struct address){.unix_socket = true};
    memcpy(out->host, path, n + 1);
    return ST_OK;
}

enum status address_parse(const char *text, struct address *out, char *why, size_t why_cap)
{
    struct address a = {0};
    const char *colon = strrchr(text, ':'), *host = text;
    size_t n;

    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), out, why, why_cap);
    if (colon == NULL || !parse_port(colon + 1, &a.port)) {
        snprintf(why, why_cap, "expected HOST:PORT, [V6]:PORT or unix:/path");
        return ST_INVALID;
    }
    n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        host++;
        n -= 2;
    } else if (memchr(text, ':', n) != NULL) {
        snprintf(why, why_cap, "an IPv6 address stands in brackets: [V6]:PORT");
        return ST_INVALID;
    }
    if (n == 0 || n >= sizeof(a.host)) {
        snprintf(why, why_cap, "the host is %s", n == 0 ? "missing" : "too long");
        return ST_INVALID;
    }
    memcpy(a.host, host, n);
    *out = a;
    return ST_OK;
}

enum status address_literal(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    memset(out, 0, sizeof(*out));
    if (uv_ip4_addr(host, port, &v4) == 0) {
        memcpy(out, &v4, sizeof(v4));
        return ST_OK;
    }
    if (uv_ip6_addr(host, port, &v6) == 0) {
        memcpy(out, &v6, sizeof(v6));
        return ST_OK;
    }
    return ST_NOTFOUND;
}
