/* Whether two answers say the same. */
#include "cache/agreement.h"

#include "base/compiler.h"

#include "check.h"

struct pair {
    const char *q1, *a1, *q2, *a2;
    enum agreement says;
};

static const struct pair pairs[] = {
    {"What is the capital of France?", "The capital of France is Paris.",
     "Which city is France's capital?", "Paris is the capital city of France.", AGREEMENT_YES},
    {"What is the capital of France?", "The capital of France is Paris.",
     "What is the capital of Spain?", "The capital of Spain is Madrid.", AGREEMENT_NO},
    {"How do I enable the alarm?", "Open Settings, choose Alarm and press the green switch.",
     "How do I turn the alarm on?", "Choose Alarm in Settings; press the green switch.",
     AGREEMENT_YES},
    {"How do I reset my password?", "Follow the link that we send you by mail.",
     "How do I delete my account?", "Ask support; an engineer erases everything within a week.",
     AGREEMENT_NO},
    /* a number, a yes and a no decide where little else is said */
    {"What is the number of my order?", "Your order has the number 4711.",
     "Which number has my order?", "Your order has the number 4712.", AGREEMENT_NO},
    {"How long does it take?", "It takes 90 minutes by train.", "How long will it be?",
     "It takes 1.5 hours by train.", AGREEMENT_YES},
    {"Can I pay by card?", "Yes, you can.", "Can one pay by card?", "No, you can't.",
     AGREEMENT_NO},
    {"Can I open it online?", "You can open it at the counter.", "May I open it online?",
     "You can not open it at the counter.", AGREEMENT_UNSURE},
    /* and are one word of many where more is */
    {"How do I renew my card?",
     "Case 17: open the drawer called Cards, press Security, choose Renew and wait for the "
     "letter.",
     "How is a card renewed?",
     "Case 18: open the drawer called Cards, press Security, choose Renew and wait for the "
     "letter.",
     AGREEMENT_YES},
    /* equal, though nothing is left of it beside the questions */
    {"Is it yes or no?", "Yes", "Say yes or no", "Yes", AGREEMENT_YES},
    /* nothing is left, and they are not equal: who knows */
    {"Is it yes or no?", "Yes", "Say yes or no", "No", AGREEMENT_UNSURE},
    {"Why?", "", "Why?", "Because of the weather.", AGREEMENT_UNSURE},
};

static void says(void **arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const struct pair *p = &pairs[i];
        struct agreement_text a, b;

        agreement_read(span_of(p->q1), span_of(p->a1), &a);
        agreement_read(span_of(p->q2), span_of(p->a2), &b);
        if (agreement_of(&a, &b) != p->says || agreement_of(&b, &a) != p->says)
            fail_msg("'%s' and '%s': %d, overlap %g", p->a1, p->a2, agreement_of(&a, &b),
                     agreement_overlap(&a, &b));
    }
}

static void does_not_depend_on_the_order_of_words(void **arg)
{
    struct agreement_text a, b;

    (void)arg;
    agreement_read(SPAN("q"), SPAN("copper zinc nickel silver"), &a);
    agreement_read(SPAN("q"), SPAN("silver copper silver lead"), &b);
    /* shared: copper, silver, of four and three (silver counts once) */
    assert_true(agreement_overlap(&a, &b) > 0.4 && agreement_overlap(&a, &b) < 0.7);
    assert_true(agreement_overlap(&a, &b) == agreement_overlap(&b, &a));
    assert_true(agreement_overlap(&a, &a) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says),
        cmocka_unit_test(does_not_depend_on_the_order_of_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
