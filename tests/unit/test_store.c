/* What every kind of store must do, whatever is behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "check.h"
#include "rt/loop.h"
#include "redis_process.h"
#include "store_fixture.h"

struct kind {
    const char *url;
    bool outlives; /* what is stored is there after a restart */
    struct fixture f;
};

static int set_up(void **state)
{
    struct kind *k = *state;

    store_fixture_init(&k->f, k->url);
    store_fixture_open(&k->f);
    store_fixture_wait_up(&k->f);
    return 0;
}

static int tear_down(void **state)
{
    struct kind *k = *state;

    store_fixture_release(&k->f);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    return &((struct kind *)*state)->f;
}

static void what_is_put_is_found(void **state)
{
    struct fixture *f = fixture_of(state);
    struct store_stats s;

    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(f, 1));
    store_fixture_put(f, 1, 100);
    CHECK_STATUS(ST_OK, store_fixture_get(f, 1)); /* while it may still be on its way */
    store_fixture_settle(f, 1);
    CHECK_STATUS(ST_OK, store_fixture_get(f, 1));
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(f, 2));
    s = store_fixture_stats(f);
    assert_int_equal(s.puts_total, 1);
    assert_int_equal(s.hits_total, 2);
    assert_int_equal(s.gets_total, 4);
    assert_int_equal(s.errors_total, 0);
    assert_true(s.up);
    assert_string_equal(s.trouble, "");
}

static void all_sizes_come_back(void **state)
{
    static const size_t sizes[] = {0, 1, 500, 1800, 1900, 2000, 4000, 5000, 65536, 3000000};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        store_fixture_put(f, i, sizes[i]);
    store_fixture_settle(f, ARRAY_LEN(sizes));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        CHECK_STATUS(ST_OK, store_fixture_get(f, i));
}

static void may_have_is_never_a_false_no(void **state)
{
    struct fixture *f = fixture_of(state);
    struct digest key = store_fixture_key(5);

    store_fixture_put(f, 5, 10);
    assert_true(f->store->ops->may_have(f->store, &key));
    store_fixture_settle(f, 1);
    assert_true(f->store->ops->may_have(f->store, &key));
}

static void the_latest_put_counts(void **state)
{
    struct fixture *f = fixture_of(state);
    uint64_t visited = 0;

    for (unsigned i = 1; i <= 20; i++)
        store_fixture_put(f, 1, i * 100);
    store_fixture_settle(f, 20);
    CHECK_STATUS(ST_OK, store_fixture_get(f, 1));
    CHECK_STATUS(ST_OK, store_fixture_scan(f, UINT64_MAX, &visited));
    assert_int_equal(visited, 1);
}

static void what_is_removed_is_gone(void **state)
{
    struct fixture *f = fixture_of(state);
    struct digest key = store_fixture_key(1), none = store_fixture_key(77);

    store_fixture_put(f, 1, 10);
    f->store->ops->remove(f->store, &key); /* while on its way */
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(f, 1));
    store_fixture_put(f, 1, 10);
    store_fixture_settle(f, 2);
    f->store->ops->remove(f->store, &key);
    f->store->ops->remove(f->store, &key);
    f->store->ops->remove(f->store, &none);
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(f, 1));
    assert_int_equal(f->lost, 0); /* who removes needs no telling */
}

static void time_ends_an_entry(void **state)
{
    struct fixture *f = fixture_of(state);
    uint64_t visited = 0;

    store_fixture_put_until(f, 1, 10, clock_wall_ms() - 1);
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(f, 1));
    store_fixture_settle(f, 1);
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(f, 1));
    CHECK_STATUS(ST_OK, store_fixture_scan(f, UINT64_MAX, &visited));
    assert_int_equal(visited, 0);
}

static void a_scan_visits_each_once(void **state)
{
    struct fixture *f = fixture_of(state);
    uint64_t visited = 99;

    CHECK_STATUS(ST_OK, store_fixture_scan(f, UINT64_MAX, &visited));
    assert_int_equal(visited, 0);
    for (unsigned i = 0; i < 700; i++)
        store_fixture_put(f, i, i * 10);
    store_fixture_settle(f, 700);
    CHECK_STATUS(ST_OK, store_fixture_scan(f, UINT64_MAX, &visited));
    assert_int_equal(visited, 700);
    CHECK_STATUS(ST_OK, store_fixture_scan(f, 10, &visited));
    assert_int_equal(visited, 10);
}

struct many {
    struct store_get get;
    struct fixture *f;
    unsigned *left;
    enum status st;
};

static void on_many(struct store_get *op, enum status st, struct entry *e)
{
    struct many *m = CONTAINER_OF(op, struct many, get);

    (*m->left)--;
    m->st = st;
    entry_unref(e);
}

static unsigned left;

