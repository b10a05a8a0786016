/* The door of a TLS listener: connections come in as bytes, and those whose handshake is done
 * go on to a server. Here a handshake has its deadline, all of them together their limit, and
 * who speaks plain HTTP is told so in plain HTTP. Loop thread only. */
#ifndef HTTP_TLS_DOOR_H
#define HTTP_TLS_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct io;
struct io_tls_server;
struct loop;
struct tls_door;

/* What became of a connection that knocked. */
enum tls_door_outcome {
    TLS_DOOR_FULL,        /* a whole handshake */
    TLS_DOOR_RESUMED,     /* a session went on */
    TLS_DOOR_FAILED,      /* the client gave up, or speaks it wrongly */
    TLS_DOOR_CERTIFICATE, /* the client's certificate is missing or not good */
    TLS_DOOR_TIMEOUT,
    TLS_DOOR_PLAIN,   /* it spoke plain HTTP */
    TLS_DOOR_REFUSED, /* there were too many handshakes */
    TLS_DOOR_OUTCOMES
};

struct tls_door_options {
    const char *name; /* in the log; static */
    uint64_t handshake_timeout_us;
    uint32_t handshakes_max; /* at once; more are closed */
};

struct tls_door_stats {
    uint64_t by_outcome[TLS_DOOR_OUTCOMES];
    uint64_t tls12_total, tls13_total;
    uint64_t http2_total; /* chosen by ALPN */
    uint32_t handshakes_now;
};

/* Takes ownership of `io`. */
typedef void tls_door_pass_fn(void *owner, struct io *io, const char *peer);

/* `server` is borrowed. */
enum status tls_door_open(struct loop *loop, struct io_tls_server *server,
                          const struct tls_door_options *o, tls_door_pass_fn *pass, void *owner,
                          struct tls_door **out) MUST_CHECK;
/* Takes ownership of `io`. `peer` is copied. */
void tls_door_accept(struct tls_door *d, struct io *io, const char *peer);
/* Nobody is passed on any more; the handshakes there are end, and the last one takes the door
 * with it. */
void tls_door_close(struct tls_door *d);

void tls_door_stats(const struct tls_door *d, struct tls_door_stats *out);
/* "full", "resumed", ... */
const char *tls_door_outcome_name(enum tls_door_outcome outcome);

#endif
