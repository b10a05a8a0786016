#include "tls_peer.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

#define PEER_LIMIT (64u * 1024 * 1024)

static void flush(struct tls_peer *p)
{
    BIO *out = SSL_get_wbio(p->ssl);
    char *bytes;
    long n = BIO_get_mem_data(out, &bytes);
    struct span part;

    if (p->writing || p->cut || n <= 0)
        return;
    buf_clear(&p->wire);
    CHECK_STATUS(ST_OK, buf_append(&p->wire, (struct span){bytes, (size_t)n}));
    (void)BIO_reset(out);
    part = buf_span(&p->wire);
    p->writing = io_write(p->inner, &part, 1) == ST_OK;
}

static void advance(struct tls_peer *p)
{
    char bytes[8192];
    int n, rc = p->secured ? 1 : SSL_do_handshake(p->ssl);

    p->failed |= rc != 1 && SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ;
    if (!p->secured && rc == 1) {
        const char *name = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);

        p->secured = true;
        snprintf(p->name, sizeof(p->name), "%s", name != NULL ? name : "");
    }
    while (p->secured && (n = SSL_read(p->ssl, bytes, sizeof(bytes))) > 0) {
        CHECK_STATUS(ST_OK, buf_append(&p->in, (struct span){bytes, (size_t)n}));
        if (p->echo)
            assert_int_equal(SSL_write(p->ssl, bytes, n), n);
    }
    p->got_notify = (SSL_get_shutdown(p->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    flush(p);
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct tls_peer *p = owner;

    if (st != ST_OK)
        p->inner_end = st;
    else
        assert_int_equal(BIO_write(SSL_get_rbio(p->ssl), data.ptr, (int)data.len), data.len);
    if (!p->cut)
        advance(p);
}

static void on_written(void *owner, enum status st)
{
    struct tls_peer *p = owner;

    p->writing = false;
    if (st == ST_OK && !p->cut)
        flush(p);
}

static void on_closed(void *owner)
{
    struct tls_peer *p = owner;

    p->closed = true;
}

static const struct io_events events = {on_read, on_written, on_closed};

static void init(struct tls_peer *p, struct io *inner, SSL_CTX *ctx)
{
    memset(p, 0, sizeof(*p));
    p->inner = inner;
    p->ssl = SSL_new(ctx);
    assert_non_null(p->ssl);
    SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    buf_init(&p->in, PEER_LIMIT);
    buf_init(&p->wire, PEER_LIMIT);
    io_attach(inner, &events, p);
    io_read_start(inner);
}

void tls_peer_init(struct tls_peer *p, struct io *inner, SSL_CTX *ctx)
{
    init(p, inner, ctx);
    SSL_set_accept_state(p->ssl);
}

void tls_peer_init_client(struct tls_peer *p, struct io *inner, SSL_CTX *ctx,
                          SSL_SESSION *session)
{
    init(p, inner, ctx);
    if (session != NULL)
        assert_int_equal(SSL_set_session(p->ssl, session), 1);
    SSL_set_connect_state(p->ssl);
    advance(p);
}

void tls_peer_release(struct tls_peer *p)
{
    assert_true(p->closed);
    SSL_free(p->ssl);
    buf_release(&p->in);
    buf_release(&p->wire);
}

void tls_peer_send(struct tls_peer *p, const void *bytes, size_t n)
{
    assert_int_equal(SSL_write(p->ssl, bytes, (int)n), n);
    flush(p);
}

void tls_peer_flush(struct tls_peer *p)
{
    flush(p);
}

void tls_peer_end(struct tls_peer *p)
{
    SSL_shutdown(p->ssl);
    flush(p);
}

void tls_peer_cut(struct tls_peer *p)
{
    p->cut = true;
    io_close(p->inner);
}
