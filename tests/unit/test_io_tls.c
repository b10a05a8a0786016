/* TLS over the loopback: who is trusted, what is resumed, and that a stream which was
 * cut is never taken for one that ended. */
#include "rt/io_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs.h"
#include "check.h"
#include "probe.h"
#include "rt/io_loopback.h"
#include "tls_peer.h"

#define HOST "api.example.test"
#define DAY  86400L

static const size_t chunks[] = {1, 2, 3, 7, 4096, 0};

static struct cert ca, other_ca;
static char ca_file[64];

struct client {
    struct loop *loop;
    struct io_tls_ctx *ctx;
    struct tls_peer peer;
    struct probe probe;
    struct io *tls;
    bool ready, open;
    enum status st;
    char why[256];
};

static void on_ready(void *owner, enum status st, struct io *tls, const char *why)
{
    struct client *c = owner;

    assert_false(c->ready);
    c->ready = true;
    c->st = st;
    snprintf(c->why, sizeof(c->why), "%s", why);
    assert_true((tls != NULL) == (st == ST_OK));
    if (st == ST_OK) {
        c->open = true;
        probe_init(&c->probe, c->loop, tls);
    }
}

static void dial(struct client *c, SSL_CTX *server, const char *host, size_t chunk, size_t pipe)
{
    struct io_loopback_options o = {.chunk_bytes = chunk, .pipe_bytes = pipe};
    struct io *a, *b;

    c->ready = c->open = false;
    CHECK_STATUS(ST_OK, io_loopback_pair(c->loop, &o, &a, &b));
    tls_peer_init(&c->peer, b, server);
    CHECK_STATUS(ST_OK, io_tls_client(c->ctx, a, host, on_ready, c, &c->tls));
    assert_false(c->ready); /* later */
}

static void start(struct client *c)
{
    char why[256];

    memset(c, 0, sizeof(*c));
    CHECK_STATUS(ST_OK, loop_open(&c->loop));
    CHECK_STATUS(ST_OK, io_tls_ctx_open(c->loop, ca_file, &c->ctx, why, sizeof(why)));
}

static void hang_up(struct client *c)
{
    if (c->open && !c->probe.closing)
        probe_close(&c->probe);
    loop_run(c->loop);
    if (!c->peer.cut)
        tls_peer_cut(&c->peer);
    loop_run(c->loop);
    if (c->open)
        probe_release(&c->probe);
    tls_peer_release(&c->peer);
}

static void finish(struct client *c)
{
    io_tls_ctx_close(c->ctx);
    CHECK_STATUS(ST_OK, loop_close(c->loop));
}

/* --- trust ------------------------------------------------------------------------- */

