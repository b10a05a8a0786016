/* Texts that a schema lets through and texts that it does not, and random ones: from wherever
 * they come there is an end. That they are valid is checked by a validator, end to end
 * (tests/e2e/test_structured.py). */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/json.h"
#include "check.h"
#include "engine/schema/schema.h"

static enum status open_schema(const char *text, struct schema **out, struct schema_error *why)
{
    struct arena arena;
    struct json *json = NULL;
    struct json_error err;
    enum status st;

    arena_init(&arena, 4096, 1024 * 1024);
    CHECK_STATUS(ST_OK, json_parse(&arena, span_of(text), JSON_DEPTH_MAX, &json, &err));
    st = schema_open(json, out, why);
    arena_release(&arena);
    return st;
}

static struct schema *need(const char *text)
{
    struct schema_error why;
    struct schema *s;

    if (open_schema(text, &s, &why) != ST_OK)
        fail_msg("%s: %s", text, why.text);
    return s;
}

enum verdict { NO, BEGINS, WHOLE }; /* BEGINS: it may go on, and is not whole */

static enum verdict judge(const struct schema *s, const char *text)
{
    enum verdict v = BEGINS;
    struct schema_walk *w;

    CHECK_STATUS(ST_OK, schema_walk_open(s, &w));
    if (text[0] != '\0' && !schema_walk_may(w, span_of(text)))
        v = NO;
    else
        schema_walk_go(w, span_of(text));
    if (v == BEGINS && schema_walk_may_end(w))
        v = WHOLE;
    schema_walk_close(w);
    return v;
}

