/* Certificates made while the test runs, so that none in the repository can expire. */
#ifndef TESTS_CERTS_H
#define TESTS_CERTS_H

#include <openssl/ssl.h>

struct cert {
    X509 *x509;    /* owned */
    EVP_PKEY *key; /* owned */
};

/* `issuer` NULL: signs itself, an authority. `san` as in openssl.cnf: "DNS:a.test" or
 * "IP:127.0.0.1". Valid from now + from_s to now + to_s seconds. */
struct cert certs_make(const char *name, const char *san, const struct cert *issuer,
                       long from_s, long to_s);
void certs_release(struct cert *c);

/* A PEM file in a new temporary file; the caller removes it. */
void certs_write(const struct cert *c, char *path, size_t path_cap);

/* The same for its key. */
void certs_write_key(const struct cert *c, char *path, size_t path_cap);

/* Settings of a server that shows `c`. */
SSL_CTX *certs_server(const struct cert *c, int max_version);

#endif
