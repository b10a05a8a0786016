/* The facade: memory, store and index say the same, whatever comes in which order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/cache.h"
#include "check.h"
#include "fake_index.h"
#include "rt/loop.h"
#include "store_fixture.h"

#define SOON (clock_wall_ms() + 3600 * 1000)

static struct fixture f; /* its store stays closed: the cache has its own */
static struct cache_options options;
static struct cache *cache;

static int set_up(void **state)
{
    (void)state;
    store_fixture_init(&f, "lmdb:");
    options = (struct cache_options){.store = f.options,
                                     .memory_max_bytes = 1u << 20,
                                     .memory_entries_max = 1000,
                                     .index = {.dimensions = 8, .entries_max = 1000}};
    return 0;
}

static void on_closed(void *owner)
{
    (void)owner;
    cache = NULL;
}

static bool is_closed(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return cache == NULL;
}

static struct cache_stats stats(void)
{
    struct cache_stats s;

    cache_stats(cache, &s);
    return s;
}

static bool is_ready(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return stats().index_ready;
}

static bool is_written(struct fixture *fixture, uint64_t puts)
{
    struct store_stats s = stats().store;

    (void)fixture;
    return s.puts_total + s.dropped_total + s.errors_total >= puts;
}

static void open_cache(void)
{
    CHECK_STATUS(ST_OK, cache_open(f.loop, f.connector, &options, &cache));
    store_fixture_wait(&f, is_ready, 0);
}

static void close_cache(void)
{
    cache_close(cache, on_closed, NULL);
    assert_non_null(cache); /* later */
    store_fixture_wait(&f, is_closed, 0);
}

static int tear_down(void **state)
{
    (void)state;
    if (cache != NULL)
        close_cache();
    store_fixture_release(&f);
    return 0;
}

static void put_until(uint64_t n, size_t answer_bytes, uint64_t expires_ms)
{
    struct entry *e = store_fixture_entry(n, answer_bytes, expires_ms);

    cache_put(cache, e);
    entry_unref(e);
}

static void put(uint64_t n)
{
    put_until(n, 500, SOON);
}

static enum cache_found find(uint64_t n)
{
    struct digest key = store_fixture_key(n);
    struct entry *e = NULL;
    enum cache_found found = cache_find(cache, &key, &e);

    assert_int_equal(e != NULL, found == CACHE_HIT);
    if (e != NULL)
        assert_true(store_fixture_is(e, n));
    entry_unref(e);
    return found;
}

static bool indexed(uint64_t n)
{
    struct digest key = store_fixture_key(n);

    return fake_index_has(&key);
}

struct fetch {
    struct cache_get get;
    uint64_t n;
    enum status st;
    bool done;
};

static struct fetch fetching;

static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    assert_ptr_equal(op, &fetching.get);
    assert_int_equal(st == ST_OK, e != NULL);
    if (e != NULL)
        assert_true(store_fixture_is(e, fetching.n));
    entry_unref(e);
    fetching.st = st;
    fetching.done = true;
}

static bool is_fetched(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return fetching.done;
}

static enum status fetch(uint64_t n)
{
    struct digest key = store_fixture_key(n);
    enum status st;

    fetching = (struct fetch){.n = n};
    st = cache_fetch(cache, &fetching.get, &key, on_fetched);
    if (st != ST_OK)
        return st;
    assert_false(fetching.done);
    store_fixture_wait(&f, is_fetched, 0);
    return fetching.st;
}

static struct decision decide(uint64_t n)
{
    struct digest partition = store_fixture_partition(n);
    struct entry *e = store_fixture_entry(n, 1, SOON);
    const struct cache_query q = {.partition = &partition,
                                  .vector = e->vector,
                                  .question = e->question,
                                  .threshold = 0.5,
                                  .top_k = 99,
                                  .now_ms = clock_wall_ms()};
    struct decision d;
    struct arena arena;