static void test_who_is_trusted(void **state)
{
    static const struct {
        const char *dial, *san;
        bool other_authority;
        long from_s, to_s;
        const char *why; /* NULL: trusted */
    } cases[] = {
        {HOST, "DNS:" HOST, false, -DAY, DAY, NULL},
        {HOST, "DNS:*.example.test", false, -DAY, DAY, NULL},
        {"127.0.0.1", "IP:127.0.0.1", false, -DAY, DAY, NULL},
        {"::1", "IP:::1", false, -DAY, DAY, NULL},
        {HOST, "DNS:other.example.test", false, -DAY, DAY, "not for '" HOST "'"},
        {HOST, "DNS:a*.example.test", false, -DAY, DAY, "not for"},
        {HOST, "DNS:*.test", false, -DAY, DAY, "not for"},
        {HOST, "IP:127.0.0.1", false, -DAY, DAY, "not for"},
        {"127.0.0.1", "DNS:" HOST, false, -DAY, DAY, "not for '127.0.0.1'"},
        {"127.0.0.1", "IP:127.0.0.2", false, -DAY, DAY, "not for"},
        {HOST, "DNS:" HOST, false, -2 * DAY, -DAY, "expired"},
        {HOST, "DNS:" HOST, false, DAY, 2 * DAY, "not yet valid"},
        {HOST, "DNS:" HOST, true, -DAY, DAY, "unable to get local issuer certificate"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cert leaf =
            certs_make("leaf", cases[i].san, cases[i].other_authority ? &other_ca : &ca,
                       cases[i].from_s, cases[i].to_s);
        SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
        struct client c;

        start(&c);
        dial(&c, server, cases[i].dial, 0, 65536);
        loop_run(c.loop);
        assert_true(c.ready);
        if (cases[i].why == NULL) {
            if (c.st != ST_OK)
                fail_msg("case %zu: %s", i, c.why);
        } else {
            assert_int_equal(c.st, ST_UNAVAILABLE);
            if (strstr(c.why, "certificate verify failed") == NULL ||
                strstr(c.why, cases[i].why) == NULL)
                fail_msg("case %zu: why is '%s'", i, c.why);
        }
        hang_up(&c);
        finish(&c);
        SSL_CTX_free(server);
        certs_release(&leaf);
    }
}

static struct cert leaf;

static void test_sni_for_names_only(void **state)
{
    struct cert by_ip = certs_make("leaf", "IP:127.0.0.1", &ca, -DAY, DAY);
    SSL_CTX *s1 = certs_server(&leaf, TLS1_3_VERSION),
            *s2 = certs_server(&by_ip, TLS1_3_VERSION);
    struct client c;

    (void)state;
    start(&c);
    dial(&c, s1, HOST, 0, 65536);
    loop_run(c.loop);
    assert_string_equal(c.peer.name, HOST);
    hang_up(&c);
    dial(&c, s2, "127.0.0.1", 0, 65536);
    loop_run(c.loop);
    CHECK_STATUS(ST_OK, c.st);
    assert_string_equal(c.peer.name, "");
    hang_up(&c);
    finish(&c);
    SSL_CTX_free(s1);
    SSL_CTX_free(s2);
    certs_release(&by_ip);
}

static void test_old_versions_are_refused(void **state)
{
    SSL_CTX *old = certs_server(&leaf, TLS1_1_VERSION),
            *tls12 = certs_server(&leaf, TLS1_2_VERSION);
    struct client c;

    (void)state;
    start(&c);
    dial(&c, old, HOST, 0, 65536);
    loop_run(c.loop);
    assert_int_equal(c.st, ST_UNAVAILABLE);
    assert_non_null(strstr(c.why, "version"));
    hang_up(&c);
    dial(&c, tls12, HOST, 0, 65536);
    loop_run(c.loop);
    CHECK_STATUS(ST_OK, c.st);
    hang_up(&c);
    finish(&c);
    SSL_CTX_free(old);
    SSL_CTX_free(tls12);
}

static void test_bad_ca_files(void **state)
{
    static const char *const files[] = {"/nonexistent/ca.pem", "/dev/null"};
    struct loop *l;

    (void)state;
    CHECK_STATUS(ST_OK, loop_open(&l));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct io_tls_ctx *ctx;
        char why[256] = "";

        CHECK_STATUS(ST_INVALID, io_tls_ctx_open(l, files[i], &ctx, why, sizeof(why)));
        assert_non_null(strstr(why, files[i]));
        assert_null(strstr(why, "unknown error"));
    }
    CHECK_STATUS(ST_OK, loop_close(l));
}

/* --- handshakes that fail ---------------------------------------------------------- */

static void test_peer_without_tls(void **state)
{
    struct io_loopback_options o = {.chunk_bytes = 0, .pipe_bytes = 65536};
    struct client c;
    struct probe plain;
    struct io *a, *b;

    (void)state;
    start(&c);
    CHECK_STATUS(ST_OK, io_loopback_pair(c.loop, &o, &a, &b));
    probe_init(&plain, c.loop, b);
    CHECK_STATUS(ST_OK, io_tls_client(c.ctx, a, HOST, on_ready, &c, &c.tls));
    CHECK_STATUS(ST_OK, probe_write(&plain, "HTTP/1.1 400 Bad Request\r\n\r\n", 28));
    loop_run(c.loop);
    assert_int_equal(c.st, ST_UNAVAILABLE);
    assert_string_equal(c.why, "the peer does not speak TLS");
    probe_close(&plain);
    loop_run(c.loop);
    probe_release(&plain);
    finish(&c);
}

static void test_peer_closes_in_the_handshake(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    struct client c;

    (void)state;
    start(&c);
    dial(&c, server, HOST, 0, 65536);
    tls_peer_cut(&c.peer);
    loop_run(c.loop);
    assert_int_equal(c.st, ST_UNAVAILABLE);
    assert_string_equal(c.why, "the peer closed the connection during the handshake");
    hang_up(&c);
    finish(&c);
    SSL_CTX_free(server);
}

