/* Client and server talk to each other while the n-th allocation fails, for every n.
 * Whatever fails, each stream and each call gets its last event, once, an answer that is
 * complete is the right one, and everything can be closed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http/client.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define CALLS      3
#define BODY_BYTES 100000

/* --- allocations that fail ------------------------------------------------------- */

static unsigned countdown; /* 0: none fails */
static bool failed;

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_arena_alloc(struct arena *a, size_t size, size_t align);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_arena_alloc(struct arena *a, size_t size, size_t align);

static bool fails_now(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}

void *__wrap_arena_alloc(struct arena *a, size_t size, size_t align)
{
    return fails_now() ? NULL : __real_arena_alloc(a, size, align);
}

/* --- both ends ------------------------------------------------------------------- */

struct bench {
    struct loop *loop;
    struct http_server *server;
    struct http_pool *pool;
    unsigned begun, closed; /* streams */
    unsigned started, ended, good;
    size_t received;
    bool wrong;
    bool server_gone, pool_gone;
};

static struct bench *bench;
static char body[BODY_BYTES];

static void on_request(void *owner, struct http_stream *s)
{
    struct bench *b = owner;

    b->begun++;
    http_stream_set_owner(s, b);
    http_read_start(s);
}

static void on_request_body(void *owner, struct http_stream *s, struct span data)
{
    (void)owner;
    (void)s;
    (void)data;
}

static void on_request_end(void *owner, struct http_stream *s)
{
    bool wait;

    (void)owner;
    if (http_respond(s, 200, NULL, 0, HTTP_BODY_CHUNKED) == ST_OK &&
        http_write(s, (struct span){body, sizeof(body)}, &wait) == ST_OK)
        http_end(s);
    else
        http_abort(s);
}

static void on_stream_drained(void *owner, struct http_stream *s)
{
    (void)owner;
    (void)s;
}

static void on_stream_closed(void *owner, struct http_stream *s, enum status st)
{
    struct bench *b = owner;

    (void)s;
    (void)st;
    b->closed++;
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    (void)owner;
    (void)!buf_printf(out, "%u %s", status, text);
}

static const struct http_server_events server_events = {on_request,       on_request_body,
                                                        on_request_end,   on_stream_drained,
                                                        on_stream_closed, write_error};

static void on_head(void *owner, struct http_call *c, const struct http_head *h)
{
    struct bench *b = owner;

    (void)c;
    b->received = 0;
    b->wrong = h->status != 200;
}

static void on_body(void *owner, struct http_call *c, struct span data)
{
    struct bench *b = owner;

    (void)c;
    if (!b->wrong && (data.len > sizeof(body) - b->received ||
                      memcmp(data.ptr, body + b->received, data.len) != 0))
        fail_msg("a byte of the answer is wrong");
    b->received += data.len;
}

static void on_call_drained(void *owner, struct http_call *c)
{
    (void)owner;
    (void)c;
}

static void on_end(void *owner, struct http_call *c, enum status st, const char *why)
{
    struct bench *b = owner;

    (void)c;
    (void)why;
    b->ended++;
    if (st == ST_OK && !b->wrong) {
        assert_int_equal(b->received, sizeof(body));
        b->good++;
    }
}

static const struct http_call_events call_events = {on_head, on_body, on_call_drained, on_end};

/* --- instead of rt/connect.c ----------------------------------------------------- */

struct connect_op {
    struct loop_msg end;
    connect_done_fn *done;
    void *owner;
    bool canceled;
};

static void on_connect_end(struct loop_msg *m)
{
    struct connect_op *op = CONTAINER_OF(m, struct connect_op, end);
    struct io_loopback_options o = {.chunk_bytes = 4096, .pipe_bytes = 8192};
    struct io *near = NULL, *far = NULL;
    enum status st =
        op->canceled ? ST_CANCELED : io_loopback_pair(bench->loop, &o, &near, &far);

    if (st == ST_OK)
        http_server_accept(bench->server, far, "test");
    op->done(op, st, near, status_text(st));
    free(op);
}

enum status connect_start(struct connector *c, const struct endpoint *to, uint64_t timeout_us,
                          connect_done_fn *done, void *owner, struct connect_op **out)
{
    struct connect_op *op = calloc(1, sizeof(*op));

    (void)c;
    (void)to;
    (void)timeout_us;
    if (op == NULL)
        return ST_NOMEM;
    op->done = done;
    op->owner = owner;
    loop_defer(bench->loop, &op->end, on_connect_end);
    *out = op;
    return ST_OK;
}

void connect_cancel(struct connect_op *op)
{
    op->canceled = true;
}

