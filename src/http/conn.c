/* One connection is one struct conn, with the one stream it serves, or, when it opens with
 * HTTP/2's preface, with the frames of many (http2.c). All that moves is in advance(): read
 * what is there, tell the owner, flush, end. Events of the io call it; calls of the owner
 * only leave a wish and have it deferred, so that no event comes from inside a call and
 * nobody is freed under his own feet. */
#include "http/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/http1.h"
#include "http/http2.h"
#include "rt/io.h"

#define ARENA_CHUNK_BYTES 4096
/* What one read brings, beyond a head that is not whole yet. */
#define IN_EXTRA_BYTES  ((size_t)128 * 1024)
#define OUT_LIMIT_BYTES ((size_t)64 * 1024 * 1024)
/* A request body that nobody read is thrown away so far, so that the client sees our
 * answer and not a reset; then the connection is cut. */
#define LINGER_BYTES      ((size_t)512 * 1024)
#define LINGER_US         2000000
#define KEEP_BUFFER_BYTES 32768
/* Most ask again soon; what a request needs is given back when one does not. */
#define REST_US 1000000
/* After the client's end of input: a half-closed client still reads, one that left
 * does not. Who takes nothing of the answer for so long has left. */
#define HALF_CLOSED_US 250000
/* While draining, a new connection that asks nothing is not waited for any longer. */
#define DRAIN_IDLE_US 500000
/* A SPIFFE ID has at most 2048 bytes, and none that anybody uses has so many. */
#define CLIENT_NAME_BYTES 512

static void advance(struct conn *c);
static void on_deadline(struct timer *t);

/* --- the ends -------------------------------------------------------------------- */

static void apply_deadline(struct conn *c)
{
    c->deadline_due = false;
    if (c->deadline_us == 0)
        timer_stop(c->server->loop, &c->deadline);
    else
        timer_start(c->server->loop, &c->deadline, c->deadline_us, on_deadline);
}

/* Of the many in one turn, when a request comes at once, the last one counts. */
void conn_set_deadline(struct conn *c, uint64_t after_us)
{
    c->deadline_us = after_us;
    c->deadline_due = true;
    if (!c->busy)
        apply_deadline(c);
}

void conn_close(struct conn *c)
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
    http2_free(c->frames);
    buf_release(&c->in);
    outbox_release(&c->out);
    arena_release(&c->arena);
    free(c->client);
    c->client = NULL;
    /* A deferred turn still holds the memory. */
    if (c->deferred)
        c->io = NULL;
    else
        free(c);
    server_check_gone(srv);
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

void conn_wish(struct conn *c)
{
    if (c->busy || c->deferred)
        return;
    c->deferred = true;
    loop_defer(c->server->loop, &c->turn, on_turn);
}

/* --- output ---------------------------------------------------------------------- */

void conn_broke(struct conn *c)
{
    c->broken = true;
    outbox_drop(&c->out);
}

void conn_flush(struct conn *c)
{
    bool progress, was_writing = c->out.writing;

    if (c->broken)
        return;
    if (outbox_flush(&c->out, c->io, &progress) != ST_OK) {
        conn_broke(c);
        return;
    }
    c->wrote_since_end |= progress;
    if (c->out.writing && !was_writing)
        conn_set_deadline(c, c->server->o.write_timeout_us);
}

/* With nothing to write: which silence of the client is measured? */
static void deadline_after_writing(struct conn *c)
{
    if (c->state == CONN_FRAMES)
        conn_set_deadline(c, 0); /* other silences are its streams' */
    if (c->state != CONN_SERVING)
        return; /* lingering has its own */
    if (c->input_ended)
        conn_set_deadline(c, HALF_CLOSED_US);
    else if (c->stream.body_wanted && !c->stream.body_done && !c->message.done &&
             !c->stream.switched)
        conn_set_deadline(c, c->server->o.body_timeout_us);
    else
        conn_set_deadline(c, 0);
}

