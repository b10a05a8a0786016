/* Real sockets on 127.0.0.1 and in a temporary directory. */
#include "rt/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "probe.h"
#include "rt/timer.h"

enum { CLIENTS_MAX = 200 };

struct door {
    struct loop *loop;
    struct listener *listener;
    struct probe taken[CLIENTS_MAX];
    unsigned count, want;
    unsigned most_a_turn, this_turn; /* accepted */
    char peer[64];
    char why[256];
    struct timer timer;
};

static void on_accept(void *owner, struct io *io, const char *peer)
{
    struct door *d = owner;

    snprintf(d->peer, sizeof(d->peer), "%s", peer);
    probe_init(&d->taken[d->count++], d->loop, io);
    if (++d->this_turn > d->most_a_turn)
        d->most_a_turn = d->this_turn;
    if (d->count == d->want)
        loop_stop(d->loop);
}

static enum status open_door(struct door *d, const char *address)
{
    struct listener_options o = {.backlog = 256};

    return listener_open(d->loop, address, &o, on_accept, d, &d->listener, d->why,
                         sizeof(d->why));
}

static struct door *new_door(void)
{
    struct door *d = calloc(1, sizeof(*d));

    assert_non_null(d);
    CHECK_STATUS(ST_OK, loop_open(&d->loop));
    return d;
}

static void close_door(struct door *d)
{
    if (d->listener != NULL)
        listener_close(d->listener);
    for (unsigned i = 0; i < d->count; i++)
        probe_close(&d->taken[i]);
    loop_run(d->loop);
    for (unsigned i = 0; i < d->count; i++)
        probe_release(&d->taken[i]);
    CHECK_STATUS(ST_OK, loop_close(d->loop));
    free(d);
}

