/* Servers that call themselves a Cluster's: redirections are followed to where they lead, and
 * those that lead nowhere end. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/redis_slot.h"
#include "check.h"
#include "redis_script.h"
#include "rt/loop.h"
#include "store_fixture.h"

#define DEADLINE_MS 300
#define GREETING    SPAN("*2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n")

/* `a` is in the URL, and has all slots by its own word; `b` is what it sends to. */
static struct fixture f;
static struct redis_script a, b;
static uint16_t port_a, port_b;
static char slots[128];

static struct span slots_of(unsigned last, uint16_t port)
{
    int n = snprintf(slots, sizeof(slots),
                     "*1\r\n*3\r\n:0\r\n:%u\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n", last, port);

    return (struct span){slots, (size_t)n};
}

/* "-MOVED 1234 127.0.0.1:7000", of entry 1's slot. */
static struct span redirection(const char *word, uint16_t port)
{
    static char text[4][64];
    static unsigned next;
    char key[64 + 16] = "ibid-test:e:";
    struct digest d = store_fixture_key(1);
    char *out = text[next++ % 4];
    int n;

    digest_hex(d.bytes, DIGEST_BYTES, key + strlen(key));
    n = snprintf(out, sizeof(text[0]), "-%s %u 127.0.0.1:%u\r\n", word,
                 redis_slot_of(span_of(key)), port);
    return (struct span){out, (size_t)n};
}

static struct span bulk(void)
{
    static struct buf reply;
    struct entry *e = store_fixture_entry(1, 100, UINT64_MAX);
    struct buf frame;

    buf_init(&frame, 100000);
    CHECK_STATUS(ST_OK, entry_encode(e, &frame));
    buf_release(&reply);
    buf_init(&reply, 100000);
    CHECK_STATUS(ST_OK, buf_printf(&reply, "$%zu\r\n", frame.len));
    CHECK_STATUS(ST_OK, buf_append(&reply, buf_span(&frame)));
    CHECK_STATUS(ST_OK, buf_append(&reply, SPAN("\r\n")));
    entry_unref(e);
    buf_release(&frame);
    return buf_span(&reply);
}

static int set_up(void **state)
{
    (void)state;
    store_fixture_init(&f, "");
    f.options.deadline_ms = DEADLINE_MS;
    port_a = redis_script_open_port(&a, f.loop);
    port_b = redis_script_open_port(&b, f.loop);
    redis_script_rule(&a, "HELLO", GREETING);
    redis_script_rule(&b, "HELLO", GREETING);
    redis_script_rule(&a, "CLUSTER", slots_of(REDIS_SLOTS - 1, port_a));
    redis_script_rule(&b, "CLUSTER", slots_of(REDIS_SLOTS - 1, port_a));
    snprintf(f.url, sizeof(f.url), "redis://127.0.0.1:%u", port_a);
    store_fixture_open(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_fixture_close(&f);
    redis_script_close(&a);
    redis_script_close(&b);
    store_fixture_release(&f);
    return 0;
}

static struct store_stats stats(void)
{
    return store_fixture_stats(&f);
}

static void a_key_that_moved_is_followed_once(void **state)
{
    (void)state;
    store_fixture_wait_up(&f);
    redis_script_rule(&a, "GET", redirection("MOVED", port_b));
    redis_script_rule(&a, "CLUSTER", slots_of(REDIS_SLOTS - 1, port_b));
    redis_script_rule(&b, "CLUSTER", slots_of(REDIS_SLOTS - 1, port_b));
    redis_script_rule(&b, "GET", bulk());
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    assert_int_equal(stats().moved_total, 1);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    assert_int_equal(stats().moved_total, 1);
    assert_int_equal(stats().corrupt_total, 0);
}

static void a_key_on_its_way_is_asked_for_each_time(void **state)
{
    (void)state;
    store_fixture_wait_up(&f);
    redis_script_rule(&a, "GET", redirection("ASK", port_b));
    redis_script_rule(&b, "GET", bulk());
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
        assert_int_equal(stats().moved_total, i);
    }
    /* Without ASKING, b has nothing to do with it. */
    redis_script_rule(&b, "ASKING", SPAN("-ERR unknown command\r\n"));
    redis_script_rule(&b, "GET", redirection("MOVED", port_a));
    assert_int_not_equal(store_fixture_get(&f, 1), ST_OK);
}

static void a_circle_ends(void **state)
{
    uint64_t start = clock_now_us();

    (void)state;
    store_fixture_wait_up(&f);
    redis_script_rule(&a, "GET", redirection("MOVED", port_b));
    redis_script_rule(&b, "GET", redirection("MOVED", port_a));
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    assert_true(stats().moved_total <= 5);
    assert_true(clock_now_us() - start < 30u * 1000 * 1000);
    /* Both are well all the same. */
    redis_script_rule(&a, "GET", bulk());
    redis_script_rule(&b, "GET", bulk());
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
}

static void a_way_to_nobody_ends_by_its_deadline(void **state)
{
    enum status st;

    (void)state;
    store_fixture_wait_up(&f);
    redis_script_rule(&b, "HELLO", REDIS_SCRIPT_SILENT);
    redis_script_rule(&a, "GET", redirection("ASK", port_b));
    st = store_fixture_get(&f, 1);
    if (st != ST_TIMEOUT && st != ST_UNAVAILABLE)
        fail_msg("%s", status_name(st));
    redis_script_rule(&a, "GET", bulk());
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    assert_true(stats().up);
}

static bool has_trouble(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return stats().trouble[0] != '\0';
}

static void slots_without_a_server_are_said(void **state)
{
    (void)state;
    redis_script_rule(&a, "CLUSTER", slots_of(REDIS_SLOTS - 2, port_a));
    store_fixture_wait(&f, has_trouble, 0);
    assert_false(stats().up);
    assert_non_null(strstr(stats().trouble, "has no server"));
    redis_script_rule(&a, "CLUSTER", slots_of(REDIS_SLOTS - 1, port_a));
    store_fixture_wait_up(&f);
}

static void a_map_that_is_none_is_said(void **state)
{
    static const char *const maps[] = {"*0\r\n", "+OK\r\n", "-NOPERM no\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        redis_script_rule(&a, "CLUSTER", span_of(maps[i]));
        store_fixture_close(&f);
        store_fixture_open(&f);
        store_fixture_wait(&f, has_trouble, 0);
        assert_false(stats().up);
        assert_non_null(strstr(stats().trouble, "tells where its slots are"));
        CHECK_STATUS(ST_UNAVAILABLE, store_fixture_get(&f, 1));
    }
}

static void by_a_unix_socket_it_is_refused(void **state)
{
    struct redis_script c;

    (void)state;
    store_fixture_close(&f);
    redis_script_open(&c, f.loop, f.folder);
    redis_script_rule(&c, "HELLO", GREETING);
    snprintf(f.url, sizeof(f.url), "redis+unix://%s/redis", f.folder);
    store_fixture_open(&f);
    store_fixture_wait(&f, has_trouble, 0);
    assert_false(stats().up);
    assert_non_null(strstr(stats().trouble, "not by a Unix socket"));
    redis_script_close(&c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_key_that_moved_is_followed_once),
        CASE(a_key_on_its_way_is_asked_for_each_time),
        CASE(a_circle_ends),
        CASE(a_way_to_nobody_ends_by_its_deadline),
        CASE(slots_without_a_server_are_said),
        CASE(a_map_that_is_none_is_said),
        CASE(by_a_unix_socket_it_is_refused),
    };

    log_set_level(LOG_ERROR);
    signal(SIGPIPE, SIG_IGN); /* as rt/signals.c */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
