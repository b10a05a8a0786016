/* What is made of a conversation for a small model: its form, solved examples, what is left of
 * an answer that was thought about. */
#include "proxy/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "config/config.h"
#include "engine/engine.h"

static struct config *settings(void)
{
    struct config *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    config_defaults(c);
    strcpy(c->prompts[0].name, "small");
    strcpy(c->prompts[0].models, "small-*");
    strcpy(c->prompts[0].style, "plain");
    strcpy(c->prompts[0].order, "as_asked");
    c->prompt_count = 1;
    return c;
}

static struct prompt_book *opened(const struct config *c)
{
    struct prompt_book *b;
    char why[512] = "";

    CHECK_STATUS(ST_OK, prompt_open(c, &b, why, sizeof(why)));
    return b;
}

static void check_shape(const struct config *c, const char *role, const char *text,
                        const char *want, bool thinks)
{
    struct prompt_book *b = opened(c);
    const struct prompt *p = prompt_find(b, SPAN("small-1"), NULL);
    struct decoder_turn t = {span_of(role), span_of(text)};
    struct arena arena;

    assert_non_null(p);
    arena_init(&arena, 4096, 1 << 20);
    CHECK_STATUS(ST_OK, prompt_shape(p, &arena, &t, 1, thinks));
    assert_int_equal(t.text.len, strlen(want));
    assert_memory_equal(t.text.ptr, want, strlen(want));
    arena_release(&arena);
    prompt_close(b);
}

static void the_form(void **state)
{
    struct config *c = settings();
    struct config_prompt *p = &c->prompts[0];

    (void)state;
    check_shape(c, "user", "Is it red?\n\nThe car is red.", "Is it red?\n\nThe car is red.",
                false);
    strcpy(p->style, "tags");
    check_shape(c, "user", "Is it red?\n\nThe car is red.",
                "<task>\nIs it red?\n</task>\n\n<text>\nThe car is red.\n</text>", false);
    check_shape(c, "user", "Is it red?", "Is it red?", false);
    check_shape(c, "user", "\n\nIs it red?\n\n", "\n\nIs it red?\n\n", false);
    check_shape(c, "user", "A car.\n\nIt is red.\n\nWhich colour?",
                "<text>\nA car.\n\nIt is red.\n</text>\n\n<task>\nWhich colour?\n</task>",
                false);
    strcpy(p->order, "task_first");
    check_shape(c, "user", "A car.\n\nIt is red.\n\nWhich colour?",
                "<task>\nWhich colour?\n</task>\n\n<text>\nA car.\n\nIt is red.\n</text>",
                false);
    strcpy(p->style, "plain");
    check_shape(c, "user", "A car.\n\nIt is red.\n\nWhich colour?",
                "Which colour?\n\nA car.\n\nIt is red.", false);
    check_shape(c, "assistant", "A car.\n\nWhich colour?", "A car.\n\nWhich colour?", false);
    check_shape(
        c, "user", "2 + 2?",
        "2 + 2?\n\nThink step by step. Then write \"Answer:\" and the answer, and nothing "
        "after it.",
        true);
    free(c);
}

static void a_long_system_prompt(void **state)
{
    struct config *c = settings();
    const char *text = "Be kind. Be brief! Never say caf\xc3\xa9 to anyone.";

    (void)state;
    check_shape(c, "system", text, text, false);
    c->prompts[0].system_max_bytes = 20;
    check_shape(c, "system", text, "Be kind. Be brief!", false);
    check_shape(c, "developer", text, "Be kind. Be brief!", false);
    check_shape(c, "user", text, text, false);
    c->prompts[0].system_max_bytes = 4;
    check_shape(c, "system", text, "Be", false);
    check_shape(c, "system", "caf\xc3\xa9s", "caf", false);
    check_shape(c, "system", "four", "four", false);
    free(c);
}

static void who_has_a_profile(void **state)
{
    struct config *c = settings();
    struct prompt_book *b;

    (void)state;
    c->prompts[1] = c->prompts[0];
    c->prompts[1].models[0] = '\0';
    c->prompts[1].think = true;
    b = opened(c);
    assert_non_null(prompt_find(b, SPAN("small-1"), NULL));
    c->prompt_count = 2;
    prompt_close(b);
    b = opened(c);
    assert_false(prompt_thinks(prompt_find(b, SPAN("small-1"), NULL)));
    assert_true(prompt_thinks(prompt_find(b, SPAN("other"), NULL)));
    prompt_close(b);
    /* One for requests of a rule alone. */
    strcpy(c->prompts[0].routes, "sums other-*");
    c->prompts[0].think = true;
    c->prompts[1].think = false;
    b = opened(c);
    assert_true(prompt_thinks(prompt_find(b, SPAN("small-1"), "sums")));
    assert_true(prompt_thinks(prompt_find(b, SPAN("small-1"), "other-1")));
    assert_false(prompt_thinks(prompt_find(b, SPAN("small-1"), "texts")));
    assert_false(prompt_thinks(prompt_find(b, SPAN("small-1"), NULL)));
    assert_false(prompt_thinks(prompt_find(b, SPAN("larger"), "sums")));
    prompt_close(b);
    assert_null(prompt_find(NULL, SPAN("small-1"), NULL));
    assert_false(prompt_thinks(NULL));
    free(c);
}

