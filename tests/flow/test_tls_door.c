/* The door of a TLS listener over the loopback, with a client of OpenSSL's: what comes through,
 * what is turned away and how it is told, and that an identity is exchanged in between. */
#define _GNU_SOURCE /* memmem() */
#include "http/tls_door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "certs.h"
#include "check.h"
#include "probe.h"
#include "rt/io_loopback.h"
#include "rt/io_tls_server.h"
#include "tls_peer.h"

#define HOST       "api.example.test"
#define DAY        86400L
#define TIMEOUT_US UINT64_C(2000000)
#define PASSED_MAX 4

static struct cert ca, other_ca, leaf, other_leaf, expired_leaf, client_cert, stranger,
    old_client;
static char ca_file[64], cert_file[64], key_file[64];

struct side {
    struct loop *loop;
    struct io_tls_server *server;
    struct tls_door *door;
    struct probe probe[PASSED_MAX];
    unsigned passed;
    char peer[64];
    uint64_t now_us;
};

static void on_pass(void *owner, struct io *io, const char *peer)
{
    struct side *s = owner;

    assert_true(s->passed < PASSED_MAX);
    snprintf(s->peer, sizeof(s->peer), "%s", peer);
    probe_init(&s->probe[s->passed++], s->loop, io);
}

static void open_side(struct side *s, bool ask_client, uint32_t handshakes_max)
{
    struct io_tls_server_options so = {
        .files = {.cert = cert_file, .key = key_file, .client_ca = ask_client ? ca_file : NULL},
        .http2 = true};
    struct tls_door_options o = {"test", TIMEOUT_US, handshakes_max};
    char why[256];

    memset(s, 0, sizeof(*s));
    CHECK_STATUS(ST_OK, loop_open(&s->loop));
    s->now_us = 1000000000;
    loop_set_now_us(s->loop, s->now_us);
    CHECK_STATUS(ST_OK, io_tls_server_open(s->loop, &so, &s->server, why, sizeof(why)));
    CHECK_STATUS(ST_OK, tls_door_open(s->loop, s->server, &o, on_pass, s, &s->door));
}

static void close_side(struct side *s)
{
    if (s->door != NULL)
        tls_door_close(s->door);
    io_tls_server_close(s->server);
    for (unsigned i = 0; i < s->passed; i++) {
        if (!s->probe[i].closing)
            probe_close(&s->probe[i]);
    }
    while (loop_turn(s->loop))
        ;
    for (unsigned i = 0; i < s->passed; i++)
        probe_release(&s->probe[i]);
    CHECK_STATUS(ST_OK, loop_close(s->loop));
}

/* Without waiting for deadlines. */
static void settle(struct side *s)
{
    for (unsigned i = 0; i < 20000; i++)
        loop_turn(s->loop);
}

static uint64_t outcome(const struct side *s, enum tls_door_outcome which)
{
    struct tls_door_stats stats;

    tls_door_stats(s->door, &stats);
    return stats.by_outcome[which];
}

static struct io *knock(struct side *s, size_t chunk)
{
    struct io_loopback_options o = {.chunk_bytes = chunk, .pipe_bytes = 65536};
    struct io *a, *b;

    CHECK_STATUS(ST_OK, io_loopback_pair(s->loop, &o, &a, &b));
    tls_door_accept(s->door, a, "192.0.2.1");
    return b;
}

static SSL_CTX *client_rules(const struct cert *own)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_load_verify_file(ctx, ca_file), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(ctx, 0); /* so that old versions can be tried at all */
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    if (own != NULL) {
        assert_int_equal(SSL_CTX_use_certificate(ctx, own->x509), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(ctx, own->key), 1);
    }
    return ctx;
}

static void hang_up(struct side *s, struct tls_peer *p)
{
    if (!p->cut)
        tls_peer_cut(p);
    settle(s);
    tls_peer_release(p);
}

/* --- what comes through ------------------------------------------------------------ */

