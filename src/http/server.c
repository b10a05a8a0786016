/* One connection is one struct conn with the one stream it serves. All that moves is
 * in advance(): read what is there, tell the owner, flush, end. Events of the io call
 * it; calls of the owner only leave a wish and have it deferred, so that no event
 * comes from inside a call and nobody is freed under his own feet. */
#include "http/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "http/message.h"
#include "http/outbox.h"
#include "rt/io.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define ARENA_CHUNK_BYTES 16384
/* What one read brings, beyond a head that is not whole yet. */
#define IN_EXTRA_BYTES  (128 * 1024)
#define OUT_LIMIT_BYTES (64u * 1024 * 1024)
/* A request body that nobody read is thrown away so far, so that the client sees our
 * answer and not a reset; then the connection is cut. */
#define LINGER_BYTES      (512 * 1024)
#define LINGER_US         2000000
#define KEEP_BUFFER_BYTES 32768
/* Above the limit so many more are told why; the others are just closed. */
#define TURNED_AWAY_MAX 64
/* After the client's end of input: a half-closed client still reads, one that left
 * does not. Who takes nothing of the answer for so long has left. */
#define HALF_CLOSED_US 250000

enum conn_state {
    CONN_WAITING, /* no byte of a request yet */
    CONN_HEAD,    /* some bytes of a head */
    CONN_SERVING, /* `stream` is with its owner */
    CONN_LINGER,  /* the answer is out; what still comes is thrown away */
    CONN_CLOSING, /* io_close() called */
};

struct http_stream {
    void *owner;
    uint64_t started_us;
    uint64_t body_given; /* bytes of the answer's body written by the owner */
    bool body_wanted;
    bool body_done; /* the request's body was delivered to its end */
    bool responded; /* a head is out */
    bool chunked;
    bool no_body; /* HEAD: the answer's body is not written */
    bool ended;
    bool aborted;
    bool told_wait; /* on_drained is due */
    bool continue_sent;
    uint64_t left; /* of a body with a length */
};

struct conn {
    struct http_server *server; /* borrowed */
    struct io *io;              /* owned */
    struct list_node link;
    enum conn_state state;
    struct http_stream stream;
    struct message message;
    struct arena arena; /* of the request at hand */
    struct buf in;      /* read, not parsed yet */
    struct span fresh;  /* what on_read brought, while advance() runs on it */
    struct outbox out;
    bool reading;
    bool busy;     /* advance() runs */
    bool deferred; /* advance() will run */
    bool input_ended;
    bool broken; /* the stream failed: nothing can be written */
    bool timed_out;
    bool keep_alive;
    bool wrote_since_end; /* since the last look after the client's end of input */
    struct loop_msg turn;
    struct timer deadline;
    size_t lingered;
    char peer[64];
};

struct http_server {
    struct loop *loop;
    struct http_server_options o;
    const struct http_server_events *events;
    void *owner;
    struct list_node conns;
    struct http_server_stats stats;
    bool draining, closing;
    void (*drained)(void *owner);
    void (*closed)(void *owner);
    struct loop_msg gone;
    bool gone_posted;
    uint64_t date_s; /* of `date` */
    char date[40];
};

static void advance(struct conn *c);
static void on_deadline(struct timer *t);

static struct conn *conn_of(struct http_stream *s)
{
    return CONTAINER_OF(s, struct conn, stream);
}

/* --- ends --------------------------------------------------------------------------- */

static void on_gone(struct loop_msg *m)
{
    struct http_server *srv = CONTAINER_OF(m, struct http_server, gone);

    srv->gone_posted = false;
    if (srv->stats.connections_now > 0)
        return;
    if (srv->closing) {
        void (*closed)(void *) = srv->closed;
        void *owner = srv->owner;

        free(srv);
        closed(owner);
    } else if (srv->draining && srv->drained != NULL) {
        void (*drained)(void *) = srv->drained;

        srv->drained = NULL;
        drained(srv->owner);
    }
}

