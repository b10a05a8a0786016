/* The pipeline in one process: clients and a scripted upstream are loopback streams, the
 * store is memory, and every flow is run with all sizes of pieces. connect_start() and its
 * kin are ours here instead of rt's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "check.h"
#include "config/config.h"
#include "flow/wire.h"
#include "proxy/ledger.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/upstreams.h"
#include "rt/connect.h"
#include "rt/io.h"
#include "rt/io_loopback.h"
#include "rt/loop.h"

#define WIRES_MAX 8
#define PIPE      4096
#define MS        1000

struct bench {
    struct loop *loop;
    struct config config;
    struct cache *cache;
    struct setup *setup;
    struct ledger ledger;
    struct proxy *proxy;
    size_t chunk;
    struct wire clients[WIRES_MAX], ups[WIRES_MAX];
    unsigned client_count, up_count;
    unsigned closed;
};

static struct bench *bench;

/* --- instead of rt/connect.c ----------------------------------------------------------- */

struct connect_op {
    struct loop_msg end;
    connect_done_fn *done;
    void *owner;
    enum status st;
    bool ending;
};

static void pair(struct wire *near, struct io **far)
{
    struct io_loopback_options o = {.chunk_bytes = bench->chunk, .pipe_bytes = PIPE};
    struct io *io;

    CHECK_STATUS(ST_OK, io_loopback_pair(bench->loop, &o, &io, far));
    wire_init(near, io, true);
}

