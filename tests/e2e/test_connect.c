/* SOCK_NONBLOCK is not POSIX. */
#define _DEFAULT_SOURCE

/* Connecting, with real sockets on 127.0.0.1. Names are in test_dns.c. */
#include "rt/connect.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "certs.h"
#include "check.h"
#include "probe.h"
#include "rt/io_tls.h"
#include "rt/listener.h"
#include "tls_peer.h"

#define SECOND 1000000u

struct world {
    struct loop *loop;
    struct connector *connector;
    struct listener *listener;
    struct probe server, client;
    bool accepted, connected;
    /* The server speaks TLS when there are settings for it. */
    SSL_CTX *tls;
    struct tls_peer peer;

    struct connect_op *op;
    struct loop_msg cancel; /* deferred by on_accept when asked for */
    bool cancel_late, canceled_late;
    unsigned done;
    enum status st;
    char why[256];
};

static void on_cancel(struct loop_msg *m)
{
    struct world *w = CONTAINER_OF(m, struct world, cancel);

    if (w->done > 0)
        return;
    w->canceled_late = true;
    connect_cancel(w->op);
}

static void on_accept(void *owner, struct io *io, const char *peer)
{
    struct world *w = owner;

    (void)peer;
    assert_false(w->accepted);
    w->accepted = true;
    if (w->cancel_late)
        loop_defer(w->loop, &w->cancel, on_cancel);
    if (w->tls != NULL)
        tls_peer_init(&w->peer, io, w->tls);
    else
        probe_init(&w->server, w->loop, io);
}

static void on_done(struct connect_op *op, enum status st, struct io *io, const char *why)
{
    struct world *w = connect_owner(op);

    assert_ptr_equal(op, w->op);
    w->done++;
    w->st = st;
    snprintf(w->why, sizeof(w->why), "%s", why);
    assert_true((io != NULL) == (st == ST_OK));
    if (io != NULL) {
        w->connected = true;
        probe_init(&w->client, w->loop, io);
    }
}

static void start(struct world *w)
{
    struct connector_options o = {.dns_ttl_max_s = 10, .dns_servers = "127.0.0.1:9"};

    memset(w, 0, sizeof(*w));
    CHECK_STATUS(ST_OK, loop_open(&w->loop));
    CHECK_STATUS(ST_OK, connector_open(w->loop, &o, &w->connector));
}

static void listen_at(struct world *w, const char *address)
{
    struct listener_options o = {.backlog = 16};
    char why[256];

    CHECK_STATUS(ST_OK, listener_open(w->loop, address, &o, on_accept, w, &w->listener, why,
                                      sizeof(why)));
}

static void dial(struct world *w, const struct endpoint *to, uint64_t timeout_us)
{
    CHECK_STATUS(ST_OK, connect_start(w->connector, to, timeout_us, on_done, w, &w->op));
    assert_int_equal(w->done, 0); /* later */
}

static void wait_done(struct world *w)
{
    while (w->done == 0)
        loop_turn(w->loop);
    for (unsigned i = 0; i < 3; i++)
        loop_turn(w->loop);
    assert_int_equal(w->done, 1);
}

static void finish(struct world *w)
{
    if (w->connected)
        probe_close(&w->client);
    if (w->accepted && w->tls == NULL && !w->server.closing)
        probe_close(&w->server);
    if (w->accepted && w->tls != NULL && !w->peer.cut)
        tls_peer_cut(&w->peer);
    if (w->listener != NULL)
        listener_close(w->listener);
    if (w->connector != NULL)
        connector_close(w->connector);
    loop_run(w->loop);
    assert_true(w->done <= 1);
    if (w->connected)
        probe_release(&w->client);
    if (w->accepted && w->tls == NULL)
        probe_release(&w->server);
    if (w->accepted && w->tls != NULL)
        tls_peer_release(&w->peer);
    CHECK_STATUS(ST_OK, loop_close(w->loop));
}

/* ----------------------------------------------------------------------------------- */

