#include <string.h>

#include "base/compiler.h"
#include "cache/redis_url.h"
#include "check.h"

static void urls_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host, *user, *password, *shown;
        uint16_t port;
        uint32_t db;
        bool tls, unix_socket;
    } cases[] = {
        {"redis://h", "h", "", "", "redis://h:6379", 6379, 0, false, false},
        {"redis://", "127.0.0.1", "", "", "redis://127.0.0.1:6379", 6379, 0, false, false},
        {"redis://h/", "h", "", "", "redis://h:6379", 6379, 0, false, false},
        {"redis://h:7/4", "h", "", "", "redis://h:7", 7, 4, false, false},
        {"rediss://h:7", "h", "", "", "rediss://h:7", 7, 0, true, false},
        {"redis://[::1]:7/1", "::1", "", "", "redis://::1:7", 7, 1, false, false},
        {"redis://[::1]", "::1", "", "", "redis://::1:6379", 6379, 0, false, false},
        {"redis://u:p@h", "h", "u", "p", "redis://h:6379", 6379, 0, false, false},
        {"redis://:p@h", "h", "default", "p", "redis://h:6379", 6379, 0, false, false},
        {"redis://p@h", "h", "default", "p", "redis://h:6379", 6379, 0, false, false},
        {"redis://u:a@b:c@h:7", "h", "u", "a@b:c", "redis://h:7", 7, 0, false, false},
        {"redis://u:%40%2f%3A@h", "h", "u", "@/:", "redis://h:6379", 6379, 0, false, false},
        {"redis+unix:///run/r", "/run/r", "", "", "redis+unix:///run/r", 6379, 0, false, true},
        {"redis+unix:///r?db=2", "/r", "", "", "redis+unix:///r", 6379, 2, false, true},
        {"redis+unix://u:p@/r", "/r", "u", "p", "redis+unix:///r", 6379, 0, false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u;
        char why[128] = "";

        if (redis_url_parse(cases[i].text, &u, why, sizeof(why)) != ST_OK)
            fail_msg("'%s': %s", cases[i].text, why);
        assert_string_equal(u.host, cases[i].host);
        assert_string_equal(u.user, cases[i].user);
        assert_string_equal(u.password, cases[i].password);
        assert_string_equal(u.shown, cases[i].shown);
        assert_int_equal(u.port, cases[i].port);
        assert_int_equal(u.db, cases[i].db);
        assert_int_equal(u.tls, cases[i].tls);
        assert_int_equal(u.unix_socket, cases[i].unix_socket);
    }
}

static void several_servers(void **state)
{
    struct redis_url u;
    char why[128] = "", text[512] = "redis://h0";

    (void)state;
    CHECK_STATUS(ST_OK, redis_url_parse("rediss://u:a,b@one,two:7,[::1]:8,[::2]/3", &u, why,
                                        sizeof(why)));
    assert_string_equal(u.password, "a,b");
    assert_string_equal(u.host, "one");
    assert_int_equal(u.port, 6379);
    assert_int_equal(u.db, 3);
    assert_int_equal(u.others, 3);
    assert_string_equal(u.other[0].host, "two");
    assert_int_equal(u.other[0].port, 7);
    assert_string_equal(u.other[1].host, "::1");
    assert_int_equal(u.other[1].port, 8);
    assert_string_equal(u.other[2].host, "::2");
    assert_int_equal(u.other[2].port, 6379);
    redis_url_set_address(&u, "next", 9);
    assert_string_equal(u.shown, "rediss://next:9");
    assert_string_equal(u.password, "a,b");
    for (unsigned i = 1; i <= REDIS_URL_OTHERS_MAX; i++)
        strcat(text, ",h");
    CHECK_STATUS(ST_OK, redis_url_parse(text, &u, why, sizeof(why)));
    strcat(text, ",h");
    CHECK_STATUS(ST_INVALID, redis_url_parse(text, &u, why, sizeof(why)));
    CHECK_STATUS(ST_INVALID, redis_url_parse("redis://a,,b", &u, why, sizeof(why)));
    CHECK_STATUS(ST_INVALID, redis_url_parse("redis://a,", &u, why, sizeof(why)));
}

static void wrong_ones_are_refused_without_being_quoted(void **state)
{
    static const char *const cases[] = {
        "",
        "redis:",
        "redis:/h",
        "http://secret@h",
        "redis://secret@h:0",
        "redis://secret@h:65536",
        "redis://secret@h:x",
        "redis://secret@h/x",
        "redis://secret@h/65536",
        "redis://secret@h/99999999999999",
        "redis://secret@[::1",
        "redis://secret@[::1]x",
        "redis://secret%zz@h",
        "redis://secret%4",
        "redis://secret%00@h",
        "redis://secret@h%0a",
        "redis://secret@a b",
        "redis://@h",
        "redis://secret:@h",
        "redis+unix://secret@relative",
        "redis+unix://",
        "redis+unix:///r?secret",
        "redis+unix:///r?db=",
    };
    char text[2000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u;
        char why[128] = "";

        if (redis_url_parse(cases[i], &u, why, sizeof(why)) != ST_INVALID)
            fail_msg("taken: '%s'", cases[i]);
        assert_true(why[0] != '\0');
        assert_null(strstr(why, "secret"));
    }
    memset(text, 'a', sizeof(text));
    memcpy(text, "redis://", 8);
    text[sizeof(text) - 1] = '\0';
    {
        struct redis_url u;
        char why[128];

        CHECK_STATUS(ST_INVALID, redis_url_parse(text, &u, why, sizeof(why)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(several_servers),
        cmocka_unit_test(wrong_ones_are_refused_without_being_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
