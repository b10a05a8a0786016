/* The client and its pool against a scripted upstream: what it is sent is compared byte
 * for byte, what it answers is written out in the tests. connect_start() and its kin are
 * ours here instead of rt's, so that connections are loopback streams. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "flow/wire.h"
#include "http/client.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define WIRES_MAX       8
#define CALLS_MAX       8
#define CONNECT_US      1000000
#define FIRST_BYTE_US   2000000
#define IDLE_US         3000000
#define TOTAL_US        20000000
#define KEEP_US         5000000
#define CONNECTIONS_MAX 2
#define WAITING_MAX     2

enum outcome { CONNECTS, IS_REFUSED, HANGS };

struct one {
    struct http_call *c; /* NULL once ended */
    unsigned status;     /* of the answer's head; 0: none */
    struct buf body;
    unsigned ends, drained;
    enum status end;
    char why[128];
    bool pause_on_body, cancel_on_head;
};

struct bench {
    struct loop *loop;
    struct http_pool *pool;
    struct arena arena;
    size_t chunk, pipe;
    enum outcome outcome; /* of the connections to come */
    struct wire wires[WIRES_MAX];
    unsigned connects;
    struct one calls[CALLS_MAX];
    bool in_call;
    bool closed;
};

static struct bench *bench;

/* --- instead of rt/connect.c ----------------------------------------------------- */

struct connect_op {
    struct loop_msg end;
    connect_done_fn *done;
    void *owner;
    enum status st;
    bool ending;
};

static void on_connect_end(struct loop_msg *m)
{
    struct connect_op *op = CONTAINER_OF(m, struct connect_op, end);
    struct io_loopback_options o = {.chunk_bytes = bench->chunk, .pipe_bytes = bench->pipe};
    struct io *near = NULL, *far = NULL;

    if (op->st == ST_OK) {
        assert_true(bench->connects < WIRES_MAX);
        CHECK_STATUS(ST_OK, io_loopback_pair(bench->loop, &o, &near, &far));
        wire_init(&bench->wires[bench->connects++], near, true);
    }
    op->done(op, op->st, far, "connection refused");
    free(op);
}

static void end_connect(struct connect_op *op, enum status st)
{
    if (op->ending)
        return;
    op->ending = true;
    op->st = st;
    loop_defer(bench->loop, &op->end, on_connect_end);
}

enum status connect_start(struct connector *c, const struct endpoint *to, uint64_t timeout_us,
                          connect_done_fn *done, void *owner, struct connect_op **op)
{
    assert_null(c);
    assert_string_equal(to->host, "up.test");
    assert_int_equal(timeout_us, CONNECT_US);
    *op = calloc(1, sizeof(**op));
    assert_non_null(*op);
    (*op)->done = done;
    (*op)->owner = owner;
    if (bench->outcome != HANGS)
        end_connect(*op, bench->outcome == CONNECTS ? ST_OK : ST_UNAVAILABLE);
    return ST_OK;
}

void connect_cancel(struct connect_op *op)
{
    end_connect(op, ST_CANCELED);
}

void *connect_owner(const struct connect_op *op)
{
    return op->owner;
}

/* --- the owner of the calls ------------------------------------------------------ */

static void on_head(void *owner, struct http_call *c, const struct http_head *h)
{
    struct one *x = owner;

    assert_ptr_equal(x->c, c);
    assert_false(bench->in_call);
    assert_int_equal(x->status, 0);
    x->status = h->status;
    if (x->cancel_on_head)
        http_call_cancel(c);
}

static void on_body(void *owner, struct http_call *c, struct span data)
{
    struct one *x = owner;

    assert_false(bench->in_call);
    assert_int_not_equal(x->status, 0);
    CHECK_STATUS(ST_OK, buf_append(&x->body, data));
    if (x->pause_on_body)
        http_call_pause(c);
}

static void on_drained(void *owner, struct http_call *c)
{
    struct one *x = owner;

    (void)c;
    assert_false(bench->in_call);
    x->drained++;
}