void *connect_owner(const struct connect_op *op)
{
    return op->owner;
}

/* --- one run --------------------------------------------------------------------- */

static void call(struct bench *b, struct arena *arena, bool streams)
{
    static const struct http_field field = {{"X-Some", 6}, {"thing", 5}};
    struct http_request r = {.method = SPAN("POST"),
                             .target = SPAN("/"),
                             .host = SPAN("h"),
                             .fields = &field,
                             .field_count = 1,
                             .body_streams = streams,
                             .body_bytes = HTTP_BODY_CHUNKED};
    struct http_call *c;
    bool wait;

    if (!streams)
        r.body = (struct span){body, sizeof(body)};
    if (http_call_start(b->pool, &r, arena, &call_events, b, &c) != ST_OK)
        return;
    b->started++;
    if (streams && http_call_write(c, (struct span){body, sizeof(body)}, &wait) != ST_OK)
        http_call_cancel(c);
    else if (streams)
        http_call_end(c);
    loop_run(b->loop);
    /* What hangs because a message got lost is ended by a deadline. */
    for (unsigned i = 0; i < 4 && b->ended < b->started; i++) {
        loop_set_now_us(b->loop, loop_now_us(b->loop) + 3000000);
        loop_run(b->loop);
    }
    assert_int_equal(b->ended, b->started);
}

static void on_server_gone(void *owner)
{
    struct bench *b = owner;

    b->server_gone = true;
}

static void on_pool_gone(void *owner)
{
    struct bench *b = owner;

    b->pool_gone = true;
}

static void open_ends(struct bench *b)
{
    static const struct http_server_options so = {
        .head_max_bytes = 16384,
        .connections_max = 4,
        .head_timeout_us = 1000000,
        .body_timeout_us = 1000000,
        .idle_timeout_us = 60000000,
        .write_timeout_us = 1000000,
        .out_high_bytes = 65536,
        .out_low_bytes = 16384,
        .arena_max_bytes = 1024 * 1024,
    };
    static const struct http_pool_options po = {
        .to = {.host = "h"},
        .connections_max = 2,
        .waiting_max = 2,
        .head_max_bytes = 16384,
        .connect_timeout_us = 1000000,
        .first_byte_timeout_us = 1000000,
        .idle_timeout_us = 1000000,
        .total_timeout_us = 5000000,
        .keep_us = 60000000,
        .out_high_bytes = 65536,
        .out_low_bytes = 16384,
    };

    CHECK_STATUS(ST_OK, http_server_open(b->loop, &so, &server_events, b, &b->server));
    CHECK_STATUS(ST_OK, http_pool_open(b->loop, NULL, &po, &b->pool));
}

static void on_warm(struct timer *t)
{
    (void)t;
}

/* The loop and its heap of timers are there before anything fails: without them no
 * promise can be kept. */
static struct loop *warm_loop(void)
{
    struct timer warm[8] = {{.slot = 0}};
    struct loop *l;

    CHECK_STATUS(ST_OK, loop_open(&l));
    loop_set_now_us(l, 1000000);
    for (size_t i = 0; i < ARRAY_LEN(warm); i++)
        timer_start(l, &warm[i], 1, on_warm);
    for (size_t i = 0; i < ARRAY_LEN(warm); i++)
        timer_stop(l, &warm[i]);
    return l;
}

static void run(unsigned n, struct bench *b)
{
    struct arena arena;

    *b = (struct bench){.loop = warm_loop()};
    bench = b;
    arena_init(&arena, 16384, 1024 * 1024);
    open_ends(b);
    failed = false;
    countdown = n;
    for (unsigned i = 0; i < CALLS; i++)
        call(b, &arena, i == 1);
    countdown = 0;
    http_pool_close(b->pool, on_pool_gone, b);
    http_server_close(b->server, on_server_gone);
    loop_run(b->loop);
    assert_true(b->pool_gone && b->server_gone);
    assert_int_equal(b->closed, b->begun);
    assert_int_equal(b->ended, b->started);
    arena_release(&arena);
    CHECK_STATUS(ST_OK, loop_close(b->loop));
}

static void test_every_allocation_fails_once(void **state)
{
    struct bench b;
    unsigned n = 1, bad = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + i % 23);
    run(0, &b);
    assert_int_equal(b.good, CALLS);
    for (; n < 10000; n++) {
        run(n, &b);
        if (!failed)
            break;
        bad += b.good < CALLS;
        /* One failure costs one exchange, not the ones that follow. */
        assert_true(b.good >= CALLS - 1);
    }
    print_message("%u allocations, %u of them cost an exchange\n", n - 1, bad);
    assert_true(n > 20 && bad > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_fails_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
