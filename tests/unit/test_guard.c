#include "cache/guard.h"

#include <string.h>

#include "cache/guard_common.h"

#include "check.h"

/* A name: that guard must fire; NULL: none may. */
static const struct {
    const char *a, *b, *fires;
} cases[] = {
    {"How do I enable two-factor authentication?",
     "How do I disable two-factor authentication?", "negation"},
    {"How do I enable two-factor authentication?",
     "How can I turn on two-factor authentication?", NULL},
    {"Is port 6379 open by default?", "Is port 6379 closed by default?", "antonym"},
    {"Is port 6379 open by default?", "Is port 6380 open by default?", "number"},
    {"How long is 90 minutes?", "How long is 1.5 hours?", NULL},
    {"Give me 3 tips for an interview", "Give me three tips for an interview", NULL},
    {"Give me 3 tips for an interview", "Give me 5 tips for an interview", "number"},
    {"What is 1,000 dollars in euros?", "What is $1000 in euros?", NULL},
    {"What is the weather like in January?", "What is the weather like in February?", "time"},
    {"What did we sell yesterday?", "What did we sell today?", "time"},
    {"Find flights from Paris to Rome", "Find flights from Rome to Paris", "direction"},
    {"What should I do before surgery?", "What should I do after surgery?", "antonym"},
    {"How do I read a file in Python?", "How do I read a file in Ruby?", "name"},
    {"Can I cancel my order?", "Can't I cancel my order?", "negation"},
    {"Which foods contain gluten?", "Which foods do not contain gluten?", "negation"},
    {"Is a dog bigger than a cat?", "Is a cat bigger than a dog?", "direction"},
    {"Does the company own the bank?", "Does the bank own the company?", "swapped"},
    {"What is the difference between tea and coffee?",
     "What is the difference between coffee and tea?", NULL},
    {"What does `git reset` do?", "What does `git revert` do?", "quote"},
    {"Open src/main.c for me", "Open src/proxy.c for me", "quote"},
    {"How do I reset my password?", "how do i reset my pasword", NULL},
    {"How do I reset my password?", "How can I reset my password?", NULL},
    {"What is the capital of France?", "What is the capital of Germany?", "name"},
    {"What is the highest mountain?", "What is the lowest mountain?", "antonym"},
    {"How many cities are there?", "How many city are there?", NULL},
    {"Upload a file", "Download a file", "antonym"},
    {"Convert 10 miles to km", "Convert 10 km to miles", "number"},
    {"same", "same", NULL},
    {"", "", NULL},
    {"?", "!", NULL},
};

static void each_case_is_decided(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct guard_outcome there, back;
        const char *want = cases[i].fires != NULL ? cases[i].fires : "nothing";

        guard_check(span_of(cases[i].a), span_of(cases[i].b), &there);
        guard_check(span_of(cases[i].b), span_of(cases[i].a), &back);
        if (strcmp(there.fired != NULL ? there.fired : "nothing", want) != 0)
            fail_msg("'%s' / '%s': want %s, got %s", cases[i].a, cases[i].b, want,
                     there.fired != NULL ? there.fired : "nothing");
        /* Order says nothing. */
        assert_true((there.fired == NULL) == (back.fired == NULL));
        assert_true(there.overlap >= 0 && there.overlap <= 1);
    }
}

static void long_and_broken_texts_are_bounded(void **state)
{
    static char text[20000];
    struct guard_outcome g;

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 3)
        text[i] = ' ';
    guard_check((struct span){text, sizeof(text)}, SPAN("what is this"), &g);
    assert_non_null(g.fired); /* length */
    memset(text, 0xff, sizeof(text));
    guard_check((struct span){text, sizeof(text)}, (struct span){text, 100}, &g);
    assert_true(g.overlap >= 0);
}

static void every_guard_has_its_reason(void **state)
{
    const char *const *reasons = guard_reasons();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool found = cases[i].fires == NULL;

        for (size_t k = 0; reasons[k] != NULL; k++)
            found |= cases[i].fires != NULL && strcmp(reasons[k], cases[i].fires) == 0;
        assert_true(found);
    }
}

static void common_words_and_slips(void **state)
{
    (void)state;
    assert_true(guard_common(SPAN("house")));
    assert_true(guard_common(SPAN("running")));
    assert_true(guard_common(SPAN("cities")));
    assert_false(guard_common(SPAN("kubernetes")));
    assert_true(guard_common_typo(SPAN("password"), SPAN("pasword")));
    assert_true(guard_common_typo(SPAN("recieve"), SPAN("receive")));
    assert_false(guard_common_typo(SPAN("java"), SPAN("lava")));
    assert_false(guard_common_typo(SPAN("python"), SPAN("pylons")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_is_decided),
        cmocka_unit_test(long_and_broken_texts_are_bounded),
        cmocka_unit_test(every_guard_has_its_reason),
        cmocka_unit_test(common_words_and_slips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
