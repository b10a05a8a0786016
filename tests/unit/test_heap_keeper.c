#include "rt/heap_keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

#define BLOCK  1024
#define BLOCKS 32768

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR 1
#endif

static size_t resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_true(f != NULL && fscanf(f, "%lu %lu", &all, &resident) == 2);
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Until it has been at work once more. */
static struct heap_keeper_stats next_stats(struct heap_keeper *k)
{
    static const struct timespec nap = {.tv_nsec = 1000000};
    uint64_t start_us = clock_now_us();
    struct heap_keeper_stats first, now;

    heap_keeper_stats(k, &first);
    do {
        nanosleep(&nap, NULL);
        heap_keeper_stats(k, &now);
        /* One may have begun before: the second is wholly after. */
    } while (now.trims_total < first.trims_total + 2 && clock_now_us() - start_us < 20000000);
    assert_true(now.trims_total >= first.trims_total + 2);
    return now;
}

/* The last of many blocks stays: without help the allocator keeps all the others, too. */
static void test_pages_inside_the_heap_go_back(void **state)
{
    static char *blocks[BLOCKS];
    struct heap_keeper_stats s;
    struct heap_keeper *k;
    size_t before;

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK);
        assert_true(blocks[i] != NULL);
        memset(blocks[i], (int)i, BLOCK);
    }
    for (size_t i = 0; i < BLOCKS - 1; i++)
        free(blocks[i]);
    before = resident_bytes();
    CHECK_STATUS(ST_OK, heap_keeper_open(5000, &k));
    s = next_stats(k);
    assert_true(s.us_max > 0 && s.us_total >= s.us_max);
    if (OWN_ALLOCATOR) {
        assert_true(resident_bytes() + (size_t)BLOCK * BLOCKS / 2 < before);
        assert_true(s.free_bytes > (size_t)BLOCK * BLOCKS / 2);
        assert_true(s.used_bytes >= BLOCK);
    }
    heap_keeper_close(k);
    assert_int_equal(blocks[BLOCKS - 1][0], (char)(BLOCKS - 1));
    free(blocks[BLOCKS - 1]);
}

/* An hour is not waited for. */
static void test_closes_at_once(void **state)
{
    struct heap_keeper_stats s;
    struct heap_keeper *k;
    uint64_t start_us = clock_now_us();

    (void)state;
    CHECK_STATUS(ST_OK, heap_keeper_open(UINT64_C(3600) * 1000000, &k));
    heap_keeper_stats(k, &s);
    assert_int_equal(s.trims_total, 0);
    heap_keeper_close(k);
    assert_true(clock_now_us() - start_us < 60000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_inside_the_heap_go_back),
        cmocka_unit_test(test_closes_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
