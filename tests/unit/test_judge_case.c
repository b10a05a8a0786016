/* How a case is put to a judge, and what is read out of what it says. */
#include "proxy/judge_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/json.h"
#include "check.h"

static void as_turns(void **arg)
{
    char text[2 * JUDGE_LOCAL_BYTES];
    struct judge_case c = {JUDGE_SAME, SPAN("Where is it?"), {text, sizeof(text)}};
    struct decoder_turn turns[JUDGE_TURNS_MAX];
    struct arena arena;
    size_t n;

    (void)arg;
    for (size_t i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2); /* never cut within a character */
    text[0] = 'x';
    text[1] = 'y';
    for (size_t i = 0; i < 2; i++) {
        arena_init(&arena, 4096, 16 * JUDGE_LOCAL_BYTES);
        c.about = i == 0 ? JUDGE_SAME : JUDGE_ANSWERS;
        c.second.ptr = text + i; /* odd, or not */
        c.second.len = sizeof(text) - i;
        CHECK_STATUS(ST_OK, judge_case_turns(&c, &arena, turns, &n));
        assert_int_equal(n, JUDGE_TURNS_MAX);
        for (size_t k = 0; k < n; k++)
            assert_true(span_eq(turns[k].role, k % 2 == 0 ? SPAN("user") : SPAN("assistant")));
        assert_non_null(strstr(turns[n - 1].text.ptr, "Where is it?"));
        assert_non_null(strstr(turns[n - 1].text.ptr, "Answer Yes or No."));
        assert_true(turns[n - 1].text.len < 2 * JUDGE_LOCAL_BYTES);
        arena_release(&arena);
    }
}

static void as_a_request(void **arg)
{
    const struct judge_case c = {JUDGE_ANSWERS, SPAN("a \"quoted\" one\n"), SPAN("an answer")};
    struct json_error err;
    struct arena arena;
    struct json *root;
    struct span text;
    struct buf out;

    (void)arg;
    arena_init(&arena, 4096, 1u << 20);
    buf_init(&out, 65536);
    CHECK_STATUS(ST_OK, judge_case_write(&c, SPAN("m"), &out));
    CHECK_STATUS(ST_OK, json_parse(&arena, buf_span(&out), 8, &root, &err));
    CHECK_SPAN(SPAN("m"), json_str(json_get(root, SPAN("model"))));
    text = json_str(json_get(json_get(root, SPAN("messages"))->child->next, SPAN("content")));
    assert_non_null(strstr(text.ptr, "a \"quoted\" one\n"));
    assert_non_null(strstr(text.ptr, "an answer"));
    buf_release(&out);
    arena_release(&arena);
}

static void what_was_said(void **arg)
{
    static const struct {
        const char *text;
        double yes;
    } rows[] = {{"Yes", 1},    {"yes.", 1},       {"**YES**, both do", 1}, {" \n\"No\"", 0},
                {"no way", 0}, {"Yesterday", -1}, {"Nothing", -1},         {"", -1},
                {"Maybe", -1}, {"42", -1},        {"I think yes", -1}};

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (judge_case_said(span_of(rows[i].text)) != rows[i].yes)
            fail_msg("'%s'", rows[i].text);
    }
}

static void the_chance(void **arg)
{
    struct decoder_result r = {.begins = {0.6, 0.2}};

    (void)arg;
    assert_float_equal(judge_case_chance(&r, 0), 0.75, 1e-9);
    assert_float_equal(judge_case_chance(&r, -log(3)), 0.5, 1e-9);
    r.begins[1] = 0;
    assert_float_equal(judge_case_chance(&r, 0), 1, 1e-9);
    r.begins[0] = 0.001;
    assert_true(judge_case_chance(&r, 0) < 0); /* it would have said something else */
    r.begins[1] = 0.5;
    r.begins[0] = 0;
    assert_float_equal(judge_case_chance(&r, 5), 0, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_turns),
        cmocka_unit_test(as_a_request),
        cmocka_unit_test(what_was_said),
        cmocka_unit_test(the_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
