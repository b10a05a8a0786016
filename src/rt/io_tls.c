/* The client's side: whom it trusts, and the sessions it resumes. The bytes are moved by
 * io_tls_stream.c. */
#include "rt/io_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "rt/io.h"
#include "rt/io_tls_stream.h"

#define SESSIONS_MAX 16

struct session {
    char host[256];
    SSL_SESSION *session; /* owned */
};

struct io_tls_ctx {
    struct loop *loop;
    SSL_CTX *ssl; /* owned */
    struct session sessions[SESSIONS_MAX];
    unsigned next; /* the slot that is overwritten when all are taken */
    uint64_t handshakes, resumed;
    bool pinned;   /* what is trusted may be for anybody */
    unsigned refs; /* the owner and every stream */
};

/* Of one stream; freed with it. */
struct peer {
    struct io_tls_ctx *ctx;
    char host[256];
};

/* --- the context ------------------------------------------------------------------- */

static void ctx_unref(struct io_tls_ctx *c)
{
    if (--c->refs > 0)
        return;
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        SSL_SESSION_free(c->sessions[i].session);
    SSL_CTX_free(c->ssl);
    free(c);
}

static struct session *find_session(struct io_tls_ctx *c, const char *host)
{
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        if (c->sessions[i].session != NULL && strcmp(c->sessions[i].host, host) == 0)
            return &c->sessions[i];
    }
    return NULL;
}

/* OpenSSL gives us a reference when this returns 1. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct peer *p = SSL_get_app_data(ssl);
    struct io_tls_ctx *c = p->ctx;
    struct session *s = find_session(c, p->host);

    if (s == NULL) {
        s = &c->sessions[c->next];
        c->next = (c->next + 1) % SESSIONS_MAX;
        snprintf(s->host, sizeof(s->host), "%s", p->host);
    }
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1;
}

enum status io_tls_ctx_open(struct loop *loop, const char *ca_file, struct io_tls_ctx **out,
                            char *why, size_t why_cap)
{
    struct io_tls_ctx *c = calloc(1, sizeof(*c));
    int ok;

    if (c == NULL)
        return ST_NOMEM;
    ERR_clear_error();
    c->loop = loop;
    c->refs = 1;
    c->ssl = SSL_CTX_new(TLS_client_method());
    if (c->ssl == NULL) {
        io_tls_stream_error(why, why_cap);
        free(c);
        return ST_UNAVAILABLE;
    }
    SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    /* A kept connection holds no buffers for records. */
    SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(c->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ssl, on_new_session);
    ok = ca_file != NULL ? SSL_CTX_load_verify_file(c->ssl, ca_file)
                         : SSL_CTX_set_default_verify_paths(c->ssl);
    if (ok != 1) {
        char reason[128];

        io_tls_stream_error(reason, sizeof(reason));
        snprintf(why, why_cap, "cannot read the CA file '%s': %s",
                 ca_file != NULL ? ca_file : "(system)", reason);
        ctx_unref(c);
        return ST_INVALID;
    }
    *out = c;
    return ST_OK;
}

enum status io_tls_ctx_open_pinned(struct loop *loop, const char *cert_file,
                                   struct io_tls_ctx **out, char *why, size_t why_cap)
{
    enum status st = io_tls_ctx_open(loop, cert_file, out, why, why_cap);

    if (st != ST_OK)
        return st;
    (*out)->pinned = true;
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param((*out)->ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return ST_OK;
}

/* Nobody is at a terminal to type one. */
static int no_passphrase(char *buf, int size, int writing, void *owner)
{
    (void)buf, (void)size, (void)writing, (void)owner;
    return -1;
}

static enum status cannot_show(const char *what, const char *file, char *why, size_t why_cap)
{
    char reason[128];

    io_tls_stream_error(reason, sizeof(reason));
    if (errno == ENOENT || errno == EACCES)
        snprintf(reason, sizeof(reason), "%s", strerror(errno));
    snprintf(why, why_cap, "cannot use the %s '%s': %s", what, file, reason);
    return ST_INVALID;
}

enum status io_tls_ctx_show(struct io_tls_ctx *c, const char *cert_file, const char *key_file,
                            char *why, size_t why_cap)
{
    ERR_clear_error();
    errno = 0;
    SSL_CTX_set_default_passwd_cb(c->ssl, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(c->ssl, cert_file) != 1)
        return cannot_show("certificate", cert_file, why, why_cap);
    if (SSL_CTX_use_PrivateKey_file(c->ssl, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(c->ssl) != 1)
        return cannot_show("key", key_file, why, why_cap);
    return ST_OK;
}

void io_tls_ctx_close(struct io_tls_ctx *c)
{
    ctx_unref(c);
}

void io_tls_ctx_counts(const struct io_tls_ctx *c, uint64_t *handshakes, uint64_t *resumed)
{
    *handshakes = c->handshakes;
    *resumed = c->resumed;
}

/* --- a stream ---------------------------------------------------------------------- */

static void on_secured(void *owner, SSL *ssl)
{
    struct peer *p = owner;

    p->ctx->handshakes++;
    p->ctx->resumed += SSL_session_reused(ssl) != 0;
}

static enum status explain(void *owner, SSL *ssl, char *why, size_t why_cap)
{
    const struct peer *p = owner;
    long verdict = SSL_get_verify_result(ssl);

    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(why, why_cap, "certificate verify failed: it is not for '%.200s'", p->host);
    else if (verdict != X509_V_OK)
        snprintf(why, why_cap, "certificate verify failed: %s",
                 X509_verify_cert_error_string(verdict));
    else if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(why, why_cap, "the peer does not speak TLS");
    return ST_UNAVAILABLE;
}

static void release(void *owner)
{
    struct peer *p = owner;

    if (p == NULL)
        return;
    ctx_unref(p->ctx);
    free(p);
}

static const struct io_tls_kind client_kind = {on_secured, explain, release, NULL};

static bool is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool set_peer(struct peer *peer, SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
    struct session *s = find_session(peer->ctx, host);

    if (strlen(host) >= sizeof(peer->host))
        return false;
    memcpy(peer->host, host, strlen(host) + 1);
    if (s != NULL && SSL_SESSION_is_resumable(s->session))
        SSL_set_session(ssl, s->session);
    if (peer->ctx->pinned)
        return true;
    /* RFC 6066: no SNI for addresses. */
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, peer->host) == 1 && SSL_set1_host(ssl, host) == 1;
}

static SSL *new_client(struct io_tls_ctx *c, struct peer *p, const char *host)
{
    SSL *ssl = p != NULL ? SSL_new(c->ssl) : NULL;

    if (p == NULL)
        return NULL;
    p->ctx = c;
    c->refs++;
    if (ssl == NULL)
        return NULL;
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, p);
    if (set_peer(p, ssl, host))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

enum status io_tls_client(struct io_tls_ctx *c, struct io *inner, const char *host,
                          io_tls_ready_fn *ready, void *owner, struct io **tls)
{
    struct peer *p = calloc(1, sizeof(*p));
    struct io_tls_stream_parts parts = {
        .loop = c->loop, .kind = &client_kind, .kind_owner = p, .inner = inner};

    parts.ssl = new_client(c, p, host);
    return io_tls_stream_open(&parts, ready, owner, tls);
}

void io_tls_cancel(struct io *io)
{
    io_tls_stream_cancel(io);
}
