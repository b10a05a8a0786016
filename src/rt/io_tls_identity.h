/* What a TLS server shows and whom it asks for a certificate, read from files and checked.
 * Pure but for the files; any thread. */
#ifndef RT_IO_TLS_IDENTITY_H
#define RT_IO_TLS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct io_tls_identity;

/* PEM files; borrowed. */
struct io_tls_identity_files {
    const char *cert; /* the certificate, then those between it and its authority */
    const char *key;  /* without a passphrase */
    /* Authorities of clients: then each must show a certificate of theirs. NULL: none is
     * asked for. */
    const char *client_ca;
    /* Lists of those that are revoked, one of each authority between a client and the last one:
     * who is in it, or whose authority's list is missing or out of date, is refused. NULL:
     * nobody is looked up. */
    const char *client_crl;
    /* Certificates for other names, parted by blanks: each a PEM file with its key, or a folder
     * with tls.crt and tls.key (as Kubernetes mounts a Secret). Who asks for a name (SNI, RFC
     * 6066 3) that is in one of them, and not in the first, is shown that one. NULL: none. */
    const char *more;
};

#define IO_TLS_IDENTITY_MORE_MAX 16

struct io_tls_identity_facts {
    int64_t not_before_s, not_after_s; /* of all certificates; seconds since 1970 */
    bool key_is_public;                /* everybody may read a key's file */
};

/* TLS 1.2 and up. ST_INVALID: a file can not be read, is no such thing, or key and certificate
 * do not belong together; `why` names it. When it is valid is for the caller to judge. */
enum status io_tls_identity_open(const struct io_tls_identity_files *files,
                                 struct io_tls_identity **out, char *why,
                                 size_t why_cap) MUST_CHECK;
void io_tls_identity_close(struct io_tls_identity *i);
void io_tls_identity_facts(const struct io_tls_identity *i, struct io_tls_identity_facts *out);

/* False, with `why`, when the certificate has expired or is not valid yet. */
bool io_tls_identity_is_current(const struct io_tls_identity *i, int64_t now_s, char *why,
                                size_t why_cap) MUST_CHECK;

/* A number that changes when one of the files does: by what the file system says of them,
 * through symbolic links. */
uint64_t io_tls_identity_stamp(const struct io_tls_identity_files *files);

#endif