static void check_gone(struct http_server *srv)
{
    if (srv->stats.connections_now > 0 || srv->gone_posted || !(srv->draining || srv->closing))
        return;
    srv->gone_posted = true;
    loop_defer(srv->loop, &srv->gone, on_gone);
}

static void set_deadline(struct conn *c, uint64_t after_us)
{
    if (after_us == 0)
        timer_stop(c->server->loop, &c->deadline);
    else
        timer_start(c->server->loop, &c->deadline, after_us, on_deadline);
}

static void close_conn(struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    c->state = CONN_CLOSING;
    timer_stop(c->server->loop, &c->deadline);
    io_close(c->io);
}

static void on_io_closed(void *owner)
{
    struct conn *c = owner;
    struct http_server *srv = c->server;

    assert(!c->busy);
    list_remove(&c->link);
    srv->stats.connections_now--;
    buf_release(&c->in);
    outbox_release(&c->out);
    arena_release(&c->arena);
    /* A deferred turn still holds the memory. */
    if (c->deferred)
        c->io = NULL;
    else
        free(c);
    check_gone(srv);
}

static void on_turn(struct loop_msg *m)
{
    struct conn *c = CONTAINER_OF(m, struct conn, turn);

    c->deferred = false;
    if (c->io == NULL)
        free(c);
    else
        advance(c);
}

/* The owner wants something: see to it as soon as no call of his is on the stack. */
static void wish(struct conn *c)
{
    if (c->busy || c->deferred)
        return;
    c->deferred = true;
    loop_defer(c->server->loop, &c->turn, on_turn);
}

/* --- output ------------------------------------------------------------------------- */

static size_t pending(const struct conn *c)
{
    return outbox_pending(&c->out);
}

static void broke(struct conn *c)
{
    c->broken = true;
    outbox_drop(&c->out);
}

static void flush(struct conn *c)
{
    bool progress, was_writing = c->out.writing;

    if (c->broken)
        return;
    if (outbox_flush(&c->out, c->io, &progress) != ST_OK) {
        broke(c);
        return;
    }
    c->wrote_since_end |= progress;
    if (c->out.writing && !was_writing)
        set_deadline(c, c->server->o.write_timeout_us);
}

/* With nothing to write: which silence of the client is measured? */
static void deadline_after_writing(struct conn *c)
{
    if (c->state != CONN_SERVING)
        return; /* lingering has its own */
    if (c->input_ended)
        set_deadline(c, HALF_CLOSED_US);
    else if (c->stream.body_wanted && !c->stream.body_done && !c->message.done)
        set_deadline(c, c->server->o.body_timeout_us);
    else
        set_deadline(c, 0);
}

static void on_io_written(void *owner, enum status st)
{
    struct conn *c = owner;

    c->wrote_since_end = true;
    if (c->state == CONN_CLOSING)
        return;
    if (st != ST_OK || outbox_written(&c->out, c->io) != ST_OK) {
        c->out.writing = false;
        broke(c);
    }
    if (c->out.writing)
        set_deadline(c, c->server->o.write_timeout_us);
    else
        deadline_after_writing(c);
    advance(c);
}

