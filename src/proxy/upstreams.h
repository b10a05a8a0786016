/* All upstreams, and which of them a request goes to: the first all of whose conditions it
 * meets. Loop thread only. */
#ifndef PROXY_UPSTREAMS_H
#define PROXY_UPSTREAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "config/config.h"

struct connector;
struct http_head;
struct loop;
struct upstream;

struct upstreams {
    struct upstream *list[CONFIG_UPSTREAMS_MAX + 1]; /* references; in the order of asking */
    size_t count;
    void (*closed)(void *owner);
    void *owner;
};

/* *out is NULL when none is configured. One of `before` (NULL: none) that is made of the same
 * is taken over as it is, with its connections. `why` begins with the setting. */
enum status upstreams_open(struct loop *loop, struct connector *connector,
                           const struct config *config, const struct upstreams *before,
                           struct upstreams **out, char *why, size_t why_cap) MUST_CHECK;
/* `closed` comes once: later, or at once when all of them live on elsewhere. */
void upstreams_close(struct upstreams *u, void (*closed)(void *owner), void *owner);

/* What of a request decides. */
struct upstreams_wish {
    const struct http_head *head;
    struct span stripped; /* by upstreams_strip() */
    struct span model;    /* empty: not known */
    bool any_model;       /* the request is for no model: conditions on them do not count */
};

/* Does this one take it? */
bool upstreams_takes(const struct upstream *u, const struct upstreams_wish *w);

/* NULL: none takes it; also when `u` is NULL. */
struct upstream *upstreams_pick(const struct upstreams *u, const struct upstreams_wish *w);

/* The beginning of `path` that names an upstream and is no part of its API; empty: none. */
struct span upstreams_strip(const struct upstreams *u, struct span path);

/* What the upstream calls that model: `model` itself unless it is an alias. */
struct span upstreams_alias(const struct upstream *u, struct span model);

#endif
