#include "http/http2.h"

#include <stdlib.h>
#include <string.h>

#include "http/conn.h"
#include "http/http2_internal.h"
#include "rt/loop.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
/* What a client may send ahead of being told that there is room. */
#define STREAM_WINDOW ((int32_t)256 * 1024)
#define CONN_WINDOW   ((int32_t)1024 * 1024)
/* Input between two looks at what came of it. */
#define READ_BYTES ((size_t)16 * 1024)
/* Frames that cost and are no request: so many at once, and so many a second for good. Agents
 * that give answers up do so some times a second; a rapid reset (CVE-2023-44487) is thousands.
 */
#define CALM_BURST 200
#define CALM_RATE  30
/* A reader may say with every DATA frame what room it has, for the stream and for the
 * connection; more than that is for nothing. */
#define UPDATES_FREE     1000
#define UPDATES_PER_DATA 4
/* Of frames of 16 KiB a head may have so many more than its bytes need. */
#define CONTINUATIONS_SPARE 8
/* Fields that are thrown away are still read, to keep the compression's state; not for ever. */
#define HEAD_WASTE_FACTOR 4
/* A drain takes new streams so long, of clients that have not heard of it yet. */
#define DRAIN_US 500000

static const int32_t no_stream = 0;

/* --- time -------------------------------------------------------------------------- */

static void on_timer(struct timer *t);

uint64_t http2_now_us(const struct http2 *h)
{
    return loop_now_us(h->conn->server->loop);
}

void http2_watch(struct http2 *h, uint64_t at_us)
{
    uint64_t now = http2_now_us(h);

    if (h->timer_us != 0 && h->timer_us <= at_us)
        return;
    h->timer_us = at_us;
    timer_start(h->conn->server->loop, &h->timer, at_us > now ? at_us - now : 0, on_timer);
}

/* --- the end of a connection --------------------------------------------------------- */

/* No new streams from here on; those there are go on. */
static void send_away(struct http2 *h)
{
    if (h->told_away)
        return;
    h->told_away = true;
    (void)!nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                 nghttp2_session_get_last_proc_stream_id(h->session),
                                 NGHTTP2_NO_ERROR, NULL, 0);
}

/* Nothing goes on. */
static void terminate(struct http2 *h, uint32_t code)
{
    h->told_away = true;
    (void)!nghttp2_session_terminate_session(h->session, code);
}

/* Counts `n` frames that cost and are no request. A clock that runs ahead by one frame's time
 * with each of them, and is caught up by the real one. */
static void calm(struct http2 *h, unsigned n)
{
    const uint64_t frame_us = 1000000 / CALM_RATE;
    uint64_t now = http2_now_us(h);

    if (h->calm_us < now)
        h->calm_us = now;
    h->calm_us += n * frame_us;
    if (h->calm_us - now <= CALM_BURST * frame_us || h->flooded)
        return;
    h->flooded = true;
    h->conn->server->stats.http2_floods_total++;
    terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void flood(struct http2 *h)
{
    calm(h, CALM_BURST + 1);
}

/* --- frames come --------------------------------------------------------------------- */

static struct http2_stream *find(struct http2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->session, id);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *owner)
{
    struct http2 *h = owner;