static const struct {
    const char *schema;
    const char *whole[8], *begins[6], *no[10];
} table[] = {
    {"{\"type\":\"boolean\"}",
     {"true", "false"},
     {"", "t", "fals"},
     {"x", "true ", "truefalse", "null"}},
    {"{\"enum\":[1,12,\"a\",null,{\"b\":[]}]}",
     {"1", "12", "\"a\"", "null", "{\"b\":[]}"},
     {"n", "\"", "{"},
     {"2", "13", "\"b\"", "{ ", "122"}},
    {"{\"const\":\"\\u00e9\\\"\"}", {"\"\xc3\xa9\\\"\""}, {"\"\xc3"}, {"\"e"}},
    {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":120}",
     {"0", "-3", "120", "99", "7", "-0"},
     {"-"},
     {"-4", "121", "1200", "01", "1.0", "+1", "200"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":9,\"exclusiveMaximum\":12.5,\"multipleOf\":2}",
     {"10", "12"},
     {"1"},
     {"9", "11", "2", "0", "-", "14"}},
    {"{\"type\":\"number\",\"minimum\":0.25,\"exclusiveMaximum\":0.5}",
     {"0.25", "0.3", "0.499"},
     {"0", "0.", "0.2"},
     {"0.5", "0.24", "1", "-", "0.6"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}",
     {"1", "0.5", "1.0"},
     {"0", "0.", "0.00000000000"},
     {"0.000000000000", "2", "1.1", "-", "1e0"}},
    {"{\"type\":\"number\",\"multipleOf\":0.05,\"maximum\":1e2,\"minimum\":99}",
     {"99", "99.05", "100", "99.5"},
     {"9", "99."},
     {"99.01", "101", "8", "99.051"}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"\xe2\x82\xac\\n\\u00e9\"", "\"\\\"\\\\\\/\""},
     {"\"", "\"a", "\"ab", "\"\\u0", "\"\xe2\x82"},
     {"\"a\"", "\"abcd", "\"\\x", "\"\xff", "\"\n", "\"\\ud8", "\"\xed\xa0", "\"\xc0",
      "\"\xf4\x90"}},
    {"{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d{3,4}$\"}",
     {"\"AB-123\"", "\"AB-1234\""},
     {"\"A", "\"AB-12"},
     {"\"a", "\"AB-12\"", "\"AB-12345", "\"A\""}},
    {"{\"type\":\"string\",\"pattern\":\"b+|^\\\"[^x]$\"}",
     {"\"b\"", "\"abbc\"", "\"\\\"y\"", "\"\\\"\xf0\x9f\x98\x80\"", "\"\\\"\\n\""},
     {"\"a", "\"\\\"", "\"\\\"x"},
     {"\"a\"", "\"\\\"x\"", "\"\n", "\"\\\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^([\\u00e0-\\u00ff]|\\ud7ff|[^\\\\u0000-\\\\uffff])?$"
     "\"}",
     {"\"\"", "\"\xc3\xa0\"", "\"\xc3\xbf\"", "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\""},
     {"\"", "\"\xc3", "\"\xf1\x80\x80"},
     {"\"\xc3\x9f", "\"\xc4", "\"a", "\"\xe2"}},
    {"{\"type\":\"string\",\"format\":\"date-time\"}",
     {"\"2024-02-28T23:59:59Z\"", "\"1999-12-01T00:00:00.5+02:00\""},
     {"\"20", "\"2024-02-28T23:59:59"},
     {"\"2024-13", "\"0", "\"2024-02-30", "\"2024-02-28T24", "\"2024-02-28 "}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}",
     {"[null]", "[null,null]", "[ null, null ]", "[\n    null\n]"},
     {"[", "[null", "[null,"},
     {"[]", "[null,]", "[null,null,", "[\tnull", "[  ", "[\n\n", "[,"}},
    {"{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"boolean\"}],\"items\":false}",
     {"[]", "[1]", "[1,true]"},
     {"[", "[1,"},
     {"[true", "[1,2", "[1,true,"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"ab\":{\"type\":"
     "\"null\"},"
     "\"c\":{\"type\":\"boolean\"}},\"required\":[\"ab\"],\"additionalProperties\":false}",
     {"{\"ab\":null}", "{\"a\":1,\"ab\":null}", "{\"ab\": null, \"c\": true}",
      "{\n  \"ab\": null\n}"},
     {"{", "{\"", "{\"a", "{\"a\":12", "{\"ab\":null"},
     {"{}", "{\"c", "{\"a\":1}", "{\"ab\":null ,", "{\"ab\":null,\"a",
      "{\"ab\" :", "{\"ab\":null,\"c\":true,"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"x\":1}", "{\"x\":1,\"\":2}"},
     {"{\"x\":1", "{\"x"},
     {"{\"x\":null", "{1", "{\"x\":1,}"}},
    {"{\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
     {"{\"b\":7}", "{\"a\":null,\"b\":[{}]}"},
     {"{"},
     {"{}", "{\"a\":null}"}},
    {"{\"type\":[\"integer\",\"boolean\"],\"enum\":[7,true]}", {"7", "true"}, {"t"}, {"8"}},
    {"{\"type\":[\"string\",\"null\"]}", {"null", "\"\""}, {"\"x"}, {"1", "true"}},
    {"{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{\"type\":"
     "\"integer\"}},"
     "\"required\":[\"k\",\"x\"]},{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"ab\"}"
     ","
     "\"y\":{\"type\":\"boolean\"}},\"required\":[\"k\",\"y\"]}]}",
     {"{\"k\":\"a\",\"x\":1}", "{\"k\":\"ab\",\"y\":true}"},
     {"{\"k\":\"a", "{\"k\":\"a\"", "{\"k\":\"ab\",\""},
     {"{\"k\":\"a\",\"y", "{\"k\":\"ab\",\"x", "{\"k\":\"b"}},
    {"{\"$ref\":\"#/$defs/"
     "n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},"
     "\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
     "n\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"next\"]}}}",
     {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
     {"{\"v\":1,\"next\":{"},
     {"{\"v\":1,\"next\":1", "{\"v\":1}", "{\"next"}},
    {"true", {"null", "[1,\"a\",{\"b\":{}}]", "-1.5"}, {"["}, {"nul1", "1e5", " 1"}},
    {"{\"nullable\":true,\"type\":\"integer\"}", {"null", "3"}, {"nu"}, {"true"}},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"},{\"enum\":[true]}]}",
     {"1", "\"a\"", "true"},
     {"t"},
     {"false", "null"}},
};

static void texts_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct schema *s = need(table[i].schema);

        for (size_t k = 0; k < 8 && table[i].whole[k] != NULL; k++) {
            if (judge(s, table[i].whole[k]) != WHOLE)
                fail_msg("%s should hold for %s", table[i].schema, table[i].whole[k]);
        }
        for (size_t k = 0; k < 6 && table[i].begins[k] != NULL; k++) {
            if (judge(s, table[i].begins[k]) != BEGINS)
                fail_msg("%s should begin with %s", table[i].schema, table[i].begins[k]);
        }
        for (size_t k = 0; k < 10 && table[i].no[k] != NULL; k++) {
            enum verdict v = judge(s, table[i].no[k]);

            if (v == WHOLE || (v == BEGINS && strcmp(table[i].no[k], "{}") != 0))
                fail_msg("%s should not hold for %s", table[i].schema, table[i].no[k]);
        }
        schema_close(s);
    }
}

