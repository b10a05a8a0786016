/* The client's side of TLS over any struct io, by OpenSSL 3 with memory BIOs. The files io_tls*
 * are the only ones that see OpenSSL's SSL API. Loop thread only. */
#ifndef RT_IO_TLS_H
#define RT_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct io;
struct loop;
struct io_tls_ctx; /* client settings and session cache; one loop's */

/* ca_file NULL: the system's store. TLS 1.2 and up, peer verified always.
 * On failure `why` says what the file lacks. */
enum status io_tls_ctx_open(struct loop *loop, const char *ca_file, struct io_tls_ctx **out,
                            char *why, size_t why_cap) MUST_CHECK;
/* Trusts the certificates in the file themselves, whatever they are for: of a peer whose file
 * is at hand. */
enum status io_tls_ctx_open_pinned(struct loop *loop, const char *cert_file,
                                   struct io_tls_ctx **out, char *why,
                                   size_t why_cap) MUST_CHECK;
/* The certificate (PEM, followed by those between it and its authority) that is shown to a
 * server that asks for one, and its key. Before the first stream. ST_INVALID with `why`, which
 * names the file. */
enum status io_tls_ctx_show(struct io_tls_ctx *c, const char *cert_file, const char *key_file,
                            char *why, size_t why_cap) MUST_CHECK;
/* Streams opened with it may outlive it. */
void io_tls_ctx_close(struct io_tls_ctx *c);

typedef void io_tls_ready_fn(void *owner, enum status st, struct io *tls, const char *why);

/* Takes ownership of `inner` at once (also on failure: it is closed then). Sends
 * SNI and verifies `host` (name or IP). `ready` comes once, later; on ST_OK the
 * callee owns `tls`. A stream that ends without close_notify may have been cut by
 * anyone: on_read gets ST_UNAVAILABLE, not ST_CLOSED. */
enum status io_tls_client(struct io_tls_ctx *c, struct io *inner, const char *host,
                          io_tls_ready_fn *ready, void *owner, struct io **tls) MUST_CHECK;
/* Before `ready` only: it then comes with ST_CANCELED, later. */
void io_tls_cancel(struct io *tls);

/* Handshakes so far, and how many of them resumed a session. */
void io_tls_ctx_counts(const struct io_tls_ctx *c, uint64_t *handshakes, uint64_t *resumed);

#endif
