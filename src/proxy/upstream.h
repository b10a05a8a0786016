/* An upstream: one API, at one or several places, and what of a request and an answer goes
 * through unchanged. Which one a request goes to: upstreams.h. Loop thread only. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "config/config.h"
#include "http/client.h"
#include "http/url.h"
#include "proxy/egress.h"
#include "proxy/respond.h"

struct config;
struct config_upstream;
struct connector;
struct io_tls_ctx;
struct loop;
struct upstream;

/* One of the places where the API is. */
struct upstream_place {
    struct upstream *upstream; /* borrowed: whose place this is */
    struct http_pool *pool;    /* owned */
    struct url url;
    struct egress egress;
    uint64_t next_try_us; /* 0: it can be reached, as far as we know */
};

struct upstream {
    const struct config_upstream *own; /* = &record */
    struct config_upstream record;
    struct digest made_of; /* of all that it follows from: settings, secret, CA file */
    unsigned refs;         /* setups that have it */
    struct upstream_place places[CONFIG_PLACES_MAX];
    size_t place_count;
    struct io_tls_ctx *tls; /* owned; NULL: no place has https:// */
    uint64_t stale_while_revalidate_s, stale_if_error_s;
    uint64_t retry_us;   /* how often a place that can not be reached is tried */
    char identity[1200]; /* "upstream:NAME URL": who answers, for identities */
    struct digest id;    /* of that */
    /* Sent instead of what the client authenticates with; name.ptr NULL: nothing is. */
    struct http_field credential;
    struct buf secret; /* owned: its value */
    void (*closed)(void *owner);
    void *owner;
};

/* One reference, from upstream_close(). The limits of config->upstream are those of each place.
 * `why` says what is wrong, beginning with the field. */
enum status upstream_open(struct loop *loop, struct connector *connector,
                          const struct config *config, const struct config_upstream *own,
                          struct upstream **out, char *why, size_t why_cap) MUST_CHECK;
/* What upstream_open() would make it of: two that are made of the same are the same. Reads the
 * credential, and asks for the CA file's place and date. */
enum status upstream_made_of(const struct config *config, const struct config_upstream *own,
                             struct digest *out) MUST_CHECK;
struct upstream *upstream_ref(struct upstream *u);
/* Gives a reference back. `closed` comes once: at once when there are others, later when it
 * was the last; the upstream is gone then. */
void upstream_close(struct upstream *u, void (*closed)(void *owner), void *owner);

struct span upstream_identity(const struct upstream *u);

/* Which place is asked now: the first that can be reached, as far as we know. */
struct upstream_place *upstream_choose(struct upstream *u, uint64_t now_us);
/* An answer came from it. */
void upstream_reached(struct upstream_place *at);
/* No connection to it could be made. Which is asked instead; NULL: none. */
struct upstream_place *upstream_unreached(struct upstream_place *at, uint64_t now_us);

/* The end-to-end fields of a client's request for the upstream, our own controls
 * left out, and its credential in place of the client's where it has one. With `plain` the
 * upstream is asked for an uncoded answer, because we put something in it. *out is in
 * `arena`. */
enum status upstream_request_fields(const struct upstream *u, const struct http_head *h,
                                    bool plain, struct arena *arena, struct http_field **out,
                                    size_t *n) MUST_CHECK;

/* Starts a call for the request of this head: target, fields and host come from it, the rest
 * of *q is the caller's. `plain` as above. */
enum status upstream_start(struct upstream_place *at, const struct http_head *h, bool plain,
                           struct http_request *q, struct arena *arena,
                           const struct http_call_events *events, void *owner,
                           struct http_call **out) MUST_CHECK;

/* The end-to-end fields of an upstream's answer for the client. Another ibid's word
 * about itself (x-ibid-*) is not passed on as ours. */
void upstream_answer_fields(const struct http_head *h, struct respond_fields *f);

#endif
