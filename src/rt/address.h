/* "HOST:PORT", "[V6]:PORT", "unix:/path" and address literals. Pure. */
#ifndef RT_ADDRESS_H
#define RT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/compiler.h"
#include "base/status.h"

struct address {
    bool unix_socket;
    char host[256]; /* without brackets; or the path */
    uint16_t port;
};

/* ST_INVALID with what is wrong in `why`. */
enum status address_parse(const char *text, struct address *out, char *why,
                          size_t why_cap) MUST_CHECK;

/* An IPv4 or IPv6 literal; ST_NOTFOUND when `host` is a name. */
enum status address_literal(const char *host, uint16_t port,
                            struct sockaddr_storage *out) MUST_CHECK;

#endif
