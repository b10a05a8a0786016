/* The server over loopback streams, every flow in every chunking. The owner of the
 * streams is a table of wishes, so that a test reads as: this request, this owner,
 * these bytes. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flow/wire.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define STREAMS_MAX 16
#define HEAD_US     1000000
#define BODY_US     2000000
#define IDLE_US     3000000
#define WRITE_US    4000000

enum answer { ECHO_LENGTH, ECHO_CHUNKED, HOLD, REFUSE_BODY, SILENT };

struct stream {
    struct http_stream *s; /* NULL once closed */
    char path[64];
    struct buf body;
    bool body_end;
    bool closed;
    enum status end;
    unsigned drained;
};

struct bench {
    struct loop *loop;
    struct http_server *server;
    struct wire client;
    enum answer answer;
    struct stream streams[STREAMS_MAX];
    unsigned begun;
    bool in_call; /* a call of the server's interface is on the stack */
    bool drained, closed;
    bool drain_when_closed, close_when_closed; /* the server, in a stream's last event */
};

/* --- the owner ------------------------------------------------------------------- */

static void give(struct stream *t, struct span data, bool *wait)
{
    CHECK_STATUS(ST_OK, http_write(t->s, data, wait));
}

static void answer_text(struct bench *b, struct stream *t, unsigned status, const char *text,
                        bool chunked)
{
    struct span body = span_of(text);
    bool wait;

    b->in_call = true;
    CHECK_STATUS(ST_OK,
                 http_respond(t->s, status, NULL, 0, chunked ? HTTP_BODY_CHUNKED : body.len));
    give(t, body, &wait);
    http_end(t->s);
    b->in_call = false;
}

static void on_request(void *owner, struct http_stream *s)
{
    struct bench *b = owner;
    struct stream *t = &b->streams[b->begun++];
    struct span path = http_stream_head(s)->path;

    assert_false(b->in_call);
    assert_true(b->begun <= STREAMS_MAX && path.len < sizeof(t->path));
    t->s = s;
    memcpy(t->path, path.ptr, path.len);
    buf_init(&t->body, 16u * 1024 * 1024);
    http_stream_set_owner(s, t);
    if (b->answer == REFUSE_BODY)
        answer_text(b, t, 413, "too large", false);
    else if (b->answer != SILENT)
        http_read_start(s);
}

static struct bench *bench; /* the one of the test under way: a stream's owner is a stream */

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    struct stream *t = owner;

    assert_ptr_equal(t->s, s);
    assert_false(bench->in_call);
    CHECK_STATUS(ST_OK, buf_append(&t->body, data));
}

static void on_body_end(void *owner, struct http_stream *s)
{
    struct stream *t = owner;
    struct span body = buf_span(&t->body);
    bool wait, chunked = bench->answer == ECHO_CHUNKED;

    assert_false(bench->in_call);
    t->body_end = true;
    if (bench->answer == HOLD)
        return;
    CHECK_STATUS(ST_OK, http_respond(s, 200, NULL, 0, chunked ? HTTP_BODY_CHUNKED : body.len));
    give(t, body, &wait);
    http_end(s);
}

static void on_drained(void *owner, struct http_stream *s)
{
    struct stream *t = owner;

    (void)s;
    assert_false(bench->in_call);
    t->drained++;
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    (void)owner;
    CHECK_STATUS(ST_OK, buf_printf(out, "error %u: %s", status, text));
}

static void on_server_closed(void *owner)
{
    struct bench *b = owner;

    b->closed = true;
}

static void on_bench_drained(void *owner)
{
    struct bench *b = owner;

    b->drained = true;
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    struct stream *t = owner;

    assert_ptr_equal(t->s, s);
    assert_false(bench->in_call || t->closed);
    t->closed = true;
    t->end = st;
    t->s = NULL;
    if (bench->drain_when_closed)
        http_server_drain(bench->server, on_bench_drained);
    if (bench->close_when_closed)
        http_server_close(bench->server, on_server_closed);
}

