/* A Redis that hangs, lies, refuses and goes away: look-ups end within their deadline,
 * nothing wrong is ever served, and it is used again when it works again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static int set_up_down(void **state)
{
    (void)state;
    store_fixture_init(&f, "");
    snprintf(f.url, sizeof(f.url), "redis+unix://user:geheim@%s/redis?db=3", f.folder);
    f.options.deadline_ms = DEADLINE_MS;
    return 0;
}

static int set_up(void **state)
{
    set_up_down(state);
    redis_script_open(&script, f.loop, f.folder);
    store_fixture_open(&f);
    store_fixture_wait_up(&f);
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

static bool has_connections(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    return script.connections >= arg;
}

static struct store_stats stats(void)
{
    return store_fixture_stats(&f);
}

/* A frame as a bulk reply; static, as rules only borrow. */
static struct span bulk_of(uint64_t n, uint64_t expires_ms)
{
    static struct buf bulk;
    struct entry *e = store_fixture_entry(n, 100, expires_ms);
    struct buf frame;

    buf_init(&frame, 100000);
    CHECK_STATUS(ST_OK, entry_encode(e, &frame));
    buf_release(&bulk);
    buf_init(&bulk, 100000);
    CHECK_STATUS(ST_OK, buf_printf(&bulk, "$%zu\r\n", frame.len));
    CHECK_STATUS(ST_OK, buf_append(&bulk, buf_span(&frame)));
    CHECK_STATUS(ST_OK, buf_append(&bulk, SPAN("\r\n")));
    entry_unref(e);
    buf_release(&frame);
    return buf_span(&bulk);
}

static void it_greets_with_user_and_database(void **state)
{
    (void)state;
    assert_int_equal(script.commands, 3);
    assert_string_equal(script.last, "PING");
    assert_true(stats().up);
    redis_script_rule(&script, "GET", bulk_of(1, UINT64_MAX));
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    assert_int_equal(strncmp(script.last, "GET ibid-test:e:", 16), 0);
    assert_int_equal(strlen(script.last), 16 + 64);
}

static void an_older_server_is_greeted_its_way(void **state)
{
    (void)state;
    redis_script_open(&script, f.loop, f.folder);
    redis_script_rule(&script, "HELLO", SPAN("-ERR unknown command `HELLO`\r\n"));
    redis_script_rule_close(&script, "SELECT");
    store_fixture_open(&f);
    store_fixture_wait(&f, has_connections, 2);
    redis_script_rule(&script, "SELECT", REDIS_SCRIPT_SILENT);
    while (strcmp(script.last, "SELECT 3") != 0)
        loop_turn(f.loop);
    redis_script_clear(&script);
    redis_script_rule(&script, "PING", SPAN("-NOPERM no\r\n"));
    store_fixture_wait_up(&f);
}

static void a_refused_password_is_said_and_not_shown(void **state)
{
    (void)state;
    redis_script_open(&script, f.loop, f.folder);
    redis_script_rule(&script, "HELLO", SPAN("-WRONGPASS invalid pair\r\n"));
    store_fixture_open(&f);
    store_fixture_wait(&f, has_connections, 3);
    assert_false(stats().up);
    assert_non_null(strstr(stats().trouble, "WRONGPASS"));
    assert_null(strstr(stats().trouble, "geheim"));
    assert_null(strstr(stats().trouble, "user"));
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
    assert_string_equal(stats().trouble, "");
}

static void one_that_is_down_at_open_is_found_later(void **state)
{
    uint64_t visited = 0;

    (void)state;
    store_fixture_open(&f);
    assert_false(stats().up);
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    store_fixture_put(&f, 1, 10);
    assert_int_equal(stats().dropped_total, 1);
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_scan(&f, 10, &visited));
    redis_script_open(&script, f.loop, f.folder);
    store_fixture_wait_up(&f);
}

static void one_that_loads_is_waited_for(void **state)
{
    (void)state;
    redis_script_open(&script, f.loop, f.folder);
    redis_script_rule(&script, "PING", SPAN("-LOADING Redis is loading\r\n"));
    store_fixture_open(&f);
    store_fixture_wait(&f, has_connections, 2);
    assert_false(stats().up);
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
}

static void one_that_hangs_costs_three_deadlines(void **state)
{
    uint64_t start = clock_now_us();

    (void)state;
    redis_script_rule(&script, "GET", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "XREAD", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "XADD", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "HELLO", REDIS_SCRIPT_SILENT);
    for (unsigned i = 0; i < 3; i++)
        CHECK_STATUS(ST_TIMEOUT, store_fixture_get(&f, 1));
    assert_true(clock_now_us() - start >= 3 * DEADLINE_MS * 1000);
    for (unsigned i = 0; i < 1000; i++)
        CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    assert_true(stats().breaker_open);
    assert_false(stats().up);
    assert_int_equal(stats().timeouts_total, 3);
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
    assert_false(stats().breaker_open);
}

