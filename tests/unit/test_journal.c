/* Decisions under their ids, bounded by bytes. */
#include "proxy/journal.h"

#include <stdlib.h>

#include "cache/decision_record.h"

#include "check.h"

static struct decision_record *record(const char *question)
{
    struct decision_record like = {.question = span_of(question)}, *r;

    assert_int_equal(decision_record_copy(&like, &r), ST_OK);
    return r;
}

static void the_oldest_go(void **state)
{
    const size_t each = sizeof(struct journal_item) + sizeof(struct decision_record) + 1;
    struct journal j;
    uint64_t id[4];

    (void)state;
    journal_init(&j, 3 * each);
    for (size_t i = 0; i < 4; i++)
        id[i] = journal_add(&j, record("q"), i % 2 == 0);
    assert_int_equal(j.count, 3);
    assert_int_equal(j.bytes, 3 * each);
    assert_null(journal_find(&j, id[0]));
    assert_non_null(journal_find(&j, id[1]));
    assert_false(journal_find(&j, id[1])->served);
    assert_true(journal_find(&j, id[2])->served);
    /* A longer one takes the place of two. */
    assert_int_not_equal(journal_add(&j, record("qq"), true), JOURNAL_NONE);
    assert_int_equal(j.count, 2);
    assert_null(journal_find(&j, id[2]));
    journal_release(&j);
    assert_int_equal(j.count, 0);
    assert_int_equal(j.bytes, 0);
}

static void what_does_not_fit_is_not_kept(void **state)
{
    struct journal j;

    (void)state;
    journal_init(&j, 0);
    assert_int_equal(journal_add(&j, record("q"), true), JOURNAL_NONE);
    assert_null(journal_find(&j, JOURNAL_NONE));
    journal_release(&j);
}

static void the_last_report_counts(void **state)
{
    struct journal j;
    uint64_t id, other;

    (void)state;
    journal_init(&j, 1u << 20);
    id = journal_add(&j, record("q"), true);
    other = journal_add(&j, record("r"), true);
    assert_int_equal(journal_find(&j, id)->report, JOURNAL_UNREPORTED);
    journal_report(&j, id, JOURNAL_WRONG);
    assert_int_equal(journal_find(&j, id)->report, JOURNAL_WRONG);
    journal_report(&j, id, JOURNAL_RIGHT);
    assert_int_equal(journal_find(&j, id)->report, JOURNAL_RIGHT);
    assert_int_equal(journal_find(&j, other)->report, JOURNAL_UNREPORTED);
    journal_report(&j, id ^ other ^ 1, JOURNAL_WRONG); /* nobody's */
    journal_release(&j);
}

static void ids_are_read_as_they_are_written(void **state)
{
    static const char *const wrong[] = {
        "", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "0123456789abcde ",
    };
    char text[JOURNAL_ID_DIGITS + 1];

    (void)state;
    journal_id_write(0x0123456789abcdefU, text);
    assert_string_equal(text, "0123456789abcdef");
    assert_int_equal(journal_id_read(span_of(text)), 0x0123456789abcdefU);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(journal_id_read(span_of(wrong[i])), JOURNAL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_go),
        cmocka_unit_test(what_does_not_fit_is_not_kept),
        cmocka_unit_test(the_last_report_counts),
        cmocka_unit_test(ids_are_read_as_they_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
