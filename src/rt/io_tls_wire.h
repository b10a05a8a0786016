/* What OpenSSL reads from and writes to, in the place of a socket: the bytes that a read
 * brought, where they are, and a buffer of bytes to be sent. An idle stream holds no memory
 * here. For io_tls_stream.c. Loop thread only. */
#ifndef RT_IO_TLS_WIRE_H
#define RT_IO_TLS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/bio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct io_tls_wire {
    struct span fresh; /* borrowed: of the read that is being looked at */
    struct buf kept;   /* what of earlier reads was not wanted yet; from `kept_from` on */
    size_t kept_from;
    struct buf out; /* encrypted, not sent */
};

void io_tls_wire_init(struct io_tls_wire *w);
void io_tls_wire_release(struct io_tls_wire *w);
/* Of one SSL, both ways; `w` outlives it. NULL: no memory. */
BIO *io_tls_wire_bio(struct io_tls_wire *w);

/* Bytes that came. They may be read until io_tls_wire_keep(), which copies the rest. */
enum status io_tls_wire_offer(struct io_tls_wire *w, struct span data) MUST_CHECK;
enum status io_tls_wire_keep(struct io_tls_wire *w) MUST_CHECK;
/* Something of earlier reads is there: no more should be read. */
bool io_tls_wire_is_behind(const struct io_tls_wire *w);

#endif
