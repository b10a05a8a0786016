/* Between a struct io below and a struct io above. OpenSSL works on a struct io_tls_wire and
 * never sees a socket:
 *
 *     inner on_read -> wire -> SSL_read -> our on_read
 *     our write -> SSL_write -> wire -> inner write -> our on_written
 *
 * Everything happens in advance(), which moves what can be moved. Events that would
 * be due inside a call of ours (data that SSL holds already when reading starts) are
 * posted to the loop. A long write is encrypted piece by piece, as the inner stream
 * takes it: memory does not follow its length. While something of a read is left, because the
 * reader stopped or its records are many and small, the inner stream is not read. Does not
 * renegotiate. */
#include "rt/io_tls_stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/buf.h"
#include "rt/io.h"
#include "rt/io_tls_wire.h"
#include "rt/loop.h"

#define PLAIN_BYTES     16384 /* the largest TLS record */
#define TAKE_MAX_BYTES  65536 /* plain bytes encrypted at once */
#define PARTS_MAX       8     /* of one write */
#define READS_PER_TURN  16
#define PUSHES_PER_TURN 16

struct tls {
    struct io io; /* first */
    struct loop *loop;
    const struct io_tls_kind *kind;
    void *kind_owner;
    struct io *inner;       /* owned; NULL once closed */
    SSL *ssl;               /* owned */
    io_tls_ready_fn *ready; /* NULL once called */
    void *ready_owner;

    struct io_tls_wire wire;
    struct buf sending; /* what the inner stream is writing */
    bool inner_writing;
    bool inner_reading; /* it was told to read */
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

void io_tls_stream_error(char *why, size_t why_cap)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    snprintf(why, why_cap, "%s", reason != NULL ? reason : "unknown error");
    ERR_clear_error();
}

/* --- moving ------------------------------------------------------------------------ */

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
    loop_defer(t->loop, &t->turn, on_turn);
}

