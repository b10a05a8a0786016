/* Vectors in a scripted Redis: what it is sent, what its answers mean, and one that refuses,
 * hangs, lies or knows no vector sets. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "check.h"
#include "redis_script.h"
#include "rt/loop.h"
#include "store_fixture.h"

#define DEADLINE_MS 40

static struct fixture f;
static struct redis_script script;
static char unfit[256];
static unsigned unfit_count;

static void on_unfit(void *owner, const char *why)
{
    assert_ptr_equal(owner, &f);
    unfit_count++;
    snprintf(unfit, sizeof(unfit), "%s", why);
}

static void open_store(void)
{
    store_fixture_open(&f);
    f.store->unfit = on_unfit;
    f.store->unfit_owner = &f;
}

static int set_up_down(void **state)
{
    (void)state;
    store_fixture_init(&f, "");
    snprintf(f.url, sizeof(f.url), "redis+unix://%s/redis", f.folder);
    f.options.deadline_ms = DEADLINE_MS;
    f.options.vectors = STORE_VECTORS_INT8;
    unfit_count = 0;
    redis_script_open(&script, f.loop, f.folder);
    redis_script_rule(&script, "HELLO", SPAN("*2\r\n$7\r\nversion\r\n$5\r\n7.2.9\r\n"));
    return 0;
}

static bool vectors_up(struct fixture *fixture, uint64_t arg)
{
    (void)arg;
    return store_fixture_stats(fixture).vectors.up;
}

static int set_up(void **state)
{
    set_up_down(state);
    redis_script_rule(&script, "VCARD", SPAN(":0\r\n"));
    open_store();
    store_fixture_wait_up(&f);
    store_fixture_wait(&f, vectors_up, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (f.store != NULL)
        store_fixture_close(&f);
    redis_script_close(&script);
    store_fixture_release(&f);
    return 0;
}

static struct store_vectors_stats stats(void)
{
    return store_fixture_stats(&f).vectors;
}

/* --- searching ---------------------------------------------------------------------------- */

static struct store_near near;
static enum status ended;
static unsigned ends;

static void on_near(struct store_near *op, enum status st)
{
    assert_ptr_equal(op, &near);
    ended = st;
    ends++;
}

static bool has_ended(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    return ends >= arg;
}

static enum status start(uint32_t wanted)
{
    static const float vector[8] = {1};

    ends = 0;
    near = (struct store_near){.done = on_near,
                               .partition = store_fixture_partition(3),
                               .vector = vector,
                               .dimensions = 8,
                               .wanted = wanted};
    return f.store->ops->near(f.store, &near);
}

static enum status search(uint32_t wanted)
{
    enum status st = start(wanted);

    if (st != ST_OK)
        return st;
    assert_int_equal(ends, 0); /* never at once */
    store_fixture_wait(&f, has_ended, 1);
    return ended;
}

static void put_element(struct buf *out, uint64_t n, const char *score)
{
    struct digest key = store_fixture_key(n);

    CHECK_STATUS(ST_OK, buf_printf(out, "$%d\r\n", DIGEST_BYTES));
    CHECK_STATUS(ST_OK, buf_append(out, (struct span){(char *)key.bytes, DIGEST_BYTES}));
    CHECK_STATUS(ST_OK, buf_printf(out, "\r\n$%zu\r\n%s\r\n", strlen(score), score));
}

static void scores_become_cosines(void **state)
{
    static const struct {
        const char *score;
        float cosine; /* 2: it is none, and passed over */
    } cases[] = {{"1", 1},         {"0.95", 0.9F}, {"0.5", 0}, {"0", -1},
                 {"1.0000001", 1}, {"nan", 2},     {"inf", 2}, {"0.9 ", 2},
                 {"", 2},          {"7", 2},       {"-0.2", 2}};
    struct buf reply;
    size_t n = 0;

    (void)state;
    buf_init(&reply, 100000);
    CHECK_STATUS(ST_OK, buf_printf(&reply, "*%zu\r\n", 2 * ARRAY_LEN(cases) + 3));
    CHECK_STATUS(ST_OK, buf_append(&reply, SPAN("$5\r\nshort\r\n$1\r\n1\r\n")));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        put_element(&reply, i, cases[i].score);
    CHECK_STATUS(ST_OK, buf_append(&reply, SPAN(":1\r\n"))); /* an element without a score */
    redis_script_rule(&script, "VSIM", buf_span(&reply));
    CHECK_STATUS(ST_OK, search(16));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest key = store_fixture_key(i);

        if (cases[i].cosine > 1)
            continue;
        assert_true(digest_eq(&near.keys[n], &key));
        assert_true(fabsf(near.similarity[n] - cases[i].cosine) < 1e-5F);
        n++;
    }
    assert_int_equal(near.count, n);
    /* No more than were asked for, whatever it says. */
    CHECK_STATUS(ST_OK, search(2));
    assert_int_equal(near.count, 2);
    buf_release(&reply);
}