    arena_init(&arena, 4096, 65536);
    cache_decide(cache, &q, &arena, &d, NULL);
    arena_release(&arena);
    entry_unref(e);
    return d;
}

static void what_is_put_is_found_at_once_and_after_a_restart(void **state)
{
    (void)state;
    open_cache();
    assert_int_equal(find(1), CACHE_ABSENT);
    put(1);
    assert_int_equal(find(1), CACHE_HIT);
    assert_true(indexed(1));
    close_cache();
    open_cache();
    assert_true(indexed(1)); /* rebuilt */
    assert_int_equal(find(1), CACHE_ASK);
    CHECK_STATUS(ST_OK, fetch(1));
    assert_int_equal(find(1), CACHE_HIT); /* now in memory */
    assert_int_equal(stats().memory_entries, 1);
    assert_int_equal(stats().store.entries, 1);
    assert_true(stats().store_present && stats().index_present);
}

static void what_leaves_memory_stays_in_the_store_and_the_index(void **state)
{
    (void)state;
    options.memory_entries_max = 10;
    open_cache();
    for (unsigned i = 0; i < 50; i++)
        put(i);
    assert_int_equal(stats().memory_entries, 10);
    assert_int_equal(stats().memory_evictions_total, 40);
    for (unsigned i = 0; i < 50; i++)
        assert_true(indexed(i));
    assert_int_equal(find(0), CACHE_ASK);
    CHECK_STATUS(ST_OK, fetch(0));
    assert_int_equal(find(0), CACHE_HIT);
}

static void what_leaves_both_leaves_the_index(void **state)
{
    (void)state;
    options.memory_entries_max = 30;
    options.store.entries_max = 20;
    open_cache();
    for (unsigned i = 0; i < 100; i++) {
        put(i);
        store_fixture_wait(&f, is_written, i + 1);
    }
    assert_int_equal(stats().store.entries, 20);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(indexed(i), i >= 70);
    assert_int_equal(find(75), CACHE_HIT); /* the store forgot it, memory did not */
    assert_int_equal(find(69), CACHE_ABSENT);
}

static void without_a_store_memory_decides(void **state)
{
    (void)state;
    options.memory_entries_max = 10;
    options.store.url = "memory:";
    open_cache();
    for (unsigned i = 0; i < 50; i++)
        put(i);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(find(i), i < 40 ? CACHE_ABSENT : CACHE_HIT);
        assert_int_equal(indexed(i), i >= 40);
    }
    CHECK_STATUS(ST_UNAVAILABLE, fetch(1));
    assert_true(stats().store_present && stats().store.up);
    assert_string_equal(stats().store.kind, "memory");
    assert_int_equal(stats().store.entries, 10);
}

static void a_store_that_can_not_be_opened_is_told(void **state)
{
    (void)state;
    options.store.url = "lmdb:/dev/null/ibid";
    open_cache();
    assert_false(stats().store_present);
    assert_false(stats().store.up);
    assert_non_null(strstr(stats().store.trouble, "/dev/null/ibid"));
    put(1);
    assert_int_equal(find(1), CACHE_HIT);
    assert_true(decide(1).hit);
    assert_int_equal(find(2), CACHE_ABSENT);
}

static void a_url_of_no_kind_is_a_bug(void **state)
{
    static const char *const urls[] = {"", "ftp://h", "redis://h:x", "memory:x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        options.store.url = urls[i];
        CHECK_STATUS(ST_INVALID, cache_open(f.loop, f.connector, &options, &cache));
        cache = NULL;
    }
}

static void without_an_index_only_the_same_is_found(void **state)
{
    (void)state;
    options.index.dimensions = 0;
    open_cache();
    put(1);
    assert_int_equal(find(1), CACHE_HIT);
    assert_false(decide(1).hit);
    assert_string_equal(decide(1).reason, "no_candidate");
    assert_false(stats().index_present);
    close_cache();
    open_cache();
    CHECK_STATUS(ST_OK, fetch(1));
}