static void destroy(struct tls *t)
{
    SSL_free(t->ssl);
    io_tls_wire_release(&t->wire);
    buf_release(&t->sending);
    t->kind->release(t->kind_owner);
    free(t);
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
    /* The wire takes everything, so a write never wants to be repeated. */
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

/* What is left must wait for the inner stream; what comes after it gets another buffer. */
static void send_rest(struct tls *t, size_t taken)
{
    struct span part = {t->wire.out.ptr + taken, t->wire.out.len - taken};
    enum status st = io_write(t->inner, &part, 1);

    if (st != ST_OK) {
        fail(t, st);
        return;
    }
    t->inner_writing = true;
    t->sending = t->wire.out;
    buf_init(&t->wire.out, t->sending.limit);
}

/* Off the wire and on to the inner stream. */
static void flush(struct tls *t)
{
    for (unsigned i = 0; !t->inner_writing && t->inner != NULL && t->failed == ST_OK; i++) {
        struct span part;
        size_t taken;
        enum status st;

        if (i == PUSHES_PER_TURN) {
            poke(t);
            return;
        }
        encrypt_rest(t);
        part = buf_span(&t->wire.out);
        if (part.len == 0)
            return;
        st = io_try_write(t->inner, &part, 1, &taken);
        if (st != ST_OK)
            fail(t, st);
        else if (taken < part.len)
            send_rest(t, taken);
        else
            buf_release(&t->wire.out);
    }
}

static void choose_reads(struct tls *t)
{
    bool want = (t->reading || t->ready != NULL) && !io_tls_wire_is_behind(&t->wire);

    if (want == t->inner_reading || t->inner == NULL || t->inner_ended)
        return;
    t->inner_reading = want;
    if (want)
        io_read_start(t->inner);
    else
        io_read_stop(t->inner);
}

/* In words, and in a status of the kind's. */
static enum status explain(struct tls *t, enum status st, char *why, size_t why_cap)
{
    why[0] = '\0';
    if (st == ST_CANCELED) {
        snprintf(why, why_cap, "canceled");
        return st;
    }
    st = t->kind->explain(t->kind_owner, t->ssl, why, why_cap);
    if (why[0] == '\0' && ERR_peek_last_error() != 0)
        io_tls_stream_error(why, why_cap);
    else if (why[0] == '\0')
        snprintf(why, why_cap, "the peer closed the connection during the handshake");
    return st;
}

static void report_ready(struct tls *t, enum status st)
{
    io_tls_ready_fn *ready = t->ready;
    char why[256] = "";

    t->ready = NULL;
    if (st != ST_OK)
        st = explain(t, st, why, sizeof(why));
    ERR_clear_error();
    if (st == ST_OK) {
        t->kind->secured(t->kind_owner, t->ssl);
        choose_reads(t);
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
        (t->rest_next < t->rest_count || t->inner_writing || t->wire.out.len > 0))
        return;
    t->writing = false;
    t->io.events->on_written(t->io.owner, t->failed);
}

static void move(struct tls *t)
{
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
    move(t);
    /* What the read brought is gone when it returns. */
    if (io_tls_wire_keep(&t->wire) != ST_OK)
        fail(t, ST_NOMEM);
    if (!t->closing)
        choose_reads(t);
}

static void inner_read(void *owner, enum status st, struct span data)
{
    struct tls *t = owner;

    if (st != ST_OK)
        t->inner_ended = true;
    else if (io_tls_wire_offer(&t->wire, data) != ST_OK)
        t->failed = ST_NOMEM;
    advance(t);
}

static void inner_written(void *owner, enum status st)
{
    struct tls *t = owner;

    t->inner_writing = false;
    buf_release(&t->sending);
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
    choose_reads(t);
    poke(t); /* what SSL holds already */
}

static void read_stop(struct io *io)
{
    struct tls *t = of(io);

    t->reading = false;
    choose_reads(t);
}

static enum status try_write(struct io *io, const struct span *part, size_t n, size_t *taken)
{
    struct tls *t = of(io);

    assert(!t->writing && !t->closing);
    *taken = 0;
    if (t->failed != ST_OK)
        return t->failed;
    /* An earlier one is not through yet. */
    if (t->inner_writing || t->wire.out.len > 0)
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
    SSL_shutdown(t->ssl); /* close_notify onto the wire */
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
        struct span part;
        size_t taken;

        SSL_shutdown(t->ssl);
        ERR_clear_error();
        part = buf_span(&t->wire.out);
        if (part.len > 0)
            (void)!io_try_write(t->inner, &part, 1, &taken);
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

static void client_name(struct io *io, char *out, size_t cap)
{
    struct tls *t = of(io);

    if (t->kind->client_name != NULL)
        t->kind->client_name(t->ssl, out, cap);
}

static const struct io_ops ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .try_write = try_write,
    .write = write_parts,
    .shutdown = shut,
    .close = close_io,
    .reset = reset_io,
    .client_name = client_name,
};

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

static void refuse(const struct io_tls_stream_parts *p)
{
    SSL_free(p->ssl);
    p->kind->release(p->kind_owner);
    io_attach(p->inner, &drop_events, NULL);
    io_close(p->inner);
}

static struct tls *tls_new(const struct io_tls_stream_parts *p)
{
    struct tls *t = calloc(1, sizeof(*t));
    BIO *wire;

    if (t == NULL)
        return NULL;
    io_tls_wire_init(&t->wire);
    wire = io_tls_wire_bio(&t->wire);
    if (wire == NULL) {
        free(t);
        return NULL;
    }
    SSL_set_bio(p->ssl, wire, wire);
    t->io.ops = &ops;
    t->loop = p->loop;
    t->kind = p->kind;
    t->kind_owner = p->kind_owner;
    t->ssl = p->ssl;
    return t;
}

enum status io_tls_stream_open(const struct io_tls_stream_parts *p, io_tls_ready_fn *ready,
                               void *owner, struct io **tls)
{
    struct tls *t = p->ssl != NULL ? tls_new(p) : NULL;

    if (t == NULL) {
        refuse(p);
        return ST_NOMEM;
    }
    t->inner = p->inner;
    t->ready = ready;
    t->ready_owner = owner;
    if (io_tls_wire_offer(&t->wire, p->first) != ST_OK || io_tls_wire_keep(&t->wire) != ST_OK)
        t->failed = ST_NOMEM;
    io_attach(p->inner, &inner_events, t);
    choose_reads(t);
    poke(t); /* the handshake starts from the loop */
    *tls = &t->io;
    return ST_OK;
}

void io_tls_stream_cancel(struct io *io)
{
    struct tls *t = of(io);

    t->canceled = true;
    poke(t);
}

SSL *io_tls_stream_ssl(struct io *io)
{
    return of(io)->ssl;
}
