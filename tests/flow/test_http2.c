/* HTTP/2 over loopback streams, every flow in every chunking, against a client of nghttp2;
 * and with the n-th allocation failing, for every n. What the owner of a stream sees must be
 * what HTTP/1.1 shows him: the same events, once each. */
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "check.h"
#include "flow/wire.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define STREAMS_MAX 32
#define HEAD_US     1000000
#define BODY_US     2000000
#define IDLE_US     3000000
#define WRITE_US    4000000
#define ROOM_BYTES  ((size_t)2 * 1024 * 1024)
#define BODY_BYTES  300000
/* After so much of an answer without end the client opens no window any more. */
#define ENOUGH_BYTES 1000000

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

/* --- the owner of the server's streams -------------------------------------------- */

enum answer { WHOLE, HOLD, SILENT, HALF, NEVER_ENDING };

struct served {
    struct http_stream *s; /* NULL once closed */
    size_t received;
    bool body_end, closed;
    enum status end;
    unsigned drained;
};

struct answered {
    int32_t id;
    bool head, ended, closed;
    uint32_t code;
    size_t body;
    const char *send; /* the request's body, from `sent` on */
    size_t send_len, sent;
};

struct bench {
    struct loop *loop;
    struct http_server *server;
    struct wire wire;
    struct buf out; /* of the client, for the wire */
    nghttp2_session *client;
    enum answer answer;
    struct served served[STREAMS_MAX];
    struct answered answered[STREAMS_MAX];
    unsigned begun, asked;
    bool in_call, drained, server_gone, went_away;
    bool close_when_closed;
    bool stingy; /* the client keeps its windows as they are */
};

static struct bench *bench;
static char body[BODY_BYTES];

static void respond(struct served *t, size_t n, bool end)
{
    bool wait;
    enum status st;

    bench->in_call = true;
    st = http_respond(t->s, 200, NULL, 0, HTTP_BODY_CHUNKED);
    if (st == ST_OK)
        st = http_write(t->s, (struct span){body, n}, &wait);
    if (st != ST_OK || !end)
        http_abort(t->s);
    else
        http_end(t->s);
    bench->in_call = false;
}

static void on_request(void *owner, struct http_stream *s)
{
    struct bench *b = owner;
    struct served *t = &b->served[b->begun++];
    bool wait;

    assert_false(b->in_call);
    assert_true(b->begun <= STREAMS_MAX);
    t->s = s;
    http_stream_set_owner(s, t);
    assert_string_equal(http_stream_peer(s), "192.0.2.1:7");
    if (b->answer == NEVER_ENDING) {
        CHECK_STATUS(ST_OK, http_respond(s, 200, NULL, 0, HTTP_BODY_CHUNKED));
        CHECK_STATUS(ST_OK, http_write(s, (struct span){body, sizeof(body)}, &wait));
        assert_true(wait);
    } else if (b->answer != SILENT) {
        http_read_start(s);
    }
}

static void on_body(void *owner, struct http_stream *s, struct span data)
{
    struct served *t = owner;

    assert_ptr_equal(t->s, s);
    assert_false(bench->in_call || t->body_end);
    assert_true(data.len > 0 && data.len <= sizeof(body) - t->received);
    assert_memory_equal(data.ptr, body + t->received, data.len);
    t->received += data.len;
}

static void on_body_end(void *owner, struct http_stream *s)
{
    struct served *t = owner;

    (void)s;
    assert_false(bench->in_call || t->body_end);
    t->body_end = true;
    if (bench->answer == WHOLE)
        respond(t, t->received, true);
    else if (bench->answer == HALF)
        respond(t, t->received / 2, false);
}

static void on_drained(void *owner, struct http_stream *s)
{
    struct served *t = owner;
    bool wait;

    assert_false(bench->in_call);
    t->drained++;
    if (bench->answer == NEVER_ENDING)
        CHECK_STATUS(ST_OK, http_write(s, (struct span){body, sizeof(body)}, &wait));
}