/* Every piece of a handshake may come alone, and in every other cut. */
static void test_handshakes_in_all_chunkings(void **state)
{
    static const size_t chunks[] = {1, 2, 3, 5, 7, 64, 4096, 0};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks) * ARRAY_LEN(versions); i++) {
        SSL_CTX *ctx = client_rules(NULL);
        struct tls_door_stats stats;
        struct tls_peer peer;
        struct side s;

        SSL_CTX_set_max_proto_version(ctx, versions[i % 2]);
        open_side(&s, false, 8);
        tls_peer_init_client(&peer, knock(&s, chunks[i / 2]), ctx, NULL);
        settle(&s);
        assert_true(peer.secured);
        assert_int_equal(s.passed, 1);
        assert_string_equal(s.peer, "192.0.2.1");
        probe_read(&s.probe[0]);
        tls_peer_send(&peer, "hello", 5);
        settle(&s);
        CHECK_SPAN(SPAN("hello"), buf_span(&s.probe[0].in));
        CHECK_STATUS(ST_OK, probe_write(&s.probe[0], "and back", 8));
        settle(&s);
        CHECK_SPAN(SPAN("and back"), buf_span(&peer.in));
        tls_door_stats(s.door, &stats);
        assert_int_equal(stats.by_outcome[TLS_DOOR_FULL], 1);
        assert_int_equal(stats.tls12_total, i % 2 == 0);
        assert_int_equal(stats.tls13_total, i % 2 == 1);
        assert_int_equal(stats.handshakes_now, 0);
        hang_up(&s, &peer);
        close_side(&s);
        SSL_CTX_free(ctx);
    }
}

/* The request of a client that does not wait comes with its last word of the handshake. */
static void test_data_right_behind_the_handshake(void **state)
{
    SSL_CTX *ctx = client_rules(NULL);
    struct tls_peer peer;
    struct side s;

    (void)state;
    open_side(&s, false, 8);
    tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
    while (!peer.secured)
        loop_turn(s.loop);
    tls_peer_send(&peer, "at once", 7);
    settle(&s);
    assert_int_equal(s.passed, 1);
    probe_read(&s.probe[0]);
    settle(&s);
    CHECK_SPAN(SPAN("at once"), buf_span(&s.probe[0].in));
    hang_up(&s, &peer);
    close_side(&s);
    SSL_CTX_free(ctx);
}

static void test_alpn(void **state)
{
    static const struct {
        const char *offer, *chosen; /* NULL: none offered; refused */
    } cases[] = {
        {"\x02h2\x08http/1.1", "h2"},
        {"\x08http/1.1\x02h2", "h2"},
        {"\x08http/1.1", "http/1.1"},
        {"\x03"
         "foo\x08http/1.1",
         "http/1.1"},
        {NULL, ""},
        {"\x02h3", NULL},
        {"\x03h2c\x01h", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const unsigned char *name;
        SSL_CTX *ctx = client_rules(NULL);
        struct tls_peer peer;
        struct side s;
        unsigned n;

        if (cases[i].offer != NULL)
            assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)cases[i].offer,
                                                     (unsigned)strlen(cases[i].offer)),
                             0);
        open_side(&s, false, 8);
        tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
        settle(&s);
        assert_int_equal(s.passed, cases[i].chosen != NULL);
        assert_int_equal(peer.failed, cases[i].chosen == NULL);
        assert_int_equal(outcome(&s, TLS_DOOR_FAILED), cases[i].chosen == NULL);
        SSL_get0_alpn_selected(peer.ssl, &name, &n);
        if (cases[i].chosen != NULL)
            CHECK_SPAN(span_of(cases[i].chosen), ((struct span){(const char *)name, n}));
        hang_up(&s, &peer);
        close_side(&s);
        SSL_CTX_free(ctx);
    }
}

