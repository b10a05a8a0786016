/* Each stream holds a reference to the identity it began with (its SSL_CTX), so that a new one
 * takes over without a word to those. Tickets are sealed with keys of the process that are
 * exchanged every hour: a ticket of TLS 1.2 is as secret as its key (RFC 5077 5.5). */
#include "rt/io_tls_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "rt/io_tls_identity_ssl.h"
#include "rt/io_tls_name.h"
#include "rt/io_tls_stream.h"
#include "rt/loop.h"

#define PATH_BYTES        1024
#define TICKET_KEYS_BYTES 80
#define TICKET_KEYS_US    (UINT64_C(3600) * 1000000)

struct io_tls_server {
    struct loop *loop;
    struct io_tls_identity *identity; /* owned */
    char cert[PATH_BYTES], key[PATH_BYTES], client_ca[PATH_BYTES], client_crl[PATH_BYTES];
    char more[IO_TLS_IDENTITY_MORE_MAX * 256];
    struct io_tls_identity_files files; /* they */
    uint64_t stamp;                     /* of the files when they were last read */
    uint64_t keys_us;                   /* when the tickets' keys were made */
    bool http2;
};

/* --- ALPN -------------------------------------------------------------------------- */

/* One length byte and a name, the one wished most first (RFC 7301 3.1). */
static unsigned char both[] = "\x02h2\x08http/1.1";
static unsigned char old[] = "\x08http/1.1";

