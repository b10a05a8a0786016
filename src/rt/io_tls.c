/* A TLS client between a struct io below and a struct io above. OpenSSL works on two
 * memory BIOs and never sees a socket:
 *
 *     inner on_read -> BIO in -> SSL_read -> our on_read
 *     our write -> SSL_write -> BIO out -> inner write -> our on_written
 *
 * Everything happens in advance(), which moves what can be moved. Events that would
 * be due inside a call of ours (data that SSL holds already when reading starts) are
 * posted to the loop. A long write is encrypted piece by piece, as the inner stream
 * takes it: memory does not follow its length. Does not renegotiate and has no server side. */
#include "rt/io_tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "rt/io.h"
#include "rt/loop.h"

#define SESSIONS_MAX    16
#define PLAIN_BYTES     16384 /* the largest TLS record */
#define TAKE_MAX_BYTES  65536 /* plain bytes encrypted at once */
#define WIRE_MAX_BYTES  (4 * TAKE_MAX_BYTES)
#define PARTS_MAX       8 /* of one write */
#define READS_PER_TURN  16
#define PUSHES_PER_TURN 16

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
    unsigned refs; /* the owner and every stream */
};

struct tls {
    struct io io; /* first */
    struct io_tls_ctx *ctx;
    struct io *inner; /* owned; NULL once closed */
    SSL *ssl;         /* owned, with both BIOs */
    BIO *in, *out;    /* borrowed from ssl */
    char host[256];
    io_tls_ready_fn *ready; /* NULL once called */
    void *ready_owner;

    struct buf wire; /* encrypted bytes that the inner stream is writing */
    bool inner_writing;
    bool reading;
    bool writing;                /* on_written is due when `rest` and the wire are empty */
    struct span rest[PARTS_MAX]; /* borrowed: of that write, not yet encrypted */
    size_t rest_next, rest_count;
    bool inner_ended;   /* no more bytes will come */
    enum status failed; /* not ST_OK: the stream is broken */
    bool told_end;
    bool closing;
    bool canceled; /* in the handshake */
    bool posted;
    struct loop_msg turn;
};

static struct tls *of(struct io *io)
{
    return CONTAINER_OF(io, struct tls, io);
}

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
    struct tls *t = SSL_get_app_data(ssl);
    struct session *s = find_session(t->ctx, t->host);

    if (s == NULL) {
        s = &t->ctx->sessions[t->ctx->next];
        t->ctx->next = (t->ctx->next + 1) % SESSIONS_MAX;
        snprintf(s->host, sizeof(s->host), "%s", t->host);
    }
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1;
}

static void last_error(char *why, size_t why_cap)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    snprintf(why, why_cap, "%s", reason != NULL ? reason : "unknown error");
    ERR_clear_error();
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
        last_error(why, why_cap);
        free(c);
        return ST_UNAVAILABLE;
    }
    SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(c->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ssl, on_new_session);
    ok = ca_file != NULL ? SSL_CTX_load_verify_file(c->ssl, ca_file)
                         : SSL_CTX_set_default_verify_paths(c->ssl);
    if (ok != 1) {
        char reason[128];

        last_error(reason, sizeof(reason));
        snprintf(why, why_cap, "cannot read the CA file '%s': %s",
                 ca_file != NULL ? ca_file : "(system)", reason);
        ctx_unref(c);
        return ST_INVALID;
    }
    *out = c;
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

/* --- the stream -------------------------------------------------------------------- */

static void advance(struct tls *t);

static void on_turn(struct loop_msg *m)
{
    struct tls *t = CONTAINER_OF(m, struct tls, turn);

    t->posted = false;
    advance(t);
}

static void poke(struct tls *t)
{
    if (t->posted)
        return;
    t->posted = true;
    loop_defer(t->ctx->loop, &t->turn, on_turn);
}

static void destroy(struct tls *t)
{
    struct io_tls_ctx *c = t->ctx;

    SSL_free(t->ssl);
    buf_release(&t->wire);
    free(t);
    ctx_unref(c);
}