static void test_sessions_are_resumed(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions) * 2; i++) {
        SSL_CTX *ctx = client_rules(NULL);
        bool much_later = i >= ARRAY_LEN(versions);
        SSL_SESSION *session;
        struct tls_peer peer;
        struct side s;

        SSL_CTX_set_max_proto_version(ctx, versions[i % 2]);
        open_side(&s, false, 8);
        tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
        settle(&s);
        tls_peer_send(&peer, "x", 1);
        settle(&s);
        session = SSL_get1_session(peer.ssl);
        assert_true(SSL_SESSION_is_resumable(session));
        tls_peer_end(&peer);
        hang_up(&s, &peer);
        /* After an hour the key of the ticket is gone, and the handshake a whole one. */
        if (much_later)
            loop_set_now_us(s.loop, s.now_us + UINT64_C(3601000000));
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
        tls_peer_init_client(&peer, knock(&s, 0), ctx, session);
        settle(&s);
        assert_true(peer.secured);
        assert_int_equal(outcome(&s, TLS_DOOR_RESUMED), much_later ? 0 : 1);
        assert_int_equal(outcome(&s, TLS_DOOR_FULL), much_later ? 2 : 1);
        SSL_SESSION_free(session);
        hang_up(&s, &peer);
        close_side(&s);
        SSL_CTX_free(ctx);
    }
}

/* --- who is turned away ------------------------------------------------------------ */

static void test_old_versions_are_refused(void **state)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        SSL_CTX *ctx = client_rules(NULL);
        struct tls_peer peer;
        struct side s;

        SSL_CTX_set_max_proto_version(ctx, versions[i]);
        open_side(&s, false, 8);
        tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
        settle(&s);
        assert_int_equal(s.passed, 0);
        assert_true(peer.failed);
        assert_int_equal(outcome(&s, TLS_DOOR_FAILED), 1);
        hang_up(&s, &peer);
        close_side(&s);
        SSL_CTX_free(ctx);
    }
}

