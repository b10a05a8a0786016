/* What a TCP peer's host has confirmed, on real sockets: the kernel's word and its place in
 * what the kernel hands out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "rt/io.h"
#include "rt/io_tcp.h"
#include "rt/loop.h"

#define PATIENCE_TURNS 500 /* of 10 ms */

struct rig {
    struct loop *loop;
    struct io *io;
    int peer;
    bool closed;
};

static void on_closed(void *owner)
{
    ((struct rig *)owner)->closed = true;
}

static const struct io_events events = {.on_closed = on_closed};

static void rig_open(struct rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int door = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

    *r = (struct rig){.closed = false};
    assert_int_equal(bind(door, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
    r->peer = accept(door, NULL, NULL);
    assert_true(r->peer >= 0);
    close(door);
    CHECK_STATUS(ST_OK, loop_open(&r->loop));
    CHECK_STATUS(ST_OK, io_tcp_open(r->loop, fd, false, &r->io));
    io_attach(r->io, &events, r);
}

static void rig_close(struct rig *r)
{
    io_close(r->io);
    loop_run(r->loop);
    assert_true(r->closed);
    CHECK_STATUS(ST_OK, loop_close(r->loop));
}

static void say_hello(struct rig *r)
{
    struct span part = SPAN("hello");
    size_t taken;

    CHECK_STATUS(ST_OK, io_try_write(r->io, &part, 1, &taken));
    assert_int_equal(taken, 5);
}

static void test_grows_by_what_arrives(void **state)
{
    struct rig r;
    uint64_t before;

    (void)state;
    rig_open(&r);
    before = io_heard(r.io);
    assert_true(before != IO_HEARD_UNKNOWN);
    say_hello(&r);
    for (int i = 0; i < PATIENCE_TURNS && io_heard(r.io) == before; i++)
        poll(NULL, 0, 10); /* a confirmation may be held back for 40 ms */
    assert_int_equal(io_heard(r.io), before + 5);
    close(r.peer);
    assert_int_equal(io_heard(r.io), before + 5);
    rig_close(&r);
}

static void test_does_not_grow_by_what_a_closed_peer_gets(void **state)
{
    struct rig r;
    uint64_t before;

    (void)state;
    rig_open(&r);
    before = io_heard(r.io);
    close(r.peer);
    say_hello(&r);
    poll(NULL, 0, 100);
    assert_int_equal(io_heard(r.io), before);
    rig_close(&r);
}

static void test_a_unix_socket_does_not_say(void **state)
{
    struct rig r = {.closed = false};
    int fd[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    CHECK_STATUS(ST_OK, loop_open(&r.loop));
    CHECK_STATUS(ST_OK, io_tcp_open(r.loop, fd[0], true, &r.io));
    io_attach(r.io, &events, &r);
    say_hello(&r);
    assert_true(io_heard(r.io) == IO_HEARD_UNKNOWN);
    close(fd[1]);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_by_what_arrives),
        cmocka_unit_test(test_does_not_grow_by_what_a_closed_peer_gets),
        cmocka_unit_test(test_a_unix_socket_does_not_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
