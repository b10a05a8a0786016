/* Whether a value is valid of a schema: by cases of each keyword, some of them after the JSON
 * Schema test suite. */
#include "base/arena.h"
#include "base/json.h"
#include "check.h"
#include "protocol/json_schema.h"

#define V JSON_SCHEMA_VALID
#define I JSON_SCHEMA_INVALID
#define U JSON_SCHEMA_UNSURE

static const struct {
    const char *schema, *value;
    enum json_schema_verdict is;
} cases[] = {
    {"true", "1", V},
    {"false", "1", I},
    {"{}", "null", V},
    {"{\"type\":\"integer\"}", "1.0", V},
    {"{\"type\":\"integer\"}", "1.5", I},
    {"{\"type\":\"number\"}", "\"1\"", I},
    {"{\"type\":[\"string\",\"null\"]}", "null", V},
    {"{\"type\":[\"string\",\"null\"]}", "0", I},
    {"{\"type\":\"string\",\"nullable\":true}", "null", V},
    {"{\"enum\":[1,\"a\",{\"x\":[1]}]}", "{\"x\":[1.0]}", V},
    {"{\"enum\":[1,\"a\"]}", "\"b\"", I},
    {"{\"const\":\"\\u00e9\"}", "\"\xc3\xa9\"", V},
    {"{\"const\":1}", "true", I},
    {"{\"required\":[\"a\",\"b\"]}", "{\"a\":1}", I},
    {"{\"required\":[\"a\"]}", "[]", V},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}", I},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"b\":1}", V},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1,\"b\":2}", I},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"null\"}}",
     "{\"a\":1,\"b\":null}", V},
    {"{\"additionalProperties\":false,\"patternProperties\":{\"^b\":{}}}", "{\"b\":2}", U},
    {"{\"minProperties\":1}", "{}", I},
    {"{\"maxProperties\":1}", "{\"a\":1,\"b\":2}", I},
    {"{\"items\":{\"type\":\"string\"}}", "[\"a\",1]", I},
    {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"null\"}}", "[\"a\",null]",
     V},
    {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}", "[\"a\",null]", I},
    {"{\"items\":[{\"type\":\"string\"}]}", "[1]", U},
    {"{\"minItems\":2}", "[1]", I},
    {"{\"maxItems\":2}", "[1,2,3]", I},
    {"{\"maxLength\":2}", "\"\xc3\xa9\xe4\xb8\xad\"", V}, /* characters, not bytes */
    {"{\"maxLength\":1}", "\"\xc3\xa9\xe4\xb8\xad\"", I},
    {"{\"minLength\":1}", "\"\"", I},
    {"{\"minimum\":3}", "3", V},
    {"{\"minimum\":3}", "2.9", I},
    {"{\"exclusiveMinimum\":3}", "3", I},
    {"{\"maximum\":3}", "3.1", I},
    {"{\"exclusiveMaximum\":3}", "3", I},
    {"{\"maximum\":3,\"exclusiveMaximum\":true}", "3", U}, /* draft 4 */
    {"{\"multipleOf\":5}", "10", V},
    {"{\"multipleOf\":5}", "11", I},
    {"{\"multipleOf\":0.1}", "0.3", U}, /* not to be told by doubles */
    {"{\"allOf\":[{\"type\":\"string\"},{\"maxLength\":1}]}", "\"ab\"", I},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null", V},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1", I},
    {"{\"anyOf\":[{\"pattern\":\"x\"},{\"type\":\"null\"}]}", "\"y\"", U},
    {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "3", I},
    {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "1", V},
    {"{\"oneOf\":[{\"pattern\":\"x\"},{\"type\":\"string\"}]}", "\"y\"", U},
    {"{\"not\":{\"type\":\"string\"}}", "\"y\"", I},
    {"{\"not\":{\"pattern\":\"x\"}}", "\"y\"", U},
    {"{\"pattern\":\"x\",\"type\":\"null\"}", "\"y\"", I}, /* whatever the pattern says */
    {"{\"format\":\"email\"}", "\"y\"", V},
    {"{\"$ref\":\"#/$defs/a~1b\",\"$defs\":{\"a/b\":{\"type\":\"null\"}}}", "1", I},
    {"{\"$ref\":\"#/$defs/list/1\",\"$defs\":{\"list\":[{},{\"type\":\"null\"}]}}", "1", I},
    {"{\"$ref\":\"#/nowhere\"}", "1", U},
    {"{\"$ref\":\"https://x.example/schema\"}", "1", U},
    {"{\"$ref\":\"#anchor\"}", "1", U},
    {"{\"$ref\":\"#\"}", "1", U}, /* without end */
    {"{\"properties\":{\"n\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
     "{\"n\":{\"n\":{\"m\":1}}}", I},
    {"{\"properties\":{\"n\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
     "{\"n\":{\"n\":{}}}", V},
    {"[]", "1", U},
};

static struct json *parsed(struct arena *a, const char *text)
{
    struct json_error why;
    struct json *v;

    CHECK_STATUS(ST_OK, json_parse(a, span_of(text), 64, &v, &why));
    return v;
}

static void each_keyword(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a;
        enum json_schema_verdict is;

        arena_init(&a, 4096, 1 << 20);
        is = json_schema_check(parsed(&a, cases[i].schema), parsed(&a, cases[i].value));
        if (is != cases[i].is)
            fail_msg("%s of %s: %d", cases[i].value, cases[i].schema, (int)is);
        arena_release(&a);
    }
}

/* Alternatives of alternatives: what would take long is left open. */
static void the_work_is_bounded(void **state)
{
    struct arena a;
    struct buf text;

    (void)state;
    arena_init(&a, 4096, 1 << 24);
    buf_init(&text, 1 << 20);
    CHECK_STATUS(ST_OK, buf_printf(&text, "{\"$defs\":{\"n0\":{\"type\":\"null\"}"));
    for (int i = 1; i <= 40; i++)
        CHECK_STATUS(ST_OK,
                     buf_printf(&text,
                                ",\"n%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/n%d\"},{\"$ref\":"
                                "\"#/$defs/n%d\"}]}",
                                i, i - 1, i - 1));
    CHECK_STATUS(ST_OK, buf_printf(&text, "},\"$ref\":\"#/$defs/n40\"}%c", 0));
    assert_int_equal(U, json_schema_check(parsed(&a, text.ptr), parsed(&a, "1")));
    buf_release(&text);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_keyword),
        cmocka_unit_test(the_work_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