static void test_certificates_of_clients(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    const struct {
        const struct cert *own;
        bool good;
    } cases[] = {{&client_cert, true}, {NULL, false}, {&stranger, false}, {&old_client, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(versions); i++) {
        SSL_CTX *ctx = client_rules(cases[i / 2].own);
        bool good = cases[i / 2].good;
        struct tls_peer peer;
        struct side s;

        SSL_CTX_set_max_proto_version(ctx, versions[i % 2]);
        open_side(&s, true, 8);
        tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
        settle(&s);
        assert_int_equal(s.passed, good);
        assert_int_equal(outcome(&s, TLS_DOOR_FULL), good);
        assert_int_equal(outcome(&s, TLS_DOOR_CERTIFICATE), !good);
        hang_up(&s, &peer);
        close_side(&s);
        SSL_CTX_free(ctx);
    }
}

static void test_plain_http_is_told_so(void **state)
{
    static const char *const requests[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST",
                                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "O"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct probe client;
        struct side s;

        open_side(&s, false, 8);
        probe_init(&client, s.loop, knock(&s, i));
        probe_read(&client);
        CHECK_STATUS(ST_OK, probe_write(&client, requests[i], strlen(requests[i])));
        settle(&s);
        assert_memory_equal(client.in.ptr, "HTTP/1.1 400 ", 13);
        assert_non_null(memmem(client.in.ptr, client.in.len, "https://", 8));
        /* The length that is told is the length there is. */
        assert_int_equal(client.in.len,
                         (size_t)((char *)memmem(client.in.ptr, client.in.len, "\r\n\r\n", 4) -
                                  client.in.ptr) +
                             4 + 48);
        assert_true(client.ended);
        assert_int_equal(outcome(&s, TLS_DOOR_PLAIN), 1);
        assert_int_equal(s.passed, 0);
        probe_close(&client);
        settle(&s);
        probe_release(&client);
        close_side(&s);
    }
}

/* Whoever goes on sending is cut at last. */
static void test_plain_bytes_without_end(void **state)
{
    static char bytes[300000];
    struct tls_door_stats stats;
    struct probe client;
    struct side s;

    (void)state;
    memset(bytes, 'A', sizeof(bytes));
    open_side(&s, false, 8);
    probe_init(&client, s.loop, knock(&s, 0));
    for (unsigned i = 0; i < 3 && !client.ended; i++) {
        if (probe_write(&client, bytes, sizeof(bytes)) != ST_OK)
            break;
        settle(&s);
    }
    tls_door_stats(s.door, &stats);
    assert_int_equal(stats.handshakes_now, 0);
    probe_close(&client);
    settle(&s);
    probe_release(&client);
    close_side(&s);
}

static void test_garbage_is_no_handshake(void **state)
{
    static const char *const garbage[] = {
        "\x16\x03\x01\x02\x01 this is no hello", "\x80\x2e\x01\x03\x02 of an older age",
        "\x17\x03\x03\x01\x05hello, and what comes behind it"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        struct probe client;
        struct side s;

        open_side(&s, false, 8);
        probe_init(&client, s.loop, knock(&s, 0));
        probe_read(&client);
        CHECK_STATUS(ST_OK, probe_write(&client, garbage[i], strlen(garbage[i])));
        settle(&s);
        probe_close(&client); /* the first one only begins one */
        settle(&s);
        assert_int_equal(outcome(&s, TLS_DOOR_FAILED), 1);
        assert_int_equal(s.passed, 0);
        probe_release(&client);
        close_side(&s);
    }
}

/* --- time and number --------------------------------------------------------------- */

static void test_a_slow_handshake_has_its_time(void **state)
{
    (void)state;
    for (unsigned bytes = 0; bytes < 3; bytes++) {
        struct probe client;
        struct side s;

        open_side(&s, false, 8);
        probe_init(&client, s.loop, knock(&s, 0));
        if (bytes > 0)
            CHECK_STATUS(ST_OK, probe_write(&client, "\x16\x03", bytes));
        settle(&s);
        loop_set_now_us(s.loop, s.now_us + TIMEOUT_US - 1000);
        settle(&s);
        assert_int_equal(outcome(&s, TLS_DOOR_TIMEOUT), 0);
        loop_set_now_us(s.loop, s.now_us + TIMEOUT_US + 1000);
        settle(&s);
        assert_int_equal(outcome(&s, TLS_DOOR_TIMEOUT), 1);
        probe_read(&client);
        settle(&s);
        assert_true(client.ended);
        probe_close(&client);
        settle(&s);
        probe_release(&client);
        close_side(&s);
    }
}

static void test_handshakes_are_bounded(void **state)
{
    struct probe client[3];
    struct side s;

    (void)state;
    open_side(&s, false, 2);
    for (unsigned i = 0; i < ARRAY_LEN(client); i++) {
        probe_init(&client[i], s.loop, knock(&s, 0));
        probe_read(&client[i]);
    }
    settle(&s);
    assert_false(client[0].ended);
    assert_false(client[1].ended);
    assert_true(client[2].ended);
    assert_int_equal(outcome(&s, TLS_DOOR_REFUSED), 1);
    /* One gives up, and there is room for another. */
    probe_close(&client[0]);
    settle(&s);
    {
        SSL_CTX *ctx = client_rules(NULL);
        struct tls_peer peer;

        tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
        settle(&s);
        assert_true(peer.secured);
        hang_up(&s, &peer);
        SSL_CTX_free(ctx);
    }
    probe_close(&client[1]);
    probe_close(&client[2]);
    settle(&s);
    for (unsigned i = 0; i < ARRAY_LEN(client); i++)
        probe_release(&client[i]);
    close_side(&s);
}

/* Closed at every turn of a handshake: nobody is passed on after it, nothing is left. */
static void test_the_door_closes_in_a_handshake(void **state)
{
    SSL_CTX *ctx = client_rules(NULL);

    (void)state;
    for (unsigned turns = 0; turns < 40; turns++) {
        struct tls_peer peer;
        unsigned passed;
        struct side s;

        open_side(&s, false, 8);
        tls_peer_init_client(&peer, knock(&s, 100), ctx, NULL);
        for (unsigned i = 0; i < turns; i++)
            loop_turn(s.loop);
        passed = s.passed;
        tls_door_close(s.door);
        s.door = NULL;
        settle(&s);
        assert_int_equal(s.passed, passed);
        hang_up(&s, &peer);
        close_side(&s);
    }
    SSL_CTX_free(ctx);
}

/* --- after the handshake ----------------------------------------------------------- */

static void test_no_renegotiation(void **state)
{
    SSL_CTX *ctx = client_rules(NULL);
    struct tls_peer peer;
    struct side s;

    (void)state;
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    open_side(&s, false, 8);
    tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
    settle(&s);
    probe_read(&s.probe[0]);
    assert_int_equal(SSL_renegotiate(peer.ssl), 1);
    assert_int_not_equal(SSL_do_handshake(peer.ssl), 1); /* a hello in the BIO */
    tls_peer_flush(&peer);
    settle(&s);
    /* What was agreed on stays: no second handshake came to its end. */
    assert_int_not_equal(SSL_do_handshake(peer.ssl), 1);
    ERR_clear_error();
    assert_true(s.probe[0].in.len == 0);
    hang_up(&s, &peer);
    close_side(&s);
    SSL_CTX_free(ctx);
}

/* A client that was cut is not one that ended. */
static void test_a_truncated_end(void **state)
{
    SSL_CTX *ctx = client_rules(NULL);

    (void)state;
    for (unsigned polite = 0; polite < 2; polite++) {
        struct tls_peer peer;
        struct side s;

        open_side(&s, false, 8);
        tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
        settle(&s);
        probe_read(&s.probe[0]);
        tls_peer_send(&peer, "half a request", 14);
        if (polite)
            tls_peer_end(&peer);
        settle(&s);
        tls_peer_cut(&peer);
        settle(&s);
        CHECK_SPAN(SPAN("half a request"), buf_span(&s.probe[0].in));
        assert_true(s.probe[0].ended);
        assert_int_equal(s.probe[0].end, polite ? ST_CLOSED : ST_UNAVAILABLE);
        hang_up(&s, &peer);
        close_side(&s);
    }
    SSL_CTX_free(ctx);
}

/* --- renewal ----------------------------------------------------------------------- */

static void move_over(const struct cert *c, bool key_too)
{
    char fresh[64];

    certs_write(c, fresh, sizeof(fresh));
    assert_int_equal(rename(fresh, cert_file), 0);
    if (!key_too)
        return;
    certs_write_key(c, fresh, sizeof(fresh));
    assert_int_equal(rename(fresh, key_file), 0);
}

static void check_shown(struct side *s, const struct cert *want)
{
    SSL_CTX *ctx = client_rules(NULL);
    struct tls_peer peer;
    X509 *shown;

    tls_peer_init_client(&peer, knock(s, 0), ctx, NULL);
    settle(s);
    assert_true(peer.secured);
    shown = SSL_get1_peer_certificate(peer.ssl);
    assert_int_equal(X509_cmp(shown, want->x509), 0);
    X509_free(shown);
    hang_up(s, &peer);
    SSL_CTX_free(ctx);
}

static void test_renewal(void **state)
{
    SSL_CTX *ctx = client_rules(NULL);
    struct tls_peer peer;
    char why[256];
    struct side s;

    (void)state;
    open_side(&s, false, 8);
    assert_false(io_tls_server_is_stale(s.server));
    tls_peer_init_client(&peer, knock(&s, 0), ctx, NULL);
    settle(&s);
    check_shown(&s, &leaf);

    /* Half of it, then one that nobody would take: the old one stays. */
    move_over(&other_leaf, false);
    assert_true(io_tls_server_is_stale(s.server));
    CHECK_STATUS(ST_INVALID, io_tls_server_reload(s.server, why, sizeof(why)));
    assert_non_null(strstr(why, "is not that of the certificate"));
    assert_false(io_tls_server_is_stale(s.server)); /* not tried again until it changes */
    check_shown(&s, &leaf);
    move_over(&expired_leaf, true);
    CHECK_STATUS(ST_INVALID, io_tls_server_reload(s.server, why, sizeof(why)));
    assert_non_null(strstr(why, "expired"));
    assert_int_equal(unlink(cert_file), 0);
    assert_true(io_tls_server_is_stale(s.server));
    CHECK_STATUS(ST_INVALID, io_tls_server_reload(s.server, why, sizeof(why)));
    assert_non_null(strstr(why, "No such file"));
    assert_non_null(strstr(why, cert_file));

    move_over(&other_leaf, true);
    assert_true(io_tls_server_is_stale(s.server));
    CHECK_STATUS(ST_OK, io_tls_server_reload(s.server, why, sizeof(why)));
    check_shown(&s, &other_leaf);
    /* The connection from before goes on. */
    probe_read(&s.probe[0]);
    tls_peer_send(&peer, "still here", 10);
    settle(&s);
    CHECK_SPAN(SPAN("still here"), buf_span(&s.probe[0].in));
    move_over(&leaf, true);
    hang_up(&s, &peer);
    close_side(&s);
    SSL_CTX_free(ctx);
}

static void test_bad_files(void **state)
{
    struct io_tls_identity_files files = {.cert = cert_file, .key = key_file};
    struct io_tls_identity *i;
    char why[256], bad[64] = "/tmp/ibid-test-ca-XXXXXX";
    int fd = mkstemp(bad);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "not a certificate", 17), 17);
    close(fd);
    CHECK_STATUS(ST_OK, io_tls_identity_open(&files, &i, why, sizeof(why)));
    assert_string_equal(why, "");
    io_tls_identity_close(i);
    files.cert = bad;
    CHECK_STATUS(ST_INVALID, io_tls_identity_open(&files, &i, why, sizeof(why)));
    assert_non_null(strstr(why, "cannot use the certificate"));
    files.cert = cert_file;
    files.key = bad;
    CHECK_STATUS(ST_INVALID, io_tls_identity_open(&files, &i, why, sizeof(why)));
    assert_non_null(strstr(why, "cannot use the key"));
    files.key = key_file;
    files.client_ca = bad;
    CHECK_STATUS(ST_INVALID, io_tls_identity_open(&files, &i, why, sizeof(why)));
    assert_non_null(strstr(why, "authorities of clients"));
    unlink(bad);
}

