/* An answer whole, as a stream, kept and replayed: whichever way it came, it is the same. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "check.h"
#include "protocol/answer.h"
#include "protocol/collector.h"
#include "protocol/protocol.h"

#define EVENT(choice)                                                                          \
    "data: {\"id\":\"u\",\"model\":\"m\",\"system_fingerprint\":\"f\",\"choices\":[" choice    \
    "]}\n\n"
#define DELTA(d) EVENT("{\"index\":0,\"delta\":{" d "},\"finish_reason\":null}")
#define STOP     EVENT("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"stop_reason\":7}")
#define DONE     "data: [DONE]\n\n"

static const struct protocol *const openai = &openai_chat_protocol;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 1 << 24);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

/* In pieces of n bytes; 0: at once. */
static struct answer collect(const char *text, size_t n, bool framed)
{
    struct span s = span_of(text);
    struct collector *c;
    struct answer a;

    CHECK_STATUS(ST_OK, collector_open(openai, 65536, &c));
    while (s.len > 0) {
        size_t take = n == 0 || n > s.len ? s.len : n;

        collector_feed(c, (struct span){s.ptr, take});
        s.ptr += take;
        s.len -= take;
    }
    CHECK_STATUS(ST_OK, collector_finish(c, framed, &arena, &a));
    collector_close(c);
    return a;
}

static struct json *parse(struct span text)
{
    struct json_error err;
    struct json *v;

    CHECK_STATUS(ST_OK, json_parse(&arena, text, 32, &v, &err));
    return v;
}

static struct span write_whole(const struct answer *a, struct buf *out)
{
    struct answer_stamp stamp;

    answer_stamp_new(&stamp, 1795000000000);
    buf_clear(out);
    CHECK_STATUS(ST_OK, answer_write(out, a, &stamp));
    return buf_span(out);
}

/* With as many calls as it takes. */
static void write_stream(const struct answer *a, struct buf *out, size_t budget)
{
    struct answer_stamp stamp;
    size_t cursor = 0;
    bool done = false;

    answer_stamp_new(&stamp, 1795000000000);
    buf_clear(out);
    for (unsigned i = 0; !done && i < 10000; i++)
        CHECK_STATUS(ST_OK,
                     answer_write_stream(openai, out, a, &stamp, true, &cursor, budget, &done));
    assert_true(done);
}

static void test_a_stream_becomes_an_answer(void **state)
{
    static const char text[] = DELTA("\"role\":\"assistant\",\"content\":\"\"")
        DELTA("\"reasoning\":\"h\"") DELTA("\"reasoning\":\"m\"") DELTA("\"content\":\"Hel\"")
            DELTA("\"content\":\"lo \\ud83d\\ude00\"") STOP DONE;
    struct buf out;

    (void)state;
    buf_init(&out, 65536);
    for (size_t n = 0; n < 9; n++) {
        struct answer a = collect(text, n, true);
        const struct json *root, *choice, *message;

        assert_int_equal(a.verdict, ANSWER_STORABLE);
        CHECK_SPAN(SPAN("Hello \xf0\x9f\x98\x80"), a.text);
        root = parse(write_whole(&a, &out));
        choice = json_get(root, SPAN("choices"))->child;
        message = json_get(choice, SPAN("message"));
        CHECK_SPAN(a.text, json_str(json_get(message, SPAN("content"))));
        CHECK_SPAN(SPAN("hm"), json_str(json_get(message, SPAN("reasoning"))));
        CHECK_SPAN(SPAN("f"), json_str(json_get(root, SPAN("system_fingerprint"))));
        CHECK_SPAN(SPAN("7"), json_get(choice, SPAN("stop_reason"))->text);
        CHECK_SPAN(SPAN("1795000000"), json_get(root, SPAN("created"))->text);
    }
    buf_release(&out);
}