static void on_end(void *owner, struct http_call *c, enum status st, const char *why)
{
    struct one *x = owner;

    assert_ptr_equal(x->c, c);
    assert_false(bench->in_call);
    x->ends++;
    x->end = st;
    snprintf(x->why, sizeof(x->why), "%s", why);
    x->c = NULL;
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

/* --- setting up ------------------------------------------------------------------ */

static void open_bench(struct bench *b, size_t chunk, size_t pipe)
{
    static const struct http_pool_options o = {
        .to = {.host = "up.test", .port = 80},
        .connections_max = CONNECTIONS_MAX,
        .waiting_max = WAITING_MAX,
        .head_max_bytes = 16384,
        .connect_timeout_us = CONNECT_US,
        .first_byte_timeout_us = FIRST_BYTE_US,
        .idle_timeout_us = IDLE_US,
        .total_timeout_us = TOTAL_US,
        .keep_us = KEEP_US,
        .out_high_bytes = 65536,
        .out_low_bytes = 16384,
    };

    *b = (struct bench){.chunk = chunk, .pipe = pipe};
    bench = b;
    b->loop = wire_loop();
    arena_init(&b->arena, 16384, 16u * 1024 * 1024);
    for (size_t i = 0; i < CALLS_MAX; i++)
        buf_init(&b->calls[i].body, 16u * 1024 * 1024);
    CHECK_STATUS(ST_OK, http_pool_open(b->loop, NULL, &o, &b->pool));
}

static void on_pool_closed(void *owner)
{
    struct bench *b = owner;

    b->closed = true;
}

static void close_bench(struct bench *b)
{
    http_pool_close(b->pool, on_pool_closed, b);
    loop_run(b->loop);
    assert_true(b->closed);
    for (unsigned i = 0; i < b->connects; i++) {
        assert_true(b->wires[i].ended || b->wires[i].io == NULL);
        wire_close(&b->wires[i]);
    }
    loop_run(b->loop);
    for (unsigned i = 0; i < b->connects; i++)
        wire_release(&b->wires[i]);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_null(b->calls[i].c);
        assert_true(b->calls[i].ends <= 1);
        buf_release(&b->calls[i].body);
    }
    arena_release(&b->arena);
    CHECK_STATUS(ST_OK, loop_close(b->loop));
}

static enum status try_start(struct bench *b, unsigned n, const struct http_request *r)
{
    enum status st;

    b->in_call = true;
    st = http_call_start(b->pool, r, &b->arena, &events, &b->calls[n], &b->calls[n].c);
    b->in_call = false;
    return st;
}

static void start(struct bench *b, unsigned n, const struct http_request *r)
{
    CHECK_STATUS(ST_OK, try_start(b, n, r));
    loop_run(b->loop);
}

static const struct http_request get = {
    .method = {"GET", 3}, .target = {"/a", 2}, .host = {"up.test", 7}};
static const struct http_request post = {
    .method = {"POST", 4}, .target = {"/a", 2}, .host = {"up.test", 7}, .body = {"hello", 5}};
static const struct http_request streamed = {.method = {"POST", 4},
                                             .target = {"/a", 2},
                                             .host = {"up.test", 7},
                                             .body_streams = true,
                                             .body_bytes = HTTP_BODY_CHUNKED};

static void say(struct bench *b, unsigned wire, const char *text)
{
    wire_send(&b->wires[wire], span_of(text));
    loop_run(b->loop);
}

static void upload(struct bench *b, unsigned n, struct span data, bool *wait)
{
    b->in_call = true;
    CHECK_STATUS(ST_OK, http_call_write(b->calls[n].c, data, wait));
    b->in_call = false;
}

static void check_end(const struct one *x, enum status st, unsigned status, const char *body)
{
    assert_int_equal(x->ends, 1);
    CHECK_STATUS(st, x->end);
    assert_int_equal(x->status, status);
    CHECK_SPAN(span_of(body), buf_span(&x->body));
    assert_true((st == ST_OK) == (x->why[0] == '\0'));
}

static const size_t chunkings[] = WIRE_CHUNKINGS;

static void in_all_chunkings(void (*flow)(struct bench *b))
{
    for (size_t i = 0; i < ARRAY_LEN(chunkings); i++) {
        struct bench b;

        open_bench(&b, chunkings[i], 65536);
        flow(&b);
        close_bench(&b);
    }
}

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* --- exchanges ------------------------------------------------------------------- */

