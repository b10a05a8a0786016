/* One stream of HTTP/2. Its request's body waits in `in` until it is asked for, and only then
 * is the client told that there is room for more; its answer's body waits in `out` until the
 * client's window and the connection take it. */
#include "http/http2_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/conn.h"
#include "rt/loop.h"

#define ARENA_CHUNK_BYTES 16384
#define OUT_LIMIT_BYTES   ((size_t)64 * 1024 * 1024)
#define IN_LIMIT_BYTES    ((size_t)16 * 1024 * 1024) /* far above a window, which is the bound */
#define FRAME_HEAD_BYTES  9
/* What is sent is moved out of `out` in steps of this, and at its end. */
#define OUT_STEP_BYTES 65536

static size_t out_left(const struct http2_stream *s)
{
    return s->out.len - s->out_from;
}

void http2_stream_ready(struct http2_stream *s)
{
    if (s->closed)
        return;
    list_remove(&s->turn);
    list_append(&s->session->ready, &s->turn);
}

/* --- what its owner calls: the kind ---------------------------------------------- */

static nghttp2_nv pair(struct span name, struct span value)
{
    /* Neither is written to; nghttp2 copies both, the name in lower case. */
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
                        .value = (uint8_t *)(uintptr_t)value.ptr,
                        .namelen = name.len,
                        .valuelen = value.len};
}

static enum status put_head(struct http_stream *stream, unsigned status,
                            const struct http_field *fields, size_t n, uint64_t body_bytes)
{
    struct http2_stream *s = http2_stream_of(stream);
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = http2_stream_source};
    bool bodiless = stream_is_bodiless(status);
    nghttp2_nv *list;
    char code[8], length[24];
    size_t count = 0;

    if (s->closed)
        return ST_CANCELED;
    list = arena_alloc(&s->arena, (n + 3) * sizeof(*list), _Alignof(nghttp2_nv));
    if (list == NULL)
        return ST_NOMEM;
    (void)snprintf(code, sizeof(code), "%03u", status % 1000);
    list[count++] = pair(SPAN(":status"), span_of(code));
    list[count++] = pair(SPAN("date"), span_of(stream_date(stream->conn->server)));
    for (size_t i = 0; i < n; i++)
        list[count++] = pair(fields[i].name, fields[i].value);
    if (!bodiless && body_bytes != HTTP_BODY_CHUNKED) {
        (void)snprintf(length, sizeof(length), "%llu", (unsigned long long)body_bytes);
        list[count++] = pair(SPAN("content-length"), span_of(length));
    }
    stream->no_body = bodiless || span_eq(stream->head->method, SPAN("HEAD"));
    stream->left = bodiless ? 0 : body_bytes;
    if (nghttp2_submit_response(s->session->session, s->id, list, count,
                                stream->no_body ? NULL : &body) != 0)
        return ST_NOMEM;
    return ST_OK;
}

static void measure_writing(struct http2_stream *s)
{
    s->write_due_us = http2_now_us(s->session) + s->stream.conn->server->o.write_timeout_us;
    http2_watch(s->session, s->write_due_us);
}

static enum status put_body(struct http_stream *stream, struct span data)
{
    struct http2_stream *s = http2_stream_of(stream);

    if (s->closed)
        return ST_CANCELED;
    if (out_left(s) == 0)
        measure_writing(s);
    return buf_append(&s->out, data);
}

static enum status put_end(struct http_stream *stream)
{
    struct http2_stream *s = http2_stream_of(stream);

    /* The source says so, when it is asked; an END_STREAM of its own may have to wait. */
    if (out_left(s) == 0)
        measure_writing(s);
    return s->closed ? ST_CANCELED : ST_OK;
}

static void measure_body(struct http2_stream *s)
{
    s->body_due_us = 0;
    if (s->input_ended || !s->stream.body_wanted)
        return;
    s->body_due_us = http2_now_us(s->session) + s->stream.conn->server->o.body_timeout_us;
    http2_watch(s->session, s->body_due_us);
}

static void ask_body(struct http_stream *stream)
{
    struct http2_stream *s = http2_stream_of(stream);
    nghttp2_nv go_on = pair(SPAN(":status"), SPAN("100"));

    if (stream->head->expect_continue && !stream->continue_sent && !stream->responded &&
        !s->input_ended && !s->closed && s->in.len == 0)
        (void)!nghttp2_submit_headers(s->session->session, NGHTTP2_FLAG_NONE, s->id, NULL,
                                      &go_on, 1, NULL);
    measure_body(s);
}

