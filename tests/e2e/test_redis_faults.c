/* The store over a real Redis that is killed, stopped, filled, emptied, made a replica
 * and given a password. Every one of them ends with the store in use again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "check.h"
#include "rt/loop.h"
#include "unit/redis_process.h"
#include "unit/store_fixture.h"

#define DEADLINE_MS     50
#define RECOVERY_MAX_US 2000000

static struct fixture f;
static struct redis_process server;

static void start(const char *config, const char *credentials)
{
    assert_true(redis_process_start(&server, config));
    store_fixture_init(&f, "");
    snprintf(f.url, sizeof(f.url), "redis+unix://%s%s", credentials, server.socket);
    f.options.deadline_ms = DEADLINE_MS;
    store_fixture_open(&f);
}

static int set_up(void **state)
{
    (void)state;
    start(NULL, "");
    store_fixture_wait_up(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_fixture_release(&f);
    redis_process_stop(&server);
    return 0;
}

static void put_and_settle(uint64_t n)
{
    struct store_stats s = store_fixture_stats(&f);

    store_fixture_put(&f, n, 1000);
    store_fixture_settle(&f, s.puts_total + s.dropped_total + s.errors_total + 1);
}

static void wait_for_recovery(const char *after)
{
    uint64_t start_us = clock_now_us(), took;

    store_fixture_wait_up(&f);
    took = clock_now_us() - start_us;
    printf("%s: in use again after %.0f ms\n", after, (double)took / 1000);
    assert_true(took < RECOVERY_MAX_US);
}

static bool is_down(struct fixture *fixture, uint64_t arg)
{
    (void)arg;
    return !store_fixture_stats(fixture).up;
}

static void killed_and_started_again(void **state)
{
    (void)state;
    put_and_settle(1);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    redis_process_kill(&server);
    store_fixture_wait(&f, is_down, 0);
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    redis_process_restart(&server);
    wait_for_recovery("restart");
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1)); /* it keeps nothing on disk */
    put_and_settle(1);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
}

static void stopped_and_continued(void **state)
{
    uint64_t start_us, worst_us = 0, begin_us = clock_now_us();
    unsigned timeouts = 0, refused = 0;

    (void)state;
    put_and_settle(1);
    kill(server.pid, SIGSTOP);
    while (clock_now_us() - begin_us < 1500000) {
        enum status st;

        start_us = clock_now_us();
        st = store_fixture_get(&f, 1);
        if (clock_now_us() - start_us > worst_us)
            worst_us = clock_now_us() - start_us;
        timeouts += st == ST_TIMEOUT;
        refused += st == ST_UNAVAILABLE;
        assert_true(st == ST_TIMEOUT || st == ST_UNAVAILABLE);
        loop_turn(f.loop);
    }
    printf("stopped: %u time-outs, %u refused at once, longest wait %.1f ms\n", timeouts,
           refused, (double)worst_us / 1000);
    assert_int_equal(timeouts, 3);
    assert_true(worst_us < 4 * DEADLINE_MS * 1000);
    assert_true(store_fixture_stats(&f).breaker_open);
    kill(server.pid, SIGCONT);
    wait_for_recovery("stop");
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
}

static void emptied(void **state)
{
    (void)state;
    put_and_settle(1);
    redis_process_command(&server, "FLUSHALL");
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    assert_true(store_fixture_stats(&f).up);
}

static void full(void **state)
{
    (void)state;
    put_and_settle(1);
    redis_process_command(&server, "CONFIG SET maxmemory 1");
    for (unsigned i = 2; i < 8; i++)
        put_and_settle(i);
    assert_int_equal(store_fixture_stats(&f).puts_total, 1);
    assert_string_equal(store_fixture_stats(&f).trouble, "Redis refuses writes: OOM");
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    redis_process_command(&server, "CONFIG SET maxmemory 0");
    while (store_fixture_stats(&f).puts_total == 1)
        put_and_settle(9);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 9));
    assert_string_equal(store_fixture_stats(&f).trouble, "");
}

static void made_a_replica(void **state)
{
    (void)state;
    put_and_settle(1);
    redis_process_command(&server, "REPLICAOF 127.0.0.1 1");
    put_and_settle(2);
    assert_int_equal(store_fixture_stats(&f).puts_total, 1);
    redis_process_command(&server, "REPLICAOF NO ONE");
    wait_for_recovery("failover");
    put_and_settle(2);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 2));
}

static void with_a_password(void **state)
{
    (void)state;
    start("requirepass geheim\n", ":geheim@");
    store_fixture_wait_up(&f);
    put_and_settle(1);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    store_fixture_close(&f);
    snprintf(f.url, sizeof(f.url), "redis+unix://:falsch@%s", server.socket);
    store_fixture_open(&f);
    while (strstr(store_fixture_stats(&f).trouble, "WRONGPASS") == NULL)
        loop_turn(f.loop);
    assert_false(store_fixture_stats(&f).up);
    store_fixture_close(&f);
    snprintf(f.url, sizeof(f.url), "redis+unix://%s", server.socket);
    store_fixture_open(&f);
    while (strstr(store_fixture_stats(&f).trouble, "NOAUTH") == NULL)
        loop_turn(f.loop);
    assert_false(store_fixture_stats(&f).up);
}

/* Entries of ten scans' worth, among keys that are none of ours. */
static void shared_with_others(void **state)
{
    uint64_t visited = 0;
    char command[256];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(command, sizeof(command), "SET other:%u x", i);
        redis_process_command(&server, command);
    }
    snprintf(command, sizeof(command), "SET ibid-test:e:%064d x", 0);
    redis_process_command(&server, command);
    snprintf(command, sizeof(command), "LPUSH ibid-test:e:%064d x", 1);
    redis_process_command(&server, command);
    for (unsigned i = 0; i < 1000; i++)
        store_fixture_put(&f, i, 100);
    store_fixture_settle(&f, 1000);
    CHECK_STATUS(ST_OK, store_fixture_scan(&f, UINT64_MAX, &visited));
    assert_in_range(visited, 1000, 1100);
    assert_int_equal(store_fixture_stats(&f).corrupt_total, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(killed_and_started_again),
        CASE(stopped_and_continued),
        CASE(emptied),
        CASE(full),
        CASE(made_a_replica),
        CASE(shared_with_others),
        cmocka_unit_test_teardown(with_a_password, tear_down),
    };

    if (!redis_process_start(&server, NULL)) {
        printf("skipped: there is no redis-server\n");
        return 77;
    }
    redis_process_stop(&server);
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