/* Kept, read again, replayed as a stream, collected: nothing is lost on the way round. */
static void test_round(void **state)
{
    static const char whole[] =
        "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"error\":"
        "null,"
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a "
        "b\\n\\u4e2d\","
        "\"notes\":[1,{\"x\":null}]},\"logprobs\":{\"content\":[{\"token\":\"a\"}]},"
        "\"finish_reason\":\"stop\",\"filter\":{\"hate\":false}}],"
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3},\"tier\":"
        "\"d\"}";
    struct answer a, b, c;
    struct buf packed, out, one, two;

    (void)state;
    buf_init(&packed, 65536);
    buf_init(&out, 65536);
    buf_init(&one, 65536);
    buf_init(&two, 65536);
    CHECK_STATUS(ST_OK, answer_read(openai, &arena, span_of(whole), &a));
    assert_int_equal(a.verdict, ANSWER_STORABLE);
    CHECK_STATUS(ST_OK, answer_pack(&packed, &a));
    CHECK_STATUS(ST_OK, answer_unpack(buf_span(&packed), &b));
    assert_true(b.has_usage && !b.usage_withheld && b.total_tokens == 3);
    write_stream(&b, &one, 1);
    write_stream(&b, &two, 65536);
    assert_int_equal(one.len, two.len); /* in any number of calls */
    assert_int_equal(buf_append(&one, (struct span){"", 1}), ST_OK);
    c = collect(one.ptr, 3, true);
    assert_int_equal(c.verdict, ANSWER_STORABLE);
    buf_clear(&one);
    buf_clear(&two);
    CHECK_STATUS(ST_OK, json_write_canonical(&one, parse(b.json)));
    CHECK_STATUS(ST_OK, json_write_canonical(&two, parse(c.json)));
    /* "error": null is no part of an event that says something else. */
    CHECK_SPAN(buf_span(&one), buf_span(&two));
    for (size_t n = 0; n < packed.len; n++) {
        struct answer cut;

        CHECK_STATUS(ST_INVALID, answer_unpack((struct span){packed.ptr, n}, &cut));
    }
    buf_release(&packed);
    buf_release(&out);
    buf_release(&one);
    buf_release(&two);
}

static size_t times(struct span text, struct span what)
{
    size_t n = 0;

    for (size_t i = 0; i + what.len <= text.len; i++)
        n += memcmp(text.ptr + i, what.ptr, what.len) == 0;
    return n;
}

#define WHOLE(id, content)                                                                     \
    "{\"id\":\"" id "\",\"object\":\"chat.completion\",\"created\":1700000000,"                \
    "\"model\":\"the-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","   \
    "\"content\":\"" content "\"},\"finish_reason\":\"stop\"}]}"

/* What was said stands in the answer's JSON: it is not kept beside it, unless it is written
 * otherwise there. */
static void test_kept_once(void **state)
{
    static const struct {
        const char *body, *text;
        size_t times; /* that the text is in what is kept */
    } cases[] = {
        {WHOLE("chatcmpl-1", "Take the red one."), "Take the red one.", 1},
        {WHOLE("a much longer id than ours, which gives way to a shorter one: 0123456789",
               "Take the red one."),
         "Take the red one.", 1},
        {WHOLE("chatcmpl-1", "Zwei \xc3\xa4pfel"), "Zwei \xc3\xa4pfel", 1},
        {WHOLE("chatcmpl-1", "One.\\nTwo."), "One.\nTwo.", 1},
        {WHOLE("chatcmpl-1", "\\\\"), "\\", 3}, /* by itself, and as either half in the JSON */
        {WHOLE("chatcmpl-1", "stop"), "stop", 2}, /* and once as the reason */
        /* Another "object" is put right: what is kept was written anew. */
        {"{\"object\":\"x\",\"model\":\"the-model\",\"choices\":[{\"message\":{\"content\":"
         "\"Take "
         "it.\"},\"finish_reason\":\"stop\"}]}",
         "Take it.", 2},
    };
    struct buf packed;

    (void)state;
    buf_init(&packed, 65536);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer a, b;

        buf_clear(&packed);
        CHECK_STATUS(ST_OK, answer_read(openai, &arena, span_of(cases[i].body), &a));
        CHECK_SPAN(span_of(cases[i].text), a.text);
        CHECK_STATUS(ST_OK, answer_pack(&packed, &a));
        CHECK_STATUS(ST_OK, answer_unpack(buf_span(&packed), &b));
        CHECK_SPAN(span_of(cases[i].text), b.text);
        CHECK_SPAN(SPAN("the-model"), b.model);
        CHECK_SPAN(SPAN("stop"), b.finish_reason);
        CHECK_SPAN(a.json, b.json);
        assert_int_equal(times(buf_span(&packed), span_of(cases[i].text)), cases[i].times);
        for (size_t n = 0; n < packed.len; n++)
            CHECK_STATUS(ST_INVALID, answer_unpack((struct span){packed.ptr, n}, &b));
    }
    buf_release(&packed);
}