static void what_is_removed_is_gone_everywhere(void **state)
{
    struct digest key = store_fixture_key(1), partition = store_fixture_partition(1);

    (void)state;
    open_cache();
    put(1);
    assert_true(decide(1).hit);
    cache_remove(cache, &key, &partition);
    assert_int_equal(find(1), CACHE_ABSENT);
    assert_false(indexed(1));
    assert_false(decide(1).hit);
    close_cache();
    open_cache();
    assert_int_equal(find(1), CACHE_ABSENT);
    assert_int_equal(fake_index_count(), 0);
}

/* --- removed by the many --------------------------------------------------------------- */

static struct cache_purge purging;
static enum status purge_st;
static bool purge_is_over;

static void on_purged(struct cache_purge *op, enum status st)
{
    assert_true(op == &purging);
    assert_false(purge_is_over);
    purge_st = st;
    purge_is_over = true;
}

static bool is_purged(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return purge_is_over;
}

/* How many matched. */
static uint64_t purge(struct purge_filter filter, bool preview)
{
    purging = (struct cache_purge){.done = on_purged,
                                   .purge = {.filter = filter, .preview = preview}};
    purge_is_over = false;
    CHECK_STATUS(ST_OK, cache_purge(cache, &purging));
    assert_false(purge_is_over); /* later */
    store_fixture_wait(&f, is_purged, 0);
    CHECK_STATUS(ST_OK, purge_st);
    assert_int_equal(purging.purge.removed, preview ? 0 : purging.purge.matched);
    return purging.purge.matched;
}

#define PURGED 700

static uint64_t count_found(bool (*gone)(uint64_t n))
{
    uint64_t found = 0;

    for (uint64_t n = 1; n <= PURGED; n++) {
        bool there = find(n) != CACHE_ABSENT;

        found += there;
        assert_int_equal(there, !gone(n));
        assert_int_equal(indexed(n), !gone(n));
    }
    return found;
}

static bool of_partition_1(uint64_t n)
{
    return n % 7 == 1;
}

static bool or_of_tenant_2(uint64_t n)
{
    return of_partition_1(n) || n % 3 == 2;
}

static bool or_old(uint64_t n)
{
    return or_of_tenant_2(n) || n < 300;
}

static bool all(uint64_t n)
{
    return n > 0;
}

/* Entries that are in the store alone, in memory too, and on their way to the file. */
static void purge_steps(void)
{
    struct purge_filter of_partition = {.by_partition = true,
                                        .partition = store_fixture_partition(1)},
                        of_tenant = {.by_tenant = true, .tenant = store_fixture_key(2)},
                        old = {.before_ms = 1300}, nobodys = {.by_tenant = true},
                        any = {.before_ms = 0};
    uint64_t left = PURGED;

    for (uint64_t n = 1; n <= PURGED; n++)
        put(n);
    assert_int_equal(purge(nobodys, false), 0);
    assert_int_equal(purge(of_partition, true), PURGED / 7);
    assert_int_equal(find(1) != CACHE_ABSENT, true);
    left -= purge(of_partition, false);
    assert_int_equal(left, PURGED - PURGED / 7);
    assert_int_equal(count_found(of_partition_1), left);
    left -= purge(of_tenant, false);
    assert_int_equal(count_found(or_of_tenant_2), left);
    close_cache();
    open_cache(); /* not even after a restart */
    assert_int_equal(count_found(or_of_tenant_2), left);
    left -= purge(old, false);
    assert_int_equal(count_found(or_old), left);
    assert_int_equal(purge(any, false), left);
    assert_int_equal(count_found(all), 0);
    close_cache();
    open_cache();
    assert_int_equal(count_found(all), 0);
    assert_int_equal(fake_index_count(), 0);
}

static void many_are_removed_at_once(void **state)
{
    (void)state;
    open_cache();
    purge_steps();
}

