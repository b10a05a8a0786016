/* Streams of every dialect, in any chunking and with any line end, become the answer that a
 * whole body would have been; and a replayed stream says the same again. One that is cut
 * anywhere is never an answer. The streams are in tests/unit/streams. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "check.h"
#include "protocol/answer.h"
#include "protocol/collector.h"
#include "protocol/protocol.h"

#define STREAMS IBID_SOURCE_DIR "/tests/unit/streams/"
#define LIMIT   (1u << 20)

struct stream {
    const char *dialect, *file;
    enum answer_verdict verdict;
    const char *text;
    uint64_t prompt_tokens, completion_tokens;
};

static const struct stream streams[] = {
    {"openai.chat", "openai_chat.sse", ANSWER_STORABLE, "A small animal.\n\xe4\xb8\xad", 12, 7},
    {"openai.chat", "openai_chat_tool.sse", ANSWER_TOOL_CALL, "I look.", 9, 5},
    {"anthropic.messages", "anthropic_messages.sse", ANSWER_STORABLE,
     "Cats \xe4\xb8\xad purr.\nAll of them.", 35, 40},
    {"anthropic.messages", "anthropic_tool_use.sse", ANSWER_TOOL_CALL, "I look.", 9, 5},
    {"openai.completions", "openai_completions.sse", ANSWER_STORABLE, "Once upon\na time.", 12,
     7},
    {"gemini.stream", "gemini_stream.sse", ANSWER_STORABLE, "hm", 12, 7},
    {"ollama.chat", "ollama_chat.ndjson", ANSWER_STORABLE,
     "Cats \xe4\xb8\xad purr.\nAll of them.", 12, 7},
    {"ollama.chat", "ollama_chat_tool.ndjson", ANSWER_TOOL_CALL, "I look.", 12, 7},
    {"ollama.generate", "ollama_generate.ndjson", ANSWER_STORABLE, "Cats \xe4\xb8\xad purr.",
     12, 7},
    {"openai.responses", "openai_responses.sse", ANSWER_STORABLE,
     "Cats \xe4\xb8\xad purr.\nAll of them.", 35, 40},
    {"openai.responses", "openai_responses_call.sse", ANSWER_TOOL_CALL, "I look.", 9, 5},
};

static struct arena arena;
static char content[1 << 16];

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 65536, 1u << 28);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static const struct protocol *protocol_of(const struct stream *s)
{
    const struct protocol *p = protocol_named(span_of(s->dialect));

    assert_non_null(p);
    return p;
}

static struct span content_of(const struct stream *s)
{
    char name[512];
    FILE *f;
    size_t n;

    snprintf(name, sizeof(name), STREAMS "%s", s->file);
    f = fopen(name, "rb");
    if (f == NULL)
        fail_msg("no %s", name);
    n = fread(content, 1, sizeof(content), f);
    assert_true(n > 0 && n < sizeof(content));
    (void)fclose(f);
    return (struct span){content, n};
}

/* In two pieces, the first of n bytes, and the second in pieces of `size` (0: at once). */
static struct answer collect(const struct protocol *p, struct span s, size_t n, size_t size,
                             bool framed)
{
    struct collector *c;
    struct answer a;

    CHECK_STATUS(ST_OK, collector_open(p, LIMIT, &c));
    collector_feed(c, (struct span){s.ptr, n});
    for (size_t at = n; at < s.len;) {
        size_t take = size == 0 || size > s.len - at ? s.len - at : size;

        collector_feed(c, (struct span){s.ptr + at, take});
        at += take;
    }
    CHECK_STATUS(ST_OK, collector_finish(c, framed, &arena, &a));
    collector_close(c);
    return a;
}

static struct span canonical(struct span json)
{
    struct json_error why;
    struct json *root;
    struct span copy;
    struct buf out;

    CHECK_STATUS(ST_OK, json_parse(&arena, json, 64, &root, &why));
    buf_init(&out, LIMIT);
    CHECK_STATUS(ST_OK, json_write_canonical(&out, root));
    CHECK_STATUS(ST_OK, arena_copy(&arena, buf_span(&out), &copy));
    buf_release(&out);
    return copy;
}

