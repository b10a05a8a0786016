#include <stdio.h>
#include <string.h>

#include "check.h"
#include "http/url.h"

static void test_good(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool tls;
        const char *prefix, *authority;
    } cases[] = {
        {"https://api.openai.com", "api.openai.com", 443, true, "", "api.openai.com"},
        {"https://api.openai.com/", "api.openai.com", 443, true, "", "api.openai.com"},
        {"https://api.openai.com/v1", "api.openai.com", 443, true, "/v1", "api.openai.com"},
        {"https://api.openai.com/v1///", "api.openai.com", 443, true, "/v1", "api.openai.com"},
        {"HTTPS://h/V1", "h", 443, true, "/V1", "h"},
        {"http://h", "h", 80, false, "", "h"},
        {"http://h:80", "h", 80, false, "", "h"},
        {"https://h:443/v1", "h", 443, true, "/v1", "h"},
        {"http://h:443", "h", 443, false, "", "h:443"},
        {"http://127.0.0.1:9000/a/b", "127.0.0.1", 9000, false, "/a/b", "127.0.0.1:9000"},
        {"http://[::1]", "::1", 80, false, "", "[::1]"},
        {"http://[::1]:8080/v1", "::1", 8080, false, "/v1", "[::1]:8080"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u;
        char why[128] = "";

        if (url_parse(span_of(cases[i].text), &u, why, sizeof(why)) != ST_OK)
            fail_msg("'%s': %s", cases[i].text, why);
        assert_string_equal(u.host, cases[i].host);
        assert_string_equal(u.prefix, cases[i].prefix);
        assert_string_equal(u.authority, cases[i].authority);
        assert_int_equal(u.port, cases[i].port);
        assert_int_equal(u.tls, cases[i].tls);
    }
}

static void test_bad(void **state)
{
    static const char *const cases[] = {
        "",
        "h",
        "//h",
        "ftp://h",
        "http:/h",
        "http://",
        "http:///v1",
        "http://:80",
        "http://h:",
        "http://h:0",
        "http://h:65536",
        "http://h:+1",
        "http://h:8o",
        "http://u@h",
        "http://u:p@h/v1",
        "http://h?x",
        "http://h/v1#x",
        "http://h /v1",
        "http://h\r\nX: y",
        "http://h/\x7f",
        "http://h/\xc3\xa9",
        "http://[::1",
        "http://[::1]x",
        "http://[]",
        "http://::1",
        "http://h:1:2",
        "http://h,i",
        "http://h\\i",
        "http://h%41",
        "http://[h]",
    };
    char text[700];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u = {.port = 7};
        char why[128] = "";

        if (url_parse(span_of(cases[i]), &u, why, sizeof(why)) != ST_INVALID)
            fail_msg("'%s' was taken", cases[i]);
        assert_int_equal(u.port, 7);
        assert_true(why[0] != '\0');
    }
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://", 7);
    for (size_t n = 7 + 250; n <= sizeof(text); n++) {
        struct url u;
        char why[128];
        enum status st = url_parse((struct span){text, n}, &u, why, sizeof(why));

        CHECK_STATUS(n - 7 < sizeof(u.host) ? ST_OK : ST_INVALID, st);
    }
}

static void test_target(void **state)
{
    static const struct {
        const char *url, *target, *want;
    } cases[] = {
        {"http://h", "/v1/models?x=1", "/v1/models?x=1"},
        {"http://h/v1", "/v1/models", "/v1/models"},
        {"http://h/v1", "/v1", "/v1"},
        {"http://h/v1", "/v1?x", "/v1?x"},
        {"http://h/v1", "/v10/a", "/v1/v10/a"},
        {"http://h/v1", "/models", "/v1/models"},
        {"http://h/proxy/v1", "/v1/models", "/proxy/v1/models"},
        {"http://h/xv1", "/v1/models", "/xv1/v1/models"},
        {"http://h/openai", "/v1/models", "/openai/v1/models"},
        {"http://h", "/", "/"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u;
        char why[128], out[64];
        size_t n = 0, want = strlen(cases[i].want);

        CHECK_STATUS(ST_OK, url_parse(span_of(cases[i].url), &u, why, sizeof(why)));
        CHECK_STATUS(ST_OK, url_target(&u, span_of(cases[i].target), out, sizeof(out), &n));
        assert_string_equal(out, cases[i].want);
        assert_int_equal(n, want);
        CHECK_STATUS(ST_OK, url_target(&u, span_of(cases[i].target), out, want + 1, &n));
        CHECK_STATUS(ST_LIMIT, url_target(&u, span_of(cases[i].target), out, want, &n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