static void many_are_removed_from_the_store_alone(void **state)
{
    (void)state;
    options.memory_entries_max = 0;
    open_cache();
    purge_steps();
}

static void many_are_removed_from_memory_alone(void **state)
{
    struct purge_filter of_tenant = {.by_tenant = true, .tenant = store_fixture_key(2)};

    (void)state;
    options.store.url = "memory:";
    open_cache();
    for (uint64_t n = 1; n <= 30; n++)
        put(n);
    assert_int_equal(purge(of_tenant, true), 10);
    assert_int_equal(purge(of_tenant, false), 10);
    assert_int_equal(purge(of_tenant, false), 0);
    assert_int_equal(find(2), CACHE_ABSENT);
    assert_int_equal(find(3), CACHE_HIT);
}

/* It ends all the same, and soon. */
static void a_purge_may_be_canceled(void **state)
{
    (void)state;
    open_cache();
    for (uint64_t n = 1; n <= PURGED; n++)
        put(n);
    purging = (struct cache_purge){.done = on_purged};
    purge_is_over = false;
    CHECK_STATUS(ST_OK, cache_purge(cache, &purging));
    purge_cancel(&purging.purge);
    store_fixture_wait(&f, is_purged, 0);
    CHECK_STATUS(ST_CANCELED, purge_st);
    assert_true(purging.purge.removed < PURGED);
}

static void what_has_no_meaning_is_not_indexed(void **state)
{
    struct entry *full, in, *e;

    (void)state;
    open_cache();
    full = store_fixture_entry(1, 10, SOON);
    in = *full;
    memset(&in.partition, 0, sizeof(in.partition));
    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    cache_put(cache, e);
    entry_unref(e);
    in = *full;
    in.vector = NULL;
    in.dimensions = 0;
    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    cache_put(cache, e);
    entry_unref(e);
    in = *full;
    in.dimensions = 7; /* of another encoder */
    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    cache_put(cache, e);
    entry_unref(e);
    assert_int_equal(fake_index_count(), 0);
    cache_put(cache, full);
    assert_int_equal(fake_index_count(), 1);
    entry_unref(full);
}

static void expired_entries_are_absent(void **state)
{
    (void)state;
    open_cache();
    put_until(1, 10, clock_wall_ms() - 1);
    assert_int_not_equal(find(1), CACHE_HIT);
    put(2);
    assert_int_equal(find(2), CACHE_HIT);
}

static void an_answer_larger_than_memory_lives_in_the_store(void **state)
{
    (void)state;
    options.memory_max_bytes = 10000;
    open_cache();
    put_until(1, 50000, SOON);
    assert_int_equal(find(1), CACHE_ASK);
    CHECK_STATUS(ST_OK, fetch(1));
    assert_true(indexed(1));
}

static void a_rebuild_waits_for_an_index_that_is_busy(void **state)
{
    (void)state;
    open_cache();
    for (unsigned i = 0; i < 300; i++)
        put(i);
    close_cache();
    CHECK_STATUS(ST_OK, cache_open(f.loop, f.connector, &options, &cache));
    fake_index_overload(5);
    assert_false(stats().index_ready);
    store_fixture_wait(&f, is_ready, 0);
    assert_int_equal(fake_index_count(), 300);
    assert_true(fake_index_flushes() >= 1);
}

static void a_close_stops_the_rebuild(void **state)
{
    (void)state;
    options.store.queue_max = 100000;
    open_cache();
    for (unsigned i = 0; i < 3000; i++)
        put(i);
    close_cache();
    CHECK_STATUS(ST_OK, cache_open(f.loop, f.connector, &options, &cache));
    assert_false(stats().index_ready);
    close_cache();
}

static unsigned lendings;

static void on_lent(void *owner)
{
    (void)owner;
    lendings++;
}

static bool is_lent(struct fixture *fixture, uint64_t times)
{
    (void)fixture;
    return lendings == times;
}

static bool has_store(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return stats().store_present;
}