/* RFC 9110 5.6.7, made once a second. */
static const char *date_now(struct http_server *srv)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if ((uint64_t)now != srv->date_s && gmtime_r(&now, &tm) != NULL) {
        srv->date_s = (uint64_t)now;
        (void)!strftime(srv->date, sizeof(srv->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return srv->date;
}

static enum status put(struct buf *b, struct span s)
{
    return buf_append(b, s);
}

static enum status put_field(struct buf *b, struct span name, struct span value)
{
    enum status st = buf_reserve(b, name.len + value.len + 4);

    if (st != ST_OK)
        return st;
    (void)!put(b, name);
    (void)!put(b, SPAN(": "));
    (void)!put(b, value);
    return put(b, SPAN("\r\n"));
}

static enum status put_framing(struct conn *c, unsigned status, uint64_t body_bytes)
{
    struct http_stream *s = &c->stream;
    bool bodiless = status == 204 || status == 304 || (status >= 100 && status < 200);
    enum status st = ST_OK;

    s->no_body = bodiless || span_eq(c->message.head.method, SPAN("HEAD"));
    if (bodiless) {
        s->left = 0;
    } else if (body_bytes != HTTP_BODY_CHUNKED) {
        s->left = body_bytes;
        st = buf_printf(&c->out.next, "Content-Length: %" PRIu64 "\r\n", body_bytes);
    } else if (c->message.head.minor >= 1) {
        s->chunked = true;
        st = put(&c->out.next, SPAN("Transfer-Encoding: chunked\r\n"));
    } else {
        s->left = UINT64_MAX; /* HTTP/1.0: the end of the connection is the end */
        c->keep_alive = false;
    }
    if (st == ST_OK && !c->keep_alive)
        st = put(&c->out.next, SPAN("Connection: close\r\n"));
    else if (st == ST_OK && c->message.head.minor == 0)
        st = put(&c->out.next, SPAN("Connection: keep-alive\r\n"));
    return st;
}

static enum status put_head(struct conn *c, unsigned status, const struct http_field *fields,
                            size_t n, uint64_t body_bytes)
{
    enum status st = buf_printf(&c->out.next, "HTTP/1.1 %03u %s\r\nDate: %s\r\n", status,
                                http_reason(status), date_now(c->server));

    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = put_field(&c->out.next, fields[i].name, fields[i].value);
    if (st == ST_OK)
        st = put_framing(c, status, body_bytes);
    return st == ST_OK ? put(&c->out.next, SPAN("\r\n")) : st;
}

enum status http_respond(struct http_stream *s, unsigned status,
                         const struct http_field *fields, size_t n, uint64_t body_bytes)
{
    struct conn *c = conn_of(s);
    size_t before = c->out.next.len;
    enum status st;

    assert(!s->responded && !s->ended);
    if (s->aborted)
        return ST_CANCELED;
    for (size_t i = 0; i < n; i++) {
        if (!http_field_is_safe(&fields[i]))
            return ST_INVALID;
    }
    /* A body that was not read to its end stands between us and the next request. */
    c->keep_alive = c->message.head.keep_alive && !c->server->draining && !c->input_ended &&
                    (s->body_done || c->message.done);
    st = put_head(c, status, fields, n, body_bytes);
    if (st != ST_OK) {
        c->out.next.len = before;
        return st;
    }
    s->responded = true;
    wish(c);
    return ST_OK;
}

enum status http_write(struct http_stream *s, struct span data, bool *wait)
{
    struct conn *c = conn_of(s);
    enum status st = ST_OK;

    assert(s->responded && !s->ended);
    *wait = false;
    if (s->aborted || c->broken)
        return ST_CANCELED;
    if (data.len == 0 || s->no_body)
        return ST_OK;
    if (s->chunked) {
        st = buf_reserve(&c->out.next, data.len + 24);
        if (st == ST_OK) {
            (void)!buf_printf(&c->out.next, "%zx\r\n", data.len);
            (void)!put(&c->out.next, data);
            (void)!put(&c->out.next, SPAN("\r\n"));
        }
    } else {
        if (data.len > s->left)
            return ST_LIMIT; /* more than was announced would be read as an answer */
        st = put(&c->out.next, data);
        if (st == ST_OK && s->left != UINT64_MAX)
            s->left -= data.len;
    }
    if (st != ST_OK)
        return st;
    s->body_given += data.len;
    if (pending(c) > c->server->o.out_high_bytes) {
        s->told_wait = true;
        *wait = true;
    }
    wish(c);
    return ST_OK;
}

void http_end(struct http_stream *s)
{
    struct conn *c = conn_of(s);

    if (s->ended || s->aborted)
        return;
    if (!s->responded ||
        (!s->chunked && !s->no_body && s->left != 0 && s->left != UINT64_MAX)) {
        http_abort(s); /* less than was announced */
        return;
    }
    if (s->chunked && !s->no_body && put(&c->out.next, SPAN("0\r\n\r\n")) != ST_OK) {
        http_abort(s);
        return;
    }
    s->ended = true;
    wish(c);
}

void http_abort(struct http_stream *s)
{
    if (s->ended || s->aborted)
        return;
    s->aborted = true;
    wish(conn_of(s));
}

/* --- input -------------------------------------------------------------------------- */

static struct span input(const struct conn *c)
{
    return c->in.len > 0 ? buf_span(&c->in) : c->fresh;
}

static void spend(struct conn *c, size_t n)
{
    if (c->in.len > 0) {
        buf_consume(&c->in, n);
    } else {
        c->fresh.ptr += n;
        c->fresh.len -= n;
    }
}

static void want_reads(struct conn *c, bool want)
{
    if (want == c->reading || c->state == CONN_CLOSING || c->input_ended)
        return;
    c->reading = want;
    if (want)
        io_read_start(c->io);
    else
        io_read_stop(c->io);
}

static void start_waiting(struct conn *c)
{
    arena_reset(&c->arena);
    message_start(&c->message, MESSAGE_REQUEST, &c->arena, c->server->o.head_max_bytes, false);
    c->state = CONN_WAITING;
    c->stream = (struct http_stream){0};
    set_deadline(c, c->server->o.idle_timeout_us);
}

static void linger(struct conn *c)
{
    c->state = CONN_LINGER;
    io_shutdown(c->io);
    set_deadline(c, LINGER_US);
}

/* A request that never became a stream: our words, then the end. */
static void refuse(struct conn *c, unsigned status, const char *text)
{
    struct http_server *srv = c->server;
    struct http_field field = {SPAN("Content-Type"), SPAN("application/json")};
    struct buf body;

    buf_init(&body, 4096);
    srv->events->write_error(srv->owner, status, text, &body);
    c->keep_alive = false;
    c->message.head.minor = 1;
    c->message.head.method = SPAN("GET");
    if (put_head(c, status, &field, 1, body.len) == ST_OK)
        (void)!put(&c->out.next, buf_span(&body));
    buf_release(&body);
    flush(c);
    linger(c);
}

static void begin_stream(struct conn *c)
{
    struct http_server *srv = c->server;
    uint64_t started_us = c->stream.started_us;

    c->state = CONN_SERVING;
    c->stream = (struct http_stream){.started_us = started_us};
    srv->stats.requests_total++;
    set_deadline(c, 0);
    srv->events->on_request(srv->owner, &c->stream);
}

static void read_head(struct conn *c)
{
    enum message_event event;
    size_t used;
    enum status st;

    if (c->state == CONN_WAITING) {
        c->state = CONN_HEAD;
        c->stream.started_us = clock_now_us();
        set_deadline(c, c->server->o.head_timeout_us);
    }
    st = message_next(&c->message, input(c), &used, &event);
    if (st != ST_OK) {
        c->server->stats.bad_heads_total++;
        refuse(c, st == ST_NOMEM ? 503 : c->message.refuse_status,
               st == ST_NOMEM ? "out of memory" : c->message.refuse_text);
        return;
    }
    spend(c, used);
    if (event == MESSAGE_HEAD)
        begin_stream(c);
}

/* The rest of a stream that ended without its owner's doing. */
static void lose_stream(struct conn *c, enum status st)
{
    struct http_server *srv = c->server;
    void *owner = c->stream.owner;

    srv->events->on_closed(owner, &c->stream, st);
    close_conn(c);
}

static void read_body(struct conn *c)
{
    struct http_server *srv = c->server;
    struct http_stream *s = &c->stream;
    enum message_event event;
    size_t used;

    if (message_next(&c->message, input(c), &used, &event) != ST_OK) {
        srv->stats.bad_heads_total++;
        lose_stream(c, ST_INVALID);
        return;
    }
    if (event == MESSAGE_BODY) {
        set_deadline(c, srv->o.body_timeout_us);
        srv->events->on_body(s->owner, s, c->message.piece);
    } else if (event == MESSAGE_END) {
        s->body_done = true;
        set_deadline(c, 0);
        srv->events->on_body_end(s->owner, s);
    }
    spend(c, used); /* moves what the piece was in */
}

static bool can_read_body(const struct conn *c)
{
    const struct http_stream *s = &c->stream;

    return s->body_wanted && !s->body_done && !s->ended && !s->aborted &&
           (input(c).len > 0 || c->message.done);
}

/* One thing that the input allows; false when there is none. */
static bool take_input(struct conn *c)
{
    size_t before = input(c).len;
    enum conn_state state = c->state;
    bool done = c->stream.body_done;

    switch (c->state) {
    case CONN_WAITING:
    case CONN_HEAD:
        if (before == 0)
            return false;
        read_head(c);
        break;
    case CONN_SERVING:
        if (!can_read_body(c))
            return false;
        read_body(c);
        break;
    case CONN_LINGER:
        c->lingered += before;
        buf_clear(&c->in);
        c->fresh.len = 0;
        if (c->lingered > LINGER_BYTES)
            close_conn(c);
        return false;
    case CONN_CLOSING:
        return false;
    }
    return input(c).len != before || c->state != state || c->stream.body_done != done;
}

/* --- the end of an answer ------------------------------------------------------------ */

static void end_stream(struct conn *c, enum status st)
{
    struct http_server *srv = c->server;
    bool again = st == ST_OK && c->keep_alive && !c->input_ended && !srv->draining;
    bool was_read = c->stream.body_done || c->message.done;
    bool endless = c->stream.left == UINT64_MAX;
    void *owner = c->stream.owner;

    srv->events->on_closed(owner, &c->stream, st);
    if (again) {
        outbox_trim(&c->out, KEEP_BUFFER_BYTES);
        start_waiting(c);
    } else if (st != ST_OK && endless) {
        c->state = CONN_CLOSING;
        timer_stop(srv->loop, &c->deadline);
        io_reset(c->io); /* for HTTP/1.0 a FIN would be a clean end */
    } else if (st == ST_OK && (!was_read || !c->input_ended)) {
        linger(c);
    } else {
        close_conn(c);
    }
}

/* Is the stream over? Then its last event goes out. */
static bool settle(struct conn *c)
{
    struct http_stream *s = &c->stream;

    if (c->state != CONN_SERVING)
        return false;
    if (c->broken || c->timed_out) {
        end_stream(c, c->server->closing ? ST_CANCELED : c->timed_out ? ST_TIMEOUT : ST_CLOSED);
        return true;
    }
    if (pending(c) > 0)
        return false;
    if (s->ended || s->aborted) {
        end_stream(c, s->ended ? ST_OK : ST_CANCELED);
        return true;
    }
    return false;
}

static void tell_drained(struct conn *c)
{
    struct http_stream *s = &c->stream;

    if (c->state != CONN_SERVING || !s->told_wait || s->ended || s->aborted || c->broken ||
        pending(c) > c->server->o.out_low_bytes)
        return;
    s->told_wait = false;
    c->server->events->on_drained(s->owner, s);
}

/* What was read and not used waits; the socket is not read while it does. */
static void save_rest(struct conn *c)
{
    struct span rest = c->fresh;

    c->fresh.len = 0;
    if (rest.len > 0 && c->state != CONN_CLOSING && buf_append(&c->in, rest) != ST_OK)
        broke(c);
    if (c->in.len == 0 && c->in.cap > KEEP_BUFFER_BYTES)
        buf_release(&c->in);
}

static bool wants_input(const struct conn *c)
{
    switch (c->state) {
    case CONN_WAITING:
    case CONN_HEAD:
    case CONN_LINGER:
        return true;
    case CONN_SERVING:
        /* With its body read the client is still listened to, so that we hear it
         * leave; but not further than one read ahead. */
        if (c->stream.body_done || c->message.done)
            return c->in.len == 0;
        return c->stream.body_wanted && c->in.len == 0;
    case CONN_CLOSING:
        break;
    }
    return false;
}

static void advance(struct conn *c)
{
    bool more = true;

    if (c->busy || c->state == CONN_CLOSING)
        return;
    c->busy = true;
    while (more && c->state != CONN_CLOSING) {
        more = !c->broken && take_input(c);
        if (c->state == CONN_CLOSING)
            break;
        /* One write for head, body and end of an answer that was made at once. */
        if (!more || c->stream.ended || c->stream.aborted)
            flush(c);
        tell_drained(c);
        more |= settle(c);
    }
    save_rest(c);
    if (c->state == CONN_LINGER && (c->broken || (c->input_ended && pending(c) == 0)))
        close_conn(c);
    else if (c->broken && c->state != CONN_CLOSING && c->state != CONN_SERVING)
        close_conn(c);
    want_reads(c, wants_input(c));
    c->busy = false;
    /* on_drained or on_body may have written. */
    if (c->state == CONN_SERVING && c->out.next.len > 0 && !c->out.writing)
        wish(c);
}

/* --- events of the io ---------------------------------------------------------------- */

static void input_end(struct conn *c, enum status st)
{
    c->input_ended = true;
    c->reading = false;
    if (st != ST_CLOSED) {
        broke(c);
    } else if (c->state == CONN_SERVING) {
        /* Gone, or only done with sending? Time will tell (on_deadline). */
        if (!c->stream.body_done && !c->message.done)
            broke(c);
        else if (!c->out.writing)
            set_deadline(c, HALF_CLOSED_US);
        c->wrote_since_end = false;
        return;
    } else if (c->state != CONN_LINGER || pending(c) == 0) {
        close_conn(c);
    }
}

static void on_io_read(void *owner, enum status st, struct span data)
{
    struct conn *c = owner;

    if (c->state == CONN_CLOSING)
        return;
    if (st != ST_OK) {
        input_end(c, st);
    } else if (c->in.len > 0) {
        if (buf_append(&c->in, data) != ST_OK)
            broke(c);
    } else {
        c->fresh = data;
    }
    advance(c);
}

static const struct io_events io_events = {on_io_read, on_io_written, on_io_closed};

/* A half-closed client that took something since has not left. */
static bool still_there(struct conn *c)
{
    if (!c->input_ended || c->out.writing || !c->wrote_since_end)
        return false;
    c->wrote_since_end = false;
    set_deadline(c, HALF_CLOSED_US);
    return true;
}

static void on_deadline(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, deadline);

    switch (c->state) {
    case CONN_WAITING:
    case CONN_LINGER:
        close_conn(c);
        return;
    case CONN_HEAD:
        c->server->stats.timeouts_total++;
        refuse(c, 408, "the request's head took too long");
        return;
    case CONN_SERVING:
        if (still_there(c))
            return;
        if (c->input_ended) {
            broke(c);
        } else {
            c->server->stats.timeouts_total++;
            c->timed_out = true;
        }
        advance(c);
        return;
    case CONN_CLOSING:
        return;
    }
}

/* --- the rest of the interface -------------------------------------------------------- */

enum status http_server_open(struct loop *loop, const struct http_server_options *o,
                             const struct http_server_events *ev, void *owner,
                             struct http_server **out)
{
    struct http_server *srv = calloc(1, sizeof(*srv));

    if (srv == NULL)
        return ST_NOMEM;
    srv->loop = loop;
    srv->o = *o;
    srv->events = ev;
    srv->owner = owner;
    list_init(&srv->conns);
    *out = srv;
    return ST_OK;
}

static void on_dropped_closed(void *owner)
{
    (void)owner;
}

static const struct io_events dropped_events = {.on_closed = on_dropped_closed};

static void drop(struct http_server *srv, struct io *io)
{
    srv->stats.refused_total++;
    io_attach(io, &dropped_events, NULL);
    io_close(io);
}

static struct conn *conn_new(struct http_server *srv, struct io *io, const char *peer)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->server = srv;
    c->io = io;
    snprintf(c->peer, sizeof(c->peer), "%s", peer);
    arena_init(&c->arena, ARENA_CHUNK_BYTES, srv->o.arena_max_bytes);
    buf_init(&c->in, srv->o.head_max_bytes + IN_EXTRA_BYTES);
    outbox_init(&c->out, OUT_LIMIT_BYTES);
    list_append(&srv->conns, &c->link);
    srv->stats.connections_now++;
    io_attach(io, &io_events, c);
    start_waiting(c);
    return c;
}