static void a_late_reply_is_nobodys(void **state)
{
    (void)state;
    redis_script_rule(&script, "GET", REDIS_SCRIPT_SILENT);
    CHECK_STATUS(ST_TIMEOUT, store_fixture_get(&f, 1));
    redis_script_rule(&script, "GET", bulk_of(2, UINT64_MAX));
    redis_script_say(&script, SPAN("$-1\r\n")); /* to the first */
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 2));
    assert_int_equal(script.connections, 1);
}

static void what_is_no_entry_of_the_key_is_a_miss(void **state)
{
    static const struct {
        struct span reply;
        unsigned corrupt;
    } cases[] = {
        {{"$-1\r\n", 5}, 0},
        {{"$0\r\n\r\n", 6}, 1},
        {{"$5\r\nhello\r\n", 11}, 1},
        {{":7\r\n", 4}, 1},
        {{"+OK\r\n", 5}, 1},
        {{"*0\r\n", 4}, 1},
        {{"-WRONGTYPE Operation against a key\r\n", 36}, 1},
    };
    unsigned corrupt = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        redis_script_rule(&script, "GET", cases[i].reply);
        CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
        corrupt += cases[i].corrupt;
        assert_int_equal(stats().corrupt_total, corrupt);
    }
    redis_script_rule(&script, "GET", bulk_of(2, UINT64_MAX)); /* of another key */
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    assert_int_equal(stats().corrupt_total, corrupt + 1);
    redis_script_rule(&script, "GET", bulk_of(1, 1)); /* expired */
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    redis_script_rule(&script, "GET", bulk_of(1, UINT64_MAX));
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    assert_int_equal(stats().hits_total, 1);
    assert_int_equal(script.connections, 1);
}

static void what_is_no_protocol_ends_the_connection(void **state)
{
    static const char *const cases[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "*2147483647\r\n", /* memory for as many */
        "*17000\r\n",      /* more than a Cluster has slots */
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", /* depth */
        "$-2\r\n",
        "$99999999999999999999\r\n",
        ":x\r\n",
        "\r\n",
        "$-1\r\n$-1\r\n", /* one too many */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum status st;

        redis_script_rule(&script, "GET", span_of(cases[i]));
        st = store_fixture_get(&f, 1);
        if (i + 1 < ARRAY_LEN(cases) && st != ST_UNAVAILABLE && st != ST_TIMEOUT)
            fail_msg("'%s': %s", cases[i], status_name(st));
        redis_script_clear(&script);
        if (st != ST_TIMEOUT) {
            store_fixture_wait(&f, has_connections, script.connections + (stats().up ? 1 : 0));
            store_fixture_wait_up(&f);
        } else {
            /* A length that was never filled: the next connection is a clean one. */
            redis_script_rule_close(&script, "GET");
            store_fixture_get(&f, 1);
            redis_script_clear(&script);
            store_fixture_wait_up(&f);
        }
    }
    redis_script_rule(&script, "GET", bulk_of(1, UINT64_MAX));
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
}

static void a_reply_without_end_is_cut(void **state)
{
    struct buf big;

    (void)state;
    f.options.deadline_ms = 60000; /* its bounds end it, not its time */
    store_fixture_close(&f);
    store_fixture_open(&f);
    store_fixture_wait_up(&f);
    buf_init(&big, 1u << 28);
    CHECK_STATUS(ST_OK, buf_append(&big, SPAN("$200000000\r\n")));
    CHECK_STATUS(ST_OK, buf_reserve(&big, 80u << 20));
    memset(big.ptr + big.len, 'x', 80u << 20);
    big.len += 80u << 20;
    redis_script_rule(&script, "GET", buf_span(&big));
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    if (strstr(stats().trouble, "bounds") == NULL)
        fail_msg("cut, but for: %s", stats().trouble);
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
    buf_release(&big);
}

static void a_lost_connection_fails_what_was_under_way(void **state)
{
    (void)state;
    redis_script_rule_close(&script, "GET");
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
    assert_int_equal(script.connections, 2);
    assert_false(stats().breaker_open);
}

static void a_read_only_replica_is_left(void **state)
{
    (void)state;
    redis_script_rule(&script, "SET", SPAN("-READONLY You can't write against a replica.\r\n"));
    store_fixture_put(&f, 1, 10);
    store_fixture_wait(&f, has_connections, 2);
    assert_int_equal(stats().errors_total, 1);
    assert_int_equal(f.lost, 1);
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
    store_fixture_put(&f, 1, 10);
    store_fixture_settle(&f, 2);
    assert_int_equal(stats().puts_total, 1);
}