static void flow_two_calls_one_connection(struct bench *b)
{
    static const struct http_field fields[] = {{{"X-A", 3}, {"1", 1}}, {{"X-B", 3}, {"", 0}}};
    struct http_request r = get;

    r.fields = fields;
    r.field_count = 2;
    start(b, 0, &r);
    CHECK_SPAN(SPAN("GET /a HTTP/1.1\r\nHost: up.test\r\nX-A: 1\r\nX-B: \r\n\r\n"),
               buf_span(&b->wires[0].got));
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
    buf_clear(&b->wires[0].got);
    start(b, 1, &post);
    CHECK_SPAN(SPAN("POST /a HTTP/1.1\r\nHost: up.test\r\nContent-Length: 5\r\n\r\nhello"),
               buf_span(&b->wires[0].got));
    say(b, 0,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n");
    check_end(&b->calls[1], ST_OK, 200, "abcde");
    assert_int_equal(b->connects, 1);
    assert_false(b->wires[0].ended);
}

static void flow_host_of_the_caller(struct bench *b)
{
    static const struct http_field host = {{"host", 4}, {"other", 5}};
    struct http_request r = get;

    r.fields = &host;
    r.field_count = 1;
    start(b, 0, &r);
    CHECK_SPAN(SPAN("GET /a HTTP/1.1\r\nhost: other\r\n\r\n"), buf_span(&b->wires[0].got));
    say(b, 0, GOOD);
}

static void flow_bodiless_answers(struct bench *b)
{
    struct http_request head = get;

    head.method = SPAN("HEAD");
    start(b, 0, &head);
    say(b, 0, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n");
    check_end(&b->calls[0], ST_OK, 200, "");
    start(b, 1, &get);
    say(b, 0, "HTTP/1.1 204 No Content\r\n\r\n");
    check_end(&b->calls[1], ST_OK, 204, "");
    start(b, 2, &get);
    say(b, 0, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    check_end(&b->calls[2], ST_OK, 304, "");
    start(b, 3, &get);
    say(b, 0, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
    check_end(&b->calls[3], ST_OK, 200, "");
    assert_int_equal(b->connects, 1);
}

static void flow_until_the_end(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\n\r\nall of it");
    assert_int_equal(b->calls[0].ends, 0);
    wire_half_close(&b->wires[0]);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_OK, 200, "all of it");
    assert_true(b->wires[0].ended);
}

static void flow_until_the_end_but_reset(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\n\r\nhalf");
    wire_reset(&b->wires[0]);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_UNAVAILABLE, 200, "half");
}

static void flow_cut_in_a_length(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_UNAVAILABLE, 200, "half");
}

static void flow_cut_in_a_chunk(struct bench *b)
{
    start(b, 0, &get);
    /* The last chunk is there but for its last byte. */
    say(b, 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r");
    wire_half_close(&b->wires[0]);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_UNAVAILABLE, 200, "half");
}

static void flow_cut_in_the_head(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\nContent-Len");
    wire_half_close(&b->wires[0]);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_UNAVAILABLE, 0, "");
}

static void flow_informational(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
    start(b, 1, &get);
    say(b, 0, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    check_end(&b->calls[1], ST_INVALID, 0, "");
    start(b, 2, &get);
    for (unsigned i = 0; i < 20 && b->calls[2].ends == 0; i++)
        say(b, 1, "HTTP/1.1 102 Processing\r\n\r\n");
    check_end(&b->calls[2], ST_INVALID, 0, "");
}

/* Shapes that another reader would read as two answers, or none. */
static void flow_bad_answers(struct bench *b)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\x01\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
        "ICY 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "SSH-2.0-server\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct one *x = &b->calls[0];

        b->connects = 0;
        *x = (struct one){.body = x->body};
        start(b, 0, &get);
        say(b, 0, bad[i]);
        if (x->ends != 1 || x->end != ST_INVALID || x->status != 0)
            fail_msg("answer %zu was taken: '%s'", i, bad[i]);
        assert_true(b->wires[0].ended);
        wire_close(&b->wires[0]);
        loop_run(b->loop);
        wire_release(&b->wires[0]);
    }
    b->connects = 0;
}

static void flow_bad_chunks(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n0\r\n\r\n");
    assert_int_equal(b->calls[0].ends, 1);
    CHECK_STATUS(ST_INVALID, b->calls[0].end);
    assert_true(b->wires[0].ended);
}

static void flow_head_too_large(struct bench *b)
{
    char line[520];

    memset(line, 'x', sizeof(line));
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof(line) - 3, "\r\n", 3);
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\n");
    for (unsigned i = 0; i < 40 && b->calls[0].ends == 0; i++)
        say(b, 0, line);
    check_end(&b->calls[0], ST_INVALID, 0, "");
}