void http_server_accept(struct http_server *srv, struct io *io, const char *peer)
{
    bool full = srv->stats.connections_now >= srv->o.connections_max;
    struct conn *c = NULL;

    if (!srv->closing && srv->stats.connections_now < srv->o.connections_max + TURNED_AWAY_MAX)
        c = conn_new(srv, io, peer);
    if (c == NULL) {
        drop(srv, io);
        return;
    }
    if (full) {
        srv->stats.refused_total++;
        refuse(c, 503, "too many connections");
    } else {
        srv->stats.connections_total++;
    }
    want_reads(c, true);
}

void http_server_drain(struct http_server *srv, void (*drained)(void *owner))
{
    struct list_node *n, *next;

    srv->draining = true;
    srv->drained = drained;
    for (n = srv->conns.next; n != &srv->conns; n = next) {
        struct conn *c = CONTAINER_OF(n, struct conn, link);

        next = n->next;
        if (c->state == CONN_WAITING && c->in.len == 0)
            close_conn(c);
    }
    check_gone(srv);
}

void http_server_close(struct http_server *srv, void (*closed)(void *owner))
{
    srv->closing = true;
    srv->closed = closed;
    for (struct list_node *n = srv->conns.next; n != &srv->conns; n = n->next) {
        struct conn *c = CONTAINER_OF(n, struct conn, link);

        if (c->state == CONN_SERVING) {
            broke(c);
            c->stream.aborted = true;
            wish(c);
        } else {
            close_conn(c);
        }
    }
    check_gone(srv);
}

