/* What a client may say about caching, in request headers. A caller can only
 * tighten: raise the threshold, skip the cache, narrow its scope. Pure. */
#ifndef PROXY_CONTROLS_H
#define PROXY_CONTROLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "protocol/protocol.h"

struct http_head;

enum route_wish { ROUTE_ANY, ROUTE_LOCAL, ROUTE_UPSTREAM };

struct controls {
    bool no_cache;       /* do not answer from the cache */
    bool no_store;       /* do not keep the answer */
    bool only_if_cached; /* 504 rather than a fresh answer */
    bool exact_only;     /* nothing by meaning */
    bool metadata;       /* the body says who made it, where we write it */
    bool has_max_age, has_ttl, has_threshold;
    uint64_t max_age_s; /* a stored answer older than this does not count */
    uint64_t ttl_s;     /* shortens the life of what is stored */
    double threshold;   /* 0..1; only counts when above the configured one */
    struct span name_space;
    struct span session; /* whose completions follow each other; empty: not said */
    enum route_wish route;
};

#define CONTROLS_NAMESPACE_MAX 128

/* x-ibid-cache, x-ibid-threshold, x-ibid-namespace, x-ibid-route, Cache-Control, and
 * what other gateways call these. Spans point into the head. ST_INVALID with *err
 * naming the header: a control that we do not understand must not be ignored (a
 * misspelt no-store would store). */
enum status controls_parse(const struct http_head *h, struct controls *out,
                           struct protocol_error *err) MUST_CHECK;

/* Is this header one of ours, which no upstream should see? */
bool controls_is_ours(struct span name);
/* Another gateway's, which only an upstream that is one should see? Not Cache-Control. */
bool controls_is_foreign(struct span name);

#endif