static void on_io_written(void *owner, enum status st)
{
    struct conn *c = owner;

    c->wrote_since_end = true;
    if (c->state == CONN_CLOSING)
        return;
    if (st != ST_OK || outbox_written(&c->out, c->io) != ST_OK) {
        c->out.writing = false;
        conn_broke(c);
    }
    if (c->out.writing)
        conn_set_deadline(c, c->server->o.write_timeout_us);
    else
        deadline_after_writing(c);
    advance(c);
}

/* --- input ----------------------------------------------------------------------- */

void conn_spend(struct conn *c, size_t n)
{
    if (c->in.len > 0) {
        buf_consume(&c->in, n);
    } else {
        c->fresh.ptr += n;
        c->fresh.len -= n;
    }
}

void conn_want_reads(struct conn *c, bool want)
{
    if (want == c->reading || c->state == CONN_CLOSING || c->input_ended)
        return;
    c->reading = want;
    if (want)
        io_read_start(c->io);
    else
        io_read_stop(c->io);
}

/* The first second of silence; then what is left of it, with empty hands (rest()). */
void conn_wait_idle(struct conn *c, uint64_t idle_us)
{
    c->idle_until_us = loop_now_us(c->server->loop) + idle_us;
    conn_set_deadline(c, idle_us < REST_US ? idle_us : REST_US);
}

static void start_waiting(struct conn *c)
{
    arena_reset(&c->arena);
    message_start(&c->message, MESSAGE_REQUEST, &c->arena, c->server->o.head_max_bytes, false);
    c->state = CONN_WAITING;
    c->stream = (struct http_stream){
        .kind = &http1_kind, .conn = c, .head = &c->message.head, .arena = &c->arena};
    conn_wait_idle(c, c->server->draining ? DRAIN_IDLE_US : c->server->o.idle_timeout_us);
}

/* Silent for the whole time it has? Otherwise it is kept, without memory for a request. */
static void rest(struct conn *c)
{
    uint64_t now = loop_now_us(c->server->loop);

    if (now >= c->idle_until_us) {
        conn_close(c);
        return;
    }
    arena_release(&c->arena);
    buf_release(&c->in);
    outbox_trim(&c->out, 0);
    conn_set_deadline(c, c->idle_until_us - now);
}

void conn_linger(struct conn *c)
{
    c->state = CONN_LINGER;
    io_shutdown(c->io);
    conn_set_deadline(c, LINGER_US);
}

void conn_refuse(struct conn *c, unsigned status, const char *text)
{
    struct http_server *srv = c->server;
    struct http_field field = {SPAN("Content-Type"), SPAN("application/json")};
    struct buf body;

    buf_init(&body, 4096);
    srv->events->write_error(srv->owner, status, text, &body);
    c->keep_alive = false;
    c->message.head.minor = 1;
    c->message.head.method = SPAN("GET");
    if (http1_put_head(&c->stream, status, &field, 1, body.len) == ST_OK)
        (void)!buf_append(&c->out.next, buf_span(&body));
    buf_release(&body);
    conn_flush(c);
    conn_linger(c);
}

static void begin_stream(struct conn *c)
{
    struct http_server *srv = c->server;

    c->state = CONN_SERVING;
    srv->stats.requests_total++;
    conn_set_deadline(c, 0);
    srv->events->on_request(srv->owner, &c->stream);
}

/* By the first bytes (RFC 9113 3.3: prior knowledge). False: more are needed, or it was not
 * HTTP/1.1. */
static bool choose_version(struct conn *c)
{
    enum http2_preface is = http2_preface(conn_input(c));

    if (c->server->o.http2_streams_max == 0 || is == HTTP2_PREFACE_NOT) {
        c->chose = true;
        return true;
    }
    if (is == HTTP2_PREFACE_MORE)
        return false;
    c->chose = true;
    if (http2_open(c, &c->frames) != ST_OK) {
        conn_close(c);
        return false;
    }
    c->state = CONN_FRAMES;
    conn_set_deadline(c, 0);
    return false;
}

