/* What is JSON and what is not; the tree must hold nothing but UTF-8. */
#include <string.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "base/unicode.h"
#include "check.h"

static enum status parse(struct arena *arena, struct span text, struct json **out)
{
    struct json_error why;
    enum status st = json_parse(arena, text, 8, out, &why);

    if (st != ST_OK && why.text[0] == '\0')
        fail_msg("'%.*s' is refused without a word", (int)text.len, text.ptr);
    return st;
}

/* Half of a pair has no UTF-8: written as U+FFFD, two different texts would be one. */
static void half_of_a_surrogate_pair_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum status st;
    } cases[] = {
        {"\"\\ud83d\\ude00\"", ST_OK},
        {"\"\\ud7ff\\ue000 \xed\x9f\xbf\"", ST_OK}, /* the neighbours of the surrogates */
        {"\"\\ud83d\"", ST_INVALID},
        {"\"\\ud83dx\"", ST_INVALID},
        {"\"\\ud83d\\u0041\"", ST_INVALID},
        {"\"\\udc00\"", ST_INVALID},
        {"\"x\\udfffx\"", ST_INVALID},
        {"\"\xed\x9f\xbf\\udc00\"", ST_INVALID},
        {"{\"\\udc00\":1}", ST_INVALID},
        {"[\"a\",\"\\ude00\\ud83d\"]", ST_INVALID},
        {"\"\xed\xb0\x80\"", ST_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct json *v;

        arena_init(&arena, 4096, 65536);
        if (parse(&arena, span_of(cases[i].text), &v) != cases[i].st)
            fail_msg("%s", cases[i].text);
        assert_true(cases[i].st != ST_OK || unicode_valid(json_str(v)));
        arena_release(&arena);
    }
}

/* Wherever they are: a reader that looks at many bytes at once must see them, too. */
static void control_characters_are_refused(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x21; c++) {
        for (size_t at = 0; at < 40; at++) {
            char text[64];
            struct arena arena;
            struct json *v;
            bool space = c == '\t' || c == '\n' || c == '\r' || c == ' ';

            arena_init(&arena, 4096, 65536);
            memset(text, 'x', sizeof(text));
            text[0] = '"';
            text[41] = '"';
            text[1 + at] = (char)c;
            if (parse(&arena, (struct span){text, 42}, &v) != (c == ' ' ? ST_OK : ST_INVALID))
                fail_msg("0x%02x at %zu of a string", c, at);
            memset(text, ' ', sizeof(text));
            text[1 + at] = (char)c;
            text[42] = '1';
            if (parse(&arena, (struct span){text, 43}, &v) != (space ? ST_OK : ST_INVALID))
                fail_msg("0x%02x at %zu before a value", c, at);
            arena_release(&arena);
        }
    }
}

static void a_writer_sets_its_commas(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 256);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "n", 3);
    json_writer_open(&w, "empty", '[');
    json_writer_close(&w, ']');
    json_writer_open(&w, "list", '[');
    json_writer_text(&w, NULL, SPAN("a\"b"));
    json_writer_bool(&w, NULL, true);
    json_writer_real(&w, NULL, 0.25);
    json_writer_close(&w, ']');
    json_writer_bool(&w, "no", false);
    json_writer_close(&w, '}');
    assert_int_equal(w.st, ST_OK);
    assert_true(
        span_eq(buf_span(&out),
                SPAN("{\"n\":3,\"empty\":[],\"list\":[\"a\\\"b\",true,0.25],\"no\":false}")));
    buf_release(&out);
    /* The first failure sticks. */
    buf_init(&out, 4);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "long", 3);
    json_writer_close(&w, '}');
    assert_int_equal(w.st, ST_LIMIT);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(half_of_a_surrogate_pair_is_refused),
        cmocka_unit_test(a_writer_sets_its_commas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
