/* The other end of a TLS stream under test, a server's or a client's, over any struct io: it
 * keeps what it reads, sends what it is told, and can end in good or in bad ways. */
#ifndef TESTS_TLS_PEER_H
#define TESTS_TLS_PEER_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "rt/io.h"

struct tls_peer {
    struct io *inner; /* owned until closed */
    SSL *ssl;         /* owned */
    struct buf in;    /* plain bytes read */
    struct buf wire;  /* what the inner stream is writing */
    bool echo;        /* sends back what it reads */
    bool writing, cut, closed;
    bool secured;
    bool failed;           /* the handshake */
    bool got_notify;       /* the other end said that it is at its end */
    char name[256];        /* asked for by SNI */
    enum status inner_end; /* of the inner stream, ST_OK while it lasts */
};

void tls_peer_init(struct tls_peer *p, struct io *inner, SSL_CTX *ctx);
/* A client, that goes on with a session unless it is NULL; the handshake begins at once. */
void tls_peer_init_client(struct tls_peer *p, struct io *inner, SSL_CTX *ctx,
                          SSL_SESSION *session);
void tls_peer_release(struct tls_peer *p);
void tls_peer_send(struct tls_peer *p, const void *bytes, size_t n);
/* What the library has made of its own accord goes out. */
void tls_peer_flush(struct tls_peer *p);
/* Says that it is at its end (close_notify). */
void tls_peer_end(struct tls_peer *p);
/* Closes the inner stream; without tls_peer_end() the client was cut off. */
void tls_peer_cut(struct tls_peer *p);

#endif