static void fail(struct tls *t, enum status st)
{
    t->failed = st;
    poke(t); /* the reader must hear of it, and the writer */
}

static enum status encrypt(struct tls *t, struct span s)
{
    size_t written;

    if (s.len == 0 || t->failed != ST_OK)
        return t->failed;
    ERR_clear_error();
    /* A memory BIO takes everything, so a write never wants to be repeated. */
    if (SSL_write_ex(t->ssl, s.ptr, s.len, &written) != 1 || written != s.len) {
        ERR_clear_error();
        fail(t, ST_UNAVAILABLE);
    }
    return t->failed;
}

/* The next piece of the write under way. */
static void encrypt_rest(struct tls *t)
{
    size_t room = TAKE_MAX_BYTES;

    while (t->rest_next < t->rest_count && room > 0 && t->failed == ST_OK) {
        struct span *s = &t->rest[t->rest_next];
        size_t n = s->len < room ? s->len : room;

        (void)encrypt(t, (struct span){s->ptr, n});
        s->ptr += n;
        s->len -= n;
        room -= n;
        if (s->len == 0)
            t->rest_next++;
    }
}

/* What is left in the BIO must wait for the inner stream. */
static void write_wire(struct tls *t, struct span left)
{
    struct span part;
    enum status st;

    buf_clear(&t->wire);
    st = buf_append(&t->wire, left);
    (void)BIO_reset(t->out);
    if (st == ST_OK) {
        part = buf_span(&t->wire);
        st = io_write(t->inner, &part, 1);
    }
    if (st == ST_OK)
        t->inner_writing = true;
    else
        fail(t, st);
}

/* Out of the BIO and on to the inner stream. */
static void flush(struct tls *t)
{
    for (unsigned i = 0; !t->inner_writing && t->inner != NULL && t->failed == ST_OK; i++) {
        char *p;
        long n;
        struct span part;
        size_t taken;
        enum status st;

        if (i == PUSHES_PER_TURN) {
            poke(t);
            return;
        }
        encrypt_rest(t);
        n = BIO_get_mem_data(t->out, &p);
        if (n <= 0)
            return;
        part = (struct span){p, (size_t)n};
        st = io_try_write(t->inner, &part, 1, &taken);
        if (st != ST_OK)
            fail(t, st);
        else if (taken < part.len)
            write_wire(t, (struct span){p + taken, part.len - taken});
        else
            (void)BIO_reset(t->out);
    }
}

static void explain(struct tls *t, enum status st, char *why, size_t why_cap)
{
    long verdict = SSL_get_verify_result(t->ssl);

    if (st == ST_CANCELED)
        snprintf(why, why_cap, "canceled");
    else if (verdict == X509_V_ERR_HOSTNAME_MISMATCH ||
             verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(why, why_cap, "certificate verify failed: it is not for '%.200s'", t->host);
    else if (verdict != X509_V_OK)
        snprintf(why, why_cap, "certificate verify failed: %s",
                 X509_verify_cert_error_string(verdict));
    else if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(why, why_cap, "the peer does not speak TLS");
    else if (ERR_peek_last_error() != 0)
        last_error(why, why_cap);
    else
        snprintf(why, why_cap, "the peer closed the connection during the handshake");
}

static void report_ready(struct tls *t, enum status st)
{
    io_tls_ready_fn *ready = t->ready;
    char why[256] = "";

    t->ready = NULL;
    if (st != ST_OK)
        explain(t, st, why, sizeof(why));
    ERR_clear_error();
    if (st == ST_OK) {
        t->ctx->handshakes++;
        t->ctx->resumed += SSL_session_reused(t->ssl) != 0;
        io_read_stop(t->inner);
        ready(t->ready_owner, ST_OK, &t->io, "");
        return;
    }
    t->closing = true;
    io_close(t->inner);
    ready(t->ready_owner, st, NULL, why);
}

static void handshake(struct tls *t)
{
    int rc, code;

    ERR_clear_error();
    rc = SSL_do_handshake(t->ssl);
    code = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc);
    flush(t); /* also the alert that says why we refuse */
    if (rc == 1)
        report_ready(t, ST_OK);
    else if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
        report_ready(t, ST_UNAVAILABLE);
    else if (t->inner_ended || t->failed != ST_OK)
        report_ready(t, ST_UNAVAILABLE);
}