static const struct http_server_events events = {on_request, on_body,   on_body_end,
                                                 on_drained, on_closed, write_error};

/* --- setting up ------------------------------------------------------------------ */

static void connect_wire(struct bench *b, struct wire *w, size_t chunk, size_t pipe)
{
    struct io_loopback_options o = {.chunk_bytes = chunk, .pipe_bytes = pipe};
    struct io *near, *far;

    CHECK_STATUS(ST_OK, io_loopback_pair(b->loop, &o, &near, &far));
    wire_init(w, near, true);
    http_server_accept(b->server, far, "192.0.2.1:7");
}

static void open_bench(struct bench *b, size_t chunk, size_t pipe, enum answer answer)
{
    static const struct http_server_options o = {
        .head_max_bytes = 16384,
        .connections_max = 3,
        .head_timeout_us = HEAD_US,
        .body_timeout_us = BODY_US,
        .idle_timeout_us = IDLE_US,
        .write_timeout_us = WRITE_US,
        .out_high_bytes = 65536,
        .out_low_bytes = 16384,
        .arena_max_bytes = 1024 * 1024,
    };

    *b = (struct bench){.answer = answer};
    bench = b;
    b->loop = wire_loop();
    CHECK_STATUS(ST_OK, http_server_open(b->loop, &o, &events, b, &b->server));
    connect_wire(b, &b->client, chunk, pipe);
}

static void close_bench(struct bench *b)
{
    wire_close(&b->client);
    http_server_close(b->server, on_server_closed);
    loop_run(b->loop);
    assert_true(b->closed);
    for (unsigned i = 0; i < b->begun; i++) {
        assert_true(b->streams[i].closed);
        buf_release(&b->streams[i].body);
    }
    wire_release(&b->client);
    CHECK_STATUS(ST_OK, loop_close(b->loop));
}

static void send_text(struct bench *b, const char *text)
{
    wire_send(&b->client, span_of(text));
    loop_run(b->loop);
}

static const size_t chunkings[] = WIRE_CHUNKINGS;

/* Runs `flow` with every size of pieces. */
static void in_all_chunkings(void (*flow)(struct bench *b), enum answer answer)
{
    for (size_t i = 0; i < ARRAY_LEN(chunkings); i++) {
        struct bench b;

        open_bench(&b, chunkings[i], 65536, answer);
        flow(&b);
        close_bench(&b);
    }
}

/* Is what the client got `want`, but for the Date? */
static void check_got(const struct bench *b, const char *want)
{
    struct buf plain;
    struct span got = buf_span(&b->client.got);
    const char *date = "Date: ";

    buf_init(&plain, 1024 * 1024);
    for (size_t i = 0; i < got.len; i++) {
        if (i + 37 <= got.len && memcmp(got.ptr + i, date, 6) == 0) {
            assert_memory_equal(got.ptr + i + 31, " GMT\r\n", 6);
            i += 36;
            continue;
        }
        CHECK_STATUS(ST_OK, buf_append(&plain, (struct span){got.ptr + i, 1}));
    }
    CHECK_SPAN(span_of(want), buf_span(&plain));
    buf_release(&plain);
}

/* --- flows ----------------------------------------------------------------------- */

