/* The inside of an identity, for io_tls_server.c. */
#ifndef RT_IO_TLS_IDENTITY_SSL_H
#define RT_IO_TLS_IDENTITY_SSL_H

#include <openssl/ssl.h>

#include "rt/io_tls_identity.h"

struct io_tls_identity {
    SSL_CTX *ssl; /* owned */
    struct io_tls_identity_facts facts;
};

#endif