static void another_node_is_no_place_to_stay(void **state)
{
    (void)state;
    redis_script_rule(&script, "GET", SPAN("-MOVED 3999 127.0.0.1:6381\r\n"));
    for (unsigned i = 0; i < 3; i++)
        CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    assert_false(stats().up);
    assert_non_null(strstr(stats().trouble, "MOVED"));
    store_fixture_wait(&f, has_connections, 2);
}

static void refused_writes_leave_reads_alone(void **state)
{
    unsigned before;

    (void)state;
    redis_script_rule(&script, "SET", SPAN("-OOM command not allowed, key ibid-test:e:ab\r\n"));
    for (unsigned i = 0; i < 3; i++) {
        store_fixture_put(&f, i, 10);
        store_fixture_settle(&f, i + 1);
    }
    assert_string_equal(stats().trouble, "Redis refuses writes: OOM");
    before = script.commands;
    store_fixture_put(&f, 9, 10);
    assert_int_equal(stats().dropped_total, 1);
    redis_script_rule(&script, "GET", bulk_of(1, UINT64_MAX));
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    assert_int_equal(script.commands, before + 1);
    assert_true(stats().up);
    assert_false(stats().breaker_open);
    redis_script_rule(&script, "SET", SPAN("+OK\r\n"));
    while (stats().puts_total == 0) {
        store_fixture_put(&f, 9, 10);
        loop_turn(f.loop);
    }
    assert_string_equal(stats().trouble, "");
    assert_int_equal(script.connections, 1);
}

static bool get_was_sent(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return strncmp(script.last, "GET", 3) == 0;
}

static unsigned canceled;

static void on_canceled(struct store_get *op, enum status st, struct entry *e)
{
    (void)op;
    assert_null(e);
    CHECK_STATUS(ST_CANCELED, st);
    canceled++;
}

static bool is_canceled(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    return canceled == arg;
}

static void a_canceled_get_ends_at_once(void **state)
{
    struct store_get get = {.done = on_canceled, .key = store_fixture_key(1), .store = f.store};

    (void)state;
    canceled = 0;
    redis_script_rule(&script, "GET", REDIS_SCRIPT_SILENT);
    CHECK_STATUS(ST_OK, f.store->ops->get(f.store, &get));
    store_fixture_wait(&f, get_was_sent, 0);
    f.store->ops->cancel(&get);
    assert_int_equal(canceled, 0); /* later */
    store_fixture_wait(&f, is_canceled, 1);
    f.store->ops->cancel(&get); /* harmless */
    redis_script_say(&script, SPAN("$-1\r\n"));
    redis_script_rule(&script, "GET", bulk_of(1, UINT64_MAX));
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
}