static void read_head(struct conn *c)
{
    enum message_event event;
    size_t used;
    enum status st;

    if (c->state == CONN_WAITING) {
        c->state = CONN_HEAD;
        c->stream.started_us = loop_now_us(c->server->loop);
        conn_set_deadline(c, c->server->o.head_timeout_us);
    }
    if (!c->chose && !choose_version(c))
        return;
    st = message_next(&c->message, conn_input(c), &used, &event);
    if (st != ST_OK) {
        c->server->stats.bad_heads_total++;
        conn_refuse(c, st == ST_NOMEM ? 503 : c->message.refuse_status,
                    st == ST_NOMEM ? "out of memory" : c->message.refuse_text);
        return;
    }
    conn_spend(c, used);
    if (event == MESSAGE_HEAD)
        begin_stream(c);
}

/* The rest of a stream that ended without its owner's doing. */
static void lose_stream(struct conn *c, enum status st)
{
    struct http_server *srv = c->server;
    void *owner = c->stream.owner;

    srv->events->on_closed(owner, &c->stream, st);
    conn_close(c);
}

static void read_body(struct conn *c)
{
    struct http_server *srv = c->server;
    struct http_stream *s = &c->stream;
    enum message_event event;
    size_t used;

    if (message_next(&c->message, conn_input(c), &used, &event) != ST_OK) {
        srv->stats.bad_heads_total++;
        lose_stream(c, ST_INVALID);
        return;
    }
    if (event == MESSAGE_BODY) {
        if (!s->switched)
            conn_set_deadline(c, srv->o.body_timeout_us);
        srv->events->on_body(s->owner, s, c->message.piece);
    } else if (event == MESSAGE_END) {
        s->body_done = true;
        conn_set_deadline(c, 0);
        srv->events->on_body_end(s->owner, s);
    }
    conn_spend(c, used); /* moves what the piece was in */
}

static bool can_read_body(const struct conn *c)
{
    const struct http_stream *s = &c->stream;

    return s->body_wanted && !s->body_done && !s->ended && !s->aborted &&
           (conn_input(c).len > 0 || c->message.done);
}

/* One thing that the input allows; false when there is none. */
static bool take_input(struct conn *c)
{
    size_t before = conn_input(c).len;
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
    case CONN_FRAMES:
        return http2_read(c->frames);
    case CONN_LINGER:
        c->lingered += before;
        buf_clear(&c->in);
        c->fresh.len = 0;
        if (c->lingered > LINGER_BYTES)
            conn_close(c);
        return false;
    case CONN_CLOSING:
        return false;
    }
    return conn_input(c).len != before || c->state != state || c->stream.body_done != done;
}

/* --- the end of an answer -------------------------------------------------------- */

static void end_stream(struct conn *c, enum status st)
{
    struct http_server *srv = c->server;
    bool was_read = c->stream.body_done || c->message.done;
    bool endless = c->stream.until_close;

    srv->events->on_closed(c->stream.owner, &c->stream, st);
    /* Looked at after the event: in it the server may have been drained or closed. */
    if (st != ST_OK && endless) {
        c->state = CONN_CLOSING;
        timer_stop(srv->loop, &c->deadline);
        io_reset(c->io); /* for HTTP/1.0 a FIN would be a clean end */
    } else if (srv->closing) {
        conn_close(c);
    } else if (st == ST_OK && c->keep_alive && !c->input_ended && !srv->draining) {
        outbox_trim(&c->out, KEEP_BUFFER_BYTES);
        start_waiting(c);
    } else if (st == ST_OK && (!was_read || !c->input_ended)) {
        conn_linger(c);
    } else {
        conn_close(c);
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
    if (conn_pending(c) > 0)
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
        conn_pending(c) > c->server->o.out_low_bytes)
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
        conn_broke(c);
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
    case CONN_FRAMES:
        return c->in.len == 0;
    case CONN_CLOSING:
        break;
    }
    return false;
}