static int set_up(void **state)
{
    (void)state;
    ca = certs_make("Test CA", NULL, NULL, -DAY, DAY);
    other_ca = certs_make("Other CA", NULL, NULL, -DAY, DAY);
    leaf = certs_make("leaf", "DNS:" HOST, &ca, -DAY, DAY);
    other_leaf = certs_make("leaf", "DNS:" HOST, &ca, -DAY, 2 * DAY);
    expired_leaf = certs_make("leaf", "DNS:" HOST, &ca, -2 * DAY, -DAY);
    client_cert = certs_make("client", NULL, &ca, -DAY, DAY);
    old_client = certs_make("client", NULL, &ca, -2 * DAY, -DAY);
    stranger = certs_make("client", NULL, &other_ca, -DAY, DAY);
    certs_write(&ca, ca_file, sizeof(ca_file));
    certs_write(&leaf, cert_file, sizeof(cert_file));
    certs_write_key(&leaf, key_file, sizeof(key_file));
    return 0;
}

static int tear_down(void **state)
{
    struct cert *const all[] = {&ca,           &other_ca,    &leaf,       &other_leaf,
                                &expired_leaf, &client_cert, &old_client, &stranger};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        certs_release(all[i]);
    unlink(ca_file);
    unlink(cert_file);
    unlink(key_file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes_in_all_chunkings),
        cmocka_unit_test(test_data_right_behind_the_handshake),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_sessions_are_resumed),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_certificates_of_clients),
        cmocka_unit_test(test_plain_http_is_told_so),
        cmocka_unit_test(test_plain_bytes_without_end),
        cmocka_unit_test(test_garbage_is_no_handshake),
        cmocka_unit_test(test_a_slow_handshake_has_its_time),
        cmocka_unit_test(test_handshakes_are_bounded),
        cmocka_unit_test(test_the_door_closes_in_a_handshake),
        cmocka_unit_test(test_no_renegotiation),
        cmocka_unit_test(test_a_truncated_end),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_bad_files),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