static void on_server_closed(void *owner)
{
    struct bench *b = owner;

    b->server_gone = true;
}

static void on_server_drained(void *owner)
{
    struct bench *b = owner;

    b->drained = true;
}

static void on_closed(void *owner, struct http_stream *s, enum status st)
{
    struct served *t = owner;

    assert_ptr_equal(t->s, s);
    assert_false(bench->in_call || t->closed);
    t->closed = true;
    t->end = st;
    t->s = NULL;
    if (bench->close_when_closed)
        http_server_close(bench->server, on_server_closed);
}

static void write_error(void *owner, unsigned status, const char *text, struct buf *out)
{
    (void)owner;
    (void)!buf_printf(out, "error %u: %s", status, text);
}

static const struct http_server_events events = {on_request, on_body,   on_body_end,
                                                 on_drained, on_closed, write_error};

/* --- the client --------------------------------------------------------------------- */

static struct answered *find(struct bench *b, int32_t id)
{
    for (unsigned i = 0; i < b->asked; i++) {
        if (b->answered[i].id == id)
            return &b->answered[i];
    }
    return NULL;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct bench *b = owner;
    struct answered *a = find(b, frame->hd.stream_id);

    (void)session;
    b->went_away |= frame->hd.type == NGHTTP2_GOAWAY;
    if (a == NULL)
        return 0;
    a->head |= frame->hd.type == NGHTTP2_HEADERS;
    a->ended |= (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *owner)
{
    struct bench *b = owner;
    struct answered *a = find(b, id);

    (void)flags;
    /* What failed may have been told in words. */
    for (size_t i = 0; i < n && !failed; i++)
        assert_int_equal(data[i], (uint8_t)body[(a->body + i) % sizeof(body)]);
    a->body += n;
    if (a->body > ENOUGH_BYTES)
        b->stingy = true;
    return b->stingy ? 0 : nghttp2_session_consume(session, id, n);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    struct answered *a = find(owner, id);

    (void)session;
    a->closed = true;
    a->code = code;
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct answered *a = source->ptr;
    size_t n = a->send_len - a->sent;

    (void)session, (void)id, (void)owner;
    n = n < room ? n : room;
    memcpy(buf, a->send + a->sent, n);
    a->sent += n;
    if (a->sent == a->send_len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static struct answered *ask(struct bench *b, const char *method, size_t body_bytes)
{
    struct answered *a = &b->answered[b->asked++];
    nghttp2_nv head[] = {nv(":method", method), nv(":scheme", "http"), nv(":authority", "h"),
                         nv(":path", "/some/where?x=1")};
    nghttp2_data_provider source = {.source.ptr = a, .read_callback = read_body};

    assert_true(b->asked <= STREAMS_MAX);
    *a = (struct answered){.send = body, .send_len = body_bytes};
    a->id = nghttp2_submit_request(b->client, NULL, head, ARRAY_LEN(head),
                                   body_bytes > 0 ? &source : NULL, NULL);
    assert_true(a->id > 0);
    return a;
}

/* Until neither side has anything to say. */
static void run(struct bench *b)
{
    bool more = true;

    while (more && b->wire.io != NULL) {
        const uint8_t *data;
        ssize_t n;

        more = false;
        buf_clear(&b->out);
        while (!b->wire.ended && (n = nghttp2_session_mem_send(b->client, &data)) > 0) {
            more = true;
            if (buf_append(&b->out, (struct span){(const char *)data, (size_t)n}) != ST_OK)
                abort();
        }
        if (b->out.len > 0)
            wire_send(&b->wire, buf_span(&b->out));
        loop_run(b->loop);
        if (b->wire.got.len > 0) {
            more = true;
            n = nghttp2_session_mem_recv(b->client, (const uint8_t *)b->wire.got.ptr,
                                         b->wire.got.len);
            assert_int_equal(n, b->wire.got.len);
            buf_clear(&b->wire.got);
        }
    }
}

static void pass(struct bench *b, uint64_t us)
{
    run(b);
    loop_set_now_us(b->loop, loop_now_us(b->loop) + us);
    run(b);
}

/* --- setting up --------------------------------------------------------------------- */

static void open_client(struct bench *b)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;

    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    assert_int_equal(nghttp2_session_client_new2(&b->client, cb, b, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
}

static void greet(struct bench *b, uint32_t window)
{
    nghttp2_settings_entry s = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};

    assert_int_equal(nghttp2_submit_settings(b->client, NGHTTP2_FLAG_NONE, &s, 1), 0);
}

static void open_bench(struct bench *b, size_t chunk, enum answer answer)
{
    static const struct http_server_options o = {
        .head_max_bytes = 16384,
        .connections_max = STREAMS_MAX,
        .head_timeout_us = HEAD_US,
        .body_timeout_us = BODY_US,
        .idle_timeout_us = IDLE_US,
        .write_timeout_us = WRITE_US,
        .out_high_bytes = 65536,
        .out_low_bytes = 16384,
        .arena_max_bytes = 1024 * 1024,
        .http2_streams_max = STREAMS_MAX,
    };
    struct io_loopback_options lo = {.chunk_bytes = chunk, .pipe_bytes = 65536};
    struct io *near, *far;

    *b = (struct bench){.answer = answer};
    bench = b;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 31 + i / 251);
    b->loop = wire_loop();
    CHECK_STATUS(ST_OK, http_server_open(b->loop, &o, &events, b, &b->server));
    CHECK_STATUS(ST_OK, io_loopback_pair(b->loop, &lo, &near, &far));
    wire_init(&b->wire, near, true);
    /* Only the server's allocations shall fail. */
    buf_init(&b->out, ROOM_BYTES);
    CHECK_STATUS(ST_OK, buf_reserve(&b->out, ROOM_BYTES));
    CHECK_STATUS(ST_OK, buf_reserve(&b->wire.got, ROOM_BYTES));
    CHECK_STATUS(ST_OK, buf_reserve(&b->wire.out, ROOM_BYTES));
    http_server_accept(b->server, far, "192.0.2.1:7");
    open_client(b);
}

static void close_bench(struct bench *b)
{
    wire_close(&b->wire);
    if (!b->server_gone)
        http_server_close(b->server, on_server_closed);
    loop_run(b->loop);
    assert_true(b->server_gone);
    for (unsigned i = 0; i < b->begun; i++)
        assert_true(b->served[i].closed);
    nghttp2_session_del(b->client);
    wire_release(&b->wire);
    buf_release(&b->out);
    CHECK_STATUS(ST_OK, loop_close(b->loop));
}

static const size_t chunkings[] = WIRE_CHUNKINGS;

static void in_all_chunkings(void (*flow)(struct bench *b), enum answer answer)
{
    for (size_t i = 0; i < ARRAY_LEN(chunkings); i++) {
        struct bench b;

        open_bench(&b, chunkings[i], answer);
        flow(&b);
        close_bench(&b);
    }
}

/* --- flows ---------------------------------------------------------------------------- */

static void flow_many(struct bench *b)
{
    greet(b, 65535);
    for (unsigned i = 0; i < 10; i++)
        ask(b, "POST", i * 1979 + (i == 9 ? 100000 : 0));
    run(b);
    for (unsigned i = 0; i < 10; i++) {
        struct answered *a = &b->answered[i];

        assert_true(a->head && a->ended && a->closed && a->code == NGHTTP2_NO_ERROR);
        assert_int_equal(a->body, a->send_len);
        CHECK_STATUS(ST_OK, b->served[i].end);
    }
    assert_int_equal(b->begun, 10);
    assert_false(b->wire.ended);
}

static void test_many(void **state)
{
    (void)state;
    in_all_chunkings(flow_many, WHOLE);
}

static void flow_head(struct bench *b)
{
    struct answered *a;

    greet(b, 65535);
    a = ask(b, "HEAD", 0);
    run(b);
    assert_true(a->ended && a->body == 0);
    CHECK_STATUS(ST_OK, b->served[0].end);
}

static void test_head(void **state)
{
    (void)state;
    in_all_chunkings(flow_head, WHOLE);
}

/* What was written goes out; then the stream is reset, and nothing says that it is whole. */
static void flow_abort(struct bench *b)
{
    struct answered *a;

    greet(b, 1 << 20);
    a = ask(b, "POST", 50000);
    run(b);
    assert_true(a->closed && !a->ended && a->code == NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(a->body, 25000);
    CHECK_STATUS(ST_CANCELED, b->served[0].end);
    assert_false(b->wire.ended);
}

static void test_abort(void **state)
{
    (void)state;
    in_all_chunkings(flow_abort, HALF);
}

static void flow_reset(struct bench *b)
{
    struct answered *a;

    greet(b, 65535);
    a = ask(b, "POST", 10);
    run(b);
    assert_true(b->served[0].body_end && !b->served[0].closed);
    nghttp2_submit_rst_stream(b->client, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    run(b);
    CHECK_STATUS(ST_CLOSED, b->served[0].end);
    assert_false(b->wire.ended);
}

static void test_client_resets(void **state)
{
    (void)state;
    in_all_chunkings(flow_reset, HOLD);
}

static void flow_cut(struct bench *b)
{
    greet(b, 65535);
    ask(b, "POST", 10);
    ask(b, "POST", 10);
    run(b);
    wire_reset(&b->wire);
    loop_run(b->loop);
    CHECK_STATUS(ST_CLOSED, b->served[0].end);
    CHECK_STATUS(ST_CLOSED, b->served[1].end);
}

static void test_connection_breaks(void **state)
{
    (void)state;
    in_all_chunkings(flow_cut, HOLD);
}

/* Silence on a stream ends that stream; on a connection without streams, the connection. */
static void flow_time(struct bench *b)
{
    struct answered *a, *reads;

    greet(b, 0);
    b->stingy = true;
    a = ask(b, "GET", 0);
    run(b);
    assert_true(a->head && a->body == 0 && !a->closed);
    pass(b, WRITE_US - 1);
    assert_false(a->closed);
    /* A window that opens, however little, is a sign of life. */
    nghttp2_session_set_local_window_size(b->client, NGHTTP2_FLAG_NONE, a->id, 5);
    pass(b, WRITE_US - 1);
    assert_true(!a->closed && a->body == 5);
    reads = ask(b, "GET", 0);
    pass(b, 2);
    assert_true(a->closed && a->code == NGHTTP2_CANCEL && !reads->closed);
    CHECK_STATUS(ST_TIMEOUT, b->served[0].end);
    pass(b, WRITE_US);
    CHECK_STATUS(ST_TIMEOUT, b->served[1].end);
    pass(b, IDLE_US - 1000);
    assert_false(b->went_away || b->wire.ended);
    pass(b, 2000);
    assert_true(b->went_away && b->wire.ended);
}

static void test_time(void **state)
{
    (void)state;
    in_all_chunkings(flow_time, NEVER_ENDING);
}

/* An owner that does not read, and one that does: the client may be ahead by a window. */
static void flow_unread(struct bench *b)
{
    struct answered *a;

    greet(b, 65535);
    a = ask(b, "POST", BODY_BYTES);
    pass(b, 10 * BODY_US);
    assert_int_equal(a->sent, 256 * 1024);
    assert_int_equal(b->served[0].received, 0);
    http_read_start(b->served[0].s);
    run(b);
    assert_true(b->served[0].body_end && b->served[0].received == BODY_BYTES);
}

static void test_unread(void **state)
{
    (void)state;
    in_all_chunkings(flow_unread, SILENT);
}

static void flow_slow_reader(struct bench *b)
{
    struct answered *a;

    greet(b, 65535);
    a = ask(b, "GET", 0);
    run(b);
    /* It was asked for more again and again, and never had more waiting than it gave at once.
     */
    assert_true(a->body > ENOUGH_BYTES && b->served[0].drained >= 3);
    assert_true(b->served[0].drained < 2 + a->body / (sizeof(body) - 65536));
    http_abort(b->served[0].s);
    run(b);
    assert_false(a->closed); /* what was written before is not given up yet */
    pass(b, WRITE_US);
    assert_true(a->closed && !a->ended);
    CHECK_STATUS(ST_TIMEOUT, b->served[0].end);
}

static void flow_drain(struct bench *b)
{
    struct answered *a;
    bool wait;

    greet(b, 65535);
    a = ask(b, "POST", 10);
    run(b);
    http_server_drain(b->server, on_server_drained);
    run(b);
    assert_true(b->went_away && !b->wire.ended && !b->drained);
    CHECK_STATUS(ST_OK, http_respond(b->served[0].s, 200, NULL, 0, 4));
    CHECK_STATUS(ST_OK, http_write(b->served[0].s, (struct span){body, 4}, &wait));
    http_end(b->served[0].s);
    run(b);
    assert_true(a->ended && a->body == 4 && b->wire.ended);
    CHECK_STATUS(ST_OK, b->served[0].end);
    wire_close(&b->wire);
    loop_run(b->loop);
    assert_true(b->drained);
}

static void test_drain(void **state)
{
    (void)state;
    in_all_chunkings(flow_drain, HOLD);
}

static void flow_drain_idle(struct bench *b)
{
    greet(b, 65535);
    run(b);
    http_server_drain(b->server, on_server_drained);
    run(b);
    assert_true(b->went_away && b->wire.ended && b->drained);
}

static void test_drain_idle(void **state)
{
    (void)state;
    in_all_chunkings(flow_drain_idle, HOLD);
}

static void flow_close_now(struct bench *b)
{
    greet(b, 65535);
    for (unsigned i = 0; i < 3; i++)
        ask(b, "POST", 10);
    run(b);
    http_server_close(b->server, on_server_closed);
    loop_run(b->loop);
    for (unsigned i = 0; i < 3; i++)
        CHECK_STATUS(ST_CANCELED, b->served[i].end);
}

static void test_close_now(void **state)
{
    (void)state;
    in_all_chunkings(flow_close_now, HOLD);
}

static void flow_close_in_an_event(struct bench *b)
{
    greet(b, 65535);
    for (unsigned i = 0; i < 3; i++)
        ask(b, "POST", 10);
    b->close_when_closed = true;
    run(b);
    loop_run(b->loop);
    assert_true(b->server_gone);
    for (unsigned i = 0; i < b->begun; i++)
        assert_true(b->served[i].closed);
}

static void test_close_in_an_event(void **state)
{
    (void)state;
    in_all_chunkings(flow_close_in_an_event, WHOLE);
}

static void test_slow_reader(void **state)
{
    (void)state;
    in_all_chunkings(flow_slow_reader, NEVER_ENDING);
}

/* Every stream still has its last event, an answer that is whole is the right one, and all
 * can be closed. */
static void test_no_memory(void **state)
{
    unsigned n = 0;

    (void)state;
    do {
        struct bench b;

        open_bench(&b, 4096, WHOLE);
        greet(&b, 65535);
        for (unsigned i = 0; i < 3; i++)
            ask(&b, "POST", 1000 + i * 40000);
        failed = false;
        countdown = ++n;
        run(&b);
        countdown = 0;
        for (unsigned i = 0; i < 3; i++) {
            const struct answered *a = &b.answered[i];

            assert_true(!a->ended || a->body == a->send_len || a->body < 100);
            assert_true(failed || a->ended);
        }
        close_bench(&b);
    } while (failed);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),      cmocka_unit_test(test_head),
        cmocka_unit_test(test_abort),     cmocka_unit_test(test_client_resets),
        cmocka_unit_test(test_time),      cmocka_unit_test(test_connection_breaks),
        cmocka_unit_test(test_unread),    cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_drain),     cmocka_unit_test(test_drain_idle),
        cmocka_unit_test(test_close_now), cmocka_unit_test(test_close_in_an_event),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