static void check_answer(const struct stream *s, const struct answer *a)
{
    if (a->verdict != s->verdict)
        fail_msg("%s: %s", s->file, answer_verdict_name(a->verdict));
    CHECK_SPAN(span_of(s->text), a->text);
    assert_int_equal(a->prompt_tokens, s->prompt_tokens);
    assert_int_equal(a->completion_tokens, s->completion_tokens);
}

static void test_any_chunking(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const struct stream *s = &streams[i];
        struct span bytes = content_of(s), want = {NULL, 0};

        for (size_t n = 0; n <= bytes.len; n++) {
            struct answer a = collect(protocol_of(s), bytes, n, n % 5, true);

            check_answer(s, &a);
            if (n == 0)
                want = canonical(a.json);
            if (n % 16 == 0)
                CHECK_SPAN(want, canonical(a.json));
        }
    }
}

/* LF as CRLF, as CR, and in turns. */
static void test_any_line_end(void **state)
{
    static const char *const ends[] = {"\r\n", "\r"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const struct stream *s = &streams[i];
        struct span bytes = content_of(s);
        bool lines = protocol_of(s)->framing == FRAMING_LINES;

        for (size_t kind = 0; kind < (lines ? 1 : 3); kind++) {
            struct buf other;
            size_t n = 0;

            buf_init(&other, LIMIT);
            for (size_t k = 0; k < bytes.len; k++) {
                const char *end = kind < 2 ? ends[kind] : ends[n % 2];

                if (bytes.ptr[k] == '\n')
                    n++;
                CHECK_STATUS(ST_OK, bytes.ptr[k] == '\n'
                                        ? buf_append(&other, span_of(end))
                                        : buf_append(&other, (struct span){bytes.ptr + k, 1}));
            }
            for (size_t size = 0; size < 4; size++) {
                struct answer a = collect(protocol_of(s), buf_span(&other), 0, size, true);

                check_answer(s, &a);
            }
            buf_release(&other);
        }
    }
}

/* Where the terminal event has come whole, what is missing is white space. */
static void test_a_cut_is_never_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const struct stream *s = &streams[i];
        struct span bytes = content_of(s);

        for (size_t n = 0; n < bytes.len; n++) {
            struct span part = {bytes.ptr, n};
            struct answer a = collect(protocol_of(s), part, n, 0, true);

            if (a.verdict == ANSWER_STORABLE || a.verdict == ANSWER_TOOL_CALL)
                fail_msg("%s, cut at %zu of %zu: %s", s->file, n, bytes.len,
                         answer_verdict_name(a.verdict));
        }
        assert_int_equal(collect(protocol_of(s), bytes, 0, 0, false).verdict,
                         ANSWER_INCOMPLETE);
    }
}

/* The stream that is replayed, in any number of calls, says all that the first one did. */
static void test_a_replay_says_the_same(void **state)
{
    struct answer_stamp stamp;

    (void)state;
    answer_stamp_new(&stamp, 1795000000000);
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const struct stream *s = &streams[i];
        const struct protocol *p = protocol_of(s);
        struct answer a = collect(p, content_of(s), 0, 0, true), again;
        struct span want = canonical(a.json);

        for (size_t budget = 1; budget < 70000; budget *= 40) {
            size_t cursor = 0, calls = 0;
            bool done = false;
            struct buf out;

            buf_init(&out, LIMIT);
            for (; !done && calls < 10000; calls++)
                CHECK_STATUS(ST_OK, answer_write_stream(p, &out, &a, &stamp, true, &cursor,
                                                        budget, &done));
            assert_true(done);
            assert_true(budget > 1 || calls > 2); /* in pieces, as a stream is */
            again = collect(p, buf_span(&out), 0, 7, true);
            check_answer(s, &again);
            CHECK_SPAN(want, canonical(again.json));
            buf_release(&out);
        }
    }
}

static void test_a_kept_one_reads_again(void **state)
{
    struct answer_stamp stamp;

    (void)state;
    answer_stamp_new(&stamp, 1795000000000);
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const struct stream *s = &streams[i];
        struct answer a = collect(protocol_of(s), content_of(s), 0, 0, true), kept, again;
        struct buf packed, out;

        buf_init(&packed, LIMIT);
        buf_init(&out, LIMIT);
        CHECK_STATUS(ST_OK, answer_pack(&packed, &a));
        CHECK_STATUS(ST_OK, answer_unpack(buf_span(&packed), &kept));
        CHECK_STATUS(ST_OK, answer_write(&out, &kept, &stamp));
        CHECK_STATUS(ST_OK, answer_read(protocol_of(s), &arena, buf_span(&out), &again));
        check_answer(s, &again);
        for (size_t n = 0; n < packed.len; n += 1 + n / 64)
            CHECK_STATUS(ST_INVALID, answer_unpack((struct span){packed.ptr, n}, &kept));
        buf_release(&packed);
        buf_release(&out);
    }
}