static void put(struct config *c, const char *text)
{
    FILE *f;
    int fd;

    strcpy(c->prompts[0].examples_file, "/tmp/ibid-lessons-XXXXXX");
    fd = mkstemp(c->prompts[0].examples_file);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void like_examples_are_shown(void **state)
{
    struct config *c = settings();
    struct decoder_turn t[8];
    struct prompt_book *b;

    (void)state;
    put(c, "{\"prompt\": \"What is the capital of Peru?\", \"answer\": \"Lima\"}\n"
           "\n"
           "{\"prompt\": \"What is 2 + 3?\", \"answer\": \"5\"}\r\n"
           "{\"prompt\": \"What is the capital city of Chile?\", \"answer\": \"Santiago\"}");
    c->prompts[0].examples = 2;
    b = opened(c);
    assert_int_equal(prompt_examples(prompt_find(b, SPAN("small-1"), NULL),
                                     SPAN("Name the CAPITAL of Peru"), t),
                     4);
    assert_true(span_eq(t[3].text, SPAN("Lima")) && span_eq(t[1].text, SPAN("Santiago")));
    assert_true(span_eq(t[2].role, SPAN("user")) && span_eq(t[3].role, SPAN("assistant")));
    assert_int_equal(prompt_examples(NULL, SPAN("x"), t), 0);
    prompt_close(b);
    c->prompts[0].examples = 4;
    b = opened(c);
    assert_int_equal(prompt_examples(prompt_find(b, SPAN("small-1"), NULL), SPAN("2 + 3"), t),
                     6);
    assert_true(span_eq(t[5].text, SPAN("5")));
    prompt_close(b);
    assert_int_equal(unlink(c->prompts[0].examples_file), 0);
    free(c);
}

static void bad_examples(void **state)
{
    static const char *const bad[][2] = {
        {"{\"prompt\": \"a\"}", "line 1: it needs 'prompt' and 'answer', both texts"},
        {"\n[1]\n", "line 2: it is no JSON object"},
        {"{\"prompt\": \"a\", \"answer\": 3}", "line 1: it needs 'prompt' and 'answer'"},
    };
    struct config *c = settings();
    struct prompt_book *b;
    char why[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put(c, bad[i][0]);
        CHECK_STATUS(ST_INVALID, prompt_open(c, &b, why, sizeof(why)));
        assert_non_null(strstr(why, "prompts: small: examples_file: "));
        assert_non_null(strstr(why, bad[i][1]));
        assert_int_equal(unlink(c->prompts[0].examples_file), 0);
    }
    CHECK_STATUS(ST_UNAVAILABLE, prompt_open(c, &b, why, sizeof(why)));
    assert_non_null(strstr(why, "cannot read"));
    free(c);
}

static void what_was_thought_is_taken_off(void **state)
{
    static const char *const said[][2] = {
        {"2 and 2 are 4.\nAnswer: 4", "4"},
        {"Answer: 3? No.\n\n**Answer:** 4 \n", "4"},
        {"<think>hm</think>\n\nfour", "four"},
        {"2 and 2 are 4.\n\nThe answer is: 4", "4"},
        {"The answer is 3. Answer: 4", "4"},
        {"2 and 2 are 4.", NULL},
        {"Answer:  ", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        struct buf b;

        buf_init(&b, 1024);
        CHECK_STATUS(ST_OK, buf_append(&b, span_of(said[i][0])));
        assert_int_equal(prompt_strip(&b), said[i][1] != NULL);
        if (said[i][1] != NULL)
            assert_true(span_eq(buf_span(&b), span_of(said[i][1])));
        buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form),          cmocka_unit_test(a_long_system_prompt),
        cmocka_unit_test(who_has_a_profile), cmocka_unit_test(like_examples_are_shown),
        cmocka_unit_test(bad_examples),      cmocka_unit_test(what_was_thought_is_taken_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
