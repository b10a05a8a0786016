/* The inside of an identity, for io_tls_server.c. */
#ifndef RT_IO_TLS_IDENTITY_SSL_H
#define RT_IO_TLS_IDENTITY_SSL_H

#include <openssl/ssl.h>

#include "rt/io_tls_identity.h"

struct io_tls_identity {
    SSL_CTX *ssl;                            /* owned */
    SSL_CTX *more[IO_TLS_IDENTITY_MORE_MAX]; /* owned: for other names */
    size_t more_count;
    struct io_tls_identity_facts facts; /* of all certificates: when all are valid */
    unsigned refs; /* handshakes choose from `more` while a new one takes over; one thread's */
};

struct io_tls_identity *io_tls_identity_ref(struct io_tls_identity *i);

#endif