/* At every moment of the handshake. */
static void test_cancel(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    unsigned canceled = 0;

    (void)state;
    for (unsigned turns = 0; turns < 40; turns++) {
        struct client c;

        start(&c);
        dial(&c, server, HOST, 64, 64);
        for (unsigned i = 0; i < turns && !c.ready; i++)
            loop_turn(c.loop);
        if (!c.ready) {
            io_tls_cancel(c.tls);
            assert_false(c.ready);
            loop_run(c.loop);
            assert_true(c.ready);
            assert_int_equal(c.st, ST_CANCELED);
            canceled++;
        }
        hang_up(&c);
        finish(&c);
    }
    assert_true(canceled > 0);
    SSL_CTX_free(server);
}

/* --- bytes ------------------------------------------------------------------------- */

static void test_echo_in_all_chunkings(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks) * ARRAY_LEN(versions); i++) {
        SSL_CTX *server = certs_server(&leaf, versions[i % 2]);
        struct client c;

        start(&c);
        dial(&c, server, HOST, chunks[i / 2], 500);
        c.peer.echo = true;
        loop_run(c.loop);
        CHECK_STATUS(ST_OK, c.st);
        c.probe.pause_every = 2;
        probe_read(&c.probe);
        probe_send_pattern(&c.probe, 20000, 999);
        loop_run(c.loop);
        probe_check_pattern(&c.probe, 20000);
        assert_true(c.peer.got_notify); /* its end was told */
        assert_false(c.probe.ended);    /* ours goes on: half closed */
        tls_peer_end(&c.peer);
        loop_run(c.loop);
        assert_true(c.probe.ended);
        assert_int_equal(c.probe.end, ST_CLOSED);
        hang_up(&c);
        finish(&c);
        SSL_CTX_free(server);
    }
}

/* One write far larger than what is encrypted at once, through a pipe that is narrow and
 * one that takes it all. Its bytes are the caller's again when on_written comes. */
static void test_large_write(void **state)
{
    enum { SIZE = 20 * 1024 * 1024 };
    static const size_t pipes[] = {65536, 2u * SIZE};
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    char *bytes = malloc(SIZE), *copy = malloc(SIZE);

    (void)state;
    assert_non_null(bytes);
    assert_non_null(copy);
    for (size_t i = 0; i < SIZE; i++)
        copy[i] = (char)(i * 31 >> 5);
    for (size_t i = 0; i < ARRAY_LEN(pipes); i++) {
        struct client c;

        memcpy(bytes, copy, SIZE);
        start(&c);
        dial(&c, server, HOST, 0, pipes[i]);
        loop_run(c.loop);
        c.probe.lent = bytes;
        c.probe.lent_bytes = SIZE;
        CHECK_STATUS(ST_OK, probe_write(&c.probe, bytes, SIZE));
        loop_run(c.loop);
        CHECK_STATUS(ST_OK, c.probe.write_end);
        assert_int_equal(c.probe.writes, 1);
        assert_int_equal(c.peer.in.len, SIZE);
        assert_memory_equal(c.peer.in.ptr, copy, SIZE);
        hang_up(&c);
        finish(&c);
    }
    SSL_CTX_free(server);
    free(bytes);
    free(copy);
}

/* The peer does not read: nothing more is taken, and a write does not end. */
static void test_back_pressure(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    struct client c;
    static char bytes[60000];
    size_t taken, all = 0;

    (void)state;
    start(&c);
    dial(&c, server, HOST, 0, 1000);
    loop_run(c.loop);
    io_read_stop(c.peer.inner);
    do {
        CHECK_STATUS(ST_OK, probe_try(&c.probe, bytes, sizeof(bytes), &taken));
        all += taken;
        assert_true(all < 1000000);
    } while (taken > 0);
    CHECK_STATUS(ST_OK, probe_write(&c.probe, bytes, sizeof(bytes)));
    all += sizeof(bytes);
    loop_run(c.loop);
    assert_int_equal(c.probe.writes, 0);
    io_read_start(c.peer.inner);
    loop_run(c.loop);
    assert_int_equal(c.probe.writes, 1);
    assert_int_equal(c.peer.in.len, all);
    hang_up(&c);
    finish(&c);
    SSL_CTX_free(server);
}