/* Entries of the version before are read as ever. */
static void test_version_2_is_read(void **state)
{
    static const char json[] = "{\"id\":\"0000\",\"created\":1000000000}";
    struct {
        uint32_t version, usage, id_at, id_letters, time_at, time_form;
        uint64_t prompt_tokens, completion_tokens, total_tokens;
        uint32_t model_bytes, text_bytes, finish_bytes, json_bytes;
    } head = {2, 1 | 5 << 2, 7, 4, 23, ANSWER_TIME_UNIX, 10, 20, 30, 1, 5, 4, sizeof(json) - 1};
    struct answer a;
    struct buf packed;

    (void)state;
    buf_init(&packed, 65536);
    assert_int_equal(buf_append(&packed, (struct span){(const char *)&head, sizeof(head)}),
                     ST_OK);
    assert_int_equal(buf_append(&packed, SPAN("mhellostop")), ST_OK);
    assert_int_equal(buf_append(&packed, span_of(json)), ST_OK);
    CHECK_STATUS(ST_OK, answer_unpack(buf_span(&packed), &a));
    CHECK_SPAN(SPAN("m"), a.model);
    CHECK_SPAN(SPAN("hello"), a.text);
    CHECK_SPAN(SPAN("stop"), a.finish_reason);
    CHECK_SPAN(span_of(json), a.json);
    assert_true(a.has_usage && a.cached_tokens == 5 && a.total_tokens == 30);
    assert_true(a.id_at == 7 && a.id_letters == 4 && a.time_at == 23 &&
                a.time_form == ANSWER_TIME_UNIX);
    head.id_letters = 256 + 4; /* does not fit into what it is kept in now */
    memcpy(packed.ptr, &head, sizeof(head));
    CHECK_STATUS(ST_INVALID, answer_unpack(buf_span(&packed), &a));
    head.version = 4;
    head.id_letters = 4;
    memcpy(packed.ptr, &head, sizeof(head));
    CHECK_STATUS(ST_INVALID, answer_unpack(buf_span(&packed), &a));
    buf_release(&packed);
}

static void test_usage_withheld(void **state)
{
    struct answer a = collect(DELTA("\"content\":\"x\"") STOP DONE, 0, true), b;
    struct buf packed;

    (void)state;
    assert_false(a.has_usage);
    a.usage_withheld = true;
    buf_init(&packed, 65536);
    CHECK_STATUS(ST_OK, answer_pack(&packed, &a));
    CHECK_STATUS(ST_OK, answer_unpack(buf_span(&packed), &b));
    assert_true(b.usage_withheld && !b.has_usage);
    buf_release(&packed);
}

static void test_verdicts_of_streams(void **state)
{
    static const struct {
        const char *text;
        enum answer_verdict verdict;
    } cases[] = {
        {DELTA("\"content\":\"x\"") STOP DONE, ANSWER_STORABLE},
        {DELTA("\"content\":\"x\"") STOP, ANSWER_INCOMPLETE},
        {DELTA("\"content\":\"x\"") DONE, ANSWER_INCOMPLETE},
        {DELTA("\"content\":\"x\"") STOP DONE "data: {", ANSWER_INCOMPLETE},
        {DELTA("\"content\":\"x\"") STOP DONE STOP, ANSWER_MALFORMED},
        {DELTA("\"content\":\"x\"") STOP DELTA("\"content\":\"y\"") DONE, ANSWER_MALFORMED},
        {DELTA("\"content\":\"x\"") "data: {\"error\":{\"message\":\"no\"}}\n\n" DONE,
         ANSWER_ERROR},
        {DELTA("\"content\":\"x\"") "event: error\ndata: {}\n\n", ANSWER_ERROR},
        {DELTA("\"content\":\"x\"")
             EVENT("{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}") DONE,
         ANSWER_TRUNCATED},
        {DELTA("\"refusal\":\"no\"") STOP DONE, ANSWER_REFUSED},
        {DELTA("\"tool_calls\":[{\"index\":0}]") STOP DONE, ANSWER_TOOL_CALL},
        {DELTA("\"tool_calls\":[{\"index\":0}]")
             EVENT("{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}") DONE,
         ANSWER_TRUNCATED},
        {DELTA("\"content\":\"\"") STOP DONE, ANSWER_EMPTY},
        {"data: {\n\n" STOP DONE, ANSWER_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t n = 0; n < 4; n++) {
            struct answer a = collect(cases[i].text, n, true);

            if (a.verdict != cases[i].verdict)
                fail_msg("case %zu: want %s, got %s", i, answer_verdict_name(cases[i].verdict),
                         answer_verdict_name(a.verdict));
        }
    }
    assert_int_equal(collect(cases[0].text, 0, false).verdict, ANSWER_INCOMPLETE);
}