static void stop_body(struct http_stream *stream)
{
    measure_body(http2_stream_of(stream));
}

static size_t waiting(struct http_stream *stream)
{
    return out_left(http2_stream_of(stream));
}

static size_t unsent(struct http_stream *stream)
{
    return waiting(stream) + conn_pending(stream->conn);
}

static void wish(struct http_stream *stream)
{
    http2_stream_ready(http2_stream_of(stream));
    conn_wish(stream->conn);
}

static const struct stream_kind http2_kind = {
    .put_head = put_head,
    .put_body = put_body,
    .put_end = put_end,
    .ask_body = ask_body,
    .stop_body = stop_body,
    .waiting = waiting,
    .unsent = unsent,
    .wish = wish,
};

/* --- the answer's body ------------------------------------------------------------ */

ssize_t http2_stream_source(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct http2_stream *s = source->ptr;
    size_t n = out_left(s);

    (void)session, (void)id, (void)buf, (void)owner;
    if (n == 0 && s->stream.aborted) {
        s->reset_by_us = true;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM: no clean end */
    }
    if (n == 0 && !s->stream.ended) {
        s->paused = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n <= room && s->stream.ended)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(n < room ? n : room);
}

static void sent(struct http2_stream *s, size_t n)
{
    s->out_from += n;
    if (s->out_from == s->out.len) {
        buf_clear(&s->out);
        s->out_from = 0;
    } else if (s->out_from >= OUT_STEP_BYTES && s->out_from >= out_left(s)) {
        buf_consume(&s->out, s->out_from);
        s->out_from = 0;
    }
    if (s->out.len > 0)
        measure_writing(s);
    else
        s->write_due_us = 0;
    if (s->stream.told_wait && out_left(s) <= s->stream.conn->server->o.out_low_bytes)
        http2_stream_ready(s);
}

