#define _DEFAULT_SOURCE /* mincore(), madvise() */
#include "cache/store_lmdb_ahead.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

#define FILE_BYTES  (4 * STORE_LMDB_AHEAD_BYTES)
#define PATIENCE_US 20000000

static bool is_cached(char *map, size_t at)
{
    unsigned char there = 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    assert_int_equal(mincore(map + at - at % page, page, &there), 0);
    return there & 1;
}

static bool comes(char *map, size_t at)
{
    static const struct timespec nap = {.tv_nsec = 1000000};
    uint64_t start_us = clock_now_us();

    while (!is_cached(map, at) && clock_now_us() - start_us < PATIENCE_US)
        nanosleep(&nap, NULL);
    return is_cached(map, at);
}

/* A file of which nothing is in memory, mapped for readers that jump. NULL: here memory is all
 * there is (tmpfs), or nothing can be dropped from it. */
static char *map_cold_file(int *fd)
{
    char path[] = "ahead-XXXXXX";
    char *bytes = malloc(FILE_BYTES), *map;

    assert_non_null(bytes);
    memset(bytes, 'x', FILE_BYTES);
    *fd = mkstemp(path);
    assert_true(*fd >= 0);
    unlink(path);
    assert_int_equal(write(*fd, bytes, FILE_BYTES), (ssize_t)FILE_BYTES);
    free(bytes);
    assert_int_equal(fsync(*fd), 0);
    assert_int_equal(posix_fadvise(*fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, *fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(madvise(map, FILE_BYTES, MADV_RANDOM), 0);
    for (size_t at = 0; at < FILE_BYTES; at += 65536) {
        if (is_cached(map, at)) {
            munmap(map, FILE_BYTES);
            close(*fd);
            return NULL;
        }
    }
    return map;
}

static void test_reads_ahead_and_farther_the_longer_it_goes_on(void **state)
{
    struct store_lmdb_ahead a = {0};
    size_t at = 0;
    int fd;
    char *map = map_cold_file(&fd);

    (void)state;
    if (map == NULL)
        skip();
    store_lmdb_ahead(&a, map);
    assert_true(comes(map, STORE_LMDB_AHEAD_FIRST - 1));
    assert_false(is_cached(map, STORE_LMDB_AHEAD_BYTES));
    for (; at < STORE_LMDB_AHEAD_BYTES; at += 2048)
        store_lmdb_ahead(&a, map + at);
    assert_true(comes(map, at + STORE_LMDB_AHEAD_BYTES / 2 - 1));
    assert_false(is_cached(map, at + STORE_LMDB_AHEAD_BYTES + 65536));
    munmap(map, FILE_BYTES);
    close(fd);
}

static void test_little_is_read_after_a_jump(void **state)
{
    struct store_lmdb_ahead a = {0};
    int fd;
    char *map = map_cold_file(&fd);

    (void)state;
    if (map == NULL)
        skip();
    store_lmdb_ahead(&a, map + STORE_LMDB_AHEAD_BYTES);
    store_lmdb_ahead(&a, map + 2 * STORE_LMDB_AHEAD_BYTES);
    assert_true(comes(map, STORE_LMDB_AHEAD_BYTES + 1000));
    assert_true(comes(map, 2 * STORE_LMDB_AHEAD_BYTES + 1000));
    assert_false(is_cached(map, STORE_LMDB_AHEAD_BYTES + 2 * STORE_LMDB_AHEAD_FIRST));
    assert_false(is_cached(map, 2 * STORE_LMDB_AHEAD_BYTES + 2 * STORE_LMDB_AHEAD_FIRST));
    /* The last bytes of a map, and beyond it. */
    store_lmdb_ahead(&a, map + FILE_BYTES - 100);
    assert_true(comes(map, FILE_BYTES - 100));
    munmap(map, FILE_BYTES);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_ahead_and_farther_the_longer_it_goes_on),
        cmocka_unit_test(test_little_is_read_after_a_jump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
