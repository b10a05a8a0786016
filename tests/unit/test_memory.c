#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "check.h"

#define FOREVER UINT64_MAX

static struct digest key_of(unsigned n)
{
    struct digest d = {{0}};

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static struct entry *make(unsigned n, size_t answer_bytes, uint64_t expires_ms)
{
    static const char zeros[4096];
    struct entry in = {.key = key_of(n),
                       .expires_ms = expires_ms,
                       .answer = {zeros, answer_bytes}},
                 *e;

    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    return e;
}

static bool put(struct memory *m, unsigned n, size_t answer_bytes, uint64_t expires_ms)
{
    struct entry *e = make(n, answer_bytes, expires_ms);
    bool kept = memory_put(m, e);

    entry_unref(e);
    return kept;
}

static bool found(struct memory *m, unsigned n, uint64_t now_ms)
{
    struct digest key = key_of(n);
    struct entry *e = memory_find(m, &key, now_ms);

    if (e == NULL)
        return false;
    assert_true(digest_eq(&key, &e->key));
    entry_unref(e);
    return true;
}

static struct memory *fresh(uint64_t entries, uint64_t bytes)
{
    struct memory_options o = {.entries_max = entries, .bytes_max = bytes};
    struct memory *m;

    CHECK_STATUS(ST_OK, memory_open(&o, &m));
    return m;
}

static void the_least_recently_used_goes_first(void **state)
{
    struct memory *m = fresh(3, 1 << 20);
    struct memory_stats stats;

    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        assert_true(put(m, i, 10, FOREVER));
    assert_true(found(m, 1, 0));
    assert_true(put(m, 4, 10, FOREVER));
    assert_false(found(m, 2, 0));
    assert_true(found(m, 1, 0));
    assert_true(found(m, 3, 0));
    assert_true(found(m, 4, 0));
    memory_stats(m, &stats);
    assert_int_equal(stats.entries, 3);
    assert_int_equal(stats.evictions_total, 1);
    memory_close(m);
}

static void bytes_are_a_bound_too(void **state)
{
    struct memory *m = fresh(1000, 8192);
    struct memory_stats stats;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_true(put(m, i, 1000, FOREVER));
        memory_stats(m, &stats);
        assert_true(stats.bytes <= 8192);
    }
    assert_true(stats.entries >= 4 && stats.entries < 8);
    /* One that would empty the whole is not worth it, but its old form must go. */
    assert_true(put(m, 200, 100, FOREVER));
    struct entry *huge;
    struct entry in = {.key = key_of(200), .expires_ms = FOREVER};
    char *bytes = calloc(1, 9000);

    in.answer = (struct span){bytes, 9000};
    CHECK_STATUS(ST_OK, entry_new(&in, &huge));
    assert_false(memory_put(m, huge));
    assert_false(found(m, 200, 0));
    entry_unref(huge);
    free(bytes);
    memory_close(m);
}

static void a_bound_of_zero_keeps_nothing(void **state)
{
    struct memory *none = fresh(0, 100000), *narrow = fresh(100, 0);

    (void)state;
    assert_false(put(none, 1, 1, FOREVER));
    assert_false(put(narrow, 1, 1, FOREVER));
    assert_false(found(none, 1, 0));
    memory_close(none);
    memory_close(narrow);
}

static void time_ends_an_entry(void **state)
{
    struct memory *m = fresh(10, 1 << 20);
    struct digest key = key_of(1);
    struct memory_stats stats;

    (void)state;
    put(m, 1, 1, 100);
    put(m, 2, 1, 100);
    put(m, 3, 1, 200);
    assert_true(memory_has(m, &key, 99));
    assert_false(memory_has(m, &key, 100));
    assert_true(found(m, 1, 99));
    assert_false(found(m, 1, 100));
    memory_expire(m, 150, 1);
    memory_stats(m, &stats);
    assert_int_equal(stats.entries, 1);
    assert_true(found(m, 3, 150));
    memory_close(m);
}

static void a_key_has_one_entry(void **state)
{
    struct memory *m = fresh(10, 1 << 20);
    struct digest key = key_of(1);
    struct memory_stats stats;
    struct entry *e;

    (void)state;
    put(m, 1, 1, FOREVER);
    put(m, 1, 7, FOREVER);
    e = memory_find(m, &key, 0);
    assert_non_null(e);
    assert_int_equal(e->answer.len, 7);
    memory_remove(m, &key);
    assert_false(found(m, 1, 0));
    memory_remove(m, &key);
    assert_int_equal(e->answer.len, 7); /* ours still */
    entry_unref(e);
    memory_stats(m, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.bytes, 0);
    memory_close(m);
}

struct gone {
    unsigned n, last;
};

static void on_evicted(void *owner, const struct entry *e)
{
    struct gone *g = owner;

    g->n++;
    memcpy(&g->last, e->key.bytes, sizeof(g->last));
}

static void the_owner_hears_of_evictions_only(void **state)
{
    struct gone gone = {0, 0};
    struct memory_options o = {
        .entries_max = 2, .bytes_max = 1 << 20, .evicted = on_evicted, .owner = &gone};
    struct digest key = key_of(2);
    struct memory *m;

    (void)state;
    CHECK_STATUS(ST_OK, memory_open(&o, &m));
    put(m, 1, 1, FOREVER);
    put(m, 1, 1, FOREVER);
    put(m, 2, 1, FOREVER);
    assert_int_equal(gone.n, 0);
    put(m, 3, 1, FOREVER);
    assert_int_equal(gone.n, 1);
    assert_int_equal(gone.last, 1);
    memory_remove(m, &key);
    memory_close(m);
    assert_int_equal(gone.n, 1);
}

static bool count_three(void *owner, struct entry *e)
{
    unsigned *n = owner, want = 9999 - *n, got;

    memcpy(&got, e->key.bytes, sizeof(got));
    assert_int_equal(got, want);
    return ++*n < 3;
}

static void many_entries_are_found_and_walked(void **state)
{
    struct memory *m = fresh(10000, 1 << 28);
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        put(m, i, i % 7, FOREVER);
    memory_walk(m, count_three, &n);
    assert_int_equal(n, 3);
    for (unsigned i = 0; i < 10000; i++)
        assert_true(found(m, i, 0));
    assert_false(found(m, 10000, 0));
    memory_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(bytes_are_a_bound_too),
        cmocka_unit_test(a_bound_of_zero_keeps_nothing),
        cmocka_unit_test(time_ends_an_entry),
        cmocka_unit_test(a_key_has_one_entry),
        cmocka_unit_test(the_owner_hears_of_evictions_only),
        cmocka_unit_test(many_entries_are_found_and_walked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
