/* What the owner of a stream calls. It leaves bytes and wishes in the conn; conn.c sees
 * to them once no call of the owner is on the stack. */
#include "http/conn.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "http/compose.h"

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

static enum status put_framing(struct conn *c, unsigned status, uint64_t body_bytes)
{
    struct http_stream *s = &c->stream;
    bool bodiless = status == 204 || status == 304 || (status >= 100 && status < 200);
    enum status st = ST_OK;

    s->chunked = false; /* an attempt that failed may have said otherwise */
    s->no_body = bodiless || span_eq(c->message.head.method, SPAN("HEAD"));
    if (bodiless) {
        s->left = 0;
    } else if (body_bytes != HTTP_BODY_CHUNKED) {
        s->left = body_bytes;
        st = compose_length(&c->out.next, body_bytes);
    } else if (c->message.head.minor >= 1) {
        s->chunked = true;
        st = buf_append(&c->out.next, SPAN("Transfer-Encoding: chunked\r\n"));
    } else {
        s->left = UINT64_MAX; /* HTTP/1.0: the end of the connection is the end */
        c->keep_alive = false;
    }
    if (st == ST_OK && !c->keep_alive)
        st = buf_append(&c->out.next, SPAN("Connection: close\r\n"));
    else if (st == ST_OK && c->message.head.minor == 0)
        st = buf_append(&c->out.next, SPAN("Connection: keep-alive\r\n"));
    return st;
}

enum status stream_put_head(struct conn *c, unsigned status, const struct http_field *fields,
                            size_t n, uint64_t body_bytes)
{
    struct buf *out = &c->out.next;
    enum status st = buf_append(out, SPAN("HTTP/1.1 "));

    if (st == ST_OK)
        st = buf_append_u64(out, status, 3);
    if (st == ST_OK)
        st = buf_append(out, SPAN(" "));
    if (st == ST_OK)
        st = buf_append(out, span_of(http_reason(status)));
    if (st == ST_OK)
        st = buf_append(out, SPAN("\r\nDate: "));
    if (st == ST_OK)
        st = buf_append(out, span_of(date_now(c->server)));
    if (st == ST_OK)
        st = buf_append(out, SPAN("\r\n"));
    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = compose_field(&c->out.next, fields[i].name, fields[i].value);
    if (st == ST_OK)
        st = put_framing(c, status, body_bytes);
    return st == ST_OK ? buf_append(&c->out.next, SPAN("\r\n")) : st;
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
    st = stream_put_head(c, status, fields, n, body_bytes);
    if (st != ST_OK) {
        c->out.next.len = before;
        return st;
    }
    s->responded = true;
    conn_wish(c);
    return ST_OK;
}

static enum status put_switch(struct buf *out, const struct http_field *fields, size_t n)
{
    enum status st = buf_append(out, SPAN("HTTP/1.1 101 Switching Protocols\r\n"
                                          "Connection: Upgrade\r\n"));

    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = compose_field(out, fields[i].name, fields[i].value);
    return st == ST_OK ? buf_append(out, SPAN("\r\n")) : st;
}

enum status http_switch(struct http_stream *s, const struct http_field *fields, size_t n)
{
    struct conn *c = conn_of(s);
    size_t before = c->out.next.len;
    enum status st;

    assert(!s->responded && !s->ended && c->message.done);
    if (s->aborted)
        return ST_CANCELED;
    for (size_t i = 0; i < n; i++) {
        if (!http_field_is_safe(&fields[i]))
            return ST_INVALID;
    }
    st = put_switch(&c->out.next, fields, n);
    if (st != ST_OK) {
        c->out.next.len = before;
        return st;
    }
    c->keep_alive = false;
    message_switch(&c->message);
    s->responded = s->switched = true;
    s->left = UINT64_MAX;
    conn_wish(c);
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
            (void)!buf_append(&c->out.next, data);
            (void)!buf_append(&c->out.next, SPAN("\r\n"));
        }
    } else {
        if (data.len > s->left)
            return ST_LIMIT; /* more than was announced would be read as an answer */
        st = buf_append(&c->out.next, data);
        if (st == ST_OK && s->left != UINT64_MAX)
            s->left -= data.len;
    }
    if (st != ST_OK)
        return st;
    s->body_given += data.len;
    if (conn_pending(c) > c->server->o.out_high_bytes) {
        s->told_wait = true;
        *wait = true;
    }
    conn_wish(c);
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
    if (s->chunked && !s->no_body && buf_append(&c->out.next, SPAN("0\r\n\r\n")) != ST_OK) {
        http_abort(s);
        return;
    }
    s->ended = true;
    conn_wish(c);
}

void http_abort(struct http_stream *s)
{
    if (s->ended || s->aborted)
        return;
    s->aborted = true;
    conn_wish(conn_of(s));
}

void http_read_start(struct http_stream *s)
{
    struct conn *c = conn_of(s);

    if (s->body_done || s->body_wanted)
        return;
    s->body_wanted = true;
    if (c->message.head.expect_continue && !s->continue_sent && !s->responded &&
        !c->message.done && conn_input(c).len == 0)
        (void)!buf_append(&c->out.next, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    s->continue_sent = true;
    if (!c->message.done && !s->switched)
        conn_set_deadline(c, c->server->o.body_timeout_us);
    conn_wish(c);
}

void http_read_stop(struct http_stream *s)
{
    s->body_wanted = false;
    if (!s->body_done)
        conn_set_deadline(conn_of(s), 0);
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

uint64_t http_stream_body_sent(struct http_stream *s)
{
    size_t waiting = conn_pending(conn_of(s));

    /* Framing that waits counts as body that does: never too much is claimed. */
    return waiting < s->body_given ? s->body_given - waiting : 0;
}
