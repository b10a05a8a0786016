#include <string.h>

#include "base/compiler.h"
#include "cache/redis_slot.h"
#include "cache/store_redis_places.h"
#include "check.h"

/* Redis Cluster specification: the CRC's check value, and its examples of hash tags. */
static void slots_are_those_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(redis_slot_of(SPAN("123456789")), 0x31c3);
    assert_int_equal(redis_slot_of(SPAN("foo")), 12182);
    assert_int_equal(redis_slot_of(SPAN("")), 0);
    assert_int_equal(redis_slot_of(SPAN("{user1000}.following")),
                     redis_slot_of(SPAN("user1000")));
    assert_int_equal(redis_slot_of(SPAN("foo{{bar}}zap")), redis_slot_of(SPAN("{bar")));
    assert_int_equal(redis_slot_of(SPAN("foo{bar}{zap}")), redis_slot_of(SPAN("bar")));
    assert_int_not_equal(redis_slot_of(SPAN("foo{}{bar}")), redis_slot_of(SPAN("bar")));
    assert_int_not_equal(redis_slot_of(SPAN("foo{bar")), redis_slot_of(SPAN("bar")));
}

static redisReply text_reply(int type, char *text)
{
    return (redisReply){.type = type, .str = text, .len = strlen(text)};
}

static void redirections_are_read(void **state)
{
    static const struct {
        char text[64];
        const char *host; /* NULL: of no use */
        unsigned slot, port;
        bool ask;
    } cases[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", 3999, 6381, false},
        {"ASK 16383 ::1:6381", "::1", 16383, 6381, true},
        {"MOVED 0 :6381", "", 0, 6381, false},
        {"MOVED 16384 h:6381", NULL, 0, 0, false},
        {"MOVED -1 h:6381", NULL, 0, 0, false},
        {"MOVED 1 h:0", NULL, 0, 0, false},
        {"MOVED 1 h:65536", NULL, 0, 0, false},
        {"MOVED 1 h:", NULL, 0, 0, false},
        {"MOVED 1 h", NULL, 0, 0, false},
        {"MOVED 1 ?:6381", NULL, 0, 0, false},
        {"MOVED 1", NULL, 0, 0, false},
        {"MOVED", NULL, 0, 0, false},
        {"ERR 1 h:6381", NULL, 0, 0, false},
        {"", NULL, 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[64];
        redisReply r;
        struct store_redis_redirect to;

        memcpy(text, cases[i].text, sizeof(text));
        r = text_reply(REDIS_REPLY_ERROR, text);
        if (store_redis_places_redirect(&r, &to) != (cases[i].host != NULL))
            fail_msg("'%s'", text);
        if (cases[i].host == NULL)
            continue;
        assert_string_equal(to.to.host, cases[i].host);
        assert_int_equal(to.to.port, cases[i].port);
        assert_int_equal(to.slot, cases[i].slot);
        assert_int_equal(to.ask, cases[i].ask);
    }
}

static bool range_of(long long first, long long last, redisReply host, long long port,
                     struct store_redis_range *out)
{
    redisReply port_reply = {.type = REDIS_REPLY_INTEGER, .integer = port};
    redisReply *master_of[] = {&host, &port_reply};
    redisReply from = {.type = REDIS_REPLY_INTEGER, .integer = first};
    redisReply to = {.type = REDIS_REPLY_INTEGER, .integer = last};
    redisReply master = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = master_of};
    redisReply *range_parts[] = {&from, &to, &master};
    redisReply range = {.type = REDIS_REPLY_ARRAY, .elements = 3, .element = range_parts};
    redisReply *ranges[] = {&range};
    redisReply all = {.type = REDIS_REPLY_ARRAY, .elements = 1, .element = ranges};

    assert_false(store_redis_places_range(&all, 1, out));
    return store_redis_places_range(&all, 0, out);
}

static void ranges_are_read(void **state)
{
    char name[] = "h", unknown[] = "?";
    redisReply host = text_reply(REDIS_REPLY_STRING, name), nil = {.type = REDIS_REPLY_NIL};
    struct store_redis_range range;

    (void)state;
    assert_true(range_of(5, 16383, host, 6379, &range));
    assert_int_equal(range.first, 5);
    assert_int_equal(range.last, 16383);
    assert_int_equal(range.master.port, 6379);
    assert_string_equal(range.master.host, "h");
    assert_true(range_of(0, 0, nil, 1, &range));
    assert_string_equal(range.master.host, "");
    assert_false(range_of(0, 16384, host, 6379, &range));
    assert_false(range_of(6, 5, host, 6379, &range));
    assert_false(range_of(-1, 5, host, 6379, &range));
    assert_false(range_of(0, 5, host, 0, &range));
    assert_false(range_of(0, 5, host, 65536, &range));
    assert_false(range_of(0, 5, text_reply(REDIS_REPLY_STRING, unknown), 6379, &range));
    assert_false(range_of(0, 5, (redisReply){.type = REDIS_REPLY_INTEGER}, 6379, &range));
}

static void the_master_of_a_sentinel_is_read(void **state)
{
    char name[] = "10.0.0.1", port[] = "6379", none[] = "x";
    redisReply host = text_reply(REDIS_REPLY_STRING, name);
    redisReply number = text_reply(REDIS_REPLY_STRING, port);
    redisReply *both[] = {&host, &number};
    redisReply r = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = both};
    redisReply nil = {.type = REDIS_REPLY_NIL};
    struct redis_url_address at;

    (void)state;
    assert_true(store_redis_places_master(&r, &at));
    assert_string_equal(at.host, "10.0.0.1");
    assert_int_equal(at.port, 6379);
    assert_false(store_redis_places_master(&nil, &at));
    number = text_reply(REDIS_REPLY_STRING, none);
    assert_false(store_redis_places_master(&r, &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_the_specification),
        cmocka_unit_test(redirections_are_read),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(the_master_of_a_sentinel_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