static bool none_left(struct fixture *f, uint64_t arg)
{
    (void)f;
    (void)arg;
    return left == 0;
}

static void many_gets_at_once_and_some_canceled(void **state)
{
    enum { N = 300 };
    struct fixture *f = fixture_of(state);
    struct many *m = calloc(N, sizeof(*m));

    assert_non_null(m);
    for (unsigned i = 0; i < N; i += 2)
        store_fixture_put(f, i, 100);
    store_fixture_settle(f, N / 2);
    left = N;
    for (unsigned i = 0; i < N; i++) {
        m[i] =
            (struct many){.get = {.done = on_many, .key = store_fixture_key(i)}, .left = &left};
        m[i].get.store = f->store;
        CHECK_STATUS(ST_OK, f->store->ops->get(f->store, &m[i].get));
    }
    for (unsigned i = 0; i < N; i += 3)
        f->store->ops->cancel(&m[i].get);
    store_fixture_wait(f, none_left, 0);
    for (unsigned i = 0; i < N; i++)
        CHECK_STATUS(i % 3 == 0 ? ST_CANCELED : i % 2 == 0 ? ST_OK : ST_NOTFOUND, m[i].st);
    free(m);
}

static void what_waits_is_written_at_close(void **state)
{
    struct kind *k = *state;
    struct fixture *f = &k->f;

    if (!k->outlives)
        skip();
    for (unsigned i = 0; i < 500; i++)
        store_fixture_put(f, i, 1000);
    store_fixture_close(f);
    store_fixture_open(f);
    store_fixture_wait_up(f);
    for (unsigned i = 0; i < 500; i++)
        CHECK_STATUS(ST_OK, store_fixture_get(f, i));
    assert_int_equal(store_fixture_stats(f).corrupt_total, 0);
}

static void gets_and_scans_end_at_close(void **state)
{
    enum { N = 50 };
    struct fixture *f = fixture_of(state);
    struct many *m = calloc(N, sizeof(*m));
    uint64_t visited;

    (void)visited;
    assert_non_null(m);
    for (unsigned i = 0; i < N; i++)
        store_fixture_put(f, i, 1000);
    left = N;
    for (unsigned i = 0; i < N; i++) {
        m[i] =
            (struct many){.get = {.done = on_many, .key = store_fixture_key(i)}, .left = &left};
        m[i].get.store = f->store;
        CHECK_STATUS(ST_OK, f->store->ops->get(f->store, &m[i].get));
    }
    store_fixture_close(f);
    assert_int_equal(left, 0);
    free(m);
}

static struct kind memory = {.url = "memory:"};
static struct kind lmdb = {.url = "lmdb:", .outlives = true};

#define EACH(kind)                                                                             \
    {"what_is_put_is_found " #kind, what_is_put_is_found, set_up, tear_down, &kind},           \
        {"all_sizes_come_back " #kind, all_sizes_come_back, set_up, tear_down, &kind},         \
        {"may_have_is_never_a_false_no " #kind, may_have_is_never_a_false_no, set_up,          \
         tear_down, &kind},                                                                    \
        {"the_latest_put_counts " #kind, the_latest_put_counts, set_up, tear_down, &kind},     \
        {"what_is_removed_is_gone " #kind, what_is_removed_is_gone, set_up, tear_down, &kind}, \
        {"time_ends_an_entry " #kind, time_ends_an_entry, set_up, tear_down, &kind},           \
        {"a_scan_visits_each_once " #kind, a_scan_visits_each_once, set_up, tear_down, &kind}, \
        {"many_gets_at_once " #kind, many_gets_at_once_and_some_canceled, set_up, tear_down,   \
         &kind},                                                                               \
        {"what_waits_is_written_at_close " #kind, what_waits_is_written_at_close, set_up,      \
         tear_down, &kind},                                                                    \
    {                                                                                          \
        "gets_and_scans_end_at_close " #kind, gets_and_scans_end_at_close, set_up, tear_down,  \
            &kind                                                                              \
    }

static struct kind redis = {.outlives = true};
static struct redis_process server;
static char redis_url[160];

static int empty_redis(void **state)
{
    redis_process_command(&server, "FLUSHALL");
    return set_up(state);
}

static int run_redis(void)
{
    struct CMUnitTest tests[] = {EACH(redis)};
    int failed;

    if (!redis_process_start(&server, NULL)) {
        printf("skipped: there is no redis-server\n");
        return 77;
    }
    snprintf(redis_url, sizeof(redis_url), "redis+unix://%s?db=1", server.socket);
    redis.url = redis_url;
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tests[i].setup_func = empty_redis;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_process_stop(&server);
    return failed;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {EACH(memory), EACH(lmdb)};

    log_set_level(LOG_ERROR);
    if (argc > 1 && strcmp(argv[1], "redis") == 0)
        return run_redis();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
