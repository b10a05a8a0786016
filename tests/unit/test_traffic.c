/* What was seen of a partition's traffic, and what that moves. */
#include "cache/traffic.h"

#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/decision.h"

#include "check.h"

static struct traffic_counts counted(uint32_t lookups, uint32_t refused)
{
    return (struct traffic_counts){lookups, refused};
}

static double shift(uint32_t lookups, uint32_t refused)
{
    struct traffic_counts c = counted(lookups, refused);

    return traffic_shift(&c);
}

static struct digest name(uint32_t n)
{
    struct digest d = {{0}};

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static void moves_against_what_guards_refuse(void **state)
{
    (void)state;
    assert_true(shift(0, 0) == 0); /* nothing seen: nothing moved */
    assert_true(shift(100, 1) > 0);
    assert_true(shift(100, 50) < 0);
    assert_true(shift(100, 30) < shift(100, 10));
    /* Little was seen: little is moved. */
    assert_true(shift(1, 0) > 0 && shift(1, 0) < 0.02);
    assert_true(shift(1, 1) < 0 && shift(1, 1) > -0.12);
    assert_true(shift(10, 0) < shift(100, 0));
    /* About the usual share: about nothing. */
    assert_true(fabs(shift(1000, 80)) < 0.005);
}

static void is_bounded(void **state)
{
    (void)state;
    assert_true(shift(1999, 0) == TRAFFIC_LOOSER);
    assert_true(shift(1999, 1999) == -TRAFFIC_TIGHTER);
}

/* Old traffic fades: a partition that changes is known anew. */
static void counts_fade(void **state)
{
    struct traffic_counts c = {0, 0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        traffic_count(&c, true);
    assert_true(c.lookups < 2000 && c.refused <= c.lookups && c.lookups >= 1000);
    assert_true(traffic_shift(&c) < -0.4);
    for (int i = 0; i < 12000; i++)
        traffic_count(&c, false);
    assert_true(traffic_shift(&c) > 0);
}

static void partitions_are_apart(void **state)
{
    const struct digest a = name(1), b = name(2);
    struct traffic_stats s;
    struct traffic *t;

    (void)state;
    CHECK_STATUS(ST_INVALID, traffic_open(0, &t));
    CHECK_STATUS(ST_OK, traffic_open(100, &t));
    assert_int_equal(traffic_find(t, &a).lookups, 0);
    for (int i = 0; i < 30; i++)
        traffic_note(t, &a, i % 3 == 0);
    traffic_note(t, &b, false);
    assert_int_equal(traffic_find(t, &a).lookups, 30);
    assert_int_equal(traffic_find(t, &a).refused, 10);
    assert_int_equal(traffic_find(t, &b).lookups, 1);
    assert_int_equal(traffic_find(t, &b).refused, 0);
    traffic_turned(t, true);
    traffic_turned(t, true);
    traffic_turned(t, false);
    traffic_stats(t, &s);
    assert_int_equal(s.partitions, 2);
    assert_int_equal(s.looser_total, 2);
    assert_int_equal(s.stricter_total, 1);
    traffic_close(t);
}

static void the_least_recently_used_go(void **state)
{
    static const uint32_t sizes[] = {1, 7, 8, 64};
    struct traffic_stats s;
    struct traffic *t;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        const struct digest kept = name(0);
        uint32_t found = 0;

        CHECK_STATUS(ST_OK, traffic_open(sizes[k], &t));
        for (uint32_t i = 1; i < 1000; i++) {
            const struct digest other = name(i);

            if (sizes[k] > 1)
                traffic_note(t, &kept, true);
            traffic_note(t, &other, false);
            assert_int_equal(traffic_find(t, &other).lookups, 1);
        }
        if (sizes[k] > 1)
            assert_int_equal(traffic_find(t, &kept).refused, 999);
        for (uint32_t i = 0; i < 1000; i++) {
            const struct digest any = name(i);

            found += traffic_find(t, &any).lookups > 0;
        }
        traffic_stats(t, &s);
        assert_int_equal(found, sizes[k]);
        assert_int_equal(s.partitions, sizes[k]);
        traffic_close(t);
    }
}

/* --- in a decision ------------------------------------------------------------------ */

static const char asked[] = "How do I open an account?";

static double decide(const struct decision_policy *p, size_t n, struct decision *d)
{
    struct decision_candidate c[2] = {
        {.similarity = 0.99F, .question = SPAN("How do I close an account?")},
        {.similarity = 0.97F, .question = SPAN("How can I open an account?")},
    };

    decision_make(span_of(asked), &c[2 - n], n, p, d);
    if (n == 2) {
        assert_true(c[0].refused);
        assert_false(c[1].refused);
    }
    return c[1].probability;
}

static void a_decision_heeds_it(void **state)
{
    struct decision_policy p = {.threshold = 0.5, .floor = 0.6F};
    double plain, looser, stricter;
    struct decision d;

    (void)state;
    plain = decide(&p, 1, &d);
    assert_true(d.moved == 0);
    p.traffic = counted(500, 0);
    looser = decide(&p, 1, &d);
    assert_true(d.moved == traffic_shift(&p.traffic));
    assert_int_equal(d.traffic.lookups, 500);
    assert_true(fabs(log(looser / (1 - looser)) - log(plain / (1 - plain)) - d.moved) < 1e-9);
    p.traffic = counted(500, 250);
    stricter = decide(&p, 1, &d);
    assert_true(stricter < plain && plain < looser);
    /* A threshold between: refused in the one partition, served in the other. */
    p.threshold = plain;
    (void)decide(&p, 1, &d);
    assert_false(d.hit);
    assert_string_equal(d.reason, "below_threshold");
    p.traffic = counted(500, 0);
    (void)decide(&p, 1, &d);
    assert_true(d.hit);
}

/* One of them could ask what he likes until all are believed with less. */
static void strangers_never_loosen(void **state)
{
    struct decision_policy p = {.floor = 0.6F, .strangers = true};
    struct decision d;
    double plain = decide(&p, 1, &d);

    (void)state;
    p.traffic = counted(1999, 0);
    assert_true(decide(&p, 1, &d) == plain);
    p.traffic = counted(1999, 1000);
    assert_true(decide(&p, 1, &d) < plain);
}

/* No traffic makes a guard's refusal a hit. */
static void a_guard_is_not_moved(void **state)
{
    const struct decision_policy p = {.floor = 0.6F, .traffic = {1999, 0}};
    struct decision_candidate c = {.similarity = 0.99F,
                                   .question = SPAN("How do I close an account?")};
    struct decision d;

    (void)state;
    decision_make(span_of(asked), &c, 1, &p, &d);
    assert_false(d.hit);
    assert_string_equal(d.reason, "antonym");
}

static void one_that_is_not_the_nearest_needs_more(void **state)
{
    const struct decision_policy p = {.floor = 0.6F};
    struct decision d;
    double nearest = decide(&p, 1, &d), second = decide(&p, 2, &d);

    (void)state;
    assert_true(second < nearest);
    assert_true(fabs(traffic_moved(second, -DECISION_OVERTAKEN) - nearest) < 1e-12);
    assert_true(traffic_moved(0, 1) == 0 && traffic_moved(1, -1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_against_what_guards_refuse),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(counts_fade),
        cmocka_unit_test(partitions_are_apart),
        cmocka_unit_test(the_least_recently_used_go),
        cmocka_unit_test(a_decision_heeds_it),
        cmocka_unit_test(strangers_never_loosen),
        cmocka_unit_test(a_guard_is_not_moved),
        cmocka_unit_test(one_that_is_not_the_nearest_needs_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