/* A record a byte, far more of them in a read than are looked at in one turn: each is told, in
 * order, whether the reader pauses or not. */
static void test_many_small_records(void **state)
{
    enum { RECORDS = 5000 };
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);

    (void)state;
    for (unsigned pause = 0; pause < 4; pause += 3) {
        struct client c;

        start(&c);
        dial(&c, server, HOST, 0, 1u << 20);
        loop_run(c.loop);
        for (unsigned i = 0; i < RECORDS; i++) {
            char byte = (char)(i * 7);

            tls_peer_send(&c.peer, &byte, 1);
        }
        c.probe.pause_every = pause;
        probe_read(&c.probe);
        loop_run(c.loop);
        assert_int_equal(c.probe.in.len, RECORDS);
        assert_int_equal(c.probe.largest, 1);
        for (unsigned i = 0; i < RECORDS; i++)
            assert_int_equal(c.probe.in.ptr[i], (char)(i * 7));
        hang_up(&c);
        finish(&c);
    }
    SSL_CTX_free(server);
}

/* --- ends -------------------------------------------------------------------------- */

static void test_cut_stream_is_broken(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);

    (void)state;
    for (unsigned polite = 0; polite < 2; polite++) {
        struct client c;

        start(&c);
        dial(&c, server, HOST, 0, 65536);
        loop_run(c.loop);
        probe_read(&c.probe);
        tls_peer_send(&c.peer, "half of an answer", 17);
        if (polite)
            tls_peer_end(&c.peer);
        loop_run(c.loop);
        tls_peer_cut(&c.peer);
        loop_run(c.loop);
        CHECK_SPAN(SPAN("half of an answer"), buf_span(&c.probe.in));
        assert_true(c.probe.ended);
        assert_int_equal(c.probe.end, polite ? ST_CLOSED : ST_UNAVAILABLE);
        hang_up(&c);
        finish(&c);
    }
    SSL_CTX_free(server);
}

static void test_garbage_breaks_the_stream(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    struct client c;

    (void)state;
    start(&c);
    dial(&c, server, HOST, 0, 65536);
    loop_run(c.loop);
    probe_read(&c.probe);
    CHECK_STATUS(
        ST_OK,
        io_write(c.peer.inner,
                 &SPAN("\x17\x03\x03\x00\x20 this is not a record of this stream, is it"), 1));
    loop_run(c.loop);
    assert_true(c.probe.ended);
    assert_int_equal(c.probe.end, ST_UNAVAILABLE);
    hang_up(&c);
    finish(&c);
    SSL_CTX_free(server);
}

static void test_reset_fails_reads_and_writes(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    struct client c;
    static char bytes[100000];

    (void)state;
    start(&c);
    dial(&c, server, HOST, 0, 100);
    loop_run(c.loop);
    probe_read(&c.probe);
    io_read_stop(c.peer.inner);
    CHECK_STATUS(ST_OK, probe_write(&c.probe, bytes, sizeof(bytes)));
    loop_run(c.loop);
    io_loopback_reset(c.peer.inner);
    loop_run(c.loop);
    assert_int_equal(c.probe.writes, 1);
    assert_int_equal(c.probe.write_end, ST_UNAVAILABLE);
    assert_int_equal(c.probe.end, ST_UNAVAILABLE);
    hang_up(&c);
    finish(&c);
    SSL_CTX_free(server);
}

/* Closing says so to the peer; closing in the middle of a write must not, for then the
 * half of it would look whole; nor does a reset. */
static void test_what_a_close_tells_the_peer(void **state)
{
    enum how { CLOSE, CLOSE_MID_WRITE, RESET };
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    static char bytes[300000];

    (void)state;
    for (unsigned how = CLOSE; how <= RESET; how++) {
        struct client c;

        start(&c);
        dial(&c, server, HOST, 0, 65536);
        loop_run(c.loop);
        if (how == CLOSE_MID_WRITE)
            CHECK_STATUS(ST_OK, probe_write(&c.probe, bytes, sizeof(bytes)));
        if (how == RESET)
            probe_reset(&c.probe);
        else
            probe_close(&c.probe);
        loop_run(c.loop);
        assert_int_equal(c.peer.got_notify, how == CLOSE);
        assert_int_equal(c.peer.inner_end, how == RESET ? ST_UNAVAILABLE : ST_CLOSED);
        hang_up(&c);
        finish(&c);
    }
    SSL_CTX_free(server);
}