/* With no stream to tell, a connection that can not go on is closed. */
static bool is_over(const struct conn *c)
{
    if (c->state == CONN_SERVING || c->state == CONN_FRAMES || c->state == CONN_CLOSING)
        return false;
    return c->broken || (c->state == CONN_LINGER && c->input_ended && conn_pending(c) == 0);
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
        if (c->state == CONN_FRAMES) {
            http2_move(c->frames);
            continue;
        }
        /* One write for head, body and end of an answer that was made at once. */
        if (!more || c->stream.ended || c->stream.aborted)
            conn_flush(c);
        tell_drained(c);
        more |= settle(c);
    }
    save_rest(c);
    if (is_over(c))
        conn_close(c);
    conn_want_reads(c, wants_input(c));
    c->busy = false;
    if (c->deadline_due && c->state != CONN_CLOSING)
        apply_deadline(c);
    /* on_drained or on_body may have written. */
    if ((c->state == CONN_SERVING && c->out.next.len > 0 && !c->out.writing) ||
        (c->state == CONN_FRAMES && http2_has_wishes(c->frames)))
        conn_wish(c);
}

/* --- events of the io ------------------------------------------------------------ */

static void input_end(struct conn *c, enum status st)
{
    c->input_ended = true;
    c->reading = false;
    if (st != ST_CLOSED) {
        conn_broke(c);
    } else if (c->state == CONN_SERVING) {
        /* Gone, or only done with sending? Time will tell (on_deadline). */
        if (!c->stream.body_done && !c->message.done)
            conn_broke(c);
        else if (!c->out.writing)
            conn_set_deadline(c, HALF_CLOSED_US);
        c->wrote_since_end = false;
        return;
    } else if (c->state == CONN_FRAMES) {
        conn_broke(c); /* its clients end no side of their own (RFC 9113 5.4.1, 6.8) */
    } else if (c->state != CONN_LINGER || conn_pending(c) == 0) {
        conn_close(c);
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
            conn_broke(c);
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
    conn_set_deadline(c, HALF_CLOSED_US);
    return true;
}

static void on_deadline(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, deadline);

    switch (c->state) {
    case CONN_WAITING:
        rest(c);
        return;
    case CONN_LINGER:
        conn_close(c);
        return;
    case CONN_HEAD:
        c->server->stats.timeouts_total++;
        conn_refuse(c, 408, "the request's head took too long");
        return;
    case CONN_FRAMES:
        c->server->stats.timeouts_total++; /* it takes nothing (conn_flush) */
        c->timed_out = true;
        conn_broke(c);
        advance(c);
        return;
    case CONN_SERVING:
        if (still_there(c))
            return;
        if (c->input_ended) {
            conn_broke(c);
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

/* False: without memory for it nobody knows who this is. */
static bool keep_client_name(struct conn *c)
{
    char name[CLIENT_NAME_BYTES];

    io_client_name(c->io, name, sizeof(name));
    if (name[0] == '\0')
        return true;
    c->client = strdup(name);
    return c->client != NULL;
}

struct conn *conn_new(struct http_server *srv, struct io *io, const char *peer)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->server = srv;
    c->io = io;
    snprintf(c->peer, sizeof(c->peer), "%s", peer);
    if (!keep_client_name(c)) {
        free(c);
        return NULL;
    }
    arena_init(&c->arena, ARENA_CHUNK_BYTES, srv->o.arena_max_bytes);
    buf_init(&c->in, srv->o.head_max_bytes + IN_EXTRA_BYTES);
    outbox_init(&c->out, OUT_LIMIT_BYTES);
    list_append(&srv->conns, &c->link);
    srv->stats.connections_now++;
    io_attach(io, &io_events, c);
    start_waiting(c);
    return c;
}