static const unsigned char *find_name(const unsigned char *name, const unsigned char *list,
                                      unsigned n)
{
    for (unsigned i = 0; i < n && i + list[i] < n; i += 1u + list[i]) {
        if (list[i] == name[0] && memcmp(list + i + 1, name + 1, name[0]) == 0)
            return list + i;
    }
    return NULL;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    const unsigned char *ours = arg;

    (void)ssl;
    for (; *ours != 0; ours += 1 + *ours) {
        const unsigned char *found = find_name(ours, in, in_len);

        if (found != NULL) {
            *out = found + 1;
            *out_len = *found;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

/* --- the server -------------------------------------------------------------------- */

static void renew_ticket_keys(struct io_tls_server *s)
{
    unsigned char keys[TICKET_KEYS_BYTES];

    s->keys_us = loop_now_us(s->loop);
    /* Without new ones the old go on. */
    if (RAND_bytes(keys, sizeof(keys)) == 1)
        (void)SSL_CTX_set_tlsext_ticket_keys(s->identity->ssl, keys, sizeof(keys));
    OPENSSL_cleanse(keys, sizeof(keys));
    ERR_clear_error();
}

static void take_identity(struct io_tls_server *s, struct io_tls_identity *i)
{
    io_tls_identity_close(s->identity);
    s->identity = i;
    s->keys_us = loop_now_us(s->loop); /* it came with fresh ones */
    SSL_CTX_set_alpn_select_cb(i->ssl, choose_protocol, s->http2 ? both : old);
    for (size_t n = 0; n < i->more_count; n++)
        SSL_CTX_set_alpn_select_cb(i->more[n], choose_protocol, s->http2 ? both : old);
}

static bool copy_path(char out[PATH_BYTES], const char *path)
{
    return snprintf(out, PATH_BYTES, "%s", path) < PATH_BYTES;
}

enum status io_tls_server_open(struct loop *loop, const struct io_tls_server_options *o,
                               struct io_tls_server **out, char *why, size_t why_cap)
{
    const char *client_ca = o->files.client_ca, *client_crl = o->files.client_crl;
    const char *more = o->files.more != NULL ? o->files.more : "";
    struct io_tls_server *s = calloc(1, sizeof(*s));
    struct io_tls_identity *i;
    enum status st;

    if (s == NULL) {
        snprintf(why, why_cap, "out of memory");
        return ST_NOMEM;
    }
    s->loop = loop;
    s->http2 = o->http2;
    if (!copy_path(s->cert, o->files.cert) || !copy_path(s->key, o->files.key) ||
        !copy_path(s->client_ca, client_ca != NULL ? client_ca : "") ||
        !copy_path(s->client_crl, client_crl != NULL ? client_crl : "") ||
        snprintf(s->more, sizeof(s->more), "%s", more) >= (int)sizeof(s->more)) {
        snprintf(why, why_cap, "a path is too long");
        free(s);
        return ST_LIMIT;
    }
    s->files =
        (struct io_tls_identity_files){s->cert, s->key, client_ca != NULL ? s->client_ca : NULL,
                                       client_crl != NULL ? s->client_crl : NULL, s->more};
    s->stamp = io_tls_identity_stamp(&s->files);
    st = io_tls_identity_open(&s->files, &i, why, why_cap);
    if (st != ST_OK) {
        free(s);
        return st;
    }
    take_identity(s, i);
    *out = s;
    return ST_OK;
}

void io_tls_server_close(struct io_tls_server *s)
{
    io_tls_identity_close(s->identity);
    free(s);
}

bool io_tls_server_is_stale(const struct io_tls_server *s)
{
    return io_tls_identity_stamp(&s->files) != s->stamp;
}

enum status io_tls_server_reload(struct io_tls_server *s, char *why, size_t why_cap)
{
    struct io_tls_identity *i;
    enum status st;

    /* Before reading: what changes in between is seen the next time. */
    s->stamp = io_tls_identity_stamp(&s->files);
    st = io_tls_identity_open(&s->files, &i, why, why_cap);
    if (st != ST_OK)
        return st;
    if (!io_tls_identity_is_current(i, (int64_t)time(NULL), why, why_cap)) {
        io_tls_identity_close(i);
        return ST_INVALID;
    }
    take_identity(s, i);
    return ST_OK;
}

void io_tls_server_facts(const struct io_tls_server *s, struct io_tls_identity_facts *out)
{
    io_tls_identity_facts(s->identity, out);
}

/* --- a stream ---------------------------------------------------------------------- */

static void on_secured(void *owner, SSL *ssl)
{
    (void)owner, (void)ssl;
}

static enum status explain(void *owner, SSL *ssl, char *why, size_t why_cap)
{
    long verdict = SSL_get_verify_result(ssl);
    int reason = ERR_GET_REASON(ERR_peek_last_error());

    (void)owner;
    if (verdict != X509_V_OK)
        snprintf(why, why_cap, "the client's certificate is refused: %s",
                 X509_verify_cert_error_string(verdict));
    else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        snprintf(why, why_cap, "the client shows no certificate");
    else
        return ST_UNAVAILABLE;
    return ST_INVALID;
}

/* The identity that the stream began with. */
static void release(void *owner)
{
    io_tls_identity_close(owner);
}

static const struct io_tls_kind server_kind = {on_secured, explain, release,
                                               io_tls_name_of_client};

enum status io_tls_server_accept(struct io_tls_server *s, struct io *inner, struct span first,
                                 io_tls_ready_fn *ready, void *owner, struct io **tls)
{
    struct io_tls_stream_parts parts = {
        .loop = s->loop, .kind = &server_kind, .inner = inner, .first = first};

    if (loop_now_us(s->loop) - s->keys_us >= TICKET_KEYS_US)
        renew_ticket_keys(s);
    parts.ssl = SSL_new(s->identity->ssl);
    parts.kind_owner = io_tls_identity_ref(s->identity);
    if (parts.ssl != NULL) {
        SSL_set_accept_state(parts.ssl);
        SSL_set_app_data(parts.ssl, s->identity);
    }
    return io_tls_stream_open(&parts, ready, owner, tls);
}

void io_tls_server_cancel(struct io *tls)
{
    io_tls_stream_cancel(tls);
}

void io_tls_server_peer(struct io *tls, struct io_tls_server_peer *out)
{
    SSL *ssl = io_tls_stream_ssl(tls);
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(ssl, &name, &n);
    out->resumed = SSL_session_reused(ssl) != 0;
    out->tls13 = SSL_version(ssl) >= TLS1_3_VERSION;
    out->http2 = n == 2 && memcmp(name, "h2", 2) == 0;
}
