/* How many tokens a conversation has: what of the request a model here is given, and the
 * answer. */
#include "base/arena.h"
#include "check.h"
#include "protocol/answer.h"
#include "protocol/protocol.h"

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

static enum status decode(const char *body, struct chat_request *q, struct protocol_error *err)
{
    struct protocol_request in = {
        .path = SPAN("/v1/messages/count_tokens"), .body = span_of(body), .depth_max = 32};

    return anthropic_count_protocol.decode(&arena, &in, q, err);
}

static void test_the_conversation_is_read(void **state)
{
    struct protocol_error err;
    struct chat_request q;

    (void)state;
    CHECK_STATUS(ST_OK,
                 decode("{\"model\":\"m\",\"system\":\"s\",\"messages\":["
                        "{\"role\":\"user\",\"content\":\"a\"},"
                        "{\"role\":\"assistant\",\"content\":\"b\"},"
                        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"}]}],"
                        "\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
                        "\"tool_choice\":{\"type\":\"any\"}}",
                        &q, &err));
    assert_int_equal(q.turn_count, 4);
    CHECK_SPAN(SPAN("system"), q.turns[0].role);
    CHECK_SPAN(SPAN("c"), q.turns[3].text);
    assert_true(q.must_call_tool);
    assert_int_equal(q.tool_count, 1);
}

/* An answer to these is not reused; a count is. */
static void test_a_count_is_reused_where_an_answer_is_not(void **state)
{
    struct protocol_error err;
    struct chat_request q;

    (void)state;
    CHECK_STATUS(
        ST_OK, decode("{\"model\":\"m\",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
                      "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                      "\"tool_use_id\":\"t\",\"content\":\"rain\"}]}]}",
                      &q, &err));
    assert_false(q.has_tools);
    assert_false(q.has_tool_turns);
    assert_false(q.ends_in_tool_result);
    assert_false(q.has_state);
}

static void test_what_is_no_conversation_is_refused_by_name(void **state)
{
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{\"model\":\"m\"}", "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct protocol_error err;
        struct chat_request q;

        CHECK_STATUS(ST_INVALID, decode(cases[i].body, &q, &err));
        assert_string_equal(err.param, cases[i].param);
    }
}

static void test_the_answer_is_one_that_may_be_kept(void **state)
{
    struct answer a;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    CHECK_STATUS(ST_OK, anthropic_count_protocol.write_count(&out, 1234));
    CHECK_SPAN(SPAN("{\"input_tokens\":1234}"), buf_span(&out));
    CHECK_STATUS(ST_OK, answer_read(&anthropic_count_protocol, &arena, buf_span(&out), &a));
    assert_int_equal(a.verdict, ANSWER_STORABLE);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_conversation_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_count_is_reused_where_an_answer_is_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_conversation_is_refused_by_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_answer_is_one_that_may_be_kept, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