static void check_exchange(struct world *w)
{
    while (!w->accepted)
        loop_turn(w->loop);
    probe_read(&w->server);
    probe_read(&w->client);
    probe_send_pattern(&w->client, 3000000, 70000);
    probe_send_pattern(&w->server, 3000000, 50000);
    while (!w->server.ended || !w->client.ended)
        loop_turn(w->loop);
    probe_check_pattern(&w->server, 3000000);
    probe_check_pattern(&w->client, 3000000);
    assert_int_equal(w->server.end, ST_CLOSED);
}

static void test_address_literals(void **state)
{
    static const char *const hosts[][2] = {{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct world w;

        if (i == 1) { /* not every machine has IPv6 */
            struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                                     .sin6_addr = IN6ADDR_LOOPBACK_INIT};
            int fd = socket(AF_INET6, SOCK_STREAM, 0);
            bool usable = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

            if (fd >= 0)
                close(fd);
            if (!usable)
                continue;
        }
        start(&w);
        listen_at(&w, hosts[i][0]);
        dial(&w, &(struct endpoint){.host = hosts[i][1], .port = listener_port(w.listener)},
             SECOND);
        wait_done(&w);
        CHECK_STATUS(ST_OK, w.st);
        check_exchange(&w);
        finish(&w);
    }
}

static void test_localhost(void **state)
{
    struct world w;

    (void)state;
    start(&w);
    listen_at(&w, "127.0.0.1:0");
    dial(&w, &(struct endpoint){.host = "localhost", .port = listener_port(w.listener)},
         SECOND);
    wait_done(&w);
    CHECK_STATUS(ST_OK, w.st);
    check_exchange(&w);
    finish(&w);
}

static uint16_t closed_port(struct world *w)
{
    uint16_t port;

    listen_at(w, "127.0.0.1:0");
    port = listener_port(w->listener);
    listener_close(w->listener);
    w->listener = NULL;
    return port;
}

static void test_refused(void **state)
{
    struct world w;

    (void)state;
    start(&w);
    dial(&w, &(struct endpoint){.host = "127.0.0.1", .port = closed_port(&w)}, SECOND);
    wait_done(&w);
    assert_int_equal(w.st, ST_UNAVAILABLE);
    assert_non_null(strstr(w.why, "refused"));
    finish(&w);
}

static void test_unix(void **state)
{
    char dir[] = "/tmp/ibid-test-XXXXXX", path[64], address[80], late[200];
    struct world w;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(address, sizeof(address), "unix:%s", path);
    start(&w);
    listen_at(&w, address);
    dial(&w, &(struct endpoint){.unix_path = path}, SECOND);
    wait_done(&w);
    CHECK_STATUS(ST_OK, w.st);
    check_exchange(&w);
    finish(&w);

    start(&w); /* gone by now */
    dial(&w, &(struct endpoint){.unix_path = path}, SECOND);
    wait_done(&w);
    assert_int_equal(w.st, ST_UNAVAILABLE);
    assert_non_null(strstr(w.why, "no such file"));
    finish(&w);

    start(&w); /* libuv would cut it */
    memset(late, 'x', sizeof(late) - 1);
    late[sizeof(late) - 1] = '\0';
    CHECK_STATUS(ST_INVALID, connect_start(w.connector, &(struct endpoint){.unix_path = late},
                                           SECOND, on_done, &w, &w.op));
    finish(&w);
    rmdir(dir);
}

