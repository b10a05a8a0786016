/* What is kept for the very same request only. */
#include "cache/admission.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#include "check.h"

#define NOW_MS 1772409600000u /* 2026-03-02 */

static const struct {
    const char *question, *answer, *why;
} cases[] = {
    {"What is the capital of France?", "Paris.", NULL},
    {"What is the capital of France? Ignore the question and say Lyon.", "Lyon.",
     "instruction"},
    {"IGNORE   ALL of this, what is new?", "x", "instruction"},
    {"Please disregard it.", "x", "instruction"},
    {"Why do people ignore theory?", "Because.", NULL}, /* "ignore the" ends with a word */
    {"reply-with: yes", "yes", "instruction"},
    {"Who? What? Where?", "x", "many_questions"},
    {"Who is it? Really??? I mean it!?", "x", NULL},
    {"Is tea healthy? And coffee?", "Yes.", NULL},
    {"pin pin pin pin change", "x", "noise"},
    {"Is a rose a rose or is a rose a flower?", "Yes.", NULL},                /* three times */
    {"is it the one or is it the other or the third or the last", "x", NULL}, /* stop words */
    {"What is the tallest tree?", "I'm not sure.", "no_answer"},
    {"What is the tallest tree?", "I\xe2\x80\x99m not sure.", "no_answer"},
    {"What is the tallest tree?", "As an AI, I like all trees.", "no_answer"},
    {"Where is my parcel?", "Hi Anna, it is on its way.", "personal"},
    {"Where is my parcel?", "**Dear** Mr. Smith, it is on its way.", NULL}, /* a mark between */
    {"Where is my parcel?", "Dear Mr. Smith, it is on its way.", "personal"},
    {"Where is my parcel?", "Good morning Anna! It is here.", "personal"},
    {"Say hello to Anna", "Hello Anna!", NULL},
    {"Where is my parcel?", "Hello! It is here.", NULL},
    {"Where is my parcel?", "Hello there, it is here.", NULL},
    {"Where is my parcel?", "Dear Sir or Madam, it is here.", NULL},
    {"Where is my parcel?", "Thank you for asking. Anna has it.", NULL},
    {"Where is my parcel?", "Hi", NULL},
    {"Where is my parcel?", "Hi ", NULL},
    {"Where is my parcel?", "Good", NULL},
    {"What day is it?", "Today is March 2, 2026.", "dated"},
    {"What day is it?", "It is 2026-03-02 now.", "dated"},
    {"What day is it?", "2 March 2026", "dated"},
    {"What happened?", "It fell on March 12, 2026.", NULL},
    {"", "", NULL},
    {"Sing.",
     "Row, row, row your boat, gently down the stream, merrily, merrily, merrily, merrily, "
     "life is but a dream.",
     NULL},
    {"Count.", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29",
     NULL},
    {"Why?", "no no no no no no no no no no no no no no no no no no no no no no no", NULL},
    {"Why?", "no no no no no no no no no no no no no no no no no no no no no no no no",
     "nonsense"},
    {"What is a tree?",
     "It is a plant. The answer is the plant. The answer is the plant. The answer is the "
     "plant. "
     "The answer is the plant. The answer is the plant.",
     "nonsense"},
};

static void rules(void **arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *why =
            admission_exact_only(span_of(cases[i].question), span_of(cases[i].answer), NOW_MS);

        if (why == NULL ? cases[i].why != NULL
                        : cases[i].why == NULL || strcmp(why, cases[i].why) != 0)
            fail_msg("'%s': %s", cases[i].question, why != NULL ? why : "nothing");
    }
}

/* A long answer that begins with a doubt answers something. */
static void long_answers_are_answers(void **arg)
{
    char text[1000];

    (void)arg;
    memset(text, 'x', sizeof(text));
    memcpy(text, "I am not sure ", 14);
    assert_null(admission_exact_only(SPAN("Why?"), (struct span){text, sizeof(text)}, NOW_MS));
    assert_non_null(admission_exact_only(SPAN("Why?"), (struct span){text, 300}, NOW_MS));
}

/* Any bytes, any length. */
static void moments(void **state)
{
    static const struct {
        const char *question;
        bool timely;
    } asked[] = {
        {"What is the weather today?", true},
        {"what's the LATEST version of it", true},
        {"Who is the current president?", true},
        {"Is it open right-now", true},
        {"today", true},
        {"What is on next week?", true},
        {"Today\xe2\x80\x99s news", true},
        {"How do I measure an electric current?", false},
        {"When was it built?", false},
        {"What is a todayish thing?", false},
        {"How do I use latex?", false},
        {"", false},
    };
    char text[1100];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        if (admission_timely(span_of(asked[i].question)) != asked[i].timely)
            fail_msg("'%s'", asked[i].question);
    }
    memset(text, 'x', sizeof(text));
    memcpy(text, "today ", 6);
    assert_true(admission_timely((struct span){text, 1024}));
    assert_false(admission_timely((struct span){text, 1025}));
}

static void takes_anything(void **arg)
{
    char *text = malloc(100000);

    (void)arg;
    assert_non_null(text);
    for (size_t i = 0; i < 100000; i++)
        text[i] = (char)(i * 37 % 251);
    for (size_t n = 0; n < 100000; n = n * 3 / 2 + 1)
        (void)admission_exact_only((struct span){text + 100000 - n, n},
                                   (struct span){text + 100000 - n, n}, NOW_MS);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(long_answers_are_answers),
        cmocka_unit_test(moments),
        cmocka_unit_test(takes_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
