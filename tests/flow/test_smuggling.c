/* Every shape of tests/smuggling/cases.txt, in several chunkings, against a server
 * whose owner stands for what is behind us: it counts the requests that it is given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flow/smuggling_table.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define SHAPES_MIN 150

struct peer {
    struct io *io;
    struct buf got;
    bool ended, closed;
};

struct behind {
    unsigned begun, completed, smuggled, closed;
};

static unsigned failures;

/* --- what stands behind the server ----------------------------------------------- */

static void on_request(void *owner, struct http_stream *s)
{
    struct behind *b = owner;
    struct span path = http_stream_head(s)->path;

    b->begun++;
    b->smuggled += path.len >= 9 && memcmp(path.ptr, "/smuggled", 9) == 0;
    http_stream_set_owner(s, b);
    http_read_start(s);
}

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    (void)owner;
    (void)s;
    (void)data;
}

static void on_body_end(void *owner, struct http_stream *s)
{
    struct behind *b = owner;
    bool wait;

    b->completed++;
    CHECK_STATUS(ST_OK, http_respond(s, 200, NULL, 0, 2));
    CHECK_STATUS(ST_OK, http_write(s, SPAN("ok"), &wait));
    http_end(s);
}

static void on_drained(void *owner, struct http_stream *s)
{
    (void)owner;
    (void)s;
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    struct behind *b = owner;

    (void)s;
    (void)st;
    b->closed++;
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    (void)owner;
    CHECK_STATUS(ST_OK, buf_printf(out, "{\"status\":%u,\"why\":\"%s\"}", status, text));
}

static const struct http_server_events events = {on_request, on_body,   on_body_end,
                                                 on_drained, on_closed, write_error};

/* --- the client ------------------------------------------------------------------ */

static void peer_on_read(void *owner, enum status st, struct span data)
{
    struct peer *p = owner;

    if (st == ST_OK)
        CHECK_STATUS(ST_OK, buf_append(&p->got, data));
    else
        p->ended = true;
}

static void peer_on_written(void *owner, enum status st)
{
    struct peer *p = owner;

    /* No more comes: what is not whole by now never will be. */
    if (st == ST_OK)
        io_shutdown(p->io);
}

static void peer_on_closed(void *owner)
{
    struct peer *p = owner;

    p->closed = true;
}

static const struct io_events peer_events = {peer_on_read, peer_on_written, peer_on_closed};

static void on_server_closed(void *owner)
{
    (void)owner;
}

/* --- one case -------------------------------------------------------------------- */

static unsigned count(struct span s, const char *what)
{
    size_t n = strlen(what);
    unsigned found = 0;

    for (size_t i = 0; i + n <= s.len; i++)
        found += memcmp(s.ptr + i, what, n) == 0;
    return found;
}

static void expect(const struct smuggling_case *c, size_t chunk, bool good, const char *what,
                   const struct behind *b, const struct peer *p)
{
    if (good)
        return;
    failures++;
    fprintf(stderr, "%s in pieces of %zu: %s (begun %u, completed %u, answered '%.*s')\n",
            c->name, chunk, what, b->begun, b->completed, (int)p->got.len, p->got.ptr);
}

static void judge(const struct smuggling_case *c, size_t chunk, const struct behind *b,
                  const struct peer *p)
{
    unsigned good = count(buf_span(&p->got), "HTTP/1.1 200"),
             bad = count(buf_span(&p->got), "HTTP/1.1 4") +
                   count(buf_span(&p->got), "HTTP/1.1 5");

    expect(c, chunk, b->smuggled == 0, "the bait got through", b, p);
    expect(c, chunk, b->begun <= 1, "more than one request", b, p);
    expect(c, chunk, b->closed == b->begun, "a stream without its last event", b, p);
    expect(c, chunk, p->ended, "the connection stays open", b, p);
    expect(c, chunk, bad <= 1, "more than one refusal", b, p);
    if (c->refuse) {
        expect(c, chunk, b->completed == 0 && good == 0, "not refused", b, p);
    } else {
        expect(c, chunk, b->completed == 1 && good == 1, "not served once", b, p);
    }
}

static void run_chunked(const struct smuggling_case *c, size_t chunk)
{
    static const struct http_server_options o = {
        .head_max_bytes = 16384,
        .connections_max = 4,
        .head_timeout_us = 1000000,
        .body_timeout_us = 1000000,
        .idle_timeout_us = 1000000,
        .write_timeout_us = 1000000,
        .out_high_bytes = 65536,
        .out_low_bytes = 16384,
        .arena_max_bytes = 1024 * 1024,
    };
    struct io_loopback_options pipe = {.chunk_bytes = chunk, .pipe_bytes = 65536};
    struct behind b = {0};
    struct peer p = {0};
    struct http_server *server;
    struct loop *loop;
    struct io *end;
    struct span bytes = buf_span(&c->bytes);

    buf_init(&p.got, 1024 * 1024);
    CHECK_STATUS(ST_OK, loop_open(&loop));
    loop_set_now_us(loop, 1000000);
    CHECK_STATUS(ST_OK, http_server_open(loop, &o, &events, &b, &server));
    CHECK_STATUS(ST_OK, io_loopback_pair(loop, &pipe, &p.io, &end));
    io_attach(p.io, &peer_events, &p);
    http_server_accept(server, end, "test");
    io_read_start(p.io);
    CHECK_STATUS(ST_OK, io_write(p.io, &bytes, 1));
    loop_run(loop);
    /* Whoever still waits for something is told that it will not come. */
    for (unsigned i = 0; i < 8 && !p.ended; i++) {
        loop_set_now_us(loop, loop_now_us(loop) + 10000000);
        loop_run(loop);
    }
    judge(c, chunk, &b, &p);
    io_close(p.io);
    http_server_close(server, on_server_closed);
    loop_run(loop);
    assert_true(p.closed);
    CHECK_STATUS(ST_OK, loop_close(loop));
    buf_release(&p.got);
}

static void run_case(void *owner, const struct smuggling_case *c)
{
    static const size_t chunks[] = {1, 2, 3, 7, 4096, 0};

    (void)owner;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
        run_chunked(c, chunks[i]);
}

static void test_no_shape_gets_through(void **state)
{
    size_t n =
        smuggling_table_run(IBID_SOURCE_DIR "/tests/smuggling/cases.txt", run_case, NULL);

    (void)state;
    assert_true(n >= SHAPES_MIN);
    print_message("%zu shapes\n", n);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_shape_gets_through)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
