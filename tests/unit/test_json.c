/* What is JSON and what is not; the tree must hold nothing but UTF-8. */
#include <stdio.h>
#include <stdlib.h>
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

/* RFC 8259's grammar, rule by rule. The other side: what the tree says, written again. */
static void the_grammar_is_taken_and_no_more(void **state)
{
    static const struct {
        const char *text;
        const char *written; /* NULL: refused */
    } cases[] = {
        {"null", "null"},
        {" \t\r\n true \n", "true"},
        {"[false,null,[],{},\"\"]", "[false,null,[],{},\"\"]"},
        {"{\"a\" : 1 , \"b\":[ 2 ,3 ]}", "{\"a\":1,\"b\":[2,3]}"},
        {"[0,-0,10,-1.5,1e5,1E+5,2.25e-3]", "[0,-0,10,-1.5,1e5,1E+5,2.25e-3]"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
        {"\"\\u0041\\u00e9\\u20AC\\u0000\"", "\"A\xc3\xa9\xe2\x82\xac\\u0000\""},
        {"\"\xf0\x9f\x98\x80 \x7f\"", "\"\xf0\x9f\x98\x80 \x7f\""},
        {"\"an escape \\n in the middle of a text \\u00e9 that is long\"",
         "\"an escape \\n in the middle of a text \xc3\xa9 that is long\""},
        {"[1e308,-1e308,1e-999,0e999]", "[1e308,-1e308,1e-999,0e999]"},
        {"1e309", NULL}, /* beyond a double */
        {"[-1.5E+999]", NULL},
        {"", NULL},
        {" ", NULL},
        {"nul", NULL},
        {"truex", NULL},
        {"True", NULL},
        {"NaN", NULL},
        {"-", NULL},
        {"+1", NULL},
        {"01", NULL},
        {"-01", NULL},
        {".5", NULL},
        {"1.", NULL},
        {"1.e1", NULL},
        {"1e", NULL},
        {"1e+", NULL},
        {"0x10", NULL},
        {"1 2", NULL},
        {"[", NULL},
        {"]", NULL},
        {"[1", NULL},
        {"[1,", NULL},
        {"[1,]", NULL},
        {"[,1]", NULL},
        {"[1 2]", NULL},
        {"[1}", NULL},
        {"{", NULL},
        {"{\"a\"", NULL},
        {"{\"a\":", NULL},
        {"{\"a\":1", NULL},
        {"{\"a\":1,", NULL},
        {"{\"a\":1,}", NULL},
        {"{,}", NULL},
        {"{a:1}", NULL},
        {"{1:1}", NULL},
        {"{\"a\" 1}", NULL},
        {"{\"a\":1]", NULL},
        {"{\"a\":1}}", NULL},
        {"\"", NULL},
        {"\"a", NULL},
        {"\"\\", NULL},
        {"\"\\\"", NULL},
        {"\"\\x\"", NULL},
        {"\"\\u\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\u12g4\"", NULL},
        {"\"\xc3\"", NULL},
        {"\"\xa9\"", NULL},
        {"\"a text of some length \xff and its rest\"", NULL},
        {"\xef\xbb\xbf{}", NULL}, /* a byte order mark */
        {"{\"a\":1,\"b\":2,\"a\":3}", NULL},
        {"{\"a\":1,\"\\u0061\":2}", NULL},
        {"{\"\":1,\"\":2}", NULL},
        {"[[[[[[[[1]]]]]]]]", "[[[[[[[[1]]]]]]]]"},
        {"[[[[[[[[[1]]]]]]]]]", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span text = span_of(cases[i].text);
        /* On the heap, to its byte: a sanitizer sees who looks behind it. */
        char *copy = malloc(text.len + 1);
        struct arena arena;
        struct json *v;
        struct buf out;

        arena_init(&arena, 4096, 65536);
        buf_init(&out, 4096);
        memcpy(copy, text.ptr, text.len);
        if ((parse(&arena, (struct span){copy, text.len}, &v) == ST_OK) !=
            (cases[i].written != NULL))
            fail_msg("'%s'", cases[i].text);
        if (cases[i].written != NULL) {
            assert_int_equal(json_write(&out, v), ST_OK);
            if (!span_eq(buf_span(&out), span_of(cases[i].written)))
                fail_msg("'%s' became '%.*s'", cases[i].text, (int)out.len, out.ptr);
        }
        buf_release(&out);
        arena_release(&arena);
        free(copy);
    }
}

/* Few members are compared with each other, many are sorted. */
static void a_key_may_come_once(void **state)
{
    (void)state;
    for (unsigned members = 2; members < 40; members++) {
        for (unsigned twice = 0; twice < members; twice++) { /* 0: none */
            struct arena arena;
            struct json *v;
            struct buf text;
            enum status st;

            arena_init(&arena, 4096, 65536);
            buf_init(&text, 4096);
            for (unsigned i = 0; i < members; i++)
                assert_int_equal(buf_printf(&text, "%s\"key%u\":%u", i == 0 ? "{" : ",",
                                            twice != 0 && i == twice ? 0 : i, i),
                                 ST_OK);
            assert_int_equal(buf_append(&text, SPAN("}")), ST_OK);
            st = parse(&arena, buf_span(&text), &v);
            if ((st == ST_OK) != (twice == 0))
                fail_msg("%.*s", (int)text.len, text.ptr);
            buf_release(&text);
            arena_release(&arena);
        }
    }
}

/* By their bits (json_key_bit()) absent keys are told from those that are there: with few and
 * with many members, whatever an empty key is, and in one that was not gathered. */
static void members_are_found_by_name(void **state)
{
    struct arena arena;
    struct json *v, bare = {.type = JSON_OBJECT};
    struct json_error why;

    (void)state;
    for (unsigned members = 0; members <= 100; members++) {
        struct buf text;

        arena_init(&arena, 4096, 1024 * 1024);
        buf_init(&text, 65536);
        assert_int_equal(buf_append(&text, SPAN("{")), ST_OK);
        for (unsigned i = 0; i < members; i++)
            assert_int_equal(buf_printf(&text, "%s\"key%u\":%u", i > 0 ? "," : "", i, i),
                             ST_OK);
        assert_int_equal(buf_append(&text, SPAN("}")), ST_OK);
        assert_int_equal(json_parse(&arena, buf_span(&text), 8, &v, &why), ST_OK);
        for (unsigned i = 0; i < 200; i++) {
            char key[16];
            size_t n = (size_t)snprintf(key, sizeof(key), "key%u", i);
            const struct json *m = json_get(v, (struct span){key, n});
            uint64_t value = 0;

            assert_int_equal(m != NULL, i < members);
            assert_true(m == NULL || (json_u64(m, &value) && value == i));
        }
        assert_null(json_get(v, (struct span){"", 0}));
        buf_release(&text);
        bare.child = v->child;
        assert_ptr_equal(json_get(&bare, SPAN("key0")), v->child);
        arena_release(&arena);
    }
    arena_init(&arena, 4096, 1024 * 1024);
    assert_int_equal(json_parse(&arena, SPAN("{\"\":1,\"\\u0061\":2}"), 8, &v, &why), ST_OK);
    assert_non_null(json_get(v, (struct span){"", 0}));
    assert_non_null(json_get(v, SPAN("a")));
    assert_null(json_get(v, SPAN("b")));
    arena_release(&arena);
}

/* Of every length up to three vectors, with nothing, an escape or a character beyond ASCII at
 * every place, into a block that is just full or has room. */
static void a_string_is_written_whatever_room_there_is(void **state)
{
    static const struct {
        const char *in, *out;
    } marks[] = {{"x", "x"},
                 {"\"", "\\\""},
                 {"\n", "\\n"},
                 {"\xc3\xa4", "\xc3\xa4"},
                 {"\xff", "\xef\xbf\xbd"}};

    (void)state;
    for (size_t n = 0; n <= 48; n++) {
        for (size_t at = 0; at <= n; at++) {
            for (size_t k = 0; k < ARRAY_LEN(marks) * 2; k++) {
                size_t kind = k / 2, in = strlen(marks[kind].in), out = strlen(marks[kind].out);
                char text[64], want[64];
                struct buf b;

                memset(text, 'x', sizeof(text));
                memset(want, 'x', sizeof(want));
                memcpy(text + at, marks[kind].in, in);
                want[0] = '"';
                memcpy(want + 1 + at, marks[kind].out, out);
                want[1 + n + out] = '"';
                buf_init(&b, n + out + 2 - k % 2);
                if (k % 2 == 0 && n % 2 == 0)
                    assert_int_equal(buf_reserve(&b, n + out + 2), ST_OK);
                if (k % 2 == 1) {
                    assert_int_equal(json_write_string(&b, (struct span){text, n + in}),
                                     ST_LIMIT);
                } else {
                    assert_int_equal(json_write_string(&b, (struct span){text, n + in}), ST_OK);
                    assert_int_equal(b.len, n + out + 2);
                    assert_memory_equal(b.ptr, want, b.len);
                }
                buf_release(&b);
            }
        }
    }
}

/* A text that does not fit is said to be too large, not broken. */
static void a_full_arena_is_a_limit(void **state)
{
    struct arena arena;
    struct json *v;
    struct json_error why;

    (void)state;
    arena_init(&arena, 256, 256);
    assert_int_equal(json_parse(&arena, SPAN("[1,2,3,4,5,6,7,8]"), 8, &v, &why), ST_LIMIT);
    assert_string_equal(why.text, "too large");
    arena_release(&arena);
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
        cmocka_unit_test(the_grammar_is_taken_and_no_more),
        cmocka_unit_test(a_key_may_come_once),
        cmocka_unit_test(a_full_arena_is_a_limit),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(half_of_a_surrogate_pair_is_refused),
        cmocka_unit_test(a_writer_sets_its_commas),
        cmocka_unit_test(members_are_found_by_name),
        cmocka_unit_test(a_string_is_written_whatever_room_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
