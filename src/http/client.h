/* The client's side of HTTP/1.1: a pool of connections per origin and one
 * exchange at a time on each. Loop thread only; no event from inside a call.
 *
 * One retry on a fresh connection when a reused one closed with no byte of an
 * answer and the request's body can be sent again (it was given whole, or none
 * of it has been sent). Informational (1xx) answers are skipped. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/head.h"
#include "rt/connect.h"

struct http_pool;
struct http_call;
struct loop;

struct http_pool_options {
    struct endpoint to;       /* strings borrowed; outlive the pool */
    uint32_t connections_max; /* in use and idle together */
    uint32_t waiting_max;     /* calls that wait for a connection */
    uint32_t head_max_bytes;
    uint64_t connect_timeout_us;
    uint64_t first_byte_timeout_us; /* request sent to the first byte of the answer */
    uint64_t idle_timeout_us;       /* silence within the answer (or within our upload) */
    uint64_t total_timeout_us;      /* start to end; 0: none */
    uint64_t keep_us;               /* how long an unused connection is kept */
    size_t out_high_bytes, out_low_bytes;
};

struct http_call_events {
    /* The answer's head, in the arena given at start. */
    void (*on_head)(void *owner, struct http_call *c, const struct http_head *h);
    /* A piece of the answer's body, transfer coding removed; valid until return. */
    void (*on_body)(void *owner, struct http_call *c, struct span data);
    /* The upload fell below the low-water mark after http_call_write() said wait. */
    void (*on_drained)(void *owner, struct http_call *c);
    /* Last event, exactly once; `c` is gone after it. ST_OK: the answer is complete
     * by its framing. ST_UNAVAILABLE no connection, reset or cut; ST_TIMEOUT;
     * ST_INVALID the peer does not speak HTTP/1.1; ST_OVERLOAD; ST_CANCELED.
     * `why` is for people and logs, without payload. */
    void (*on_end)(void *owner, struct http_call *c, enum status st, const char *why);
};

struct http_request {
    struct span method, target;
    const struct http_field *fields; /* end-to-end fields; Host, framing and Connection are
                                        written here unless `fields` has Host */
    size_t field_count;
    struct span host;    /* for the Host field */
    struct span body;    /* the whole body; must stay until on_end; or: */
    bool body_streams;   /* body comes by http_call_write()/http_call_end() */
    uint64_t body_bytes; /* of a streamed body: its length or HTTP_BODY_CHUNKED */
    /* Another protocol that is asked for; ptr NULL: none. Only without a body. Should on_head
     * say 101, both sides are bytes without framing from then on: http_call_write() sends
     * them, on_body brings them, and the end of the connection is the end. There is no
     * deadline for the whole then, only for silence of the two. */
    struct span upgrade;
};

struct http_pool_stats {
    uint32_t connections_now, idle_now, waiting_now;
    uint64_t connects_total, reuses_total, retries_total, failures_total;
};

enum status http_pool_open(struct loop *loop, struct connector *connector,
                           const struct http_pool_options *o,
                           struct http_pool **out) MUST_CHECK;
/* Calls in flight end with ST_CANCELED; `closed` comes once, later. */
void http_pool_close(struct http_pool *p, void (*closed)(void *owner), void *owner);
void http_pool_stats(const struct http_pool *p, struct http_pool_stats *out);

/* ST_OK: on_end comes, later. Copies what it needs of `r` except r->body. */
enum status http_call_start(struct http_pool *p, const struct http_request *r,
                            struct arena *arena, const struct http_call_events *ev, void *owner,
                            struct http_call **out) MUST_CHECK;
/* Upload in pieces (copied). */
enum status http_call_write(struct http_call *c, struct span data, bool *wait) MUST_CHECK;
void http_call_end(struct http_call *c);
/* Back-pressure on the answer. Starts flowing. */
void http_call_pause(struct http_call *c);
void http_call_resume(struct http_call *c);
/* Cuts the connection; on_end comes later with ST_CANCELED. */
void http_call_cancel(struct http_call *c);
/* In on_end: was no connection to be had, so that nothing of the request was sent? */
bool http_call_unreached(const struct http_call *c);
/* Microseconds from start to the first byte of the answer; 0 before. */
uint64_t http_call_first_byte_us(const struct http_call *c);

#endif