static uint64_t seed = 1;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* Some bytes that may follow, chosen at random; then the shortest way to an end. */
static void write_at_random(const struct schema *s, struct buf *out)
{
    struct schema_walk *w;
    uint32_t steps = random_below(60);
    size_t from;

    CHECK_STATUS(ST_OK, schema_walk_open(s, &w));
    while (steps-- > 0 && !schema_walk_must_end(w)) {
        char may[256];
        uint32_t n = 0;

        for (unsigned b = 0; b < 256; b++) {
            char c = (char)b;

            if (schema_walk_may(w, (struct span){&c, 1}))
                may[n++] = c;
        }
        if (n == 0 && !schema_walk_may_end(w))
            fail_msg("no way on from %.*s", (int)out->len, out->ptr);
        if (n == 0)
            break;
        may[0] = may[random_below(n)];
        schema_walk_go(w, (struct span){may, 1});
        CHECK_STATUS(ST_OK, buf_append(out, (struct span){may, 1}));
    }
    from = out->len;
    CHECK_STATUS(ST_OK, schema_walk_ending(w, out));
    if (out->len > from) {
        const struct span rest = {out->ptr + from, out->len - from};

        if (!schema_walk_may(w, rest))
            fail_msg("the end is none: %.*s | %.*s", (int)from, out->ptr, (int)rest.len,
                     rest.ptr);
        schema_walk_go(w, rest);
    }
    assert_true(schema_walk_may_end(w));
    schema_walk_close(w);
}

static void from_anywhere_there_is_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct schema *s = need(table[i].schema);

        for (unsigned k = 0; k < 60; k++) {
            struct buf text;
            struct arena arena;
            struct json *json;
            struct json_error err;

            buf_init(&text, 1024 * 1024);
            write_at_random(s, &text);
            arena_init(&arena, 4096, 1024 * 1024);
            /* A key may come twice where any may: that much a validator does not mind. */
            if (json_parse(&arena, buf_span(&text), JSON_DEPTH_MAX, &json, &err) != ST_OK &&
                strstr(err.text, "duplicate") == NULL)
                fail_msg("%s: %.*s: %s", table[i].schema, (int)text.len, text.ptr, err.text);
            arena_release(&arena);
            buf_release(&text);
        }
        schema_close(s);
    }
}