    (void)session;
    if (hd->type != NGHTTP2_CONTINUATION)
        h->head_since_us = 0;
    switch (hd->type) {
    case NGHTTP2_DATA:
        break;
    case NGHTTP2_HEADERS:
        h->head_since_us = http2_now_us(h);
        h->head_bytes = 0;
        http2_watch(h, h->head_since_us + h->conn->server->o.head_timeout_us);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        if (++h->updates > UPDATES_FREE + UPDATES_PER_DATA * h->datas)
            flood(h);
        break;
    default:
        calm(h, 1);
        break;
    }
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct http2 *h = owner;
    struct http_server *srv = h->conn->server;
    struct http2_stream *s = NULL;

    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    /* All requests together are no more than there may be connections. */
    if (srv->stats.http2_streams_now < srv->o.connections_max)
        s = http2_stream_new(h, frame->hd.stream_id);
    if (s != NULL)
        return nghttp2_session_set_stream_user_data(session, s->id, s);
    srv->stats.refused_total++;
    h->head_since_us = 0;
    calm(h, 1);
    (void)!nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_REFUSED_STREAM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int take_field(struct http2 *h, const nghttp2_frame *frame, size_t bytes)
{
    h->head_bytes += bytes;
    if (h->head_bytes > HEAD_WASTE_FACTOR * (size_t)h->conn->server->o.head_max_bytes)
        flood(h);
    /* Fields after the body say nothing that we relay. */
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || h->flooded)
        return -1;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *owner)
{
    struct http2 *h = owner;
    struct http2_stream *s = find(h, frame->hd.stream_id);

    (void)session, (void)flags;
    if (take_field(h, frame, name_len + value_len) == 0 && s != NULL)
        http2_head_add(s, (struct span){(const char *)name, name_len},
                       (struct span){(const char *)value, value_len});
    return 0;
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *owner)
{
    struct http2 *h = owner;
    struct http2_stream *s = find(h, frame->hd.stream_id);

    (void)session, (void)name, (void)value, (void)flags;
    if (take_field(h, frame, name_len + value_len) == 0 && s != NULL)
        http2_head_refuse(s, 400, "a header has a character that is not allowed");
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *owner)
{
    struct http2 *h = owner;
    struct http2_stream *s = find(h, id);

    (void)flags;
    if (s == NULL)
        return nghttp2_session_consume(session, id, n);
    if (http2_stream_body(s, (struct span){(const char *)data, n}) != ST_OK)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct http2 *h = owner;
    struct http2_stream *s = find(h, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS)
        h->head_since_us = 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        h->conn->server->stats.http2_resets_total++;
    if (frame->hd.type == NGHTTP2_DATA && !end && frame->hd.length <= frame->data.padlen)
        calm(h, 1);
    if (s == NULL || h->flooded)
        return 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        s->reset_by_peer = true;
    } else if (frame->hd.type == NGHTTP2_HEADERS &&
               frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s->input_ended = end;
        http2_head_finish(s, end);
        http2_stream_begin(s);
    } else if (end && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
        http2_stream_body_end(s);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *owner)
{
    struct http2 *h = owner;

    (void)session, (void)frame, (void)code;
    h->head_since_us = 0; /* its end will not be told */
    h->conn->server->stats.bad_heads_total++;
    calm(h, 1);
    return 0;
}

/* --- frames go ------------------------------------------------------------------------ */

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct http2 *h = owner;
    struct http2_stream *s = find(h, frame->hd.stream_id);

    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (s == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    s->framed_end = true;
    s->write_due_us = 0;
    /* The rest of the request is not needed (RFC 9113 8.1). */
    if (!s->input_ended)
        (void)!nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    struct http2 *h = owner;
    struct http2_stream *s = find(h, id);

    (void)session;
    if (s == NULL)
        return 0;
    /* What made us reset it was no wish of ours: it counts as if the client had. */
    if (code != NGHTTP2_NO_ERROR && !s->reset_by_peer && !s->reset_by_us)
        calm(h, 1);
    s->closed = true;
    list_remove(&s->turn);
    list_append(&h->closing, &s->turn);
    return 0;
}

/* Frames into the outbox, as many as shall wait there. */
static void fill(struct http2 *h)
{
    struct conn *c = h->conn;

    while (!c->broken && conn_pending(c) < HTTP2_OUT_BYTES) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(h->session, &data);

        if (n == 0)
            return;
        if (n < 0 ||
            buf_append(&c->out.next, (struct span){(const char *)data, (size_t)n}) != ST_OK) {
            conn_broke(c);
            return;
        }
        h->sent_total += (uint64_t)n;
    }
}