static void test_close_inside_an_event(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        struct client c;

        start(&c);
        dial(&c, server, HOST, chunks[i], 100);
        loop_run(c.loop);
        c.probe.close_on_read = true;
        probe_read(&c.probe);
        tls_peer_send(&c.peer, "one", 3);
        tls_peer_send(&c.peer, "two", 3);
        loop_run(c.loop);
        assert_true(c.probe.closed);
        CHECK_SPAN(SPAN("one"), buf_span(&c.probe.in));
        hang_up(&c);
        finish(&c);
    }
    SSL_CTX_free(server);
}

/* --- sessions ---------------------------------------------------------------------- */

/* An exchange and an orderly end, so that a ticket could be kept. */
static void exchange(struct client *c, SSL_CTX *server, const char *host)
{
    dial(c, server, host, 0, 65536);
    c->peer.echo = true;
    loop_run(c->loop);
    CHECK_STATUS(ST_OK, c->st);
    probe_read(&c->probe);
    CHECK_STATUS(ST_OK, probe_write(&c->probe, "hello", 5));
    loop_run(c->loop);
    CHECK_SPAN(SPAN("hello"), buf_span(&c->probe.in));
    hang_up(c);
}

static void test_sessions_are_resumed_by_host(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct cert wild = certs_make("leaf", "DNS:*.example.test", &ca, -DAY, DAY);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        SSL_CTX *server = certs_server(&wild, versions[i]);
        uint64_t handshakes, resumed;
        struct client c;

        start(&c);
        exchange(&c, server, HOST);
        io_tls_ctx_counts(c.ctx, &handshakes, &resumed);
        assert_int_equal(handshakes, 1);
        assert_int_equal(resumed, 0);
        exchange(&c, server, HOST);
        exchange(&c, server, HOST);
        exchange(&c, server, "other.example.test"); /* no session of another host */
        io_tls_ctx_counts(c.ctx, &handshakes, &resumed);
        assert_int_equal(handshakes, 4);
        assert_int_equal(resumed, 2);
        finish(&c);
        SSL_CTX_free(server);
    }
    certs_release(&wild);
}

static void test_streams_outlive_their_context(void **state)
{
    SSL_CTX *server = certs_server(&leaf, TLS1_3_VERSION);
    struct client c;

    (void)state;
    start(&c);
    dial(&c, server, HOST, 0, 65536);
    c.peer.echo = true;
    loop_run(c.loop);
    io_tls_ctx_close(c.ctx);
    probe_read(&c.probe);
    CHECK_STATUS(ST_OK, probe_write(&c.probe, "hello", 5));
    loop_run(c.loop);
    CHECK_SPAN(SPAN("hello"), buf_span(&c.probe.in));
    hang_up(&c);
    CHECK_STATUS(ST_OK, loop_close(c.loop));
    SSL_CTX_free(server);
}

static int set_up(void **state)
{
    (void)state;
    ca = certs_make("Test CA", NULL, NULL, -DAY, DAY);
    other_ca = certs_make("Other CA", NULL, NULL, -DAY, DAY);
    leaf = certs_make("leaf", "DNS:" HOST, &ca, -DAY, DAY);
    certs_write(&ca, ca_file, sizeof(ca_file));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(ca_file);
    certs_release(&leaf);
    certs_release(&other_ca);
    certs_release(&ca);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_trusted),
        cmocka_unit_test(test_sni_for_names_only),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_bad_ca_files),
        cmocka_unit_test(test_peer_without_tls),
        cmocka_unit_test(test_peer_closes_in_the_handshake),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_echo_in_all_chunkings),
        cmocka_unit_test(test_large_write),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_many_small_records),
        cmocka_unit_test(test_cut_stream_is_broken),
        cmocka_unit_test(test_garbage_breaks_the_stream),
        cmocka_unit_test(test_reset_fails_reads_and_writes),
        cmocka_unit_test(test_what_a_close_tells_the_peer),
        cmocka_unit_test(test_close_inside_an_event),
        cmocka_unit_test(test_sessions_are_resumed_by_host),
        cmocka_unit_test(test_streams_outlive_their_context),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