static void tell_end(struct tls *t, enum status st)
{
    t->told_end = true;
    t->reading = false;
    t->io.events->on_read(t->io.owner, st, (struct span){NULL, 0});
}

/* One record; false: nothing more can be read now. */
static bool read_some(struct tls *t)
{
    char plain[PLAIN_BYTES];
    int n, code;

    ERR_clear_error();
    n = SSL_read(t->ssl, plain, sizeof(plain));
    if (n > 0) {
        t->io.events->on_read(t->io.owner, ST_OK, (struct span){plain, (size_t)n});
        return true;
    }
    code = SSL_get_error(t->ssl, n);
    ERR_clear_error();
    if (code == SSL_ERROR_ZERO_RETURN)
        tell_end(t, ST_CLOSED); /* close_notify: nobody cut it */
    else if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
        tell_end(t, ST_UNAVAILABLE);
    else if (t->inner_ended || t->failed != ST_OK)
        tell_end(t, ST_UNAVAILABLE);
    return false;
}

static void pump_reads(struct tls *t)
{
    for (unsigned i = 0; t->reading && !t->closing && !t->told_end; i++) {
        if (i == READS_PER_TURN) {
            poke(t);
            return;
        }
        if (!read_some(t))
            return;
    }
}

static void finish_write(struct tls *t)
{
    if (!t->writing)
        return;
    if (t->failed == ST_OK &&
        (t->rest_next < t->rest_count || t->inner_writing || BIO_pending(t->out) > 0))
        return;
    t->writing = false;
    t->io.events->on_written(t->io.owner, t->failed);
}

static void advance(struct tls *t)
{
    if (t->closing) {
        if (t->inner == NULL && !t->posted) {
            if (t->io.events != NULL)
                t->io.events->on_closed(t->io.owner);
            destroy(t);
        }
        return;
    }
    if (t->ready != NULL && t->canceled) {
        report_ready(t, ST_CANCELED);
        return;
    }
    if (t->ready != NULL) {
        handshake(t);
        return;
    }
    flush(t);
    pump_reads(t);
    if (t->closing)
        return;
    flush(t); /* a read may have made an answer to a key update */
    finish_write(t);
}

static void inner_read(void *owner, enum status st, struct span data)
{
    struct tls *t = owner;

    if (st != ST_OK)
        t->inner_ended = true;
    else if (BIO_write(t->in, data.ptr, (int)data.len) != (int)data.len)
        t->failed = ST_NOMEM;
    advance(t);
}

static void inner_written(void *owner, enum status st)
{
    struct tls *t = owner;

    t->inner_writing = false;
    if (st != ST_OK)
        t->failed = st;
    advance(t);
}

static void inner_closed(void *owner)
{
    struct tls *t = owner;

    t->inner = NULL;
    advance(t);
}

static const struct io_events inner_events = {inner_read, inner_written, inner_closed};

static void read_start(struct io *io)
{
    struct tls *t = of(io);

    t->reading = true;
    if (t->inner != NULL && !t->inner_ended)
        io_read_start(t->inner);
    poke(t); /* what SSL holds already */
}

static void read_stop(struct io *io)
{
    struct tls *t = of(io);

    t->reading = false;
    if (t->inner != NULL && !t->inner_ended)
        io_read_stop(t->inner);
}

static enum status try_write(struct io *io, const struct span *part, size_t n, size_t *taken)
{
    struct tls *t = of(io);

    assert(!t->writing && !t->closing);
    *taken = 0;
    if (t->failed != ST_OK)
        return t->failed;
    /* An earlier one is not through yet. */
    if (t->inner_writing || BIO_pending(t->out) > 0)
        return ST_OK;
    for (size_t i = 0; i < n && *taken < TAKE_MAX_BYTES; i++) {
        struct span s = part[i];

        if (s.len > TAKE_MAX_BYTES - *taken)
            s.len = TAKE_MAX_BYTES - *taken;
        if (encrypt(t, s) != ST_OK)
            return t->failed;
        *taken += s.len;
    }
    flush(t);
    return t->failed;
}