/* A listener whose backlog is full and who accepts nobody: connecting hangs. */
static int deaf_port(uint16_t *port, int *extra, unsigned n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    for (unsigned i = 0; i < n; i++) {
        extra[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(extra[i], (struct sockaddr *)&a, len);
    }
    return fd;
}

static void test_deadline_of_connecting(void **state)
{
    struct world w;
    uint16_t port;
    int extra[4], deaf = deaf_port(&port, extra, 4);
    uint64_t before = clock_now_us();

    (void)state;
    start(&w);
    dial(&w, &(struct endpoint){.host = "127.0.0.1", .port = port}, SECOND / 5);
    wait_done(&w);
    assert_int_equal(w.st, ST_TIMEOUT);
    assert_string_equal(w.why, "timed out connecting");
    assert_true(clock_now_us() - before >= SECOND / 5);
    assert_true(clock_now_us() - before < SECOND);
    finish(&w);
    close(deaf);
    for (unsigned i = 0; i < 4; i++)
        close(extra[i]);
}

static void test_deadline_of_a_name(void **state)
{
    struct world w;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct connector_options o = {.dns_ttl_max_s = 10};
    char server[32];
    int mute = socket(AF_INET, SOCK_DGRAM, 0); /* a name server that never answers */

    (void)state;
    assert_int_equal(bind(mute, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(mute, (struct sockaddr *)&a, &len), 0);
    snprintf(server, sizeof(server), "127.0.0.1:%u", ntohs(a.sin_port));
    memset(&w, 0, sizeof(w));
    o.dns_servers = server;
    CHECK_STATUS(ST_OK, loop_open(&w.loop));
    CHECK_STATUS(ST_OK, connector_open(w.loop, &o, &w.connector));
    dial(&w, &(struct endpoint){.host = "slow.example.test", .port = 1}, SECOND / 10);
    wait_done(&w);
    assert_int_equal(w.st, ST_TIMEOUT);
    assert_non_null(strstr(w.why, "looking up"));
    finish(&w);
    close(mute);
}

/* The other end sees a stream that was given up. */
static void check_server_sees_end(struct world *w)
{
    probe_read(&w->server);
    while (!w->server.ended)
        loop_turn(w->loop);
}

/* It has succeeded, but nobody was told yet: accepting and connecting are seen in one
 * turn, and what accepting defers runs before the end of connecting is told. */
static void test_cancel_at_the_last_moment(void **state)
{
    struct world w;

    (void)state;
    start(&w);
    w.cancel_late = true;
    listen_at(&w, "127.0.0.1:0");
    dial(&w, &(struct endpoint){.host = "127.0.0.1", .port = listener_port(w.listener)},
         SECOND);
    wait_done(&w);
    assert_true(w.canceled_late);
    assert_int_equal(w.st, ST_CANCELED);
    check_server_sees_end(&w);
    finish(&w);
}

/* Before it began, and on its way. */
static void test_cancel(void **state)
{
    unsigned canceled = 0;

    (void)state;
    for (unsigned turns = 0; turns < 6; turns++) {
        struct world w;

        start(&w);
        listen_at(&w, "127.0.0.1:0");
        dial(&w, &(struct endpoint){.host = "127.0.0.1", .port = listener_port(w.listener)},
             SECOND);
        for (unsigned i = 0; i < turns && w.done == 0; i++)
            loop_turn(w.loop);
        if (w.done == 0) {
            connect_cancel(w.op);
            assert_int_equal(w.done, 0);
            wait_done(&w);
            assert_int_equal(w.st, ST_CANCELED);
            canceled++;
        }
        finish(&w);
    }
    assert_true(canceled > 0);
}

static void test_close_ends_what_is_in_flight(void **state)
{
    struct world w;

    (void)state;
    start(&w);
    listen_at(&w, "127.0.0.1:0");
    dial(&w, &(struct endpoint){.host = "127.0.0.1", .port = listener_port(w.listener)},
         SECOND);
    connector_close(w.connector);
    w.connector = NULL;
    assert_int_equal(w.done, 0);
    wait_done(&w);
    assert_int_equal(w.st, ST_CANCELED);
    finish(&w);

    start(&w);
    dial(&w, &(struct endpoint){.host = "name.example.test", .port = 1}, SECOND);
    connector_close(w.connector);
    w.connector = NULL;
    wait_done(&w);
    assert_int_equal(w.st, ST_CANCELED);
    finish(&w);
}

/* --- TLS --------------------------------------------------------------------------- */

static void test_tls(void **state)
{
    struct cert ca = certs_make("Test CA", NULL, NULL, -3600, 3600),
                good = certs_make("leaf", "IP:127.0.0.1", &ca, -3600, 3600),
                bad = certs_make("leaf", "DNS:other.test", &ca, -3600, 3600);
    char ca_file[64], why[256];

    (void)state;
    certs_write(&ca, ca_file, sizeof(ca_file));
    for (unsigned trusted = 0; trusted < 2; trusted++) {
        SSL_CTX *server = certs_server(trusted ? &good : &bad, TLS1_3_VERSION);
        struct io_tls_ctx *ctx;
        struct world w;

        start(&w);
        w.tls = server;
        CHECK_STATUS(ST_OK, io_tls_ctx_open(w.loop, ca_file, &ctx, why, sizeof(why)));
        listen_at(&w, "127.0.0.1:0");
        dial(&w,
             &(struct endpoint){
                 .host = "127.0.0.1", .port = listener_port(w.listener), .tls = ctx},
             SECOND);
        wait_done(&w);
        if (trusted) {
            CHECK_STATUS(ST_OK, w.st);
            w.peer.echo = true;
            probe_read(&w.client);
            probe_send_pattern(&w.client, 2000000, 40000);
            while (w.client.in.len < 2000000)
                loop_turn(w.loop);
            probe_check_pattern(&w.client, 2000000);
        } else {
            assert_int_equal(w.st, ST_UNAVAILABLE);
            assert_non_null(strstr(w.why, "TLS: certificate verify failed"));
        }
        io_tls_ctx_close(ctx);
        finish(&w);
        SSL_CTX_free(server);
    }
    unlink(ca_file);
    certs_release(&good);
    certs_release(&bad);
    certs_release(&ca);
}

/* The deadline holds for a peer that accepts and then says nothing. */
static void test_deadline_of_the_handshake(void **state)
{
    struct cert ca = certs_make("Test CA", NULL, NULL, -3600, 3600);
    char ca_file[64], why[256];
    struct io_tls_ctx *ctx;

    (void)state;
    certs_write(&ca, ca_file, sizeof(ca_file));
    for (unsigned canceled = 0; canceled < 2; canceled++) {
        struct world w;

        start(&w);
        CHECK_STATUS(ST_OK, io_tls_ctx_open(w.loop, ca_file, &ctx, why, sizeof(why)));
        listen_at(&w, "127.0.0.1:0");
        dial(&w,
             &(struct endpoint){
                 .host = "127.0.0.1", .port = listener_port(w.listener), .tls = ctx},
             SECOND / 10);
        while (!w.accepted)
            loop_turn(w.loop);
        loop_turn(w.loop);
        if (canceled)
            connect_cancel(w.op);
        wait_done(&w);
        assert_int_equal(w.st, canceled ? ST_CANCELED : ST_TIMEOUT);
        if (!canceled)
            assert_string_equal(w.why, "timed out in the TLS handshake");
        check_server_sees_end(&w);
        io_tls_ctx_close(ctx);
        finish(&w);
    }
    unlink(ca_file);
    certs_release(&ca);
}

/* Both are there before the loop looks: the data is read, and the end is not clean. */
static void test_a_reset_behind_data(void **state)
{
    (void)state;
    for (unsigned reset = 0; reset < 2; reset++) {
        struct world w;
        size_t taken;

        start(&w);
        listen_at(&w, "127.0.0.1:0");
        dial(&w, &(struct endpoint){.host = "127.0.0.1", .port = listener_port(w.listener)},
             SECOND);
        wait_done(&w);
        while (!w.accepted)
            loop_turn(w.loop);
        probe_read(&w.client);
        loop_turn(w.loop);
        CHECK_STATUS(ST_OK, probe_try(&w.server, "answer", 6, &taken));
        assert_int_equal(taken, 6);
        if (reset)
            probe_reset(&w.server);
        else
            probe_close(&w.server);
        while (!w.client.ended)
            loop_turn(w.loop);
        assert_int_equal(w.client.in.len, 6);
        assert_int_equal(w.client.end, reset ? ST_UNAVAILABLE : ST_CLOSED);
        finish(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_literals),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_deadline_of_connecting),
        cmocka_unit_test(test_deadline_of_a_name),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_at_the_last_moment),
        cmocka_unit_test(test_close_ends_what_is_in_flight),
        cmocka_unit_test(test_a_reset_behind_data),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_deadline_of_the_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