/* Another process has the files for a while; here it is another cache. */
static void files_are_lent_and_taken_back(void **state)
{
    struct cache *own;

    (void)state;
    lendings = 0;
    open_cache();
    for (unsigned i = 1; i <= 20; i++)
        put(i); /* written before they are lent, or else lost */
    cache_lend_files(cache, on_lent, NULL);
    assert_int_equal(lendings, 0);
    put(50); /* nobody falls over a store that closes */
    store_fixture_wait(&f, is_lent, 1);
    assert_false(stats().store_present);
    assert_non_null(strstr(stats().store.trouble, "takes over"));
    put(51);
    assert_int_equal(find(51), CACHE_HIT);
    assert_int_equal(find(1), CACHE_HIT);
    assert_true(decide(1).hit);
    own = cache;
    open_cache();
    assert_int_equal(stats().store.entries, 20);
    CHECK_STATUS(ST_OK, fetch(20));
    put(60);
    close_cache();
    cache = own;
    cache_take_files_back(cache);
    store_fixture_wait(&f, has_store, 0);
    store_fixture_wait(&f, is_ready, 0);
    assert_int_equal(stats().store.entries, 21);
    CHECK_STATUS(ST_OK, fetch(60));
    put(70);
    store_fixture_wait(&f, is_written, 1);
    close_cache();
    open_cache();
    CHECK_STATUS(ST_OK, fetch(70));
}

static void a_close_waits_for_what_is_being_lent(void **state)
{
    (void)state;
    lendings = 0;
    open_cache();
    put(1);
    cache_lend_files(cache, on_lent, NULL);
    close_cache();
    assert_int_equal(lendings, 1);
    open_cache();
    CHECK_STATUS(ST_OK, fetch(1));
    close_cache();
    /* Of nothing but memory there is nothing to lend. */
    options.store.url = "memory:";
    open_cache();
    cache_lend_files(cache, on_lent, NULL);
    close_cache();
    assert_int_equal(lendings, 2);
}

static void a_store_is_opened_as_soon_as_it_can_be(void **state)
{
    char folder[300];

    (void)state;
    snprintf(folder, sizeof(folder), "lmdb:%s/later/store", f.options.data_dir);
    options.store.url = folder;
    open_cache();
    assert_false(stats().store_present);
    put(1);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(mkdir(folder + strlen("lmdb:"), 0700), 0);
    folder[strlen(folder)] = '/';
    store_fixture_wait(&f, has_store, 0);
    store_fixture_wait(&f, is_ready, 0);
    put(2);
    store_fixture_wait(&f, is_written, 1);
    close_cache();
    open_cache();
    CHECK_STATUS(ST_OK, fetch(2));
    close_cache();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_put_is_found_at_once_and_after_a_restart),
        CASE(what_leaves_memory_stays_in_the_store_and_the_index),
        CASE(what_leaves_both_leaves_the_index),
        CASE(without_a_store_memory_decides),
        CASE(a_store_that_can_not_be_opened_is_told),
        CASE(a_url_of_no_kind_is_a_bug),
        CASE(without_an_index_only_the_same_is_found),
        CASE(what_is_removed_is_gone_everywhere),
        CASE(many_are_removed_at_once),
        CASE(many_are_removed_from_the_store_alone),
        CASE(many_are_removed_from_memory_alone),
        CASE(a_purge_may_be_canceled),
        CASE(what_has_no_meaning_is_not_indexed),
        CASE(expired_entries_are_absent),
        CASE(an_answer_larger_than_memory_lives_in_the_store),
        CASE(a_rebuild_waits_for_an_index_that_is_busy),
        CASE(a_close_stops_the_rebuild),
        CASE(files_are_lent_and_taken_back),
        CASE(a_close_waits_for_what_is_being_lent),
        CASE(a_store_is_opened_as_soon_as_it_can_be),
    };

    /* The cases of trouble log errors, which is right. */
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