static void flow_unsafe_requests(struct bench *b)
{
    static const struct http_field fields[] = {
        {{"X", 1}, {"a\r\nY: b", 7}},
        {{"X", 1}, {"a\0b", 3}},
        {{"X\nY", 3}, {"a", 1}},
        {{"Content-Length", 14}, {"5", 1}},
        {{"transfer-encoding", 17}, {"chunked", 7}},
    };
    static const struct span targets[] = {{"/a b", 4}, {"/a\r\n", 4}, {"/\0", 2}, {"", 0}};
    static const struct span methods[] = {{"GE T", 4}, {"GET\n", 4}, {"", 0}};
    struct http_request r = get;

    r.field_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        r.fields = &fields[i];
        CHECK_STATUS(ST_INVALID, try_start(b, 0, &r));
    }
    r.field_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        r.target = targets[i];
        CHECK_STATUS(ST_INVALID, try_start(b, 0, &r));
    }
    r = get;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        r.method = methods[i];
        CHECK_STATUS(ST_INVALID, try_start(b, 0, &r));
    }
    loop_run(b->loop);
    assert_int_equal(b->connects, 0);
}

/* --- uploads in pieces ----------------------------------------------------------- */

static void flow_upload_chunked(struct bench *b)
{
    bool wait;

    /* The first piece comes before there is a connection. */
    CHECK_STATUS(ST_OK, try_start(b, 0, &streamed));
    upload(b, 0, SPAN("one"), &wait);
    upload(b, 0, SPAN(""), &wait);
    loop_run(b->loop);
    upload(b, 0, SPAN("two and more"), &wait);
    http_call_end(b->calls[0].c);
    loop_run(b->loop);
    CHECK_SPAN(SPAN("POST /a HTTP/1.1\r\nHost: up.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\none\r\nc\r\ntwo and more\r\n0\r\n\r\n"),
               buf_span(&b->wires[0].got));
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
}

static void flow_upload_with_length(struct bench *b)
{
    struct http_request r = streamed;
    bool wait;

    r.body_bytes = 5;
    start(b, 0, &r);
    upload(b, 0, SPAN("hel"), &wait);
    CHECK_STATUS(ST_LIMIT, http_call_write(b->calls[0].c, SPAN("lo and a request"), &wait));
    upload(b, 0, SPAN("lo"), &wait);
    http_call_end(b->calls[0].c);
    loop_run(b->loop);
    CHECK_SPAN(SPAN("POST /a HTTP/1.1\r\nHost: up.test\r\nContent-Length: 5\r\n\r\nhello"),
               buf_span(&b->wires[0].got));
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
    start(b, 1, &r);
    upload(b, 1, SPAN("hel"), &wait);
    http_call_end(b->calls[1].c); /* too little */
    loop_run(b->loop);
    CHECK_STATUS(ST_CANCELED, b->calls[1].end);
    assert_true(b->wires[0].ended);
}

