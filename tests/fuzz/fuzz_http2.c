/* HTTP/2 on a server: the bytes after the client's preface. The first byte chooses how they
 * are cut and what the owner of a stream does. Whatever comes: each stream has its last event,
 * once, nothing is written without a limit, and all can be closed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define OUT_MAX ((size_t)1024 * 1024)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct client {
    struct io *io; /* NULL once closed */
    size_t got;
};

struct bench {
    unsigned does; /* bits of the first byte */
    unsigned begun, ended;
    bool gone;
};

static void must(bool good)
{
    if (!good)
        abort();
}

/* --- the owner ---------------------------------------------------------------------- */

static void answer(struct bench *b, struct http_stream *s)
{
    static const struct http_field field = {{"X-Some", 6}, {"thing", 5}};
    static const char text[5000];
    bool wait;

    if (http_respond(s, 200, &field, 1,
                     (b->does & 4) != 0 ? sizeof(text) : HTTP_BODY_CHUNKED) != ST_OK ||
        http_write(s, (struct span){text, sizeof(text)}, &wait) != ST_OK || (b->does & 8) != 0)
        http_abort(s);
    else
        http_end(s);
}

static void on_request(void *owner, struct http_stream *s)
{
    struct bench *b = owner;
    const struct http_head *h = http_stream_head(s);

    b->begun++;
    must(h->field_count <= HTTP_FIELDS_MAX && h->method.len > 0 && h->target.len > 0);
    must(h->target.ptr[0] == '/' || span_eq(h->target, SPAN("*")));
    must(http_head_count(h, SPAN("host")) == 1 && h->framing != HTTP_UNTIL_EOF);
    must(http_head_count(h, SPAN("cookie")) <= 1);
    must(http_head_count(h, SPAN("transfer-encoding")) == 0);
    for (size_t i = 0; i < h->field_count; i++)
        must(http_field_is_safe(&h->fields[i]));
    http_stream_set_owner(s, b);
    if ((b->does & 1) != 0)
        answer(b, s);
    else if ((b->does & 2) == 0)
        http_read_start(s);
}

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    (void)owner, (void)s;
    must(data.len > 0);
}

static void on_body_end(void *owner, struct http_stream *s)
{
    struct bench *b = owner;

    answer(b, s);
}

static void on_drained(void *owner, struct http_stream *s)
{
    (void)owner, (void)s;
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    struct bench *b = owner;

    (void)s, (void)st;
    b->ended++;
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    (void)owner;
    (void)!buf_printf(out, "%u %s", status, text);
}

static void on_gone(void *owner)
{
    struct bench *b = owner;

    b->gone = true;
}

static const struct http_server_events events = {on_request, on_body,   on_body_end,
                                                 on_drained, on_closed, write_error};

/* --- the client ---------------------------------------------------------------------- */

static void on_read(void *owner, enum status st, struct span data)
{
    struct client *c = owner;

    if (st == ST_OK)
        c->got += data.len;
}

static void on_written(void *owner, enum status st)
{
    (void)owner, (void)st;
}

static void on_client_closed(void *owner)
{
    struct client *c = owner;

    c->io = NULL;
}

static const struct io_events client_events = {on_read, on_written, on_client_closed};

static void pass(struct loop *l, uint64_t us)
{
    loop_run(l);
    loop_set_now_us(l, loop_now_us(l) + us);
    loop_run(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_server_options o = {
        .head_max_bytes = 4096,
        .connections_max = 8,
        .head_timeout_us = 1000000,
        .body_timeout_us = 1000000,
        .idle_timeout_us = 1000000,
        .write_timeout_us = 1000000,
        .out_high_bytes = 4096,
        .out_low_bytes = 1024,
        .arena_max_bytes = 128 * 1024,
        .http2_streams_max = 5,
    };
    struct bench b = {.does = size > 0 ? data[0] : 0};
    struct io_loopback_options lo = {.chunk_bytes = (b.does & 16) != 0 ? 7 : 0,
                                     .pipe_bytes = 65536};
    struct client c = {0};
    struct http_server *srv;
    struct loop *loop;
    struct io *far;
    struct buf out;
    struct span part;

    must(loop_open(&loop) == ST_OK);
    loop_set_now_us(loop, 1000000);
    must(http_server_open(loop, &o, &events, &b, &srv) == ST_OK);
    must(io_loopback_pair(loop, &lo, &c.io, &far) == ST_OK);
    io_attach(c.io, &client_events, &c);
    io_read_start(c.io);
    http_server_accept(srv, far, "fuzz");
    buf_init(&out, sizeof(PREFACE) + size);
    must(buf_append(&out, SPAN(PREFACE)) == ST_OK);
    if (size > 1)
        must(buf_append(&out, (struct span){(const char *)data + 1, size - 1}) == ST_OK);
    part = buf_span(&out);
    must(io_write(c.io, &part, 1) == ST_OK);
    for (unsigned i = 0; i < 6; i++)
        pass(loop, 600000);
    must(c.got <= OUT_MAX + 10 * size);
    if (c.io != NULL)
        io_close(c.io);
    loop_run(loop);
    http_server_close(srv, on_gone);
    loop_run(loop);
    must(b.gone && b.begun == b.ended && c.io == NULL);
    buf_release(&out);
    must(loop_close(loop) == ST_OK);
    return 0;
}
