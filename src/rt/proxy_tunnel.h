/* Asks an HTTP proxy for a tunnel to somewhere else (CONNECT, RFC 9110 9.3.6), on a stream
 * that is connected to it. Loop thread only. */
#ifndef RT_PROXY_TUNNEL_H
#define RT_PROXY_TUNNEL_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"
#include "rt/io.h"

struct endpoint;

/* ST_OK: what follows on the stream is the other place. `why` is for people. Not from inside
 * a call. */
typedef void proxy_tunnel_fn(void *owner, enum status st, const char *why);

/* Embed in the owner. */
struct proxy_tunnel {
    struct io *io; /* borrowed */
    struct buf answer;
    proxy_tunnel_fn *done;
    void *owner;
};

/* Takes over the events of `io`, which stays the caller's, until `done`; that one attaches
 * others. ST_OK: done comes once. */
enum status proxy_tunnel_start(struct proxy_tunnel *t, struct io *io, const struct endpoint *to,
                               proxy_tunnel_fn *done, void *owner) MUST_CHECK;
/* Before `done`: it does not come; the caller attaches other events. */
void proxy_tunnel_stop(struct proxy_tunnel *t);

#endif
