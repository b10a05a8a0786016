/* The proxy that connections to an upstream are made through, where there is one. */
#ifndef PROXY_EGRESS_H
#define PROXY_EGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"
#include "http/url.h"
#include "rt/connect.h"

struct config;

struct egress {
    bool used;
    struct endpoint_proxy via; /* points into what follows: does not move */
    struct url url;
    char authorization[1024];
};

/* From upstream.proxy_url, or the environment when that says so, for the upstream at `to`: only
 * https:// goes through one. `why` says what is wrong. */
enum status egress_open(const struct config *config, const struct url *to, struct egress *out,
                        char *why, size_t why_cap) MUST_CHECK;

#endif