#define ID      "\"id\" : \"chatcmpl-1\""
#define CREATED "\"created\":17"
#define REST                                                                                   \
    "\"object\": \"chat.completion\", \"model\":\"m\", \"x\" : [1, 2.50],\n \"choices\": [ {"  \
    "\"message\":{\"content\":\"caf\\u00e9 \\/\"},\"finish_reason\":\"stop\"} ]"

/* `head` and `tail` around what each replay gets anew, id first when `id_first`. */
static void check_kept(const char *body, const char *head, const char *middle, const char *tail,
                       bool id_first)
{
    struct answer_stamp stamp;
    struct answer a;
    struct buf out;
    char want[512], id[64];

    answer_stamp_new(&stamp, 1795000000000);
    CHECK_STATUS(ST_OK, answer_read(openai, &arena, span_of(body), &a));
    assert_int_equal(a.verdict, ANSWER_STORABLE);
    buf_init(&out, 65536);
    CHECK_STATUS(ST_OK, answer_write(&out, &a, &stamp));
    snprintf(id, sizeof(id), "chatcmpl-%s", stamp.letters);
    snprintf(want, sizeof(want), "%s%s%s%s%s", head, id_first ? id : "1795000000", middle,
             id_first ? "1795000000" : id, tail);
    CHECK_SPAN(span_of(want), buf_span(&out));
    buf_release(&out);
}

/* White space, escapes, numbers and members as they came, but for id and created. */
static void test_a_replay_is_as_the_upstream_wrote_it(void **state)
{
    (void)state;
    check_kept("{ " ID "," CREATED "," REST "}\n", "{ \"id\" : \"",
               "\",\"created\":", "," REST "}\n", true);
    check_kept(" {" CREATED "," REST "," ID "}", " {\"created\":", "," REST ",\"id\" : \"",
               "\"}", false);
    check_kept("{\"id\":\"\"," CREATED "," REST "}", "{\"id\":\"",
               "\",\"created\":", "," REST "}", true);
}

/* Written otherwise than most do: nothing is lost, though the form is ours. */
static void test_odd_answers_are_rendered(void **state)
{
    static const char *const heads[] = {
        "",                                       /* neither */
        ID ",",                                   /* no created */
        "\"id\":\"chat\\u0063mpl\"," CREATED ",", /* an escape */
        "\"id\":\"a\\\"b\"," CREATED ",",         /* another */
        "\"id\":7," CREATED ",",                  /* no string */
        "\"id\":\"a\",\"created\":1.5e3,",        /* no whole number */
        "\"id\":\"a\",\"created\":null,",         /* nothing */
    };
    struct answer_stamp stamp;
    struct buf out;

    (void)state;
    buf_init(&out, 65536);
    answer_stamp_new(&stamp, 1795000000000);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        const struct json *root;
        struct answer a;
        char body[512];

        snprintf(body, sizeof(body), "{%s" REST "}", heads[i]);
        CHECK_STATUS(ST_OK, answer_read(openai, &arena, span_of(body), &a));
        assert_int_equal(a.verdict, ANSWER_STORABLE);
        root = parse(write_whole(&a, &out));
        CHECK_SPAN(SPAN("1795000000"), json_get(root, SPAN("created"))->text);
        assert_int_equal(json_str(json_get(root, SPAN("id"))).len,
                         sizeof("chatcmpl-") - 1 + ANSWER_ID_LETTERS);
        assert_int_equal(json_get(root, SPAN("x"))->count, 2);
        CHECK_SPAN(SPAN("caf\xc3\xa9 /"), a.text);
    }
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_stream_becomes_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replay_is_as_the_upstream_wrote_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_odd_answers_are_rendered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_2_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_usage_withheld, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verdicts_of_streams, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