static void on_connect_end(struct loop_msg *m)
{
    struct connect_op *op = CONTAINER_OF(m, struct connect_op, end);
    struct io *far = NULL;

    if (op->st == ST_OK) {
        assert_true(bench->up_count < WIRES_MAX);
        pair(&bench->ups[bench->up_count++], &far);
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
    (void)timeout_us;
    assert_null(c);
    assert_string_equal(to->host, "up.test");
    *op = calloc(1, sizeof(**op));
    assert_non_null(*op);
    (*op)->done = done;
    (*op)->owner = owner;
    end_connect(*op, ST_OK);
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

/* --- the parts -------------------------------------------------------------------------- */

static void on_closed(void *owner)
{
    struct bench *b = owner;

    b->closed++;
}

static void run(void)
{
    loop_run(bench->loop);
}

static struct bench *open_bench(size_t chunk)
{
    struct bench *b = bench = calloc(1, sizeof(*b));
    struct proxy_parts parts = {.encoder_id = SPAN(""), .secret = SPAN("0123456789abcdef")};
    struct cache_options o = {.memory_max_bytes = 1 << 20, .memory_entries_max = 100};
    char why[256] = "";

    assert_non_null(b);
    b->chunk = chunk;
    b->loop = wire_loop();
    config_defaults(&b->config);
    snprintf(b->config.upstream.url, sizeof(b->config.upstream.url), "http://up.test/v1");
    o.store = (struct store_options){.url = "memory:",
                                     .data_dir = "",
                                     .entries_max = 100,
                                     .bytes_max = 1 << 20,
                                     .deadline_ms = 50,
                                     .queue_max = 16,
                                     .prefix = ""};
    CHECK_STATUS(ST_OK, cache_open(b->loop, NULL, &o, &b->cache));
    CHECK_STATUS(ST_OK, setup_open(b->loop, &b->config, on_closed, b, &b->setup));
    CHECK_STATUS(ST_OK, upstreams_open(b->loop, NULL, b->setup->config, NULL,
                                       &b->setup->upstreams, why, sizeof(why)));
    parts.setup = b->setup;
    parts.loop = b->loop;
    parts.cache = b->cache;
    ledger_init(&b->ledger, 64, 0);
    parts.ledger = &b->ledger;
    CHECK_STATUS(ST_OK, proxy_open(&parts, &b->proxy));
    return b;
}

static void close_bench(struct bench *b)
{
    proxy_close(b->proxy, on_closed, b);
    run();
    assert_int_equal(b->closed, 1);
    ledger_release(&b->ledger);
    setup_unref(b->setup);
    run();
    assert_int_equal(b->closed, 2);
    cache_close(b->cache, on_closed, b);
    run();
    assert_int_equal(b->closed, 3);
    for (unsigned i = 0; i < b->client_count; i++)
        wire_close(&b->clients[i]);
    for (unsigned i = 0; i < b->up_count; i++)
        wire_close(&b->ups[i]);
    run();
    for (unsigned i = 0; i < b->client_count; i++)
        wire_release(&b->clients[i]);
    for (unsigned i = 0; i < b->up_count; i++)
        wire_release(&b->ups[i]);
    CHECK_STATUS(ST_OK, loop_close(b->loop));
    free(b);
}

/* --- talking ---------------------------------------------------------------------------- */

static struct wire *dial(void)
{
    struct wire *w = &bench->clients[bench->client_count++];
    struct io *far;

    assert_true(bench->client_count <= WIRES_MAX);
    pair(w, &far);
    proxy_accept(bench->proxy, far, "client");
    return w;
}

#define QUESTION "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]"
#define PLAIN    QUESTION "}"
#define STREAM   QUESTION ",\"stream\":true}"
#define USAGE    QUESTION ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"

static void send_text(struct wire *w, const char *text)
{
    wire_send(w, (struct span){text, strlen(text)});
    run();
}

static void ask(struct wire *w, const char *body, const char *fields)
{
    char text[2048];

    snprintf(text, sizeof(text),
             "POST /v1/chat/completions HTTP/1.1\r\nHost: ibid\r\nAuthorization: Bearer k\r\n"
             "Content-Length: %zu\r\n%s\r\n%s",
             strlen(body), fields, body);
    buf_clear(&w->got);
    send_text(w, text);
}

static void answer(struct wire *w, const char *type, const char *body)
{
    char text[4096];

    snprintf(text, sizeof(text),
             "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
             strlen(body), body);
    send_text(w, text);
}

#define JSON "application/json"
#define SSE  "text/event-stream"

#define EVENT(delta, finish)                                                                   \
    "data: {\"id\":\"u\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","  \
    "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":" finish "}]}\n\n"
#define USAGE_EVENT                                                                            \
    "data: {\"id\":\"u\",\"model\":\"m\",\"choices\":[],"                                      \
    "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":3,\"total_tokens\":5}}\n\n"
#define HELLO EVENT("\"role\":\"assistant\",\"content\":\"Hel\"", "null")
#define LO    EVENT("\"content\":\"lo \\u4e2d\"", "null")
#define STOP  EVENT("", "\"stop\"")
#define DONE  "data: [DONE]\n\n"

static const char whole[] =
    "{\"id\":\"u\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{"
    "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello \\u4e2d\"},"
    "\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":3,\"total_tokens\":5}}";
static const char streamed[] = HELLO LO STOP USAGE_EVENT DONE;

/* The body that a client got: chunks taken apart, or by its length. */
static const char *body_of(struct wire *w)
{
    static char out[65536];
    const char *p, *end;
    size_t n = 0;

    assert_int_equal(buf_append(&w->got, (struct span){"", 1}), ST_OK);
    w->got.len--;
    p = strstr(w->got.ptr, "\r\n\r\n");
    assert_non_null(p);
    p += 4;
    end = w->got.ptr + w->got.len;
    if (!wire_has(w, "Transfer-Encoding: chunked"))
        return p;
    while (p < end) {
        char *after;
        size_t size = strtoul(p, &after, 16);

        p = after + 2;
        if (size == 0)
            break;
        assert_true(p + size <= end && n + size < sizeof(out));
        memcpy(out + n, p, size);
        n += size;
        p += size + 2;
    }
    out[n] = '\0';
    return out;
}

static void expect(struct wire *w, const char *source, const char *in_body)
{
    char field[64];

    snprintf(field, sizeof(field), "x-ibid-source: %s\r\n", source);
    if (!wire_has(w, field) || strstr(body_of(w), in_body) == NULL)
        fail_msg("want %s and '%s', got:\n%.*s", source, in_body, (int)w->got.len, w->got.ptr);
}

static void is_whole(struct wire *w)
{
    assert_true(wire_has(w, "Content-Length") || wire_has(w, "0\r\n\r\n"));
}

/* --- the flows -------------------------------------------------------------------------- */

/* Whole, kept; replayed whole and as a stream, without the upstream. */
static void miss_and_hits(void)
{
    struct wire *w = dial(), *up = &bench->ups[0];

    ask(w, PLAIN, "");
    assert_int_equal(bench->up_count, 1);
    assert_true(wire_has(up, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_true(wire_has(up, PLAIN));
    answer(up, JSON, whole);
    expect(w, "upstream", "Hello");
    assert_string_equal(body_of(w), whole);
    buf_clear(&up->got);
    ask(w, PLAIN, "");
    expect(w, "exact", "\"content\":\"Hello \\u4e2d\""); /* as the upstream wrote it */
    ask(w, USAGE, "");
    expect(w, "exact", "\"content\":\"Hello \"");
    assert_non_null(strstr(body_of(w), "\"total_tokens\":5"));
    assert_non_null(strstr(body_of(w), DONE));
    is_whole(w);
    ask(w, STREAM, "");
    expect(w, "exact", DONE);
    assert_null(strstr(body_of(w), "total_tokens"));
    assert_int_equal(up->got.len, 0);
}

/* Streamed byte by byte, kept; replayed as a stream and whole. */
static void stream_and_hits(void)
{
    struct wire *w = dial();

    ask(w, USAGE, "");
    answer(&bench->ups[0], SSE, streamed);
    assert_string_equal(body_of(w), streamed);
    ask(w, PLAIN, "");
    expect(w, "exact", "\"content\":\"Hello \xe4\xb8\xad\"");
    ask(w, USAGE, "");
    expect(w, "exact", "\"total_tokens\":5");
    assert_int_equal(wire_count(&bench->ups[0], "POST "), 1);
}

static void not_kept_when_asked(void)
{
    struct wire *w = dial();

    ask(w, PLAIN, "x-ibid-cache: no-store\r\n");
    answer(&bench->ups[0], JSON, whole);
    ask(w, PLAIN, "x-ibid-cache: only-if-cached\r\n");
    assert_true(wire_has(w, "HTTP/1.1 504"));
    assert_int_equal(wire_count(&bench->ups[0], "POST "), 1);
    assert_false(wire_has(&bench->ups[0], "x-ibid"));
}

/* Two ask the same: one answer for both. */
static void coalesced(void)
{
    struct wire *a = dial(), *b = dial();

    ask(a, PLAIN, "");
    ask(b, USAGE, "");
    assert_int_equal(bench->up_count, 1);
    answer(&bench->ups[0], JSON, whole);
    expect(a, "upstream", "Hello");
    expect(b, "coalesced", DONE);
    is_whole(b);
    assert_int_equal(wire_count(&bench->ups[0], "POST "), 1);
}

/* The one that asked for all fails: the others ask for themselves, and one of them for
 * the rest. */
static void leader_fails(void)
{
    struct wire *a = dial(), *b = dial(), *c = dial();

    ask(a, PLAIN, "");
    ask(b, PLAIN, "");
    ask(c, PLAIN, "");
    assert_int_equal(bench->up_count, 1);
    wire_reset(&bench->ups[0]);
    run();
    assert_true(wire_has(a, "HTTP/1.1 502"));
    assert_int_equal(b->got.len + c->got.len, 0);
    assert_int_equal(bench->up_count, 3);
    answer(&bench->ups[1], JSON, whole);
    answer(&bench->ups[2], JSON, whole);
    expect(b, "upstream", "Hello");
    expect(c, "upstream", "Hello");
}

/* The one that asked for all leaves: likewise. */
static void leader_leaves(void)
{
    struct wire *a = dial(), *b = dial();

    ask(a, PLAIN, "");
    ask(b, PLAIN, "");
    wire_reset(a);
    run();
    assert_true(bench->ups[0].ended);
    assert_int_equal(bench->up_count, 2);
    answer(&bench->ups[1], JSON, whole);
    expect(b, "upstream", "Hello");
}

/* A follower that leaves is missed by nobody. */
static void follower_leaves(void)
{
    struct wire *a = dial(), *b = dial();

    ask(a, PLAIN, "");
    ask(b, PLAIN, "");
    wire_reset(b);
    run();
    answer(&bench->ups[0], JSON, whole);
    expect(a, "upstream", "Hello");
    ask(a, PLAIN, "");
    expect(a, "exact", "Hello");
}

/* A follower's patience ends before the leader's answer comes. */
static void follower_waits_no_longer(void)
{
    struct wire *a = dial(), *b = dial();

    bench->setup->config->upstream.first_byte_timeout_ms = 100;
    ask(a, PLAIN, "");
    ask(b, PLAIN, "");
    wire_pass(bench->loop, 101 * MS);
    assert_int_equal(bench->up_count, 2);
    answer(&bench->ups[1], JSON, whole);
    expect(b, "upstream", "Hello");
    answer(&bench->ups[0], JSON, whole);
    expect(a, "upstream", "Hello");
}

/* An answer without usage is none for a follower who would be told. */
static void follower_wants_usage(void)
{
    struct wire *a = dial(), *b = dial();

    ask(a, STREAM, "");
    ask(b, PLAIN, "");
    answer(&bench->ups[0], SSE, HELLO LO STOP DONE);
    expect(a, "upstream", DONE);
    assert_int_equal(b->got.len, 0);
    answer(&bench->ups[wire_count(&bench->ups[0], "POST ") == 2 ? 0 : 1], JSON, whole);
    expect(b, "upstream", "total_tokens");
}

static void begin_stream(struct wire *up)
{
    send_text(up, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  "Content-Length: 100000\r\n\r\n" HELLO);
}

/* The client leaves in the middle: the upstream is told, nothing is kept. */
static void client_leaves(void)
{
    struct wire *w = dial();

    ask(w, STREAM, "");
    begin_stream(&bench->ups[0]);
    assert_true(wire_has(w, "Hel"));
    wire_reset(w);
    run();
    assert_true(bench->ups[0].ended);
    w = dial();
    ask(w, PLAIN, "x-ibid-cache: only-if-cached\r\n");
    assert_true(wire_has(w, "HTTP/1.1 504"));
}

static void breaks_off(const char *more, bool within)
{
    struct wire *w = dial();
    const char *body;

    ask(w, STREAM, "");
    begin_stream(&bench->ups[0]);
    if (more[0] != '\0')
        send_text(&bench->ups[0], more);
    wire_reset(&bench->ups[0]);
    run();
    assert_true(w->ended);
    assert_false(wire_has(w, "\r\n0\r\n\r\n"));
    body = body_of(w);
    assert_null(strstr(body, "[DONE]"));
    assert_non_null(strstr(body, within ? "\n\ndata: {\"error\":" : HELLO "data: {\"error\":"));
    w = dial();
    ask(w, PLAIN, "x-ibid-cache: only-if-cached\r\n");
    assert_true(wire_has(w, "HTTP/1.1 504"));
}

/* The upstream breaks off: the client is told, and the end is no clean one. */
static void upstream_breaks_off(void)
{
    breaks_off("", false);
}

/* In the middle of an event: that is closed first. */
static void upstream_breaks_off_within(void)
{
    breaks_off("data: {\"id\":", true);
}

/* All events came and the framing did not end: still not an answer. */
static void upstream_breaks_off_at_the_end(void)
{
    struct wire *w = dial();

    ask(w, STREAM, "");
    begin_stream(&bench->ups[0]);
    send_text(&bench->ups[0], LO STOP DONE);
    wire_reset(&bench->ups[0]);
    run();
    assert_true(w->ended);
    assert_false(wire_has(w, "\r\n0\r\n\r\n"));
    w = dial();
    ask(w, STREAM, "x-ibid-cache: only-if-cached\r\n");
    assert_true(wire_has(w, "HTTP/1.1 504"));
}

/* A refusal shuts the cache for its key, at once. */
static void revoked(void)
{
    struct wire *w = dial(), *up = &bench->ups[0];

    ask(w, PLAIN, "");
    answer(up, JSON, whole);
    ask(w, PLAIN, "");
    expect(w, "exact", "Hello");
    ask(w, QUESTION ",\"seed\":1}", "");
    send_text(up, "HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                  "\r\n{}");
    assert_true(wire_has(w, "HTTP/1.1 401"));
    buf_clear(&up->got);
    ask(w, PLAIN, "");
    assert_true(wire_has(up, PLAIN));
    answer(up, JSON, whole);
    expect(w, "upstream", "Hello");
    assert_true(wire_has(w, "detail=credential_unproven"));
}

/* A path that we do not know: both bodies flow. */
static void untouched(void)
{
    struct wire *w = dial(), *up = &bench->ups[0];

    send_text(w, "POST /v1/files HTTP/1.1\r\nHost: ibid\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n");
    assert_true(wire_has(up, "POST /v1/files"));
    assert_string_equal(body_of(up), "abc");
    send_text(w, "3\r\ndef\r\n0\r\n\r\n");
    assert_string_equal(body_of(up), "abcdef");
    send_text(up, "HTTP/1.1 201 Made\r\nContent-Length: 4\r\nX-Mine: 1\r\n\r\nmade");
    assert_true(wire_has(w, "HTTP/1.1 201"));
    assert_true(wire_has(w, "X-Mine: 1\r\n"));
    assert_string_equal(body_of(w), "made");
}

/* The program ends in the middle of everything. */
static void closed_in_the_middle(void)
{
    struct wire *a = dial(), *b = dial(), *c = dial();

    ask(a, PLAIN, "");
    ask(b, PLAIN, "");
    ask(c, QUESTION ",\"seed\":1,\"stream\":true}", "");
    begin_stream(&bench->ups[1]);
    assert_true(wire_has(c, "Hel"));
}

static struct flow {
    const char *name;
    void (*run)(void);
} flows[] = {
#define FLOW(f)                                                                                \
    {                                                                                          \
#f, f                                                                                  \
    }
    FLOW(miss_and_hits),
    FLOW(stream_and_hits),
    FLOW(not_kept_when_asked),
    FLOW(coalesced),
    FLOW(leader_fails),
    FLOW(leader_leaves),
    FLOW(follower_leaves),
    FLOW(follower_waits_no_longer),
    FLOW(follower_wants_usage),
    FLOW(client_leaves),
    FLOW(upstream_breaks_off),
    FLOW(upstream_breaks_off_within),
    FLOW(upstream_breaks_off_at_the_end),
    FLOW(revoked),
    FLOW(untouched),
    FLOW(closed_in_the_middle),
};

static void test_flow(void **state)
{
    static const size_t chunkings[] = WIRE_CHUNKINGS;
    const struct flow *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(chunkings); i++) {
        struct bench *b = open_bench(chunkings[i]);

        f->run();
        close_bench(b);
    }
}

int main(void)
{
    struct CMUnitTest tests[ARRAY_LEN(flows)];

    for (size_t i = 0; i < ARRAY_LEN(flows); i++)
        tests[i] = (struct CMUnitTest){flows[i].name, test_flow, NULL, NULL, &flows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
