/* The loopback keeps the contract of rt/io.h in every chunking. */
#include "rt/io_loopback.h"

#include "check.h"
#include "probe.h"

static const size_t chunks[] = {1, 2, 3, 7, 4096, 0};

struct pair {
    struct loop *loop;
    struct probe a, b;
};

static void open_pair(struct pair *p, size_t chunk, size_t pipe)
{
    struct io_loopback_options o = {.chunk_bytes = chunk, .pipe_bytes = pipe};
    struct io *a, *b;

    CHECK_STATUS(ST_OK, loop_open(&p->loop));
    CHECK_STATUS(ST_OK, io_loopback_pair(p->loop, &o, &a, &b));
    probe_init(&p->a, p->loop, a);
    probe_init(&p->b, p->loop, b);
}

static void close_pair(struct pair *p)
{
    if (!p->a.closing)
        probe_close(&p->a);
    if (!p->b.closing)
        probe_close(&p->b);
    loop_run(p->loop);
    probe_release(&p->a);
    probe_release(&p->b);
    CHECK_STATUS(ST_OK, loop_close(p->loop));
}

static void test_both_ways_in_all_chunkings(void **state)
{
    static const size_t pipes[] = {0, 1, 100, 65536};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        for (size_t j = 0; j < ARRAY_LEN(pipes); j++) {
            struct pair p;

            open_pair(&p, chunks[i], pipes[j]);
            p.b.pause_every = 3;
            probe_read(&p.a);
            probe_read(&p.b);
            probe_send_pattern(&p.a, 5000, 333);
            probe_send_pattern(&p.b, 3001, 77);
            loop_run(p.loop);
            probe_check_pattern(&p.b, 5000);
            probe_check_pattern(&p.a, 3001);
            assert_int_equal(p.a.end, ST_CLOSED);
            assert_int_equal(p.b.end, ST_CLOSED);
            close_pair(&p);
        }
    }
}

static void test_chunks_are_no_larger(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        static const char bytes[10000];
        struct pair p;

        open_pair(&p, chunks[i], 65536);
        CHECK_STATUS(ST_OK, probe_write(&p.a, bytes, sizeof(bytes)));
        probe_read(&p.b);
        loop_run(p.loop);
        assert_int_equal(p.b.in.len, sizeof(bytes));
        assert_int_equal(p.b.largest, chunks[i] != 0 ? chunks[i] : sizeof(bytes));
        close_pair(&p);
    }
}

/* Nobody reads: what is taken is bounded, and a write does not end. */
static void test_back_pressure(void **state)
{
    struct pair p;
    char bytes[300] = {0};
    size_t taken;

    (void)state;
    open_pair(&p, 0, 100);
    CHECK_STATUS(ST_OK, probe_try(&p.a, bytes, sizeof(bytes), &taken));
    assert_int_equal(taken, 100);
    CHECK_STATUS(ST_OK, probe_try(&p.a, bytes, sizeof(bytes), &taken));
    assert_int_equal(taken, 0);
    CHECK_STATUS(ST_OK, probe_write(&p.a, bytes, sizeof(bytes)));
    loop_run(p.loop);
    assert_int_equal(p.a.writes, 0);
    probe_read(&p.b);
    loop_run(p.loop);
    assert_int_equal(p.a.writes, 1);
    CHECK_STATUS(ST_OK, p.a.write_end);
    assert_int_equal(p.b.in.len, 400);
    close_pair(&p);
}

static void test_reset_is_an_error_at_both_ends(void **state)
{
    struct pair p;
    char bytes[300] = {0};
    size_t taken;

    (void)state;
    open_pair(&p, 0, 10);
    probe_read(&p.a);
    CHECK_STATUS(ST_OK, probe_write(&p.a, bytes, sizeof(bytes)));
    CHECK_STATUS(ST_OK, probe_write(&p.b, bytes, sizeof(bytes)));
    probe_stop(&p.a);
    loop_run(p.loop); /* both wait for room */
    assert_int_equal(p.a.writes + p.b.writes, 0);
    io_loopback_reset(p.a.io);
    probe_read(&p.b);
    loop_run(p.loop);
    assert_int_equal(p.b.in.len, 0); /* thrown away */
    assert_int_equal(p.b.end, ST_UNAVAILABLE);
    assert_int_equal(p.a.write_end, ST_UNAVAILABLE);
    assert_int_equal(p.b.write_end, ST_UNAVAILABLE);
    CHECK_STATUS(ST_UNAVAILABLE, probe_try(&p.b, "x", 1, &taken));
    CHECK_STATUS(ST_UNAVAILABLE, probe_write(&p.a, "x", 1));
    close_pair(&p);
}

static void test_io_reset_is_seen_by_the_peer(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, 0, 100);
    CHECK_STATUS(ST_OK, probe_write(&p.a, "half of it", 10));
    probe_reset(&p.a);
    probe_read(&p.b);
    loop_run(p.loop);
    assert_int_equal(p.b.end, ST_UNAVAILABLE);
    close_pair(&p);
}

static void test_close_inside_an_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        struct pair p;

        open_pair(&p, chunks[i], 10);
        p.b.close_on_read = true;
        probe_read(&p.b);
        probe_read(&p.a);
        CHECK_STATUS(ST_OK, probe_write(&p.a, "0123456789abcdef", 16));
        loop_run(p.loop);
        assert_true(p.b.closed);
        assert_int_equal(p.a.end, ST_CLOSED);
        close_pair(&p);
    }
}

static void test_half_close_still_reads(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, 3, 100);
    probe_read(&p.a);
    probe_read(&p.b);
    probe_shutdown(&p.a);
    loop_run(p.loop);
    assert_int_equal(p.b.end, ST_CLOSED);
    assert_false(p.a.ended);
    CHECK_STATUS(ST_OK, probe_write(&p.b, "answer", 6));
    loop_run(p.loop);
    CHECK_SPAN(SPAN("answer"), buf_span(&p.a.in));
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_in_all_chunkings),
        cmocka_unit_test(test_chunks_are_no_larger),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_reset_is_an_error_at_both_ends),
        cmocka_unit_test(test_io_reset_is_seen_by_the_peer),
        cmocka_unit_test(test_close_inside_an_event),
        cmocka_unit_test(test_half_close_still_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
