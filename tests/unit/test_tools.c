/* What a request says of functions, as the built-in model needs it. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "check.h"
#include "protocol/protocol.h"
#include "protocol/tools.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 1 << 22);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct chat_request decoded(const struct protocol *p, const char *path, const char *body)
{
    struct protocol_request in = {
        .path = span_of(path), .body = span_of(body), .depth_max = 32};
    struct protocol_error err;
    struct chat_request q;

    CHECK_STATUS(ST_OK, p->decode(&arena, &in, &q, &err));
    return q;
}

static struct chat_request chat(const char *rest)
{
    char body[4096];

    snprintf(body, sizeof(body),
             "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],%s}", rest);
    return decoded(&openai_chat_protocol, "/v1/chat/completions", body);
}

static const char *written(const struct json *v)
{
    static char text[4096];
    struct buf out;

    buf_init(&out, sizeof(text) - 1);
    CHECK_STATUS(ST_OK, json_write(&out, v));
    memcpy(text, out.ptr, out.len);
    text[out.len] = '\0';
    buf_release(&out);
    return text;
}

static const char *schema_of(const struct chat_request *q)
{
    const struct json *schema;

    CHECK_STATUS(ST_OK, tools_schema(&arena, q, &schema));
    return written(schema);
}

static struct protocol_call call_of(const struct chat_request *q, const char *text)
{
    struct protocol_call call = {.name = {NULL, 0}};

    CHECK_STATUS(ST_OK, tools_call(&arena, q, span_of(text), &call));
    return call;
}

#define F "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":" F_SCH "}}"
#define F_SCH                                                                                  \
    "{\"$defs\":{\"n\":{\"type\":\"null\"}},\"properties\":{\"a\":{\"$ref\":\"#/$defs/n\"}}}"
#define G "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"description\":\"Does g.\"}}"
#define EMPTY                                                                                  \
    "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":"                      \
    "{\"type\":\"object\",\"properties\":{}}}}"
#define OTHER "{\"type\":\"custom\",\"custom\":{\"name\":\"h\"}}"
#define NONE  "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"

static void a_named_one_is_its_own_schema(void **state)
{
    struct chat_request q =
        chat("\"tools\":[" G "," F
             "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}");
    struct protocol_call call;

    (void)state;
    assert_true(q.must_call_tool);
    assert_int_equal(q.tool_count, 1);
    assert_null(q.unsupported);
    assert_string_equal(schema_of(&q), F_SCH);
    call = call_of(&q, "{\"a\":null}");
    assert_true(span_eq(call.name, SPAN("f")));
    assert_true(span_eq(call.arguments, SPAN("{\"a\":null}")));
}

/* References are from the root, which is another one then. */
static void several_are_alternatives(void **state)
{
    struct chat_request q =
        chat("\"tools\":[" F "," OTHER "," G "],\"tool_choice\":\"required\"");
    struct protocol_call call;

    (void)state;
    assert_int_equal(q.tool_count, 2);
    assert_string_equal(
        schema_of(&q),
        "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"f\"},"
        "\"arguments\":{\"$defs\":{\"n\":{\"type\":\"null\"}},\"properties\":{\"a\":{\"$ref\":"
        "\"#/anyOf/0/properties/arguments/$defs/n\"}}}},\"required\":[\"name\",\"arguments\"],"
        "\"additionalProperties\":false},"
        "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"g\"},\"arguments\":" NONE
        "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}]}");
    call = call_of(&q, "{\"name\": \"g\", \"arguments\": { }}");
    assert_true(span_eq(call.name, SPAN("g")));
    assert_true(span_eq(call.arguments, SPAN("{}")));
}

/* Generators write an object with nothing in it. */
static void one_without_parameters_takes_none(void **state)
{
    static const char *const forms[] = {
        G,
        "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":{}}}",
        EMPTY,
        "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":null}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        char rest[512];
        struct chat_request q;

        snprintf(rest, sizeof(rest), "\"tools\":[%s],\"tool_choice\":\"required\"", forms[i]);
        q = chat(rest);
        assert_string_equal(schema_of(&q), NONE);
    }
}

static void other_dialects(void **state)
{
    struct chat_request q;

    (void)state;
    q = decoded(
        &anthropic_messages_protocol, "/v1/messages",
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"x\"}],\"tools\":[{\"name\":\"f\",\"input_schema\":" F_SCH
        "},{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],"
        "\"tool_choice\":{\"type\":\"any\"}}");
    assert_int_equal(q.tool_count, 1);
    assert_string_equal(schema_of(&q), F_SCH);
    q = decoded(&openai_responses_protocol, "/v1/responses",
                "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":"
                "\"f\",\"parameters\":" F_SCH
                "}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}");
    assert_int_equal(q.tool_count, 1);
    assert_string_equal(schema_of(&q), F_SCH);
}

static void what_is_not_there_is_said(void **state)
{
    struct chat_request q;

    (void)state;
    q = chat("\"tools\":[" OTHER "],\"tool_choice\":\"required\"");
    assert_non_null(q.unsupported);
    q = chat("\"tools\":[" F
             "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}");
    assert_non_null(q.unsupported);
    q = chat("\"tools\":[" F "],\"tool_choice\":\"auto\"");
    assert_false(q.must_call_tool);
    assert_null(q.unsupported);
}

static void the_model_is_told(void **state)
{
    struct chat_request q = chat("\"tools\":[" F "," G "],\"tool_choice\":\"required\"");
    struct span told;
    char text[2048];

    (void)state;
    CHECK_STATUS(ST_OK, tools_prompt(&arena, &q, &told));
    snprintf(text, sizeof(text), "%.*s", (int)told.len, told.ptr);
    assert_non_null(strstr(text, "g: Does g."));
    assert_non_null(strstr(text, F_SCH));
}

static void a_call_that_was_cut_is_none(void **state)
{
    struct chat_request one = chat("\"tools\":[" F "],\"tool_choice\":\"required\"");
    struct chat_request two = chat("\"tools\":[" F "," G "],\"tool_choice\":\"required\"");
    struct protocol_call call;

    (void)state;
    CHECK_STATUS(ST_INVALID, tools_call(&arena, &one, SPAN("{\"a\":nu"), &call));
    CHECK_STATUS(ST_INVALID, tools_call(&arena, &two, SPAN("{\"name\":\"f\""), &call));
    CHECK_STATUS(ST_INVALID, tools_call(&arena, &two, SPAN("{\"name\":\"f\"}"), &call));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_named_one_is_its_own_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(several_are_alternatives, setup, teardown),
        cmocka_unit_test_setup_teardown(one_without_parameters_takes_none, setup, teardown),
        cmocka_unit_test_setup_teardown(other_dialects, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(the_model_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_that_was_cut_is_none, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