/* An answer may come before the upload is over; the connection is then of no use. */
static void flow_early_answer(struct bench *b)
{
    bool wait;

    start(b, 0, &streamed);
    upload(b, 0, SPAN("one"), &wait);
    say(b, 0, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    check_end(&b->calls[0], ST_OK, 413, "no");
    assert_true(b->wires[0].ended);
    assert_false(wire_has(&b->wires[0], "0\r\n\r\n"));
}

/* --- the pool -------------------------------------------------------------------- */

static void flow_close_is_honoured(struct bench *b)
{
    static const char *const last[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        /* More than the answer: the beginning of another that nobody asked for. */
        GOOD "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    };

    for (unsigned i = 0; i < ARRAY_LEN(last); i++) {
        start(b, i, &get);
        assert_int_equal(b->connects, i + 1);
        say(b, i, last[i]);
        check_end(&b->calls[i], ST_OK, 200, "ok");
        assert_true(b->wires[i].ended);
    }
    start(b, 4, &get);
    say(b, 4, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
    assert_false(b->wires[4].ended);
}

static void flow_idle_that_talks(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, GOOD);
    say(b, 0, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert_true(b->wires[0].ended);
    start(b, 1, &get);
    assert_int_equal(b->connects, 2);
    say(b, 1, GOOD);
    check_end(&b->calls[1], ST_OK, 200, "ok");
}

/* An answer that came before its question was sent is another's, or nobody's. */
static void flow_answer_before_the_question(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, GOOD);
    wire_send(&b->wires[0], SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"));
    start(b, 1, &post);
    assert_true(b->wires[0].ended);
    assert_false(wire_has(&b->wires[0], "POST"));
    assert_int_equal(b->connects, 2);
    assert_int_equal(b->calls[1].ends, 0);
    say(b, 1, GOOD);
    check_end(&b->calls[1], ST_OK, 200, "ok");
    assert_int_equal(wire_count(&b->wires[1], "POST"), 1);
}

static void flow_idle_grows_old(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, GOOD);
    wire_pass(b->loop, KEEP_US - 1);
    assert_false(b->wires[0].ended);
    wire_pass(b->loop, 1);
    assert_true(b->wires[0].ended);
}

static void flow_latest_first(struct bench *b)
{
    start(b, 0, &get);
    start(b, 1, &get);
    assert_int_equal(b->connects, 2);
    say(b, 1, GOOD);
    say(b, 0, GOOD);
    buf_clear(&b->wires[0].got);
    buf_clear(&b->wires[1].got);
    start(b, 2, &get);
    assert_true(b->wires[0].got.len > 0 && b->wires[1].got.len == 0);
    say(b, 0, GOOD);
    check_end(&b->calls[2], ST_OK, 200, "ok");
}

static void flow_waiting(struct bench *b)
{
    struct http_pool_stats s;

    for (unsigned i = 0; i < CONNECTIONS_MAX + WAITING_MAX; i++)
        start(b, i, &get);
    CHECK_STATUS(ST_OVERLOAD, try_start(b, 7, &get));
    b->calls[7].c = NULL;
    http_pool_stats(b->pool, &s);
    assert_int_equal(s.waiting_now, WAITING_MAX);
    assert_int_equal(b->connects, CONNECTIONS_MAX);
    say(b, 1, GOOD);
    http_pool_stats(b->pool, &s);
    assert_int_equal(s.waiting_now, 1);
    say(b, 1, GOOD);
    check_end(&b->calls[2], ST_OK, 200, "ok");
    /* A connection that is lost makes room for another. */
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_UNAVAILABLE, 0, "");
    say(b, 1, GOOD);
    check_end(&b->calls[3], ST_OK, 200, "ok");
    http_pool_stats(b->pool, &s);
    assert_int_equal(s.connections_now, 1);
    assert_int_equal(s.idle_now, 1);
    assert_int_equal(s.waiting_now, 0);
}

static void flow_waiting_too_long(struct bench *b)
{
    bool wait;

    /* Those who hold the connections are still uploading. */
    start(b, 0, &streamed);
    start(b, 1, &streamed);
    start(b, 2, &get);
    wire_pass(b->loop, FIRST_BYTE_US - 1);
    assert_int_equal(b->calls[2].ends, 0);
    wire_pass(b->loop, 1);
    check_end(&b->calls[2], ST_TIMEOUT, 0, "");
    upload(b, 0, SPAN("x"), &wait);
    http_call_end(b->calls[0].c);
    loop_run(b->loop);
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
}

static void flow_refused(struct bench *b)
{
    struct http_pool_stats s;

    b->outcome = IS_REFUSED;
    start(b, 0, &get);
    check_end(&b->calls[0], ST_UNAVAILABLE, 0, "");
    assert_string_equal(b->calls[0].why, "connection refused");
    http_pool_stats(b->pool, &s);
    assert_int_equal(s.connections_now, 0);
    assert_int_equal(s.failures_total, 1);
}

/* --- the retry ------------------------------------------------------------------- */

static void use_once(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
    buf_clear(&b->wires[0].got);
}

static void flow_retry(struct bench *b)
{
    struct http_pool_stats s;

    use_once(b);
    start(b, 1, &post);
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 2);
    CHECK_SPAN(SPAN("POST /a HTTP/1.1\r\nHost: up.test\r\nContent-Length: 5\r\n\r\nhello"),
               buf_span(&b->wires[1].got));
    say(b, 1, GOOD);
    check_end(&b->calls[1], ST_OK, 200, "ok");
    http_pool_stats(b->pool, &s);
    assert_int_equal(s.retries_total, 1);
    assert_int_equal(s.connections_now, 1);
    assert_int_equal(s.idle_now, 1);
}

static void flow_retry_once_only(struct bench *b)
{
    use_once(b);
    start(b, 1, &get);
    wire_reset(&b->wires[0]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 2);
    wire_close(&b->wires[1]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 2);
    check_end(&b->calls[1], ST_UNAVAILABLE, 0, "");
}

static void flow_no_retry_on_a_fresh_one(struct bench *b)
{
    start(b, 0, &get);
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 1);
    check_end(&b->calls[0], ST_UNAVAILABLE, 0, "");
}

static void flow_no_retry_after_a_byte(struct bench *b)
{
    use_once(b);
    start(b, 1, &get);
    say(b, 0, "H");
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 1);
    check_end(&b->calls[1], ST_UNAVAILABLE, 0, "");
}

