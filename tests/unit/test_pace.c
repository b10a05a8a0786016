/* When events are due. */
#include "check.h"
#include "proxy/pace.h"

#define SECOND 1000000

static size_t take(struct pace *p, const char *made, enum protocol_framing framing,
                   uint64_t now)
{
    return pace_take(p, span_of(made), framing, now);
}

static void test_events_in_their_time(void **state)
{
    struct pace p;

    (void)state;
    pace_begin(&p, 10, 5 * SECOND);
    assert_int_equal(take(&p, "data: a\n\ndata: b\n\n", FRAMING_EVENTS, 5 * SECOND), 9);
    assert_int_equal(take(&p, "data: b\n\n", FRAMING_EVENTS, 5 * SECOND), 0);
    assert_int_equal(pace_wait_us(&p, 5 * SECOND), SECOND / 10);
    assert_int_equal(take(&p, "data: b\n\n", FRAMING_EVENTS, 5 * SECOND + SECOND / 10 - 1), 0);
    assert_int_equal(take(&p, "data: b\n\n", FRAMING_EVENTS, 5 * SECOND + SECOND / 10), 9);
    /* A timer that came late makes up for it. */
    assert_int_equal(take(&p, "data: c\n\ndata: d\n\n", FRAMING_EVENTS, 6 * SECOND), 18);
}

/* As many in the end as there should be, whatever the pace, and never a rest of nothing. */
static void test_every_pace_is_kept(void **state)
{
    static const uint64_t paces[] = {1, 3, 7, 10, 99, 100, 333, 999, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++) {
        uint64_t now = 12345, from = now, given = 0;
        struct pace p;

        pace_begin(&p, paces[i], now);
        while (now < from + 4 * SECOND) {
            size_t n =
                take(&p, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\n", FRAMING_LINES, now);

            assert_true(n > 0);
            given += n / 2;
            assert_true(pace_wait_us(&p, now) > 0);
            now += pace_wait_us(&p, now);
            assert_true(given <= 1 + (now - from) * paces[i] / SECOND);
        }
        assert_true(given + paces[i] / 100 + 1 >= 4 * paces[i]);
    }
}

static void test_events_end_as_their_framing_says(void **state)
{
    struct pace p;

    (void)state;
    pace_begin(&p, 1, 0);
    assert_int_equal(take(&p, "event: x\ndata: a\n\ndata: b\n\n", FRAMING_EVENTS, 0), 18);
    pace_begin(&p, 1, 0);
    assert_int_equal(take(&p, "{\"a\":1}\n{\"b\":2}\n", FRAMING_LINES, 0), 8);
    /* What has no end is let out too: it can not be waited for. */
    pace_begin(&p, 1, 0);
    assert_int_equal(take(&p, "data: a\n", FRAMING_EVENTS, 0), 8);
    pace_begin(&p, 1, 0);
    assert_int_equal(take(&p, "", FRAMING_EVENTS, 0), 0);
}

static void test_without_a_pace_all_is_due(void **state)
{
    struct pace p;

    (void)state;
    pace_begin(&p, 0, 0);
    assert_int_equal(take(&p, "a\nb\nc\n", FRAMING_LINES, 0), 6);
    assert_true(pace_wait_us(&p, 0) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_in_their_time),
        cmocka_unit_test(test_every_pace_is_kept),
        cmocka_unit_test(test_events_end_as_their_framing_says),
        cmocka_unit_test(test_without_a_pace_all_is_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