static void a_scan_ends_with_the_connection(void **state)
{
    uint64_t visited = 0;

    (void)state;
    redis_script_rule_close(&script, "GET");
    redis_script_rule(&script, "SCAN",
                      SPAN("*2\r\n$1\r\n0\r\n*1\r\n$80\r\nibid-test:e:"
                           "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                           "____\r\n"));
    CHECK_STATUS(ST_OK, store_fixture_scan(&f, 10, &visited)); /* no key of ours */
    redis_script_rule(&script, "SCAN",
                      SPAN("*2\r\n$1\r\n0\r\n*1\r\n$76\r\nibid-test:e:"
                           "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                           "\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_scan(&f, 10, &visited));
    store_fixture_wait_up(&f);
    redis_script_rule(&script, "SCAN", SPAN("-NOPERM this user has no permissions\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_scan(&f, 10, &visited));
    redis_script_rule(&script, "SCAN", SPAN("+OK\r\n"));
    CHECK_STATUS(ST_INVALID, store_fixture_scan(&f, 10, &visited));
    assert_int_equal(visited, 0);
}

static void a_close_does_not_wait_for_ever(void **state)
{
    uint64_t start = clock_now_us();

    (void)state;
    redis_script_rule(&script, "SET", REDIS_SCRIPT_SILENT);
    store_fixture_put(&f, 1, 10);
    store_fixture_close(&f);
    assert_true(clock_now_us() - start < 3000000);
}

static enum status leased;

static void on_leased(struct store_lease *l, enum status st)
{
    (void)l;
    leased = st;
}

static bool is_leased(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return leased != ST_INTERNAL;
}

static enum status take_lease(struct store_lease *l)
{
    leased = ST_INTERNAL; /* not yet */
    *l = (struct store_lease){.done = on_leased, .key = store_fixture_key(1), .ms = 3000};
    CHECK_STATUS(ST_OK, f.store->ops->lease(f.store, l, STORE_LEASE_TAKE));
    store_fixture_wait(&f, is_leased, 0);
    return leased;
}

/* News is read for some times a second: what is looked for may not be the last for long. */
static char awaited[160];

static bool has_come(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return strcmp(script.last, awaited) == 0;
}

static void ask_lease(struct store_lease *l, enum store_lease_act act, const char *before,
                      const char *after)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(l->key.bytes, DIGEST_BYTES, hex);
    snprintf(awaited, sizeof(awaited), "%s ibid-test:l:%s%s", before, hex, after);
    CHECK_STATUS(ST_OK, f.store->ops->lease(f.store, l, act));
    store_fixture_wait(&f, has_come, 0);
}

/* Each is a command of one key, that an account of the documented rights may give. */
static void a_lease_is_taken_kept_and_given_back(void **state)
{
    struct store_lease l = {.done = on_leased, .key = store_fixture_key(1), .ms = 3000};

    (void)state;
    leased = ST_INTERNAL;
    ask_lease(&l, STORE_LEASE_TAKE, "SET", " 1 NX PX 3000");
    store_fixture_wait(&f, is_leased, 0);
    CHECK_STATUS(ST_OK, leased);
    ask_lease(&l, STORE_LEASE_KEEP, "SET", " 1 XX PX 3000");
    ask_lease(&l, STORE_LEASE_GIVE, "UNLINK", "");
    assert_int_equal(stats().puts_total, 0);
}

static void a_lease_of_another_or_of_nobody(void **state)
{
    struct store_lease l;

    (void)state;
    redis_script_rule(&script, "SET", SPAN("$-1\r\n"));
    CHECK_STATUS(ST_OVERLOAD, take_lease(&l));
    redis_script_rule(&script, "SET", SPAN("-OOM command not allowed\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, take_lease(&l));
    redis_script_rule(&script, "SET", SPAN(":1\r\n"));
    CHECK_STATUS(ST_UNAVAILABLE, take_lease(&l));
    redis_script_rule(&script, "SET", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "XREAD", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "XADD", REDIS_SCRIPT_SILENT);
    CHECK_STATUS(ST_TIMEOUT, take_lease(&l));
    CHECK_STATUS(ST_TIMEOUT, take_lease(&l));
    CHECK_STATUS(ST_TIMEOUT, take_lease(&l));
    assert_false(stats().up);
    CHECK_STATUS(ST_UNAVAILABLE, f.store->ops->lease(f.store, &l, STORE_LEASE_TAKE));
}

/* After a stall the greeting alone does not make it good again: it must be as fast as a
 * look-up. */
static void one_that_stays_slow_is_not_used_again(void **state)
{
    unsigned before;

    (void)state;
    redis_script_rule(&script, "GET", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "XREAD", REDIS_SCRIPT_SILENT);
    redis_script_rule(&script, "XADD", REDIS_SCRIPT_SILENT);
    for (unsigned i = 0; i < 3; i++)
        CHECK_STATUS(ST_TIMEOUT, store_fixture_get(&f, 1));
    assert_true(stats().breaker_open);
    redis_script_rule(&script, "PING", REDIS_SCRIPT_SILENT);
    before = script.connections;
    store_fixture_wait(&f, has_connections, before + 3);
    assert_false(stats().up);
    assert_true(stats().breaker_open);
    redis_script_clear(&script);
    store_fixture_wait_up(&f);
    assert_false(stats().breaker_open);
}

#define CASE(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CASE_DOWN(name) cmocka_unit_test_setup_teardown(name, set_up_down, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_greets_with_user_and_database),
        CASE_DOWN(an_older_server_is_greeted_its_way),
        CASE_DOWN(a_refused_password_is_said_and_not_shown),
        CASE_DOWN(one_that_is_down_at_open_is_found_later),
        CASE_DOWN(one_that_loads_is_waited_for),
        CASE(one_that_hangs_costs_three_deadlines),
        CASE(a_late_reply_is_nobodys),
        CASE(what_is_no_entry_of_the_key_is_a_miss),
        CASE(what_is_no_protocol_ends_the_connection),
        CASE(a_reply_without_end_is_cut),
        CASE(a_lost_connection_fails_what_was_under_way),
        CASE(a_read_only_replica_is_left),
        CASE(another_node_is_no_place_to_stay),
        CASE(refused_writes_leave_reads_alone),
        CASE(a_lease_is_taken_kept_and_given_back),
        CASE(a_lease_of_another_or_of_nobody),
        CASE(one_that_stays_slow_is_not_used_again),
        CASE(a_canceled_get_ends_at_once),
        CASE(a_scan_ends_with_the_connection),
        CASE(a_close_does_not_wait_for_ever),
    };

    log_set_level(LOG_ERROR);
    signal(SIGPIPE,
           SIG_IGN); /* as rt/signals.c: the other end may be gone when this one answers */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
