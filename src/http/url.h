/* Upstream URLs from the configuration: http://host[:port][/prefix]. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct url {
    bool tls;
    char host[256]; /* without brackets */
    uint16_t port;
    char prefix[256];    /* "" or "/v1", no trailing slash */
    char authority[272]; /* for the Host field: brackets, port when not the default */
};

/* ST_INVALID with a reason in `why` (user info, query, fragment, other scheme). */
enum status url_parse(struct span text, struct url *out, char *why, size_t why_cap) MUST_CHECK;

/* Where `target` ("/v1/models?x=1") goes below the prefix: never "/v1/v1". The
 * result is written to out (cap bytes with NUL); ST_LIMIT when it does not fit. */
enum status url_target(const struct url *u, struct span target, char *out, size_t cap,
                       size_t *len) MUST_CHECK;

#endif