static int knock(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static int knock_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void wait_for(struct door *d, unsigned count)
{
    d->want = count;
    if (d->count < count)
        loop_run(d->loop);
    assert_int_equal(d->count, count);
}

static void on_time(struct timer *t)
{
    loop_stop(CONTAINER_OF(t, struct door, timer)->loop);
}

static void run_for(struct door *d, uint64_t us)
{
    timer_start(d->loop, &d->timer, us, on_time);
    loop_run(d->loop);
    timer_stop(d->loop, &d->timer);
}

/* ----------------------------------------------------------------------------------- */

static void test_tcp(void **state)
{
    struct door *d = new_door();
    char got[16];
    int fd;

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    assert_true(listener_port(d->listener) != 0);
    fd = knock(listener_port(d->listener));
    wait_for(d, 1);
    assert_string_equal(d->peer, "127.0.0.1");
    CHECK_STATUS(ST_OK, probe_write(&d->taken[0], "hello", 5));
    while (d->taken[0].writes == 0)
        loop_turn(d->loop);
    assert_int_equal(read(fd, got, sizeof(got)), 5);
    probe_read(&d->taken[0]);
    assert_int_equal(write(fd, "there", 5), 5);
    close(fd);
    while (!d->taken[0].ended)
        loop_turn(d->loop);
    CHECK_SPAN(SPAN("there"), buf_span(&d->taken[0].in));
    assert_int_equal(d->taken[0].end, ST_CLOSED);
    close_door(d);
}

/* A crowd does not keep the loop from those who are in. */
static void test_bursts_are_bounded(void **state)
{
    struct door *d = new_door();
    int fds[CLIENTS_MAX];

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        fds[i] = knock(listener_port(d->listener));
    while (d->count < CLIENTS_MAX) {
        d->this_turn = 0;
        loop_turn(d->loop);
    }
    assert_true(d->most_a_turn < CLIENTS_MAX / 2);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        close(fds[i]);
    close_door(d);
}

static void test_pause(void **state)
{
    struct door *d = new_door();
    int fds[3];

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    listener_pause(d->listener);
    for (unsigned i = 0; i < 3; i++)
        fds[i] = knock(listener_port(d->listener)); /* the kernel lets them wait */
    for (unsigned i = 0; i < 10; i++)
        loop_turn(d->loop);
    assert_int_equal(d->count, 0);
    listener_resume(d->listener);
    wait_for(d, 3);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
    close_door(d);
}

/* Out of descriptors: clients are told by a close, the loop does not spin, and all is
 * well when descriptors are there again. */
static void test_descriptors_run_out(void **state)
{
    struct door *d = new_door();
    struct rlimit before, tight;
    int fds[8], late, next;
    uint64_t cpu;
    char byte;

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = knock(listener_port(d->listener));
    next = dup(0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &before);
    tight = (struct rlimit){(rlim_t)next, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    cpu = clock_thread_cpu_us();
    run_for(d, 400000);
    cpu = clock_thread_cpu_us() - cpu;
    assert_int_equal(d->count, 0);
    assert_true(cpu < 100000);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        assert_int_equal(read(fds[i], &byte, 1), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    late = knock(listener_port(d->listener));
    wait_for(d, 1);
    close(late);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    close_door(d);
}

/* Not even the spare one can be had again: clients wait in the backlog, the loop does
 * not spin, and they are let in when descriptors are there. */
static void test_no_descriptor_at_all(void **state)
{
    struct door *d = new_door();
    struct rlimit before, tight;
    int fds[4];
    uint64_t cpu;

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = knock(listener_port(d->listener));
    getrlimit(RLIMIT_NOFILE, &before);
    tight = (struct rlimit){3, before.rlim_max}; /* below every free number */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    cpu = clock_thread_cpu_us();
    run_for(d, 400000);
    cpu = clock_thread_cpu_us() - cpu;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(d->count, 0);
    assert_true(cpu < 100000);
    wait_for(d, ARRAY_LEN(fds));
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    close_door(d);
}

static void test_reset_is_seen_as_an_error(void **state)
{
    struct door *d = new_door();
    char byte;
    int fd;

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    fd = knock(listener_port(d->listener));
    wait_for(d, 1);
    probe_reset(&d->taken[0]);
    while (!d->taken[0].closed)
        loop_turn(d->loop);
    assert_int_equal(read(fd, &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    d->count = 0;
    probe_release(&d->taken[0]);
    close_door(d);
}

/* Large, with a peer that reads in its own time. */
static void test_back_pressure_on_a_socket(void **state)
{
    enum { SIZE = 8 * 1024 * 1024 };
    struct door *d = new_door();
    char *bytes = malloc(65536);
    uint64_t got = 0;
    int fd;

    (void)state;
    assert_non_null(bytes);
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    fd = knock(listener_port(d->listener));
    wait_for(d, 1);
    probe_send_pattern(&d->taken[0], SIZE, 100000);
    for (unsigned i = 0; i < 10; i++)
        loop_turn(d->loop);
    assert_true(d->taken[0].sent < SIZE); /* nobody reads */
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    for (;;) {
        ssize_t n = read(fd, bytes, 65536);

        if (n == 0)
            break; /* its end was told */
        if (n > 0)
            got += (uint64_t)n;
        loop_turn(d->loop);
    }
    assert_int_equal(got, SIZE);
    close(fd);
    free(bytes);
    close_door(d);
}

static void test_empty_write_ends(void **state)
{
    struct door *d = new_door();
    int fd;

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    fd = knock(listener_port(d->listener));
    wait_for(d, 1);
    CHECK_STATUS(ST_OK, probe_write(&d->taken[0], "", 0));
    while (d->taken[0].writes == 0)
        loop_turn(d->loop);
    CHECK_STATUS(ST_OK, d->taken[0].write_end);
    close(fd);
    close_door(d);
}

static void test_close_before_attach(void **state)
{
    struct door *d = new_door();
    int fd;

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    fd = knock(listener_port(d->listener));
    wait_for(d, 1);
    io_attach(d->taken[0].io, NULL, NULL);
    io_close(d->taken[0].io);
    buf_release(&d->taken[0].in);
    d->count = 0;
    close(fd);
    close_door(d);
}

/* --- Unix sockets ------------------------------------------------------------------ */

static char dir[64];

static void unix_address(char *path, char *address, size_t cap, const char *name)
{
    snprintf(path, cap, "%s/%s", dir, name);
    snprintf(address, cap + 5, "unix:%.*s", (int)cap - 1, path);
}

static void test_unix(void **state)
{
    struct door *d = new_door();
    char path[90], address[100];
    struct stat info;
    int fd;

    (void)state;
    unix_address(path, address, sizeof(path), "plain");
    CHECK_STATUS(ST_OK, open_door(d, address));
    fd = knock_unix(path);
    assert_true(fd >= 0);
    wait_for(d, 1);
    assert_string_equal(d->peer, "unix");
    close(fd);
    close_door(d);
    assert_int_equal(stat(path, &info), -1); /* taken away */
}

static void test_unix_stale_live_and_foreign(void **state)
{
    struct door *d = new_door(), *second = new_door();
    char path[90], address[100];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat info;
    int fd;

    (void)state;
    /* Left over by a process that died. */
    unix_address(path, address, sizeof(path), "stale");
    memcpy(a.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    close(fd);
    CHECK_STATUS(ST_OK, open_door(d, address));
    fd = knock_unix(path);
    wait_for(d, 1);
    /* A live one is left alone. */
    CHECK_STATUS(ST_UNAVAILABLE, open_door(second, address));
    assert_non_null(strstr(second->why, "another process listens"));
    close(fd);
    fd = knock_unix(path);
    assert_true(fd >= 0);
    close(fd);
    /* What somebody else bound since is not taken away. */
    unlink(path);
    CHECK_STATUS(ST_OK, open_door(second, address));
    wait_for(d, 3); /* the second one's look whether anybody is there is a knock too */
    close_door(d);
    assert_int_equal(stat(path, &info), 0);
    close_door(second);
    assert_int_equal(stat(path, &info), -1);
}

static void test_unix_on_a_file(void **state)
{
    struct door *d = new_door();
    char path[90], address[100];
    struct stat info;

    (void)state;
    unix_address(path, address, sizeof(path), "file");
    close(open(path, O_CREAT | O_WRONLY, 0600));
    CHECK_STATUS(ST_INVALID, open_door(d, address));
    assert_non_null(strstr(d->why, "is no socket"));
    assert_int_equal(stat(path, &info), 0);
    unlink(path);
    close_door(d);
}

/* --- addresses --------------------------------------------------------------------- */

static void test_bad_addresses(void **state)
{
    static const struct {
        const char *address;
        enum status st;
        const char *why;
    } cases[] = {
        {"", ST_INVALID, "expected HOST:PORT"},
        {"127.0.0.1", ST_INVALID, "expected HOST:PORT"},
        {"127.0.0.1:65536", ST_INVALID, "expected HOST:PORT"},
        {"127.0.0.1:8o8o", ST_INVALID, "expected HOST:PORT"},
        {":8080", ST_INVALID, "the host is missing"},
        {"::1:8080", ST_INVALID, "stands in brackets"},
        {"example.test:8080", ST_INVALID, "is no IP address"},
        {"unix:", ST_INVALID, "1 to 107 bytes"},
        {"unix:/nonexistent/dir/socket", ST_UNAVAILABLE, "No such file"},
        {"192.0.2.1:0", ST_UNAVAILABLE, "assign requested address"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct door *d = new_door();

        assert_int_equal(open_door(d, cases[i].address), cases[i].st);
        if (strstr(d->why, cases[i].why) == NULL)
            fail_msg("'%s': why is '%s'", cases[i].address, d->why);
        close_door(d);
    }
}

static void test_port_in_use_and_shared(void **state)
{
    struct door *d = new_door(), *second = new_door();
    struct listener_options shared = {.backlog = 8, .reuse_port = true};
    char address[32];

    (void)state;
    CHECK_STATUS(ST_OK, open_door(d, "127.0.0.1:0"));
    snprintf(address, sizeof(address), "127.0.0.1:%u", listener_port(d->listener));
    CHECK_STATUS(ST_UNAVAILABLE, open_door(second, address));
    assert_non_null(strstr(second->why, "in use"));
    close_door(d);
    d = new_door();
    CHECK_STATUS(ST_OK, listener_open(d->loop, "127.0.0.1:0", &shared, on_accept, d,
                                      &d->listener, d->why, sizeof(d->why)));
    snprintf(address, sizeof(address), "127.0.0.1:%u", listener_port(d->listener));
    CHECK_STATUS(ST_OK, listener_open(second->loop, address, &shared, on_accept, second,
                                      &second->listener, second->why, sizeof(second->why)));
    close_door(second);
    close_door(d);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/ibid-test-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_bursts_are_bounded),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_descriptors_run_out),
        cmocka_unit_test(test_no_descriptor_at_all),
        cmocka_unit_test(test_reset_is_seen_as_an_error),
        cmocka_unit_test(test_back_pressure_on_a_socket),
        cmocka_unit_test(test_empty_write_ends),
        cmocka_unit_test(test_close_before_attach),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_unix_stale_live_and_foreign),
        cmocka_unit_test(test_unix_on_a_file),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_port_in_use_and_shared),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
