/* One GET, or a POST, to the admin listener of a running ibid, by a plain blocking socket, or
 * through TLS. */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct fetch {
    const char *address;   /* "HOST:PORT", "[V6]:PORT", either after "tls:", "unix:/path" */
    const char *cert_file; /* of that listener (tls.cert_file), with "tls:" */
    /* What is shown to it when it asks (admin.own_cert_file, admin.own_key_file); NULL or
     * empty: nothing. */
    const char *own_cert_file, *own_key_file;
    const char *path;  /* "/admin/v1/savings" */
    const char *token; /* NULL: none */
    struct span body;  /* ptr not NULL: it is a POST of this JSON */
    unsigned deadline_ms;
};

/* The admin token of an ibid with these settings, into `out`. False: said on stderr. */
struct config;
bool fetch_read_token(const struct config *c, char *out, size_t cap) MUST_CHECK;

/* The body of a 200 answer is appended to `out`; anything else is a failure that
 * `why` explains. */
enum status fetch_body(const struct fetch *f, struct buf *out, char *why,
                       size_t why_cap) MUST_CHECK;

#endif
