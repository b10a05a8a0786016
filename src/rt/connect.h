/* From an address in words to a byte stream: resolves (c-ares, off nothing: it
 * never blocks the loop), tries the addresses in turn, wraps in TLS when asked.
 * One deadline covers all of it. Loop thread only. */
#ifndef RT_CONNECT_H
#define RT_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct io;
struct loop;
struct connector; /* a loop's resolver and TLS state: see connector_open */
struct connect_op;

/* An HTTP proxy that makes the connection (CONNECT). Borrowed. */
struct endpoint_proxy {
    const char *host;
    uint16_t port;
    const char *authorization; /* "Basic …"; NULL: none */
};

struct endpoint {
    const char *host; /* name or address literal; borrowed, NUL-terminated */
    uint16_t port;
    const char *unix_path;            /* not NULL: a Unix socket, host and port unused */
    const struct endpoint_proxy *via; /* NULL: directly */
    struct io_tls_ctx *tls; /* not NULL: TLS client, verified against `host`; borrowed */
};

/* `io` is owned by the callee on ST_OK, NULL otherwise. `why` is for people
 * ("certificate verify failed: unable to get local issuer certificate"). */
typedef void connect_done_fn(struct connect_op *op, enum status st, struct io *io,
                             const char *why);

/* Is there where this connector may go? */
typedef bool connect_allowed_fn(void *owner, const struct endpoint *to);

struct connector_options {
    uint32_t dns_ttl_max_s;  /* an answer is used for at most this long */
    const char *dns_servers; /* NULL: the system's; tests: "127.0.0.1:5353" */
    /* NULL: anywhere. Asked before anything is sent, a question to a name server included. */
    connect_allowed_fn *allowed;
    void *owner;
};

/* One per loop. */
enum status connector_open(struct loop *loop, const struct connector_options *o,
                           struct connector **out) MUST_CHECK;
/* Ends operations in flight with ST_CANCELED (their done runs later, before the
 * loop runs dry). */
void connector_close(struct connector *c);

/* ST_INVALID: it may not go there. ST_OK: done comes once, later. *op is owned by the connector
 * until then. */
enum status connect_start(struct connector *c, const struct endpoint *to, uint64_t timeout_us,
                          connect_done_fn *done, void *owner,
                          struct connect_op **op) MUST_CHECK;
/* done comes later with ST_CANCELED. */
void connect_cancel(struct connect_op *op);
void *connect_owner(const struct connect_op *op);

#endif