static void a_partition_has_one_set_on_one_server(void **state)
{
    char want[128] = "VSIM ibid-test:v8:{", hex[2 * DIGEST_BYTES + 1];
    struct digest p = store_fixture_partition(3);

    (void)state;
    digest_hex(p.bytes, DIGEST_BYTES, hex);
    strncat(want, hex, sizeof(want) - strlen(want) - 1);
    strncat(want, "} FP32 ", sizeof(want) - strlen(want) - 1);
    redis_script_rule(&script, "VSIM", SPAN("*0\r\n"));
    CHECK_STATUS(ST_OK, search(7));
    assert_int_equal(near.count, 0);
    assert_memory_equal(script.last, want, strlen(want));
    assert_non_null(strstr(script.last, " WITHSCORES COUNT 7 EF "));
}

static void what_is_no_answer_is_a_failure(void **state)
{
    (void)state;
    redis_script_rule(&script, "VSIM", SPAN("+OK\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, search(4));
    redis_script_rule(&script, "VSIM", SPAN("-WRONGTYPE no\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, search(4));
    assert_string_equal(stats().trouble, "Redis refuses VSIM: WRONGTYPE");
    assert_false(stats().up);
    redis_script_rule(&script, "VSIM", SPAN("*0\r\n"));
    CHECK_STATUS(ST_OK, search(4));
    assert_true(stats().up);
    assert_int_equal(stats().failures_total, 2);
    assert_int_equal(stats().searches_total, 3);
}

static void one_that_hangs_is_waited_for_no_longer_than_the_deadline(void **state)
{
    uint64_t at;

    (void)state;
    redis_script_rule(&script, "VSIM", REDIS_SCRIPT_SILENT);
    at = clock_now_us();
    CHECK_STATUS(ST_TIMEOUT, search(4));
    assert_true(clock_now_us() - at >= DEADLINE_MS * 1000);
    assert_int_equal(stats().failures_total, 1);
    /* Entries are on another connection, and do not wait. */
    redis_script_rule(&script, "GET", SPAN("$-1\r\n"));
    CHECK_STATUS(ST_OK, start(4));
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    assert_int_equal(ends, 0);
    store_fixture_wait(&f, has_ended, 1);
}

static void a_search_can_be_canceled(void **state)
{
    (void)state;
    redis_script_rule(&script, "VSIM", REDIS_SCRIPT_SILENT);
    CHECK_STATUS(ST_OK, start(4));
    f.store->ops->near_cancel(&near);
    f.store->ops->near_cancel(&near);
    assert_int_equal(ends, 0);
    store_fixture_wait(&f, has_ended, 1);
    CHECK_STATUS(ST_CANCELED, ended);
    /* One that is under way when all is closed ends too. */
    CHECK_STATUS(ST_OK, start(4));
    store_fixture_close(&f);
    assert_int_equal(ends, 1);
}

/* --- adding ------------------------------------------------------------------------------- */

static bool has_added(struct fixture *fixture, uint64_t arg)
{
    struct store_vectors_stats s = store_fixture_stats(fixture).vectors;

    return s.adds_total + s.dropped_total >= arg;
}

static void what_is_put_is_added_after_it(void **state)
{
    (void)state;
    redis_script_rule(&script, "VADD", SPAN(":1\r\n"));
    redis_script_rule(&script, "PEXPIRE", SPAN(":1\r\n"));
    redis_script_rule(&script, "VRANDMEMBER", SPAN("*0\r\n"));
    store_fixture_put(&f, 3, 100);
    store_fixture_wait(&f, has_added, 1);
    assert_int_equal(stats().adds_total, 1);
    while (strncmp(script.last, "PEXPIRE ibid-test:v8:{", 22) != 0 ||
           strstr(script.last, " GT") == NULL)
        loop_turn(f.loop);
    /* Without its entry it would be removed by whoever finds it. */
    redis_script_rule(&script, "SET", SPAN("-OOM no\r\n"));
    store_fixture_put(&f, 3, 100);
    store_fixture_settle(&f, 2);
    assert_int_equal(stats().adds_total + stats().dropped_total, 1);
}

static void more_than_can_wait_is_dropped(void **state)
{
    (void)state;
    f.options.queue_max = 3;
    open_store();
    redis_script_rule(&script, "VCARD", SPAN(":0\r\n"));
    redis_script_rule(&script, "VADD", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "PEXPIRE", REDIS_SCRIPT_SILENT); /* answers come in turn */
    store_fixture_wait_up(&f);
    store_fixture_wait(&f, vectors_up, 0);
    for (uint64_t i = 0; i < 10; i++) {
        store_fixture_put(&f, i, 10);
        store_fixture_settle(&f, i + 1);
    }
    /* Two under way, three wait. */
    assert_int_equal(stats().dropped_total, 5);
    /* None of them holds up the end for more than a second. */
    store_fixture_close(&f);
}

static void what_has_no_entry_is_removed(void **state)
{
    struct buf reply;

    (void)state;
    buf_init(&reply, 100000);
    CHECK_STATUS(ST_OK, buf_append(&reply, SPAN("*2\r\n$3\r\nbad\r\n$32\r\n")));
    CHECK_STATUS(ST_OK, buf_append(&reply, (struct span){(char *)store_fixture_key(9).bytes,
                                                         DIGEST_BYTES}));
    CHECK_STATUS(ST_OK, buf_append(&reply, SPAN("\r\n")));
    redis_script_rule(&script, "VADD", SPAN(":1\r\n"));
    redis_script_rule(&script, "PEXPIRE", SPAN(":1\r\n"));
    redis_script_rule(&script, "VRANDMEMBER", buf_span(&reply));
    redis_script_rule(&script, "EXISTS", SPAN(":1\r\n"));
    redis_script_rule(&script, "VREM", SPAN(":1\r\n"));
    for (uint64_t i = 0; i < 16; i++) {
        store_fixture_put(&f, i, 10);
        store_fixture_wait(&f, has_added, i + 1);
    }
    assert_int_equal(stats().removes_total, 0);
    redis_script_rule(&script, "EXISTS", SPAN(":0\r\n"));
    for (uint64_t i = 16; stats().removes_total == 0; i++) {
        assert_true(i < 64);
        store_fixture_put(&f, i, 10);
        store_fixture_wait(&f, has_added, i + 1);
    }
    buf_release(&reply);
}

/* --- no vector sets ------------------------------------------------------------------------
 */

static bool told_unfit(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    return unfit_count >= arg;
}

static void an_older_redis_is_named(void **state)
{
    (void)state;
    redis_script_rule(&script, "VCARD", SPAN("-ERR unknown command 'VCARD', with args\r\n"));
    open_store();
    store_fixture_wait(&f, told_unfit, 1);
    assert_non_null(strstr(unfit, "version 7.2.9 has no vector sets"));
    assert_non_null(strstr(unfit, "cache.index: local"));
    CHECK_STATUS(ST_UNAVAILABLE, start(4));
    store_fixture_wait_up(&f); /* for entries it will do */
    store_fixture_put(&f, 1, 10);
    store_fixture_settle(&f, 1);
    assert_int_equal(stats().dropped_total, 1);
}

static void one_that_could_once_is_not_given_up(void **state)
{
    (void)state;
    redis_script_rule(&script, "VSIM", SPAN("-ERR unknown command 'VSIM'\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, search(4));
    assert_int_equal(unfit_count, 0);
    assert_false(stats().up);
    CHECK_STATUS(ST_UNAVAILABLE, start(4));
    /* When it comes back it is asked again. */
    redis_script_rule(&script, "VSIM", SPAN("*0\r\n"));
    redis_script_rule_close(&script, "GET");
    redis_script_say(&script, SPAN("+what\r\n"));
    store_fixture_wait(&f, vectors_up, 0);
    CHECK_STATUS(ST_OK, search(4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scores_become_cosines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_partition_has_one_set_on_one_server, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_answer_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            one_that_hangs_is_waited_for_no_longer_than_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_search_can_be_canceled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_put_is_added_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_can_wait_is_dropped, set_up_down, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_entry_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_redis_is_named, set_up_down, tear_down),
        cmocka_unit_test_setup_teardown(one_that_could_once_is_not_given_up, set_up, tear_down),
    };

    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