static void what_is_not_supported_is_named(void **state)
{
    static const char *const list[][2] = {
        {"{\"type\":\"array\",\"uniqueItems\":true}", "'uniqueItems'"},
        {"{\"properties\":{\"a\":{\"not\":{}}}}", "'not' at #/properties/a"},
        {"{\"type\":\"strin\"}", "'type'"},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "looks around"},
        {"{\"type\":\"string\",\"pattern\":\"a\\\\b\"}", "'pattern'"},
        {"{\"type\":\"string\",\"pattern\":\"(a\"}", "group"},
        {"{\"type\":\"string\",\"pattern\":\"^a\",\"maxLength\":3}", "'pattern'"},
        {"{\"type\":\"string\",\"pattern\":\"^[\\u0001]$\"}", "no text"},
        {"{\"type\":\"string\",\"pattern\":\"^(a{1,900}){1,900}$\"}", "too large"},
        {"{\"type\":\"string\",\"format\":\"colour\"}", "'format'"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "no number"},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":2,\"exclusiveMaximum\":3}", "no number"},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "'maxLength'"},
        {"{\"type\":\"array\",\"items\":false,\"minItems\":1}", "'minItems'"},
        {"{\"enum\":[]}", "'enum'"},
        {"{\"type\":\"string\",\"enum\":[1,\"a\"]}", "'type'"},
        {"{\"type\":\"object\",\"anyOf\":[{\"type\":\"null\"}]}", "'type'"},
        {"{\"type\":\"array\",\"minItems\":4000000000}", "no valid text"},
        {"{\"$ref\":\"#/$defs/x\"}", "'$ref'"},
        {"{\"$ref\":\"https://example.com/a\"}", "'$ref'"},
        {"{\"prefixItems\":[true,{\"$ref\":\"#/prefixItems/!\"}]}", "'$ref'"},
        {"{\"allOf\":[{},{}]}", "'allOf'"},
        {"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"string\"}]}", "'oneOf'"},
        {"{\"anyOf\":[{}],\"type\":\"string\",\"minLength\":1}", "'anyOf'"},
        {"{\"properties\":{\"a\":7}}", "must be a schema"},
        {"{\"properties\":{},\"required\":[\"a\"],\"additionalProperties\":false}",
         "'required'"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", "no valid text"},
        {"{\"anyOf\":[{\"$ref\":\"#\"}]}", "no valid text"},
        {"[]", "must be a schema"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct schema_error why;
        struct schema *s;

        if (open_schema(list[i][0], &s, &why) == ST_OK)
            fail_msg("%s was not refused", list[i][0]);
        assert_null(s);
        if (strstr(why.text, list[i][1]) == NULL)
            fail_msg("%s: %s", list[i][0], why.text);
    }
}

static void each_format_can_be_written(void **state)
{
    static const char *const list[] = {"date",  "time",     "date-time", "duration", "uuid",
                                       "email", "hostname", "ipv4",      "ipv6",     "uri"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        char text[64];
        struct schema *s;

        (void)snprintf(text, sizeof(text), "{\"type\":\"string\",\"format\":\"%s\"}", list[i]);
        s = need(text);
        for (unsigned k = 0; k < 50; k++) {
            struct buf out;

            buf_init(&out, 4096);
            write_at_random(s, &out);
            assert_true(out.len > 2 && out.ptr[0] == '"' && out.ptr[out.len - 1] == '"');
            buf_release(&out);
        }
        schema_close(s);
    }
}

static void nesting_ends_where_there_is_no_more_room(void **state)
{
    struct schema *s = need("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}");
    struct schema_walk *w;
    unsigned depth = 0;

    (void)state;
    CHECK_STATUS(ST_OK, schema_walk_open(s, &w));
    while (schema_walk_may(w, SPAN("["))) {
        schema_walk_go(w, SPAN("["));
        depth++;
    }
    assert_int_equal(48, depth);
    for (; depth > 0; depth--) {
        assert_true(schema_walk_may(w, SPAN("]")));
        schema_walk_go(w, SPAN("]"));
    }
    assert_true(schema_walk_must_end(w));
    schema_walk_close(w);
    schema_close(s);
}

static void a_step_back_is_one(void **state)
{
    struct schema *s = need("{\"type\":\"string\"}");
    struct schema_walk *w;

    (void)state;
    CHECK_STATUS(ST_OK, schema_walk_open(s, &w));
    schema_walk_go(w, SPAN("\"a"));
    schema_walk_go(w, SPAN("b\""));
    assert_true(schema_walk_must_end(w));
    schema_walk_back(w);
    assert_false(schema_walk_may_end(w));
    assert_true(schema_walk_may(w, SPAN("c\"")));
    schema_walk_close(w);
    schema_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_told_apart),
        cmocka_unit_test(from_anywhere_there_is_an_end),
        cmocka_unit_test(what_is_not_supported_is_named),
        cmocka_unit_test(each_format_can_be_written),
        cmocka_unit_test(nesting_ends_where_there_is_no_more_room),
        cmocka_unit_test(a_step_back_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
