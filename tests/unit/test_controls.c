/* What a client may say of caching: every header, and that said twice the stricter counts. */
#include <string.h>

#include "base/compiler.h"
#include "base/json.h"
#include "check.h"
#include "http/head.h"
#include "proxy/controls.h"
#include "proxy/controls_body.h"

struct said {
    const char *name, *value;
};

static enum status parse(const struct said *list, size_t n, struct controls *out,
                         struct protocol_error *err)
{
    struct http_field fields[4];
    struct http_head head = {.fields = fields, .field_count = n};

    assert_true(n <= ARRAY_LEN(fields));
    for (size_t i = 0; i < n; i++)
        fields[i] = (struct http_field){span_of(list[i].name), span_of(list[i].value)};
    return controls_parse(&head, out, err);
}

static struct controls taken(const char *name, const char *value)
{
    struct said one = {name, value};
    struct protocol_error err;
    struct controls c;

    CHECK_STATUS(ST_OK, parse(&one, 1, &c, &err));
    return c;
}

static void test_lists(void **state)
{
    struct controls c = taken("X-Ibid-Cache", " no-cache,, NO-STORE ,max-age = 5, ttl=7 ");

    (void)state;
    assert_true(c.no_cache && c.no_store && !c.only_if_cached);
    assert_true(c.has_max_age && c.max_age_s == 5 && c.has_ttl && c.ttl_s == 7);
    c = taken("x-ibid-cache", "bypass");
    assert_true(c.no_cache && c.no_store);
    c = taken("x-ibid-cache", "");
    assert_false(c.no_cache || c.no_store || c.has_ttl);
    c = taken("cache-control", "max-age=soon, private");
    assert_true(c.no_cache && !c.no_store);
    c = taken("cache-control", "no-cacheable, stale-if-error=5");
    assert_false(c.no_cache || c.has_max_age);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {{"0", 0},
                {"30s", 30},
                {"5m", 300},
                {"2h", 7200},
                {"1d", 86400},
                {"999999999999", 315360000},
                {"999999999999d", 315360000}};
    static const char *const bad[] = {"",    "s",  "5 m", "-1",           "+1",
                                      "1.5", "5w", "0x1", "9999999999999"};
    struct protocol_error err;
    struct controls c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        c = taken("x-bf-cache-ttl", good[i].text);
        assert_int_equal(c.ttl_s, good[i].seconds);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct said one = {"x-bf-cache-ttl", bad[i]};

        CHECK_STATUS(ST_INVALID, parse(&one, 1, &c, &err));
        assert_string_equal(err.param, "x-bf-cache-ttl");
    }
}

static void test_the_stricter_counts(void **state)
{
    static const struct said both[][2] = {
        {{"x-ibid-cache", "ttl=9, max-age=3"}, {"x-ibid-cache", "ttl=5, max-age=4"}},
        {{"x-ibid-cache", "max-age=3"}, {"x-bf-cache-ttl", "5"}},
        {{"x-bf-cache-ttl", "5s"}, {"cache-control", "max-age=3"}},
    };
    struct said thresholds[] = {{"x-ibid-threshold", "0.9"}, {"x-bf-cache-threshold", "0.2"}};
    struct said routes[] = {{"x-ibid-route", "local"}, {"x-ibid-route", "upstream"}};
    struct said spaces[] = {{"x-ibid-namespace", "a"}, {"cf-aig-cache-key", "a"}};
    struct protocol_error err;
    struct controls c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        CHECK_STATUS(ST_OK, parse(both[i], 2, &c, &err));
        assert_int_equal(c.max_age_s, 3);
        assert_int_equal(c.ttl_s, 5);
    }
    CHECK_STATUS(ST_OK, parse(thresholds, 2, &c, &err));
    assert_true(c.threshold > 0.89);
    CHECK_STATUS(ST_INVALID, parse(routes, 2, &c, &err));
    CHECK_STATUS(ST_INVALID, parse(spaces, 2, &c, &err));
    assert_string_equal(err.param, "cf-aig-cache-key");
}

static void test_nothing_of_ours_is_ignored(void **state)
{
    struct said unknown[] = {{"x-ibid-cashe", "no-store"}}, theirs[] = {{"x-cache", "?"}};
    struct protocol_error err;
    struct controls c;

    (void)state;
    CHECK_STATUS(ST_INVALID, parse(unknown, 1, &c, &err));
    assert_string_equal(err.param, "x-ibid-cashe");
    CHECK_STATUS(ST_OK, parse(theirs, 1, &c, &err));
}

