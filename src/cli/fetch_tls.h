/* One exchange with a TLS listener: a request out, all that comes back in. */
#ifndef CLI_FETCH_TLS_H
#define CLI_FETCH_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct fetch_tls {
    const char *address;   /* "HOST:PORT", "[V6]:PORT" */
    const char *cert_file; /* the one certificate that is trusted, whatever its name */
    const char *own_cert_file, *own_key_file; /* shown when it asks; NULL: nothing */
    uint64_t deadline_us;                     /* for all of it */
};

/* Answers are appended to `out` up to the peer's end (close_notify). Blocks: it has a loop of
 * its own. */
enum status fetch_tls_exchange(const struct fetch_tls *f, struct span request, struct buf *out,
                               char *why, size_t why_cap) MUST_CHECK;

#endif
