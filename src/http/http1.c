#include "http/http1.h"

#include <assert.h>

#include "http/compose.h"
#include "http/conn.h"

static enum status put_framing(struct http_stream *s, unsigned status, uint64_t body_bytes)
{
    struct conn *c = s->conn;
    bool bodiless = stream_is_bodiless(status);
    enum status st = ST_OK;

    /* An attempt that failed may have said otherwise. */
    s->chunked = s->until_close = false;
    s->no_body = bodiless || span_eq(s->head->method, SPAN("HEAD"));
    s->left = bodiless ? 0 : body_bytes;
    if (!bodiless && body_bytes != HTTP_BODY_CHUNKED) {
        st = compose_length(&c->out.next, body_bytes);
    } else if (!bodiless && s->head->minor >= 1) {
        s->chunked = true;
        st = buf_append(&c->out.next, SPAN("Transfer-Encoding: chunked\r\n"));
    } else if (!bodiless) {
        s->until_close = true; /* HTTP/1.0 */
        c->keep_alive = false;
    }
    if (st == ST_OK && !c->keep_alive)
        st = buf_append(&c->out.next, SPAN("Connection: close\r\n"));
    else if (st == ST_OK && s->head->minor == 0)
        st = buf_append(&c->out.next, SPAN("Connection: keep-alive\r\n"));
    return st;
}

enum status http1_put_head(struct http_stream *s, unsigned status,
                           const struct http_field *fields, size_t n, uint64_t body_bytes)
{
    struct buf *out = &s->conn->out.next;
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
        st = buf_append(out, span_of(stream_date(s->conn->server)));
    if (st == ST_OK)
        st = buf_append(out, SPAN("\r\n"));
    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = compose_field(out, fields[i].name, fields[i].value);
    if (st == ST_OK)
        st = put_framing(s, status, body_bytes);
    return st == ST_OK ? buf_append(out, SPAN("\r\n")) : st;
}

static enum status put_head(struct http_stream *s, unsigned status,
                            const struct http_field *fields, size_t n, uint64_t body_bytes)
{
    struct conn *c = s->conn;
    size_t before = c->out.next.len;
    enum status st;

    /* A body that was not read to its end stands between us and the next request. */
    c->keep_alive = s->head->keep_alive && !c->server->draining && !c->input_ended &&
                    (s->body_done || c->message.done);
    st = http1_put_head(s, status, fields, n, body_bytes);
    if (st != ST_OK)
        c->out.next.len = before;
    return st;
}

static enum status put_switch_lines(struct buf *out, const struct http_field *fields, size_t n)
{
    enum status st = buf_append(out, SPAN("HTTP/1.1 101 Switching Protocols\r\n"
                                          "Connection: Upgrade\r\n"));

    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = compose_field(out, fields[i].name, fields[i].value);
    return st == ST_OK ? buf_append(out, SPAN("\r\n")) : st;
}

static enum status put_switch(struct http_stream *s, const struct http_field *fields, size_t n)
{
    struct conn *c = s->conn;
    size_t before = c->out.next.len;
    enum status st;

    assert(c->message.done);
    st = put_switch_lines(&c->out.next, fields, n);
    if (st != ST_OK) {
        c->out.next.len = before;
        return st;
    }
    c->keep_alive = false;
    message_switch(&c->message);
    s->until_close = true;
    return ST_OK;
}

static enum status put_body(struct http_stream *s, struct span data)
{
    struct buf *out = &s->conn->out.next;
    enum status st;

    if (!s->chunked)
        return buf_append(out, data);
    st = buf_reserve(out, data.len + 24);
    if (st == ST_OK) {
        (void)!buf_printf(out, "%zx\r\n", data.len);
        (void)!buf_append(out, data);
        (void)!buf_append(out, SPAN("\r\n"));
    }
    return st;
}

static enum status put_end(struct http_stream *s)
{
    if (!s->chunked || s->no_body)
        return ST_OK;
    return buf_append(&s->conn->out.next, SPAN("0\r\n\r\n"));
}

static void ask_body(struct http_stream *s)
{
    struct conn *c = s->conn;

    if (s->head->expect_continue && !s->continue_sent && !s->responded && !c->message.done &&
        conn_input(c).len == 0)
        (void)!buf_append(&c->out.next, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    if (!c->message.done && !s->switched)
        conn_set_deadline(c, c->server->o.body_timeout_us);
}

static void stop_body(struct http_stream *s)
{
    conn_set_deadline(s->conn, 0);
}

static size_t pending(struct http_stream *s)
{
    return conn_pending(s->conn);
}

static void wish(struct http_stream *s)
{
    conn_wish(s->conn);
}

const struct stream_kind http1_kind = {
    .put_head = put_head,
    .put_switch = put_switch,
    .put_body = put_body,
    .put_end = put_end,
    .ask_body = ask_body,
    .stop_body = stop_body,
    .waiting = pending,
    .unsent = pending,
    .wish = wish,
};