void http_server_stats(const struct http_server *srv, struct http_server_stats *out)
{
    *out = srv->stats;
}

void http_stream_set_owner(struct http_stream *s, void *owner)
{
    s->owner = owner;
}

const struct http_head *http_stream_head(struct http_stream *s)
{
    return &conn_of(s)->message.head;
}

struct arena *http_stream_arena(struct http_stream *s)
{
    return &conn_of(s)->arena;
}

const char *http_stream_peer(struct http_stream *s)
{
    return conn_of(s)->peer;
}

uint64_t http_stream_started_us(const struct http_stream *s)
{
    return s->started_us;
}

void http_read_start(struct http_stream *s)
{
    struct conn *c = conn_of(s);

    if (s->body_done || s->body_wanted)
        return;
    s->body_wanted = true;
    if (c->message.head.expect_continue && !s->continue_sent && !s->responded &&
        !c->message.done && input(c).len == 0)
        (void)!put(&c->out.next, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    s->continue_sent = true;
    if (!c->message.done)
        set_deadline(c, c->server->o.body_timeout_us);
    wish(c);
}

void http_read_stop(struct http_stream *s)
{
    s->body_wanted = false;
    if (!s->body_done)
        set_deadline(conn_of(s), 0);
}

uint64_t http_stream_body_sent(struct http_stream *s)
{
    size_t waiting = pending(CONTAINER_OF(s, struct conn, stream));

    /* Framing that waits counts as body that does: never too much is claimed. */
    return waiting < s->body_given ? s->body_given - waiting : 0;
}