static void test_wishes_in_the_body(void **state)
{
    static const struct {
        const char *body;
        bool no_cache, no_store, has_ttl, has_max_age;
        bool taken; /* the first member is all understood */
    } cases[] = {
        {"{\"cache\":{\"no-cache\":true,\"ttl\":5}}", true, false, true, false, true},
        {"{\"cache\":{\"no-store\":true,\"s-maxage\":\"5\"}}", false, true, false, true, true},
        {"{\"tensorzero::cache_options\":{\"enabled\":\"off\",\"max_age_s\":1}}", true, true,
         false, true, true},
        {"{\"skip_cache\":true}", true, true, false, false, true},
        {"{\"cache\":{\"use-cache\":false}}", true, true, false, false, true},
        {"{\"cache\":{\"use-cache\":true,\"ttl\":null}}", false, false, false, false, true},
        {"{\"cache\":{}}", false, false, false, false, true},
        {"{\"cache\":{\"no-cache\":false,\"ttl\":-1},\"cache_skip\":1}", false, false, false,
         false, false},
        /* What is understood counts, and what is not is the upstream's to judge. */
        {"{\"cache\":{\"no-store\":true,\"no_cache\":true}}", false, true, false, false, false},
        {"{\"cache\":true}", false, false, false, false, false},
        {"{\"skip_cache\":null}", false, false, false, false, false},
        {"{\"metadata\":{\"no-cache\":true}}", false, false, false, false, false},
        {"{\"no-cache\":true}", false, false, false, false, false},
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct controls c = {0};
        struct protocol_error why;
        struct json_error err;
        struct json *body;

        CHECK_STATUS(ST_OK, json_parse(&arena, span_of(cases[i].body), 8, &body, &err));
        CHECK_STATUS(ST_OK, controls_body_read(body, &c, &why));
        assert_int_equal(controls_body_takes(body->child), cases[i].taken);
        assert_int_equal(c.no_cache, cases[i].no_cache);
        assert_int_equal(c.no_store, cases[i].no_store);
        assert_int_equal(c.has_ttl, cases[i].has_ttl);
        assert_int_equal(c.has_max_age, cases[i].has_max_age);
    }
    arena_release(&arena);
}

static void test_spaces_and_thresholds_of_the_body(void **state)
{
    const char *text = "{\"cache\":{\"namespace\":\"a\",\"type\":\"exact_match\"},"
                       "\"cache_similarity_threshold\":0.97}";
    struct controls c = {0};
    struct protocol_error why;
    struct json_error err;
    struct arena arena;
    struct json *body;

    (void)state;
    arena_init(&arena, 4096, 1 << 20);
    CHECK_STATUS(ST_OK, json_parse(&arena, span_of(text), 8, &body, &err));
    CHECK_STATUS(ST_OK, controls_body_read(body, &c, &why));
    assert_true(span_eq(c.name_space, SPAN("a")) && c.exact_only);
    assert_true(c.has_threshold && c.threshold > 0.96 && c.threshold < 0.98);
    /* A header names one already. */
    CHECK_STATUS(ST_INVALID, controls_body_read(body, &c, &why));
    assert_string_equal(why.param, "cache.namespace");
    CHECK_STATUS(ST_OK, controls_body_read(NULL, &c, &why));
    arena_release(&arena);
}

static void test_whose_headers_go_no_further(void **state)
{
    (void)state;
    assert_true(controls_is_foreign(SPAN("CF-Aig-Skip-Cache")));
    assert_true(controls_is_foreign(SPAN("op-cache")));
    assert_false(controls_is_foreign(SPAN("Cache-Control")));
    assert_false(controls_is_foreign(SPAN("x-ibid-cache")));
    assert_false(controls_is_foreign(SPAN("x-portkey-api-key")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_the_stricter_counts),
        cmocka_unit_test(test_nothing_of_ours_is_ignored),
        cmocka_unit_test(test_wishes_in_the_body),
        cmocka_unit_test(test_spaces_and_thresholds_of_the_body),
        cmocka_unit_test(test_whose_headers_go_no_further),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
