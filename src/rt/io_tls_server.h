/* The server's side of TLS over any struct io: an identity that can be exchanged while it
 * runs, HTTP's versions by ALPN (RFC 7301), sessions resumed by tickets. Loop thread only. */
#ifndef RT_IO_TLS_SERVER_H
#define RT_IO_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "rt/io_tls.h"
#include "rt/io_tls_identity.h"

struct io;
struct loop;
struct io_tls_server;

struct io_tls_server_options {
    struct io_tls_identity_files files; /* paths are copied */
    bool http2;                         /* h2 is offered before http/1.1 */
};

/* As io_tls_identity_open(). A certificate that is not valid now is taken: who starts with it
 * is told by io_tls_server_facts(). */
enum status io_tls_server_open(struct loop *loop, const struct io_tls_server_options *o,
                               struct io_tls_server **out, char *why,
                               size_t why_cap) MUST_CHECK;
/* Streams accepted with it may outlive it. */
void io_tls_server_close(struct io_tls_server *s);

/* Have the files changed since they were last read, or tried? */
bool io_tls_server_is_stale(const struct io_tls_server *s);
/* Reads the files anew; connections that there are keep what they began with. When they are no
 * whole identity, or the certificate is not valid now, the old one stays and `why` says so.
 * Blocks for as long as the files take to read. */
enum status io_tls_server_reload(struct io_tls_server *s, char *why, size_t why_cap) MUST_CHECK;
void io_tls_server_facts(const struct io_tls_server *s, struct io_tls_identity_facts *out);

/* Ownership of `inner` goes over at once, also on failure. `first`: what was read of it
 * already; copied. `ready` comes once, later; with ST_INVALID when it was the client's
 * certificate that was not good. */
enum status io_tls_server_accept(struct io_tls_server *s, struct io *inner, struct span first,
                                 io_tls_ready_fn *ready, void *owner,
                                 struct io **tls) MUST_CHECK;
/* Before `ready` only: it then comes with ST_CANCELED, later. */
void io_tls_server_cancel(struct io *tls);

/* What the handshake came to, of a stream that is ready. */
struct io_tls_server_peer {
    bool resumed;
    bool tls13; /* else 1.2 */
    bool http2; /* chosen by ALPN */
};
void io_tls_server_peer(struct io *tls, struct io_tls_server_peer *out);

#endif