/* --- streams end ----------------------------------------------------------------------- */

static enum status end_of(const struct http2_stream *s)
{
    if (s->timed_out)
        return ST_TIMEOUT;
    if (s->stream.aborted)
        return ST_CANCELED;
    if (s->framed_end)
        return ST_OK;
    return s->reset_by_peer ? ST_CLOSED : ST_INVALID;
}

/* Those whose last byte the kernel has. */
static void finish_closed(struct http2 *h)
{
    uint64_t gone = h->sent_total - conn_pending(h->conn);

    for (struct list_node *n = h->closing.next; n != &h->closing; n = n->next) {
        struct http2_stream *s = CONTAINER_OF(n, struct http2_stream, turn);

        if (s->last_byte == 0)
            s->last_byte = h->sent_total; /* fill() is through with it */
    }
    while (!list_empty(&h->closing)) {
        struct http2_stream *s = CONTAINER_OF(h->closing.next, struct http2_stream, turn);

        if (s->last_byte > gone)
            return;
        http2_stream_finish(s, end_of(s));
    }
}

static void lose_streams(struct http2 *h)
{
    struct conn *c = h->conn;

    while (!list_empty(&h->streams)) {
        struct http2_stream *s = CONTAINER_OF(h->streams.next, struct http2_stream, link);

        http2_stream_finish(s, c->server->closing ? ST_CANCELED
                               : c->timed_out     ? ST_TIMEOUT
                               : h->flooded       ? ST_INVALID
                                                  : ST_CLOSED);
    }
}

/* --- what conn.c calls -------------------------------------------------------------------- */

enum http2_preface http2_preface_rest(struct span in)
{
    struct span preface = SPAN(PREFACE);
    size_t n = in.len < preface.len ? in.len : preface.len;

    if (memcmp(in.ptr, preface.ptr, n) != 0)
        return HTTP2_PREFACE_NOT;
    return n == preface.len ? HTTP2_PREFACE_WHOLE : HTTP2_PREFACE_MORE;
}

bool http2_read(struct http2 *h)
{
    struct conn *c = h->conn;
    struct span in = conn_input(c);
    ssize_t n;

    if (in.len == 0 || conn_pending(c) >= HTTP2_OUT_BYTES)
        return false;
    if (in.len > READ_BYTES)
        in.len = READ_BYTES;
    if (h->flooded) {
        conn_spend(c, in.len);
        return true;
    }
    n = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.ptr, in.len);
    if (n < 0) {
        /* A flood of frames that it answers, or of CONTINUATIONs; or no memory. */
        c->server->stats.http2_floods_total +=
            n == NGHTTP2_ERR_FLOODED || n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
        conn_broke(c);
        return false;
    }
    conn_spend(c, (size_t)n);
    return true;
}

static void serve_ready(struct http2 *h)
{
    struct list_node turn;

    /* Those that are made ready meanwhile have their turn after this one. */
    list_init(&turn);
    while (!list_empty(&h->ready)) {
        struct list_node *n = h->ready.next;

        list_remove(n);
        list_append(&turn, n);
    }
    while (!list_empty(&turn)) {
        struct http2_stream *s = CONTAINER_OF(turn.next, struct http2_stream, turn);

        list_remove(&s->turn);
        http2_stream_serve(s);
    }
}

static bool is_over(const struct http2 *h)
{
    return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session) &&
           conn_pending(h->conn) == 0;
}

void http2_move(struct http2 *h)
{
    struct conn *c = h->conn;

    if (!c->broken) {
        serve_ready(h);
        fill(h);
        conn_flush(c);
        finish_closed(h);
    }
    if (!c->broken && h->drain_us != 0 && h->count == 0 && !h->told_away) {
        send_away(h);
        fill(h);
        conn_flush(c);
    }
    if (!c->broken && !is_over(h)) {
        if (h->count == 0 && h->idle_since_us != 0)
            http2_watch(h, h->idle_since_us + c->server->o.idle_timeout_us);
        return;
    }
    lose_streams(h);
    timer_stop(c->server->loop, &h->timer);
    if (c->broken || c->server->closing || h->drained_idle)
        conn_close(c);
    else
        conn_linger(c);
}

