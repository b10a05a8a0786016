/* Whose dialect a path is, served by us or not. */
#include "protocol/protocol.h"

#include "base/buf.h"
#include "check.h"

static void errors_are_spelled_as_clients_of_the_path_read_them(void **state)
{
    static const struct {
        const char *path, *error;
    } cases[] = {
        {"/v1/chat/completions",
         "{\"error\":{\"message\":\"no\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}"},
        {"/v1/files",
         "{\"error\":{\"message\":\"no\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}"},
        {"/api/chat", "{\"error\":\"no\"}"},
        {"/api/tags", "{\"error\":\"no\"}"},
        {"/api/pull", "{\"error\":\"no\"}"},
    };
    const struct protocol_failure f = {502, SPAN("t"), SPAN("c"), {"", 0}, SPAN("no")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;

        buf_init(&out, 4096);
        CHECK_STATUS(ST_OK, protocol_spoken(span_of(cases[i].path))->write_error(&out, &f));
        CHECK_SPAN(span_of(cases[i].error), buf_span(&out));
        buf_release(&out);
    }
}

static void a_path_that_is_only_relayed_has_a_dialect_too(void **state)
{
    (void)state;
    assert_ptr_equal(protocol_spoken(SPAN("/v1/messages")), &anthropic_messages_protocol);
    assert_ptr_equal(protocol_spoken(SPAN("/v1/messages/batches/b/results")),
                     &anthropic_messages_protocol);
    assert_ptr_equal(protocol_spoken(SPAN("/v1/messagesx")), &openai_chat_protocol);
    assert_ptr_equal(protocol_spoken(SPAN("/v1beta/models/m:countTokens")),
                     &gemini_content_protocol);
    assert_ptr_equal(protocol_spoken(SPAN("/api")), &openai_chat_protocol);
    assert_ptr_equal(protocol_spoken((struct span){NULL, 0}), &openai_chat_protocol);
    for (size_t i = 0; protocol_at(i) != NULL; i++)
        assert_non_null(protocol_at(i)->write_error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_spelled_as_clients_of_the_path_read_them),
        cmocka_unit_test(a_path_that_is_only_relayed_has_a_dialect_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