static void flow_no_retry_of_a_sent_upload(struct bench *b)
{
    bool wait;

    use_once(b);
    start(b, 1, &streamed);
    upload(b, 1, SPAN("x"), &wait);
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 1);
    check_end(&b->calls[1], ST_UNAVAILABLE, 0, "");
    /* An upload that was empty is over as well: there is nobody to end it again. */
    start(b, 2, &get);
    say(b, 1, GOOD);
    start(b, 3, &streamed);
    http_call_end(b->calls[3].c);
    wire_close(&b->wires[1]);
    loop_run(b->loop);
    check_end(&b->calls[3], ST_UNAVAILABLE, 0, "");
}

static void flow_retry_of_an_unsent_upload(struct bench *b)
{
    bool wait;

    use_once(b);
    start(b, 1, &streamed);
    wire_close(&b->wires[0]);
    loop_run(b->loop);
    assert_int_equal(b->connects, 2);
    upload(b, 1, SPAN("x"), &wait);
    http_call_end(b->calls[1].c);
    loop_run(b->loop);
    assert_true(wire_has(&b->wires[1], "\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    say(b, 1, GOOD);
    check_end(&b->calls[1], ST_OK, 200, "ok");
}

/* --- time ------------------------------------------------------------------------ */

static void flow_no_first_byte(struct bench *b)
{
    start(b, 0, &post);
    wire_pass(b->loop, FIRST_BYTE_US - 1);
    assert_int_equal(b->calls[0].ends, 0);
    wire_pass(b->loop, 1);
    check_end(&b->calls[0], ST_TIMEOUT, 0, "");
    assert_true(b->wires[0].ended);
}

static void flow_silence_in_the_answer(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nh");
    wire_pass(b->loop, IDLE_US - 1);
    say(b, 0, "a");
    wire_pass(b->loop, IDLE_US - 1);
    assert_int_equal(b->calls[0].ends, 0);
    wire_pass(b->loop, 1);
    check_end(&b->calls[0], ST_TIMEOUT, 200, "ha");
}

static void flow_total(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n");
    for (unsigned i = 0; b->calls[0].ends == 0; i++) {
        assert_true(i < TOTAL_US / 1000000);
        wire_pass(b->loop, 1000000);
        if (b->calls[0].ends == 0)
            say(b, 0, "x");
    }
    CHECK_STATUS(ST_TIMEOUT, b->calls[0].end);
}

/* While we are the ones who are slow, the upstream is not to blame. */
static void flow_slow_uploader(struct bench *b)
{
    bool wait;

    start(b, 0, &streamed);
    wire_pass(b->loop, IDLE_US + FIRST_BYTE_US);
    upload(b, 0, SPAN("one"), &wait);
    wire_pass(b->loop, IDLE_US + FIRST_BYTE_US);
    upload(b, 0, SPAN("two"), &wait);
    http_call_end(b->calls[0].c);
    wire_pass(b->loop, FIRST_BYTE_US - 1);
    assert_int_equal(b->calls[0].ends, 0);
    wire_pass(b->loop, 1);
    check_end(&b->calls[0], ST_TIMEOUT, 0, "");
}

/* --- canceling ------------------------------------------------------------------- */

static void flow_cancel(struct bench *b)
{
    struct http_pool_stats s;

    b->outcome = HANGS;
    start(b, 0, &get);
    start(b, 1, &get);
    start(b, 2, &get); /* waits */
    for (unsigned i = 0; i < 3; i++) {
        unsigned n = 2 - i;

        b->in_call = true;
        http_call_cancel(b->calls[n].c);
        http_call_cancel(b->calls[n].c);
        b->in_call = false;
        loop_run(b->loop);
        check_end(&b->calls[n], ST_CANCELED, 0, "");
    }
    b->outcome = CONNECTS;
    start(b, 3, &get);
    http_call_cancel(b->calls[3].c);
    loop_run(b->loop);
    check_end(&b->calls[3], ST_CANCELED, 0, "");
    assert_true(b->wires[0].ended);
    http_pool_stats(b->pool, &s);
    assert_int_equal(s.connections_now, 0);
    assert_int_equal(s.waiting_now, 0);
}

static void flow_cancel_in_an_event(struct bench *b)
{
    b->calls[0].cancel_on_head = true;
    start(b, 0, &get);
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_CANCELED, 200, "");
    assert_true(b->wires[0].ended);
}

static void flow_cancel_of_a_connect_that_just_succeeded(struct bench *b)
{
    CHECK_STATUS(ST_OK, try_start(b, 0, &get));
    http_call_cancel(b->calls[0].c);
    loop_run(b->loop);
    check_end(&b->calls[0], ST_CANCELED, 0, "");
}

static void flow_close_of_the_pool(struct bench *b)
{
    start(b, 0, &get);
    say(b, 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha");
    b->outcome = HANGS;
    start(b, 1, &get);
    start(b, 2, &get);
    http_pool_close(b->pool, on_pool_closed, b);
    CHECK_STATUS(ST_UNAVAILABLE, try_start(b, 3, &get));
    b->calls[3].c = NULL;
    loop_run(b->loop);
    assert_true(b->closed);
    check_end(&b->calls[0], ST_CANCELED, 200, "ha");
    check_end(&b->calls[1], ST_CANCELED, 0, "");
    check_end(&b->calls[2], ST_CANCELED, 0, "");
    /* close_bench() closes one; here is another. */
    b->closed = false;
    CHECK_STATUS(ST_OK,
                 http_pool_open(b->loop, NULL, &(struct http_pool_options){0}, &b->pool));
}

/* --- back-pressure --------------------------------------------------------------- */

#define LARGE_BYTES 1000000

static void test_reader_that_pauses(void **state)
{
    static char large[LARGE_BYTES];
    struct bench b;

    (void)state;
    open_bench(&b, 4096, 8192);
    start(&b, 0, &get);
    b.calls[0].pause_on_body = true;
    say(&b, 0, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    wire_send(&b.wires[0], (struct span){large, sizeof(large)});
    loop_run(b.loop);
    for (unsigned resumes = 0; resumes < 10; resumes++) {
        size_t before = b.calls[0].body.len;

        wire_pass(b.loop, IDLE_US / 4); /* it is we who are silent */
        assert_true(b.wires[0].writing);
        assert_int_equal(b.calls[0].ends, 0);
        assert_int_equal(b.calls[0].body.len, before);
        http_call_resume(b.calls[0].c);
        loop_run(b.loop);
        assert_true(b.calls[0].body.len > before);
    }
    wire_pass(b.loop, IDLE_US * 2);
    b.calls[0].pause_on_body = false;
    http_call_resume(b.calls[0].c);
    loop_run(b.loop);
    CHECK_STATUS(ST_OK, b.calls[0].end);
    assert_int_equal(b.calls[0].body.len, LARGE_BYTES);
    close_bench(&b);
}

static void upload_large(struct bench *b, bool before_connection)
{
    static char piece[20000];
    unsigned waits = 0;
    size_t given = 0;
    bool wait;

    CHECK_STATUS(ST_OK, try_start(b, 0, &streamed));
    if (!before_connection)
        loop_run(b->loop);
    while (given < LARGE_BYTES) {
        unsigned drained = b->calls[0].drained;

        for (wait = false; !wait && given < LARGE_BYTES; given += sizeof(piece))
            upload(b, 0, (struct span){piece, sizeof(piece)}, &wait);
        if (!wait)
            break;
        waits++;
        loop_run(b->loop);
        assert_int_equal(b->calls[0].drained, drained + 1);
    }
    assert_true(waits > 0);
    http_call_end(b->calls[0].c);
    loop_run(b->loop);
    assert_true(b->wires[0].got.len > LARGE_BYTES);
    say(b, 0, GOOD);
    check_end(&b->calls[0], ST_OK, 200, "ok");
}

static void test_large_uploads(void **state)
{
    static const size_t pipes[] = {8192, 200000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pipes); i++) {
        for (unsigned early = 0; early < 2; early++) {
            struct bench b;

            open_bench(&b, 4096, pipes[i]);
            upload_large(&b, early == 1);
            close_bench(&b);
        }
    }
}

static void test_upload_that_is_not_taken(void **state)
{
    static char large[LARGE_BYTES];
    struct bench b;
    bool wait;

    (void)state;
    open_bench(&b, 4096, 8192);
    start(&b, 0, &streamed);
    io_read_stop(b.wires[0].io);
    upload(&b, 0, (struct span){large, sizeof(large)}, &wait);
    assert_true(wait);
    wire_pass(b.loop, IDLE_US - 1);
    assert_int_equal(b.calls[0].ends, 0);
    assert_int_equal(b.calls[0].drained, 0);
    wire_pass(b.loop, 1);
    check_end(&b.calls[0], ST_TIMEOUT, 0, "");
    assert_string_equal(b.calls[0].why, "it stopped taking the request");
    io_read_start(b.wires[0].io);
    close_bench(&b);
}

/* A large body given whole, to a reader who is slow but takes. */
static void test_body_that_is_taken_slowly(void **state)
{
    static char large[2 * LARGE_BYTES];
    struct http_request r = post;
    struct bench b;

    (void)state;
    open_bench(&b, 4096, 8192);
    r.body = (struct span){large, sizeof(large)};
    start(&b, 0, &r);
    io_read_stop(b.wires[0].io);
    while (b.wires[0].got.len < sizeof(large) && b.calls[0].ends == 0) {
        size_t before = b.wires[0].got.len;

        wire_pass(b.loop, IDLE_US / 4);
        io_read_start(b.wires[0].io);
        for (unsigned i = 0; i < 1000 && b.wires[0].got.len < before + 400000; i++)
            loop_turn(b.loop);
        io_read_stop(b.wires[0].io);
    }
    io_read_start(b.wires[0].io);
    loop_run(b.loop);
    say(&b, 0, GOOD);
    check_end(&b.calls[0], ST_OK, 200, "ok");
    close_bench(&b);
}

#define FLOW(name)                                                                             \
    static void test_##name(void **state)                                                      \
    {                                                                                          \
        (void)state;                                                                           \
        in_all_chunkings(flow_##name);                                                         \
    }

FLOW(two_calls_one_connection)
FLOW(host_of_the_caller)
FLOW(bodiless_answers)
FLOW(until_the_end)
FLOW(until_the_end_but_reset)
FLOW(cut_in_a_length)
FLOW(cut_in_a_chunk)
FLOW(cut_in_the_head)
FLOW(informational)
FLOW(bad_answers)
FLOW(bad_chunks)
FLOW(head_too_large)
FLOW(unsafe_requests)
FLOW(upload_chunked)
FLOW(upload_with_length)
FLOW(early_answer)
FLOW(close_is_honoured)
FLOW(idle_that_talks)
FLOW(answer_before_the_question)
FLOW(idle_grows_old)
FLOW(latest_first)
FLOW(waiting)
FLOW(waiting_too_long)
FLOW(refused)
FLOW(retry)
FLOW(retry_once_only)
FLOW(no_retry_on_a_fresh_one)
FLOW(no_retry_after_a_byte)
FLOW(no_retry_of_a_sent_upload)
FLOW(retry_of_an_unsent_upload)
FLOW(no_first_byte)
FLOW(silence_in_the_answer)
FLOW(total)
FLOW(slow_uploader)
FLOW(cancel)
FLOW(cancel_in_an_event)
FLOW(cancel_of_a_connect_that_just_succeeded)
FLOW(close_of_the_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_calls_one_connection),
        cmocka_unit_test(test_host_of_the_caller),
        cmocka_unit_test(test_bodiless_answers),
        cmocka_unit_test(test_until_the_end),
        cmocka_unit_test(test_until_the_end_but_reset),
        cmocka_unit_test(test_cut_in_a_length),
        cmocka_unit_test(test_cut_in_a_chunk),
        cmocka_unit_test(test_cut_in_the_head),
        cmocka_unit_test(test_informational),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_head_too_large),
        cmocka_unit_test(test_unsafe_requests),
        cmocka_unit_test(test_upload_chunked),
        cmocka_unit_test(test_upload_with_length),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_close_is_honoured),
        cmocka_unit_test(test_idle_that_talks),
        cmocka_unit_test(test_answer_before_the_question),
        cmocka_unit_test(test_idle_grows_old),
        cmocka_unit_test(test_latest_first),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_waiting_too_long),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_retry_once_only),
        cmocka_unit_test(test_no_retry_on_a_fresh_one),
        cmocka_unit_test(test_no_retry_after_a_byte),
        cmocka_unit_test(test_no_retry_of_a_sent_upload),
        cmocka_unit_test(test_retry_of_an_unsent_upload),
        cmocka_unit_test(test_no_first_byte),
        cmocka_unit_test(test_silence_in_the_answer),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_slow_uploader),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_in_an_event),
        cmocka_unit_test(test_cancel_of_a_connect_that_just_succeeded),
        cmocka_unit_test(test_close_of_the_pool),
        cmocka_unit_test(test_reader_that_pauses),
        cmocka_unit_test(test_large_uploads),
        cmocka_unit_test(test_upload_that_is_not_taken),
        cmocka_unit_test(test_body_that_is_taken_slowly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
