/* Streams that another thread's loop carries keep the contract of rt/io.h, and end as the
 * kernel's do. */
#include "rt/carriers.h"

#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "probe.h"
#include "rt/io_tcp.h"
#include "rt/timer.h"

struct rig {
    struct loop *loop;
    struct carriers *carriers;
    bool closed;
};

static void on_carriers_closed(void *owner)
{
    ((struct rig *)owner)->closed = true;
}

static void rig_open(struct rig *r, unsigned count)
{
    *r = (struct rig){.closed = false};
    CHECK_STATUS(ST_OK, loop_open(&r->loop));
    CHECK_STATUS(ST_OK, carriers_open(r->loop, count, &r->carriers));
}

/* The loop must run dry, and the threads be gone. */
static void rig_close(struct rig *r)
{
    carriers_close(r->carriers, on_carriers_closed, r);
    loop_run(r->loop);
    assert_true(r->closed);
    CHECK_STATUS(ST_OK, loop_close(r->loop));
}

struct pair {
    struct probe near, far; /* carried; a socket of the loop's own */
};

static void pair_fds(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static void pair_open(struct rig *r, struct pair *p)
{
    struct io *near, *far;
    int fd[2];

    pair_fds(fd);
    CHECK_STATUS(ST_OK, carriers_take(r->carriers, fd[0], true, &near));
    CHECK_STATUS(ST_OK, io_tcp_open(r->loop, fd[1], true, &far));
    probe_init(&p->near, r->loop, near);
    probe_init(&p->far, r->loop, far);
}

static void pair_close(struct rig *r, struct pair *p)
{
    if (!p->near.closing)
        probe_close(&p->near);
    if (!p->far.closing)
        probe_close(&p->far);
    while (!p->near.closed || !p->far.closed)
        loop_turn(r->loop);
    probe_release(&p->near);
    probe_release(&p->far);
}

static void test_many_streams_both_ways(void **state)
{
    enum { STREAMS = 24, BYTES = 700000, BACK = 300001 };
    static struct pair p[STREAMS];
    struct rig r;

    (void)state;
    rig_open(&r, 3);
    for (unsigned i = 0; i < STREAMS; i++) {
        pair_open(&r, &p[i]);
        p[i].near.pause_every = i % 4;
        p[i].far.pause_every = i % 3;
        probe_read(&p[i].near);
        probe_read(&p[i].far);
        /* Of one write more than lies between the threads, and many small ones. */
        probe_send_pattern(&p[i].near, BYTES, i % 2 == 0 ? 150000 : 777);
        probe_send_pattern(&p[i].far, BACK, i % 2 == 0 ? 1000 : 100000);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(carriers_open_now(r.carriers, i), STREAMS / 3);
    for (unsigned i = 0; i < STREAMS; i++) {
        while (!p[i].near.ended || !p[i].far.ended)
            loop_turn(r.loop);
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        probe_check_pattern(&p[i].far, BYTES);
        probe_check_pattern(&p[i].near, BACK);
        assert_int_equal(p[i].near.end, ST_CLOSED);
        assert_int_equal(p[i].far.end, ST_CLOSED);
        assert_true(p[i].near.largest <= 65536);
        pair_close(&r, &p[i]);
    }
    rig_close(&r);
}

/* What io_try_write() took is out, though the stream was closed at once. */
static void test_last_words_are_sent(void **state)
{
    struct rig r;
    struct pair p;
    static char bytes[30000];
    size_t taken;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    rig_open(&r, 1);
    pair_open(&r, &p);
    CHECK_STATUS(ST_OK, probe_try(&p.near, bytes, sizeof(bytes), &taken));
    assert_int_equal(taken, sizeof(bytes));
    probe_close(&p.near);
    probe_read(&p.far);
    while (!p.far.ended)
        loop_turn(r.loop);
    assert_int_equal(p.far.end, ST_CLOSED);
    assert_int_equal(p.far.in.len, sizeof(bytes));
    pair_close(&r, &p);
    rig_close(&r);
}

/* A peer that does not read: so much is taken and no more, and it holds up nobody's end. */
static void test_what_is_not_read_has_a_limit(void **state)
{
    struct rig r;
    struct pair p;
    static char bytes[1 << 20];
    size_t taken, all = 0;

    (void)state;
    rig_open(&r, 1);
    pair_open(&r, &p);
    probe_read(&p.near);
    for (unsigned i = 0; i < 2000; i++) {
        CHECK_STATUS(ST_OK, probe_try(&p.near, bytes, sizeof(bytes), &taken));
        assert_true(taken <= 32768);
        all += taken;
        loop_turn(r.loop);
    }
    assert_true(all < 8u << 20);
    CHECK_STATUS(ST_OK, probe_write(&p.near, bytes, sizeof(bytes)));
    loop_turn(r.loop);
    assert_int_equal(p.near.writes, 0);
    probe_close(&p.near);
    while (!p.near.closed)
        loop_turn(r.loop);
    assert_int_equal(p.near.writes, 0);
    /* Half a second of grace for what lies there, then it is thrown away. */
    carriers_close(r.carriers, on_carriers_closed, &r);
    while (!r.closed)
        loop_turn(r.loop);
    pair_close(&r, &p);
    CHECK_STATUS(ST_OK, loop_close(r.loop));
}

static void test_a_peer_that_left_is_an_error_of_writing(void **state)
{
    struct rig r;
    struct pair p;
    size_t taken;
    enum status st = ST_OK;

    (void)state;
    rig_open(&r, 2);
    pair_open(&r, &p);
    probe_read(&p.near);
    probe_close(&p.far);
    while (!p.near.ended)
        loop_turn(r.loop);
    assert_int_equal(p.near.end, ST_CLOSED);
    for (unsigned i = 0; i < 1000000 && st == ST_OK; i++) {
        st = probe_try(&p.near, "x", 1, &taken);
        loop_turn(r.loop);
    }
    assert_int_equal(st, ST_UNAVAILABLE);
    pair_close(&r, &p);
    rig_close(&r);
}

static void test_reset_throws_away(void **state)
{
    struct rig r;
    struct pair p;

    (void)state;
    rig_open(&r, 1);
    pair_open(&r, &p);
    probe_read(&p.far);
    probe_reset(&p.near);
    while (!p.far.ended)
        loop_turn(r.loop);
    pair_close(&r, &p);
    rig_close(&r);
}

/* Before the other thread has seen it, while bytes are on their way, by both ends at once. */
static void test_closed_at_any_moment(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r, 2);
    for (unsigned i = 0; i < 300; i++) {
        struct pair p;

        pair_open(&r, &p);
        p.near.close_on_read = i % 3 == 0;
        p.far.close_on_read = i % 5 == 0;
        probe_read(&p.near);
        probe_read(&p.far);
        if (i % 2 == 0)
            probe_send_pattern(&p.far, 3000, 100);
        if (i % 7 == 0)
            probe_send_pattern(&p.near, 3000, 100);
        for (unsigned t = 0; t < i % 11; t++)
            loop_turn(r.loop);
        if (!p.near.closing && i % 4 == 1)
            probe_reset(&p.near);
        pair_close(&r, &p);
    }
    rig_close(&r);
}

static void test_what_is_no_socket_fails_as_a_stream(void **state)
{
    struct rig r;
    struct probe near;
    struct io *io;
    int fd[2];

    (void)state;
    rig_open(&r, 1);
    assert_int_equal(pipe(fd), 0);
    close(fd[0]);
    CHECK_STATUS(ST_OK, carriers_take(r.carriers, fd[1], false, &io));
    probe_init(&near, r.loop, io);
    probe_read(&near);
    while (!near.ended)
        loop_turn(r.loop);
    assert_true(near.end != ST_OK && near.end != ST_CLOSED);
    probe_close(&near);
    while (!near.closed)
        loop_turn(r.loop);
    probe_release(&near);
    rig_close(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_streams_both_ways),
        cmocka_unit_test(test_last_words_are_sent),
        cmocka_unit_test(test_what_is_not_read_has_a_limit),
        cmocka_unit_test(test_a_peer_that_left_is_an_error_of_writing),
        cmocka_unit_test(test_reset_throws_away),
        cmocka_unit_test(test_closed_at_any_moment),
        cmocka_unit_test(test_what_is_no_socket_fails_as_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
