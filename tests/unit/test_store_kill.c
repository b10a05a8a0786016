/* A process that writes is killed (SIGKILL) at moments that are not chosen, again and
 * again over the same file. Every time the store opens, has every entry whose write
 * was acknowledged, and nothing in it is damaged. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "check.h"
#include "rt/loop.h"
#include "store_fixture.h"

#ifdef __SANITIZE_THREAD__
#define ROUNDS 12 /* each takes seconds */
#else
#define ROUNDS 60
#endif
#define IN_FLIGHT_MAX 300
#define NEWEST        600
#define REPORTS_MAX   8 /* a power of two */

static struct fixture fixture;

static size_t size_of(uint64_t n)
{
    return (size_t)(n * 977 % 9000);
}

static void report(int fd, uint64_t n)
{
    if (write(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
        _exit(3);
}

static uint64_t ended(struct fixture *f)
{
    struct store_stats s = store_fixture_stats(f);

    if (s.errors_total > 0) {
        fprintf(stderr, "a write failed: %s\n", s.trouble);
        _exit(4);
    }
    if (s.dropped_total > 0)
        _exit(5);
    return s.puts_total;
}

/* Never returns. Writes are acknowledged in their order, so a count tells which. */
static void write_until_killed(int fd, uint64_t from)
{
    struct fixture *f = &fixture;
    uint64_t put = 0, told = 0;

    store_fixture_open(f);
    for (;;) {
        while (put - told < IN_FLIGHT_MAX) {
            store_fixture_put(f, from + put, size_of(from + put));
            put++;
        }
        loop_turn(f->loop);
        if (ended(f) > told) {
            told = ended(f);
            report(fd, told);
        }
    }
}

/* How many writes the child acknowledged before it was killed. */
static uint64_t run_and_kill(uint64_t from, unsigned reports)
{
    uint64_t n = 0, acknowledged = 0;
    int fd[2], status;
    pid_t child;

    assert_int_equal(pipe(fd), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fd[0]);
        write_until_killed(fd[1], from);
    }
    close(fd[1]);
    for (unsigned i = 0; i < reports && read(fd[0], &n, sizeof(n)) == sizeof(n); i++)
        acknowledged = n;
    kill(child, SIGKILL);
    while (read(fd[0], &n, sizeof(n)) == sizeof(n))
        acknowledged = n;
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the writer ended by itself: wait status 0x%x", (unsigned)status);
    return acknowledged;
}

/* All keys are known, all records are whole; the newest and some of the others are
 * also asked for. */
static void check_all(struct fixture *f, uint64_t acknowledged)
{
    uint64_t visited = 0;

    store_fixture_open(f);
    for (uint64_t n = 0; n < acknowledged; n++) {
        struct digest key = store_fixture_key(n);

        if (!f->store->ops->may_have(f->store, &key) ||
            ((n + NEWEST > acknowledged || n % 101 == 0) && store_fixture_get(f, n) != ST_OK))
            fail_msg("entry %llu of %llu is lost", (unsigned long long)n,
                     (unsigned long long)acknowledged);
    }
    CHECK_STATUS(ST_OK, store_fixture_scan(f, UINT64_MAX, &visited));
    assert_true(visited >= acknowledged);
    assert_int_equal(store_fixture_stats(f).corrupt_total, 0);
    store_fixture_close(f);
}

static void nothing_acknowledged_is_lost(void **state)
{
    uint64_t acknowledged = 0;
    unsigned seed = 1;

    (void)state;
    log_set_level(LOG_ERROR);
    store_fixture_init(&fixture, "lmdb:");
    fixture.options.bytes_max = 1u << 30;
    fixture.options.entries_max = 1u << 30;
    for (unsigned round = 0; round < ROUNDS; round++) {
        seed = seed * 1103515245 + 12345;
        acknowledged += run_and_kill(acknowledged, seed >> 16 & (REPORTS_MAX - 1));
        check_all(&fixture, acknowledged);
    }
    printf("%d kills, %llu entries\n", ROUNDS, (unsigned long long)acknowledged);
    store_fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
