/* Answers that somebody may report on: found by their id, forgotten in their order, with copies
 * of their texts where those are not too long. */
#include "proxy/reportable.h"

#include <string.h>

#include "check.h"

static struct reportable one(uint64_t id)
{
    struct reportable r = {.id = id, .sure = 0.5, .question = SPAN("why?"), .said = SPAN("so")};

    r.signs[0] = (double)id;
    return r;
}

static void finds_what_it_has(void **arg)
{
    struct reportables l = {.ring = NULL};
    struct reportable r = one(7), *found;
    char question[] = "why?";

    (void)arg;
    assert_null(reportable_find(&l, 7));
    r.question = (struct span){question, 4};
    reportable_add(&l, &r);
    memset(question, 'x', 4); /* a copy */
    found = reportable_find(&l, 7);
    assert_non_null(found);
    assert_true(span_eq(found->question, SPAN("why?")) && span_eq(found->said, SPAN("so")));
    assert_true(found->signs[0] > 6.9 && found->signs[0] < 7.1);
    assert_null(reportable_find(&l, 8));
    assert_null(reportable_find(&l, 0));
    reportable_forget(found);
    assert_null(reportable_find(&l, 7));
    reportable_release(&l);
}

static void the_oldest_go(void **arg)
{
    struct reportables l = {.ring = NULL};

    (void)arg;
    for (uint64_t id = 1; id <= REPORTABLE_MAX + 2; id++) {
        struct reportable r = one(id);

        reportable_add(&l, &r);
    }
    assert_null(reportable_find(&l, 1));
    assert_null(reportable_find(&l, 2));
    assert_non_null(reportable_find(&l, 3));
    assert_non_null(reportable_find(&l, REPORTABLE_MAX + 2));
    reportable_release(&l);
    assert_null(reportable_find(&l, 3));
}

static void long_texts_are_left_out(void **arg)
{
    static char text[REPORTABLE_TEXTS_MAX];
    struct reportables l = {.ring = NULL};
    struct reportable r = one(1);

    (void)arg;
    memset(text, 'a', sizeof(text));
    r.question = (struct span){text, sizeof(text) - 1};
    r.said = (struct span){text, 1};
    reportable_add(&l, &r);
    assert_int_equal(reportable_find(&l, 1)->question.len, sizeof(text) - 1);
    r.id = 2;
    r.said = (struct span){text, 2};
    reportable_add(&l, &r);
    assert_int_equal(reportable_find(&l, 2)->question.len, 0);
    assert_int_equal(reportable_find(&l, 2)->said.len, 0);
    reportable_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_it_has),
        cmocka_unit_test(the_oldest_go),
        cmocka_unit_test(long_texts_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
