/* Pairs that are never a hit again: in memory, in their file, and in a decision. */
#include "cache/refusals.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/decision.h"

#include "check.h"

static char folder[] = "/tmp/ibid-refusals-XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/refused_pairs", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static struct digest pair(const char *a, const char *b)
{
    const struct digest partition = {{1}};
    struct digest out;

    refusals_pair(&partition, span_of(a), span_of(b), &out);
    return out;
}

static struct refusals *open_some(const char *where, size_t max)
{
    struct refusals *r;

    assert_int_equal(refusals_open(where, max, &r), ST_OK);
    return r;
}

static bool have(struct refusals *r, const char *a, const char *b)
{
    struct digest d = pair(a, b);

    return refusals_have(r, &d);
}

static enum status add(struct refusals *r, const char *a, const char *b)
{
    struct digest d = pair(a, b);

    return refusals_add(r, &d);
}

static void a_pair_has_no_order(void **state)
{
    const struct digest other = {{2}};
    struct digest ab = pair("a", "b"), ba = pair("b", "a"), ac = pair("a", "c"), elsewhere;

    (void)state;
    assert_true(digest_eq(&ab, &ba));
    assert_false(digest_eq(&ab, &ac));
    refusals_pair(&other, SPAN("a"), SPAN("b"), &elsewhere);
    assert_false(digest_eq(&ab, &elsewhere));
}

static void they_outlive_the_process(void **state)
{
    struct refusals *r = open_some(folder, 10);
    struct digest d = pair("a", "b");

    (void)state;
    assert_false(have(r, "a", "b"));
    assert_int_equal(add(r, "a", "b"), ST_OK);
    assert_int_equal(add(r, "a", "b"), ST_OK); /* once is enough */
    assert_int_equal(add(r, "c", "d"), ST_OK);
    assert_int_equal(refusals_count(r), 2);
    refusals_close(r);
    r = open_some(folder, 10);
    assert_true(have(r, "b", "a"));
    assert_int_equal(refusals_remove(r, &d), ST_OK);
    assert_int_equal(refusals_remove(r, &d), ST_NOTFOUND);
    refusals_close(r);
    r = open_some(folder, 10);
    assert_false(have(r, "a", "b"));
    assert_true(have(r, "c", "d"));
    refusals_close(r);
    unlink(file);
}

static void the_oldest_are_forgotten(void **state)
{
    struct refusals *r = open_some(folder, 2);

    (void)state;
    assert_int_equal(add(r, "1", "x"), ST_OK);
    assert_int_equal(add(r, "2", "x"), ST_OK);
    assert_int_equal(add(r, "3", "x"), ST_OK);
    assert_int_equal(refusals_count(r), 2);
    assert_false(have(r, "1", "x"));
    assert_true(have(r, "2", "x") && have(r, "3", "x"));
    refusals_close(r);
    /* A smaller limit keeps the latest. */
    r = open_some(folder, 1);
    assert_true(!have(r, "2", "x") && have(r, "3", "x"));
    refusals_close(r);
    unlink(file);
}

static void a_harmed_file_costs_its_lines_only(void **state)
{
    struct refusals *r = open_some(folder, 10);
    FILE *f;

    (void)state;
    assert_int_equal(add(r, "a", "b"), ST_OK);
    refusals_close(r);
    f = fopen(file, "a");
    assert_non_null(f);
    for (unsigned i = 0; i < 1000; i++)
        fputs("no digest ", f);
    fputs("\n\n0123\n", f);
    fclose(f);
    r = open_some(folder, 10);
    assert_int_equal(refusals_count(r), 1);
    assert_true(have(r, "a", "b"));
    refusals_close(r);
    unlink(file);
}

static void without_a_place_they_live_in_memory(void **state)
{
    struct refusals *r = open_some(NULL, 10);

    (void)state;
    assert_int_equal(add(r, "a", "b"), ST_UNAVAILABLE);
    assert_true(have(r, "a", "b"));
    refusals_close(r);
    r = open_some("/nonexistent/folder", 10);
    assert_int_equal(add(r, "a", "b"), ST_UNAVAILABLE);
    assert_true(have(r, "a", "b"));
    refusals_close(r);
    r = open_some(folder, 0);
    assert_int_equal(add(r, "a", "b"), ST_LIMIT);
    assert_false(have(r, "a", "b"));
    refusals_close(r);
}

static void a_reported_pair_lets_the_next_one_pass(void **state)
{
    const struct digest partition = {{1}};
    struct decision_policy policy = {.threshold = 0.5, .floor = 0.5F, .partition = &partition};
    struct decision_candidate c[2] = {
        {.key = {{1}}, .similarity = 0.99F, .question = SPAN("How do I reset my password?")},
        {.key = {{2}}, .similarity = 0.98F, .question = SPAN("How to reset my password?")},
    };
    const char *asked = "How can I reset my password?";
    struct decision d;

    (void)state;
    policy.refusals = open_some(NULL, 10);
    decision_make(span_of(asked), c, 2, &policy, &d);
    assert_true(d.hit && d.key.bytes[0] == 1);
    assert_int_equal(add(policy.refusals, "How do I reset my password?", asked),
                     ST_UNAVAILABLE);
    decision_make(span_of(asked), c, 2, &policy, &d);
    assert_true(d.hit && d.key.bytes[0] == 2);
    assert_string_equal(c[0].reason, "reported");
    decision_make(span_of(asked), c, 1, &policy, &d);
    assert_false(d.hit);
    assert_string_equal(d.reason, "reported");
    assert_true(d.probability > policy.threshold);
    refusals_close(policy.refusals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_has_no_order),
        cmocka_unit_test(they_outlive_the_process),
        cmocka_unit_test(the_oldest_are_forgotten),
        cmocka_unit_test(a_harmed_file_costs_its_lines_only),
        cmocka_unit_test(without_a_place_they_live_in_memory),
        cmocka_unit_test(a_reported_pair_lets_the_next_one_pass),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