static void flow_keep_alive(struct bench *b)
{
    send_text(b, "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    buf_clear(&b->client.got);
    send_text(b, "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "6;x\r\nchunks\r\n1\r\n!\r\n0\r\nTrailer: gone\r\n\r\n");
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nchunks!");
    buf_clear(&b->client.got);
    send_text(b, "GET /3?q=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(b->begun, 3);
    assert_string_equal(b->streams[2].path, "/3");
    for (unsigned i = 0; i < 3; i++)
        CHECK_STATUS(ST_OK, b->streams[i].end);
    assert_false(b->client.ended);
}

static void flow_chunked_answer(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(wire_has(&b->client, "Transfer-Encoding: chunked\r\n\r\n"));
    assert_true(wire_has(&b->client, "hello"));
    assert_int_equal(wire_count(&b->client, "\r\n0\r\n\r\n"), 1);
    assert_false(wire_has(&b->client, "Content-Length"));
    assert_false(b->client.ended);
}

static void flow_http10(struct bench *b)
{
    send_text(b, "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
    check_got(b, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
    assert_true(b->client.ended);
    CHECK_STATUS(ST_CLOSED, b->client.end);
}

static void flow_http10_abort(struct bench *b)
{
    bool wait;

    send_text(b, "GET / HTTP/1.0\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, HTTP_BODY_CHUNKED));
    give(&b->streams[0], SPAN("half"), &wait);
    http_abort(b->streams[0].s);
    loop_run(b->loop);
    /* An orderly end would be a whole answer to this client. */
    assert_true(b->client.ended);
    CHECK_STATUS(ST_UNAVAILABLE, b->client.end);
    CHECK_STATUS(ST_CANCELED, b->streams[0].end);
}

static void flow_pipelined(struct bench *b)
{
    send_text(b, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
                 "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                 "GET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(b->begun, 1);
    assert_int_equal(b->client.got.len, 0);
    answer_text(b, &b->streams[0], 200, "one", false);
    loop_run(b->loop);
    assert_int_equal(b->begun, 2);
    CHECK_SPAN(SPAN("ab"), buf_span(&b->streams[1].body));
    answer_text(b, &b->streams[1], 201, "two", false);
    loop_run(b->loop);
    answer_text(b, &b->streams[2], 200, "three", false);
    loop_run(b->loop);
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
                 "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\ntwo"
                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthree");
    assert_int_equal(b->begun, 3);
    assert_true(b->client.ended);
}

static void flow_abort(struct bench *b)
{
    bool wait;

    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, HTTP_BODY_CHUNKED));
    give(&b->streams[0], SPAN("half"), &wait);
    b->in_call = true;
    http_abort(b->streams[0].s);
    b->in_call = false;
    loop_run(b->loop);
    assert_true(wire_has(&b->client, "half"));
    assert_false(wire_has(&b->client, "0\r\n\r\n"));
    assert_true(b->client.ended);
    CHECK_STATUS(ST_CANCELED, b->streams[0].end);
}

static void flow_too_little(struct bench *b)
{
    bool wait;

    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, 10));
    give(&b->streams[0], SPAN("half"), &wait);
    http_end(b->streams[0].s);
    loop_run(b->loop);
    assert_true(b->client.ended);
    CHECK_STATUS(ST_CANCELED, b->streams[0].end);
}

static void flow_too_much(struct bench *b)
{
    bool wait;

    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, 2));
    CHECK_STATUS(ST_LIMIT, http_write(b->streams[0].s, SPAN("abc"), &wait));
    give(&b->streams[0], SPAN("ab"), &wait);
    http_end(b->streams[0].s);
    loop_run(b->loop);
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    CHECK_STATUS(ST_OK, b->streams[0].end);
}

static void flow_bodiless(struct bench *b)
{
    bool wait;

    send_text(b, "HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, 5));
    give(&b->streams[0], SPAN("never"), &wait);
    http_end(b->streams[0].s);
    loop_run(b->loop);
    send_text(b, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[1].s, 204, NULL, 0, 0));
    http_end(b->streams[1].s);
    loop_run(b->loop);
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    assert_false(b->client.ended);
}

static void flow_expect_continue(struct bench *b)
{
    send_text(
        b, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    check_got(b, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_clear(&b->client.got);
    send_text(b, "ab");
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    assert_false(b->client.ended);
}

/* The refusal goes out before the body came, and no 100 before it. */
static void flow_early_answer(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 100000\r\n\r\n");
    check_got(b, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n"
                 "Connection: close\r\n\r\ntoo large");
    CHECK_STATUS(ST_OK, b->streams[0].end);
}

/* A client that sends all of its body first still finds the answer. */
static void flow_early_answer_to_a_talker(struct bench *b)
{
    char body[4000];

    memset(body, 'x', sizeof(body));
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    for (unsigned i = 0; i < 25; i++) {
        wire_send(&b->client, (struct span){body, sizeof(body)});
        loop_run(b->loop);
    }
    wire_half_close(&b->client);
    loop_run(b->loop);
    assert_true(wire_has(&b->client, "too large"));
    CHECK_STATUS(ST_CLOSED, b->client.end);
}

static void flow_bad_fields(struct bench *b)
{
    static const struct http_field bad[] = {
        {{"X", 1}, {"a\r\nY: b", 7}}, {{"X", 1}, {"a\nb", 3}}, {{"X", 1}, {"a\0b", 3}},
        {{"X\r\n", 3}, {"a", 1}},     {{"", 0}, {"a", 1}},     {{"X Y", 3}, {"a", 1}},
    };

    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_STATUS(ST_INVALID, http_respond(b->streams[0].s, 200, &bad[i], 1, 0));
    answer_text(b, &b->streams[0], 200, "good", false);
    loop_run(b->loop);
    check_got(b, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
}

static void flow_bad_head(struct bench *b)
{
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n");
    assert_true(wire_has(&b->client, "HTTP/1.1 400 Bad Request\r\n"));
    assert_true(wire_has(&b->client, "Connection: close\r\n"));
    assert_true(wire_has(&b->client, "error 400: "));
    assert_true(b->client.ended);
    assert_int_equal(b->begun, 0);
}

static void flow_client_resets(struct bench *b)
{
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wire_reset(&b->client);
    loop_run(b->loop);
    assert_true(b->streams[0].closed);
    CHECK_STATUS(ST_CLOSED, b->streams[0].end);
}

static void flow_client_leaves_in_its_body(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
    wire_close(&b->client);
    loop_run(b->loop);
    CHECK_STATUS(ST_CLOSED, b->streams[0].end);
    assert_false(b->streams[0].body_end);
}

static void flow_body_breaks(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX");
    CHECK_STATUS(ST_INVALID, b->streams[0].end);
    assert_false(b->streams[0].body_end);
    assert_true(b->client.ended);
    assert_false(wire_has(&b->client, "HTTP/1.1 200"));
}

static void flow_half_closed(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
    wire_half_close(&b->client);
    loop_run(b->loop);
    answer_text(b, &b->streams[0], 200, "late", false);
    loop_run(b->loop);
    assert_true(wire_has(&b->client, "late"));
    CHECK_STATUS(ST_OK, b->streams[0].end);
    CHECK_STATUS(ST_CLOSED, b->client.end);
}

static void flow_deadline_idle(struct bench *b)
{
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wire_pass(b->loop, IDLE_US - 1);
    assert_false(b->client.ended);
    wire_pass(b->loop, 1);
    assert_true(b->client.ended);
    assert_int_equal(wire_count(&b->client, "HTTP/1.1"), 1);
}

/* It gives its memory back meanwhile, and takes the next request all the same, in time. */
static void flow_silent_then_asks(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
    wire_pass(b->loop, IDLE_US - 1);
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ncdef");
    assert_int_equal(wire_count(&b->client, "HTTP/1.1 200"), 2);
    assert_true(wire_has(&b->client, "cdef"));
    wire_pass(b->loop, IDLE_US - 1);
    assert_false(b->client.ended);
    wire_pass(b->loop, 1);
    assert_true(b->client.ended);
}

static void flow_deadline_head(struct bench *b)
{
    send_text(b, "GET / HT");
    wire_pass(b->loop, HEAD_US / 2);
    send_text(b, "TP/1.1\r\n"); /* progress does not prolong it */
    wire_pass(b->loop, HEAD_US / 2);
    assert_true(wire_has(&b->client, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_true(b->client.ended);
}

static void flow_deadline_body(struct bench *b)
{
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    wire_pass(b->loop, BODY_US - 1);
    send_text(b, "c"); /* progress does */
    wire_pass(b->loop, BODY_US - 1);
    assert_false(b->streams[0].closed);
    wire_pass(b->loop, 1);
    CHECK_STATUS(ST_TIMEOUT, b->streams[0].end);
    assert_true(b->client.ended);
}

/* A body that stalls is noticed although an answer is under way. */
static void flow_deadline_body_while_answering(struct bench *b)
{
    bool wait;

    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, HTTP_BODY_CHUNKED));
    give(&b->streams[0], SPAN("x"), &wait);
    loop_run(b->loop);
    wire_pass(b->loop, BODY_US);
    CHECK_STATUS(ST_TIMEOUT, b->streams[0].end);
}

static void flow_drain(struct bench *b);

/* --- back-pressure: with pipes that are small ------------------------------------ */

#define LARGE_BYTES 3000000

static void test_slow_reader(void **state)
{
    static char piece[20000];
    struct bench b;
    size_t given = 0, steps = 0;
    bool wait = false;

    (void)state;
    open_bench(&b, 4096, 8192, HOLD);
    send_text(&b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    io_read_stop(b.client.io);
    CHECK_STATUS(ST_OK, http_respond(b.streams[0].s, 200, NULL, 0, LARGE_BYTES));
    while (given < LARGE_BYTES) {
        unsigned drained = b.streams[0].drained;

        for (wait = false; !wait && given < LARGE_BYTES; given += sizeof(piece))
            give(&b.streams[0], (struct span){piece, sizeof(piece)}, &wait);
        if (!wait)
            break;
        loop_run(b.loop);
        assert_int_equal(b.streams[0].drained, drained);
        /* What is taken is what the pipe holds, not what was given. */
        assert_true(http_stream_body_sent(b.streams[0].s) < given);
        io_read_start(b.client.io);
        loop_run(b.loop);
        assert_int_equal(b.streams[0].drained, drained + 1);
        assert_int_equal(http_stream_body_sent(b.streams[0].s), given);
        io_read_stop(b.client.io);
        steps++;
    }
    assert_true(steps > 20);
    http_end(b.streams[0].s);
    io_read_start(b.client.io);
    loop_run(b.loop);
    CHECK_STATUS(ST_OK, b.streams[0].end);
    assert_true(b.client.got.len > LARGE_BYTES);
    close_bench(&b);
}

static void test_reader_that_takes_nothing(void **state)
{
    static char large[1000000];
    struct bench b;
    bool wait;

    (void)state;
    open_bench(&b, 0, 8192, HOLD);
    send_text(&b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    io_read_stop(b.client.io);
    CHECK_STATUS(ST_OK, http_respond(b.streams[0].s, 200, NULL, 0, sizeof(large)));
    give(&b.streams[0], (struct span){large, sizeof(large)}, &wait);
    assert_true(wait);
    http_end(b.streams[0].s);
    wire_pass(b.loop, WRITE_US - 1);
    assert_false(b.streams[0].closed);
    wire_pass(b.loop, 1);
    CHECK_STATUS(ST_TIMEOUT, b.streams[0].end);
    close_bench(&b);
}

/* Slow, but it takes: the deadline is for those who take nothing. */
static void test_reader_that_takes_slowly(void **state)
{
    static char large[2000000];
    struct bench b;
    size_t before;
    bool wait;

    (void)state;
    open_bench(&b, 4096, 8192, HOLD);
    send_text(&b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    io_read_stop(b.client.io);
    CHECK_STATUS(ST_OK, http_respond(b.streams[0].s, 200, NULL, 0, sizeof(large)));
    give(&b.streams[0], (struct span){large, sizeof(large)}, &wait);
    http_end(b.streams[0].s);
    while (!b.streams[0].closed) {
        wire_pass(b.loop, WRITE_US / 2);
        before = b.client.got.len;
        io_read_start(b.client.io);
        while (b.client.got.len < before + 200000 && !b.streams[0].closed)
            loop_turn(b.loop);
        io_read_stop(b.client.io);
    }
    CHECK_STATUS(ST_OK, b.streams[0].end);
    io_read_start(b.client.io);
    loop_run(b.loop);
    assert_true(b.client.got.len > sizeof(large));
    close_bench(&b);
}

/* An owner that does not read stops the client, and loses nothing. */
static void test_owner_that_does_not_read(void **state)
{
    static char large[1000000];
    struct bench b;

    (void)state;
    open_bench(&b, 4096, 8192, SILENT);
    send_text(&b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    memset(large, 'x', sizeof(large));
    wire_send(&b.client, (struct span){large, sizeof(large)});
    wire_pass(b.loop, BODY_US * 2); /* no deadline for the client while we do not read */
    assert_true(b.client.writing);
    assert_int_equal(b.streams[0].body.len, 0);
    b.answer = HOLD;
    http_read_start(b.streams[0].s);
    loop_run(b.loop);
    assert_false(b.client.writing);
    assert_int_equal(b.streams[0].body.len, sizeof(large));
    assert_true(b.streams[0].body_end);
    answer_text(&b, &b.streams[0], 200, "ok", false);
    loop_run(b.loop);
    assert_false(b.client.ended);
    close_bench(&b);
}

/* --- the server as a whole ------------------------------------------------------- */

static void flow_drain(struct bench *b)
{
    struct wire idle, late;

    connect_wire(b, &idle, 0, 65536);
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_server_drain(b->server, on_bench_drained);
    loop_run(b->loop);
    assert_true(idle.ended);
    assert_false(b->client.ended || b->drained);
    connect_wire(b, &late, 0, 65536);
    wire_send(&late, SPAN("GET /late HTTP/1.1\r\nHost: h\r\n\r\n"));
    loop_run(b->loop);
    answer_text(b, &b->streams[0], 200, "one", false);
    answer_text(b, &b->streams[1], 200, "two", false);
    loop_run(b->loop);
    assert_true(wire_has(&b->client, "Connection: close\r\n"));
    assert_true(wire_has(&late, "Connection: close\r\n"));
    assert_true(b->client.ended && late.ended);
    wire_close(&b->client);
    wire_close(&idle);
    wire_close(&late);
    loop_run(b->loop);
    assert_true(b->drained);
    wire_release(&idle);
    wire_release(&late);
}

static void flow_close_now(struct bench *b)
{
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_server_close(b->server, on_server_closed);
    loop_run(b->loop);
    assert_true(b->closed && b->client.ended);
    CHECK_STATUS(ST_CANCELED, b->streams[0].end);
    /* close_bench() closes one; here is another. */
    b->closed = false;
    CHECK_STATUS(ST_OK, http_server_open(b->loop, &(struct http_server_options){0}, &events, b,
                                         &b->server));
}

static void flow_drain_in_an_event(struct bench *b)
{
    b->drain_when_closed = true;
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(b->client.ended);
    wire_close(&b->client);
    loop_run(b->loop);
    assert_true(b->drained);
}

/* What is cut by our end must not look whole, whatever the version. */
static void flow_close_cuts_http10(struct bench *b)
{
    bool wait;

    send_text(b, "GET / HTTP/1.0\r\n\r\n");
    CHECK_STATUS(ST_OK, http_respond(b->streams[0].s, 200, NULL, 0, HTTP_BODY_CHUNKED));
    give(&b->streams[0], SPAN("half"), &wait);
    loop_run(b->loop);
    http_server_close(b->server, on_server_closed);
    loop_run(b->loop);
    assert_true(b->closed);
    CHECK_STATUS(ST_UNAVAILABLE, b->client.end);
    b->closed = false;
    CHECK_STATUS(ST_OK, http_server_open(b->loop, &(struct http_server_options){0}, &events, b,
                                         &b->server));
}

static void flow_close_in_an_event(struct bench *b)
{
    b->close_when_closed = true;
    send_text(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(wire_has(&b->client, "HTTP/1.1 200 OK"));
    CHECK_STATUS(ST_OK, b->streams[0].end);
    assert_true(b->client.ended && b->closed);
    /* close_bench() closes one; here is another. */
    b->closed = false;
    CHECK_STATUS(ST_OK, http_server_open(b->loop, &(struct http_server_options){0}, &events, b,
                                         &b->server));
}

static void flow_too_many_connections(struct bench *b)
{
    struct wire more[3];
    struct http_server_stats stats;

    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        connect_wire(b, &more[i], 0, 65536);
    wire_send(&more[2], SPAN("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    loop_run(b->loop);
    assert_true(wire_has(&more[2], "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_true(wire_has(&more[2], "error 503: "));
    assert_true(more[2].ended);
    assert_false(more[1].ended || more[0].ended);
    http_server_stats(b->server, &stats);
    assert_int_equal(stats.connections_total, 3);
    assert_int_equal(stats.refused_total, 1);
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        wire_close(&more[i]);
    loop_run(b->loop);
    http_server_stats(b->server, &stats);
    assert_int_equal(stats.connections_now, 1);
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        wire_release(&more[i]);
}

#define FLOW(name, answer)                                                                     \
    static void test_##name(void **state)                                                      \
    {                                                                                          \
        (void)state;                                                                           \
        in_all_chunkings(flow_##name, answer);                                                 \
    }

FLOW(keep_alive, ECHO_LENGTH)
FLOW(chunked_answer, ECHO_CHUNKED)
FLOW(http10, ECHO_CHUNKED)
FLOW(http10_abort, HOLD)
FLOW(pipelined, HOLD)
FLOW(abort, HOLD)
FLOW(too_little, HOLD)
FLOW(too_much, HOLD)
FLOW(bodiless, HOLD)
FLOW(expect_continue, ECHO_LENGTH)
FLOW(early_answer, REFUSE_BODY)
FLOW(early_answer_to_a_talker, REFUSE_BODY)
FLOW(bad_fields, HOLD)
FLOW(bad_head, HOLD)
FLOW(client_resets, HOLD)
FLOW(client_leaves_in_its_body, HOLD)
FLOW(body_breaks, ECHO_LENGTH)
FLOW(half_closed, HOLD)
FLOW(deadline_idle, ECHO_LENGTH)
FLOW(silent_then_asks, ECHO_LENGTH)
FLOW(deadline_head, HOLD)
FLOW(deadline_body, HOLD)
FLOW(deadline_body_while_answering, HOLD)
FLOW(drain, HOLD)
FLOW(close_now, HOLD)
FLOW(drain_in_an_event, ECHO_LENGTH)
FLOW(close_cuts_http10, HOLD)
FLOW(close_in_an_event, ECHO_LENGTH)
FLOW(too_many_connections, HOLD)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_chunked_answer),
        cmocka_unit_test(test_http10),
        cmocka_unit_test(test_http10_abort),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_bodiless),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_early_answer_to_a_talker),
        cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_bad_head),
        cmocka_unit_test(test_client_resets),
        cmocka_unit_test(test_client_leaves_in_its_body),
        cmocka_unit_test(test_body_breaks),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_deadline_idle),
        cmocka_unit_test(test_silent_then_asks),
        cmocka_unit_test(test_deadline_head),
        cmocka_unit_test(test_deadline_body),
        cmocka_unit_test(test_deadline_body_while_answering),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_close_now),
        cmocka_unit_test(test_drain_in_an_event),
        cmocka_unit_test(test_close_cuts_http10),
        cmocka_unit_test(test_close_in_an_event),
        cmocka_unit_test(test_too_many_connections),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_reader_that_takes_nothing),
        cmocka_unit_test(test_reader_that_takes_slowly),
        cmocka_unit_test(test_owner_that_does_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