static enum status write_parts(struct io *io, const struct span *part, size_t n)
{
    struct tls *t = of(io);

    assert(!t->writing && !t->closing && n <= PARTS_MAX);
    if (t->failed != ST_OK)
        return t->failed;
    for (size_t i = 0; i < n; i++)
        t->rest[i] = part[i];
    t->rest_next = 0;
    t->rest_count = n;
    t->writing = true;
    flush(t);
    poke(t);
    return ST_OK;
}

static void shut(struct io *io)
{
    struct tls *t = of(io);

    if (t->closing || t->failed != ST_OK)
        return;
    SSL_shutdown(t->ssl); /* close_notify into the BIO */
    ERR_clear_error();
    flush(t);
}

static void close_io(struct io *io)
{
    struct tls *t = of(io);

    if (t->closing)
        return;
    /* close_notify, as far as it goes without waiting; not after half a write, which
     * would then look whole. */
    if (t->failed == ST_OK && !t->writing && !t->inner_writing && t->ready == NULL) {
        char *p;
        long n;
        size_t taken;

        SSL_shutdown(t->ssl);
        ERR_clear_error();
        n = BIO_get_mem_data(t->out, &p);
        if (n > 0)
            (void)!io_try_write(t->inner, &(struct span){p, (size_t)n}, 1, &taken);
    }
    t->closing = true;
    io_close(t->inner);
}

static void reset_io(struct io *io)
{
    struct tls *t = of(io);

    if (t->closing)
        return;
    t->closing = true;
    io_reset(t->inner);
}

static const struct io_ops ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .try_write = try_write,
    .write = write_parts,
    .shutdown = shut,
    .close = close_io,
    .reset = reset_io,
};

static bool is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool set_peer(struct tls *t, const char *host)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
    struct session *s = find_session(t->ctx, host);

    if (strlen(host) >= sizeof(t->host))
        return false;
    memcpy(t->host, host, strlen(host) + 1);
    if (s != NULL && SSL_SESSION_is_resumable(s->session))
        SSL_set_session(t->ssl, s->session);
    /* RFC 6066: no SNI for addresses. */
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1;
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(t->ssl, t->host) == 1 && SSL_set1_host(t->ssl, host) == 1;
}

static void drop_closed(void *owner)
{
    (void)owner;
}

static void drop_written(void *owner, enum status st)
{
    (void)owner;
    (void)st;
}

static const struct io_events drop_events = {NULL, drop_written, drop_closed};

static struct tls *tls_new(struct io_tls_ctx *c, const char *host)
{
    struct tls *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    c->refs++;
    t->io.ops = &ops;
    t->ctx = c;
    buf_init(&t->wire, WIRE_MAX_BYTES);
    t->ssl = SSL_new(c->ssl);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
        BIO_free(t->in);
        BIO_free(t->out);
        destroy(t);
        return NULL;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    SSL_set_app_data(t->ssl, t);
    if (!set_peer(t, host)) {
        destroy(t);
        return NULL;
    }
    return t;
}

enum status io_tls_client(struct io_tls_ctx *c, struct io *inner, const char *host,
                          io_tls_ready_fn *ready, void *owner, struct io **tls)
{
    struct tls *t = tls_new(c, host);

    if (t == NULL) {
        io_attach(inner, &drop_events, NULL);
        io_close(inner);
        return ST_NOMEM;
    }
    t->inner = inner;
    t->ready = ready;
    t->ready_owner = owner;
    io_attach(inner, &inner_events, t);
    io_read_start(inner);
    poke(t); /* the handshake starts from the loop */
    *tls = &t->io;
    return ST_OK;
}

void io_tls_cancel(struct io *io)
{
    struct tls *t = of(io);

    t->canceled = true;
    poke(t);
}
