/* A TLS stream over any struct io, of a client or of a server: what both have in common. For
 * io_tls.c and io_tls_server.c; others see a struct io. Loop thread only. */
#ifndef RT_IO_TLS_STREAM_H
#define RT_IO_TLS_STREAM_H

#include <stddef.h>

#include <openssl/ssl.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "rt/io_tls.h"

struct io;
struct loop;

/* What a client's stream and a server's do otherwise. */
struct io_tls_kind {
    void (*secured)(void *owner, SSL *ssl); /* before `ready` says ST_OK */
    /* Why the handshake failed, and the status for it. `why` left empty: as the library says.
     */
    enum status (*explain)(void *owner, SSL *ssl, char *why, size_t why_cap);
    void (*release)(void *owner); /* the stream is gone, or never was */
    /* As io_client_name(); NULL: the peer is no client. */
    void (*client_name)(SSL *ssl, char *out, size_t cap);
};

struct io_tls_stream_parts {
    struct loop *loop;
    const struct io_tls_kind *kind; /* static */
    void *kind_owner;               /* released by it */
    SSL *ssl;          /* owned from here on, its side chosen; NULL: out of memory */
    struct io *inner;  /* owned from here on */
    struct span first; /* what was read of it already; copied */
};

/* As io_tls_client(): ownership of all parts goes over, also on failure. */
enum status io_tls_stream_open(const struct io_tls_stream_parts *p, io_tls_ready_fn *ready,
                               void *owner, struct io **tls) MUST_CHECK;
/* Before `ready` only: it then comes with ST_CANCELED, later. */
void io_tls_stream_cancel(struct io *tls);
SSL *io_tls_stream_ssl(struct io *tls);

/* The library's last error, in its words; the errors are cleared. */
void io_tls_stream_error(char *why, size_t why_cap);

#endif