/* --- what a stream must not be ---------------------------------------------------------------
 */

#define EV(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                  \
    EV("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"        \
                        "\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,"   \
                        "\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}")
#define TEXT0                                                                                  \
    EV("content_block_start",                                                                  \
       ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")                     \
    EV("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"      \
                              "\"x\"}")
#define STOP0 EV("content_block_stop", ",\"index\":0")
#define END(why)                                                                               \
    EV("message_delta", ",\"delta\":{\"stop_reason\":\"" why "\",\"stop_sequence\":null},"     \
                        "\"usage\":{\"output_tokens\":2}")
#define CALL0                                                                                  \
    EV("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":"  \
                              "\"t\",\"name\":\"f\",\"input\":{}}")
#define MESSAGE_STOP EV("message_stop", "")

static void test_verdicts_of_messages(void **state)
{
    static const struct {
        const char *text;
        enum answer_verdict verdict;
    } cases[] = {
        {START TEXT0 STOP0 END("end_turn") MESSAGE_STOP, ANSWER_STORABLE},
        {START TEXT0 STOP0 END("stop_sequence") MESSAGE_STOP, ANSWER_STORABLE},
        {START TEXT0 STOP0 END("max_tokens") MESSAGE_STOP, ANSWER_TRUNCATED},
        {START TEXT0 STOP0 END("refusal") MESSAGE_STOP, ANSWER_REFUSED},
        {START TEXT0 STOP0 END("pause_turn") MESSAGE_STOP, ANSWER_INCOMPLETE},
        {START TEXT0 STOP0 END("tool_use") MESSAGE_STOP, ANSWER_TOOL_CALL},
        {START CALL0 STOP0 END("tool_use") MESSAGE_STOP, ANSWER_TOOL_CALL},
        {START CALL0 STOP0 END("max_tokens") MESSAGE_STOP, ANSWER_TRUNCATED},
        {START TEXT0 STOP0 MESSAGE_STOP, ANSWER_INCOMPLETE},
        {START TEXT0 END("end_turn") MESSAGE_STOP, ANSWER_INCOMPLETE},
        {START END("end_turn") MESSAGE_STOP, ANSWER_EMPTY},
        {TEXT0 STOP0 END("end_turn") MESSAGE_STOP, ANSWER_MALFORMED},
        {START TEXT0 STOP0 START END("end_turn") MESSAGE_STOP, ANSWER_MALFORMED},
        {START TEXT0 STOP0 TEXT0 END("end_turn") MESSAGE_STOP, ANSWER_MALFORMED},
        {START TEXT0 STOP0 END("end_turn") MESSAGE_STOP MESSAGE_STOP, ANSWER_MALFORMED},
        {START TEXT0 EV("error", ",\"error\":{\"type\":\"overloaded_error\"}"), ANSWER_ERROR},
        {START TEXT0 STOP0 EV("new_kind", "") END("end_turn") MESSAGE_STOP, ANSWER_UNKNOWN},
        {START TEXT0 EV("content_block_delta",
                        ",\"index\":0,\"delta\":{\"type\":\"new_delta\"}") STOP0 END("end_turn")
             MESSAGE_STOP,
         ANSWER_UNKNOWN},
        {START EV("content_block_start",
                  ",\"index\":0,\"content_block\":{\"type\":\"tool_use\","
                  "\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
             EV("content_block_delta",
                ",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}")
                 STOP0 END("tool_use") MESSAGE_STOP,
         ANSWER_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t n = 0; n < 4; n++) {
            struct answer a =
                collect(&anthropic_messages_protocol, span_of(cases[i].text), 0, n, true);

            if (a.verdict != cases[i].verdict)
                fail_msg("case %zu: want %s, got %s", i, answer_verdict_name(cases[i].verdict),
                         answer_verdict_name(a.verdict));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_chunking, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_line_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cut_is_never_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replay_says_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_kept_one_reads_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verdicts_of_messages, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