bool http2_has_wishes(const struct http2 *h)
{
    return !h->conn->broken &&
           (!list_empty(&h->ready) || (nghttp2_session_want_write(h->session) &&
                                       conn_pending(h->conn) < HTTP2_OUT_BYTES));
}

void http2_drain(struct http2 *h)
{
    if (h->drain_us != 0)
        return;
    h->drain_us = http2_now_us(h) + DRAIN_US;
    http2_watch(h, h->drain_us);
    h->drained_idle = h->count == 0;
    if (h->count > 0)
        (void)!nghttp2_submit_shutdown_notice(h->session);
    conn_wish(h->conn);
}

/* What is due at `at_us` (0: nothing): now, or watched for. */
static bool is_due(struct http2 *h, uint64_t at_us)
{
    if (at_us == 0)
        return false;
    if (at_us <= http2_now_us(h))
        return true;
    http2_watch(h, at_us);
    return false;
}

static void on_timer(struct timer *t)
{
    struct http2 *h = CONTAINER_OF(t, struct http2, timer);
    const struct http_server_options *o = &h->conn->server->o;

    h->timer_us = 0;
    if (h->head_since_us != 0 && is_due(h, h->head_since_us + o->head_timeout_us)) {
        h->conn->server->stats.timeouts_total++;
        h->head_since_us = 0;
        terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    if (is_due(h, h->drain_us) || (h->count == 0 && h->idle_since_us != 0 &&
                                   is_due(h, h->idle_since_us + o->idle_timeout_us)))
        send_away(h);
    for (struct list_node *n = h->streams.next; n != &h->streams; n = n->next) {
        struct http2_stream *s = CONTAINER_OF(n, struct http2_stream, link);

        if (!s->closed && (is_due(h, s->body_due_us) || is_due(h, s->write_due_us))) {
            s->body_due_us = s->write_due_us = 0;
            http2_stream_time_out(s);
        }
    }
    conn_wish(h->conn);
}

/* --- its life ---------------------------------------------------------------------------- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, http2_stream_send);
    return cb;
}

static int make_session(struct http2 *h)
{
    const struct http_server_options *o = &h->conn->server->o;
    nghttp2_session_callbacks *cb = make_callbacks();
    nghttp2_option *option;
    int rc = NGHTTP2_ERR_NOMEM;

    if (cb == NULL)
        return rc;
    if (nghttp2_option_new(&option) == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1); /* http2_stream.c: taken() */
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_continuations(option, CONTINUATIONS_SPARE +
                                                         o->head_max_bytes / (16 * 1024));
        rc = nghttp2_session_server_new2(&h->session, cb, h, option);
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(cb);
    return rc;
}

static int greet(struct http2 *h)
{
    const struct http_server_options *o = &h->conn->server->o;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->http2_streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->head_max_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int rc =
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));

    if (rc != 0)
        return rc;
    return nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, no_stream,
                                                 CONN_WINDOW);
}

enum status http2_open(struct conn *c, struct http2 **out)
{
    struct http2 *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return ST_NOMEM;
    h->conn = c;
    list_init(&h->streams);
    list_init(&h->ready);
    list_init(&h->closing);
    h->idle_since_us = http2_now_us(h);
    if (make_session(h) != 0 || greet(h) != 0) {
        http2_free(h);
        return ST_NOMEM;
    }
    c->server->stats.http2_connections_total++;
    if (c->server->draining)
        http2_drain(h);
    *out = h;
    return ST_OK;
}

void http2_free(struct http2 *h)
{
    if (h == NULL)
        return;
    timer_stop(h->conn->server->loop, &h->timer);
    nghttp2_session_del(h->session);
    free(h);
}
