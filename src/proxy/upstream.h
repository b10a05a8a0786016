/* The upstream API: where it is, and what of a request and an answer goes through
 * unchanged. Loop thread only. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/client.h"
#include "http/url.h"
#include "proxy/respond.h"

struct config;
struct connector;
struct io_tls_ctx;
struct loop;

struct upstream {
    struct http_pool *pool; /* owned */
    struct io_tls_ctx *tls; /* owned; NULL for http:// */
    struct url url;
    char identity[1200]; /* "upstream:NAME URL": who answers, for identities */
    char name[64];
    struct upstream *fallback; /* owned; NULL: none */
    uint64_t retry_us;         /* how often one that can not be reached is tried */
    uint64_t next_try_us;      /* 0: it can be reached, as far as we know */
};

/* From config->upstream; its url must not be empty. `why` names the setting
 * and says what is wrong. */
enum status upstream_open(struct loop *loop, struct connector *connector,
                          const struct config *config, struct upstream **out, char *why,
                          size_t why_cap) MUST_CHECK;
void upstream_close(struct upstream *u, void (*closed)(void *owner), void *owner);

struct span upstream_identity(const struct upstream *u);

/* Who is asked now: `u`, or its fallback while `u` can not be reached. */
struct upstream *upstream_choose(struct upstream *u, uint64_t now_us);
/* An answer came from it. */
void upstream_reached(struct upstream *u);
/* No connection to it could be made. Who is asked instead; NULL: nobody. */
struct upstream *upstream_unreached(struct upstream *u, uint64_t now_us);

/* The end-to-end fields of a client's request for the upstream, our own controls
 * left out. With `plain` the upstream is asked for an uncoded answer, because we put
 * something in it. *out is in `arena`. */
enum status upstream_request_fields(const struct http_head *h, bool plain, struct arena *arena,
                                    struct http_field **out, size_t *n) MUST_CHECK;

/* Starts a call for the request of this head: target, fields and host come from it, the rest
 * of *q is the caller's. `plain` as above. */
enum status upstream_start(struct upstream *u, const struct http_head *h, bool plain,
                           struct http_request *q, struct arena *arena,
                           const struct http_call_events *events, void *owner,
                           struct http_call **out) MUST_CHECK;

/* The end-to-end fields of an upstream's answer for the client. Another ibid's word
 * about itself (x-ibid-*) is not passed on as ours. */
void upstream_answer_fields(const struct http_head *h, struct respond_fields *f);

#endif