int http2_stream_send(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                      size_t n, nghttp2_data_source *source, void *owner)
{
    struct http2_stream *s = source->ptr;
    struct http2 *h = owner;
    struct buf *out = &h->conn->out.next;

    (void)session, (void)frame;
    if (conn_pending(h->conn) >= HTTP2_OUT_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (buf_reserve(out, FRAME_HEAD_BYTES + n) != ST_OK)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    (void)!buf_append(out, (struct span){(const char *)head, FRAME_HEAD_BYTES});
    (void)!buf_append(out, (struct span){s->out.ptr + s->out_from, n});
    h->sent_total += FRAME_HEAD_BYTES + n;
    h->datas++;
    if (n > 0)
        sent(s, n);
    return 0;
}

/* --- the request's body ----------------------------------------------------------- */

static bool wants_body(const struct http2_stream *s)
{
    return s->begun && s->stream.body_wanted && !s->stream.body_done && !s->stream.ended &&
           !s->stream.aborted;
}

/* The client may send so much more. */
static void taken(struct http2_stream *s, size_t n)
{
    if (s->closed)
        (void)!nghttp2_session_consume_connection(s->session->session, n);
    else
        (void)!nghttp2_session_consume(s->session->session, s->id, n);
}

static void tell_body(struct http2_stream *s, struct span data)
{
    measure_body(s);
    s->stream.conn->server->events->on_body(s->stream.owner, &s->stream, data);
    taken(s, data.len);
}

enum status http2_stream_body(struct http2_stream *s, struct span data)
{
    if (!s->begun || s->stream.ended || s->stream.aborted) {
        taken(s, data.len); /* nobody will ask for it */
        return ST_OK;
    }
    if (s->in.len > 0 || !wants_body(s))
        return buf_append(&s->in, data);
    tell_body(s, data);
    return ST_OK;
}

static void tell_body_end(struct http2_stream *s)
{
    if (!s->input_ended || s->in.len > 0 || !wants_body(s))
        return;
    s->stream.body_done = true;
    s->stream.conn->server->events->on_body_end(s->stream.owner, &s->stream);
}

void http2_stream_body_end(struct http2_stream *s)
{
    s->input_ended = true;
    s->body_due_us = 0;
    tell_body_end(s);
}

static void deliver(struct http2_stream *s)
{
    if (s->in.len > 0 && (s->stream.ended || s->stream.aborted)) {
        taken(s, s->in.len);
        buf_release(&s->in);
    }
    if (s->in.len > 0 && wants_body(s)) {
        struct buf body = s->in;

        buf_init(&s->in, IN_LIMIT_BYTES);
        tell_body(s, buf_span(&body));
        buf_release(&body);
    }
    tell_body_end(s);
}

/* --- its life ---------------------------------------------------------------------- */

struct http2_stream *http2_stream_new(struct http2 *h, int32_t id)
{
    struct http2_stream *s = calloc(1, sizeof(*s));
    struct http_server *srv = h->conn->server;

    if (s == NULL)
        return NULL;
    s->session = h;
    s->id = id;
    s->stream = (struct http_stream){.kind = &http2_kind,
                                     .conn = h->conn,
                                     .head = &s->head,
                                     .arena = &s->arena,
                                     .started_us = loop_now_us(srv->loop)};
    arena_init(&s->arena, ARENA_CHUNK_BYTES, srv->o.arena_max_bytes);
    buf_init(&s->in, IN_LIMIT_BYTES);
    buf_init(&s->out, OUT_LIMIT_BYTES);
    list_append(&h->streams, &s->link);
    list_init(&s->turn);
    h->count++;
    h->idle_since_us = 0;
    srv->stats.http2_streams_now++;
    return s;
}

static void refuse(struct http2_stream *s)
{
    struct http_server *srv = s->stream.conn->server;
    struct http_field field = {SPAN("Content-Type"), SPAN("application/json")};
    struct buf body;
    bool wait;

    srv->stats.bad_heads_total++;
    buf_init(&body, 4096);
    srv->events->write_error(srv->owner, s->refuse_status, s->refuse_text, &body);
    if (http_respond(&s->stream, s->refuse_status, &field, 1, body.len) != ST_OK ||
        http_write(&s->stream, buf_span(&body), &wait) != ST_OK)
        http_abort(&s->stream);
    http_end(&s->stream);
    buf_release(&body);
}

void http2_stream_begin(struct http2_stream *s)
{
    struct http_server *srv = s->stream.conn->server;

    if (s->refuse_status != 0) {
        refuse(s);
        return;
    }
    s->begun = true;
    srv->stats.requests_total++;
    srv->events->on_request(srv->owner, &s->stream);
}

static void reset(struct http2_stream *s, uint32_t code)
{
    if (s->reset_by_us || s->closed)
        return;
    s->reset_by_us = true;
    (void)!nghttp2_submit_rst_stream(s->session->session, NGHTTP2_FLAG_NONE, s->id, code);
}

void http2_stream_time_out(struct http2_stream *s)
{
    s->stream.conn->server->stats.timeouts_total++;
    s->timed_out = true;
    reset(s, NGHTTP2_CANCEL);
}

static void tell_drained(struct http2_stream *s)
{
    struct http_stream *t = &s->stream;

    if (!t->told_wait || t->ended || t->aborted || s->closed ||
        out_left(s) > t->conn->server->o.out_low_bytes)
        return;
    t->told_wait = false;
    t->conn->server->events->on_drained(t->owner, t);
}

void http2_stream_serve(struct http2_stream *s)
{
    deliver(s);
    if (s->begun)
        tell_drained(s);
    /* What was written before an abort still goes; the source then says that it is over. */
    if (s->stream.aborted && (!s->stream.responded || out_left(s) == 0))
        reset(s, NGHTTP2_INTERNAL_ERROR);
    if (s->paused && (out_left(s) > 0 || s->stream.ended || s->stream.aborted)) {
        s->paused = false;
        (void)!nghttp2_session_resume_data(s->session->session, s->id);
    }
}

void http2_stream_finish(struct http2_stream *s, enum status st)
{
    struct http2 *h = s->session;
    struct http_server *srv = h->conn->server;

    if (s->in.len > 0)
        taken(s, s->in.len);
    list_remove(&s->link);
    list_remove(&s->turn);
    h->count--;
    srv->stats.http2_streams_now--;
    if (h->count == 0)
        h->idle_since_us = http2_now_us(h);
    if (s->begun)
        srv->events->on_closed(s->stream.owner, &s->stream, st);
    buf_release(&s->in);
    buf_release(&s->out);
    arena_release(&s->arena);
    free(s);
}
