/* The policy that keeps to a share of wrong answers: on made-up traffic whose truth is known.
 */
#include "cache/bounded.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cache/calibration.h"

#include "check.h"

static const struct digest partition = {{7}}, other_partition = {{8}};
static uint64_t state = 1;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

static struct bounded *open_some(double error_max, const char *data_dir)
{
    const struct bounded_options o = {.error_max = error_max,
                                      .explore = 0.02,
                                      .partitions_max = 4,
                                      .groups_max = 100,
                                      .data_dir = data_dir,
                                      .seed = 12345};
    struct bounded *b;

    CHECK_STATUS(ST_OK, bounded_open(&o, &b));
    return b;
}

static struct decision_candidate candidate(uint8_t name, double p)
{
    struct decision_candidate c = {.similarity = 0.9f, .probability = p, .reason = "hit"};

    c.key.bytes[0] = name;
    return c;
}

/* What P(same) says where the logistic behind it says p: the policy calibrates for itself. */
static double said(double p)
{
    return 1 / (1 + exp(-calibration_apply(log(p / (1 - p)))));
}

struct tally {
    unsigned requests, served, wrong;
};

/* Traffic in which a candidate of which the logistic says p is right with a probability of
 * `truth(p)`; every miss is labelled, a share of the right ones as wrong. */
static struct tally play(struct bounded *b, unsigned n, double (*truth)(double p))
{
    struct tally t = {n, 0, 0};

    for (unsigned i = 0; i < n; i++) {
        double p = 0.3 + 0.699 * uniform();
        struct decision_candidate c = candidate((uint8_t)(i % 250 + 1), said(p));
        bool right = uniform() < truth(p);
        struct decision d;

        bounded_decide(b, &partition, &c, 1, 0, &d);
        if (d.hit) {
            t.served++;
            t.wrong += !right;
        } else {
            bounded_learn(b, &partition, &d.lesson, right && uniform() > 0.06);
        }
    }
    return t;
}

static double as_said(double p)
{
    return p;
}

/* P is far too bold: its odds are a ninth of what it says. */
static double bold(double p)
{
    return p / (p + 9 * (1 - p));
}

static double modest(double p)
{
    return 9 * p / (9 * p + (1 - p));
}

static void keeps_to_the_share(void **arg)
{
    static const double shares[] = {0.005, 0.01, 0.02, 0.05};
    double (*truths[])(double) = {as_said, bold, modest};

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        for (size_t j = 0; j < ARRAY_LEN(truths); j++) {
            struct bounded *b = open_some(shares[i], NULL);
            struct tally t = play(b, 20000, truths[j]);

            if (t.wrong > 1.1 * shares[i] * t.requests || t.served == 0)
                fail_msg("share %g, truth %zu: %u wrong of %u served", shares[i], j, t.wrong,
                         t.served);
            bounded_close(b);
        }
    }
}

/* The modest P is worth more than the bold one, once that is learned. */
static void learns(void **arg)
{
    struct bounded *a = open_some(0.01, NULL), *b = open_some(0.01, NULL);
    struct tally modestly = play(a, 20000, modest), boldly = play(b, 20000, bold);

    (void)arg;
    assert_true(modestly.served > 3 * boldly.served);
    bounded_close(a);
    bounded_close(b);
}

/* What was good for long is bad all at once. */
static void notices_that_traffic_changes(void **arg)
{
    static const double share = 0.02;

    (void)arg;
    for (int i = 0; i < 8; i++) {
        struct bounded *b = open_some(share, NULL);
        struct tally before = play(b, 10000, modest), after;
        struct bounded_stats s;

        bounded_stats(b, &s);
        assert_true(before.wrong <= 1.1 * share * before.requests);
        assert_in_range(s.all.drifts_total, 0, 3);
        after = play(b, 3000, bold);
        bounded_stats(b, &s);
        if (after.wrong > share / 2 * after.requests || s.all.drifts_total == 0)
            fail_msg("%u wrong of %u served", after.wrong, after.served);
        bounded_close(b);
    }
}

/* Open questions: few have a candidate at all, and what is near is often another question. */
static unsigned served_of_open_questions(struct bounded *b, unsigned n)
{
    unsigned served = 0;

    for (unsigned i = 0; i < n; i++) {
        double p = 0.3 + 0.69 * uniform();
        struct decision_candidate c = candidate((uint8_t)(i % 250 + 1), said(p));
        bool right = uniform() < p * p;
        struct decision d;

        if (uniform() > 0.15) {
            bounded_decide(b, &partition, NULL, 0, 0, &d);
            continue;
        }
        bounded_decide(b, &partition, &c, 1, 0, &d);
        served += d.hit;
        if (!d.hit)
            bounded_learn(b, &partition, &d.lesson, right && uniform() > 0.06);
    }
    return served;
}

/* The same traffic comes to about the same, whatever the luck of its labels is. */
static void luck_decides_little(void **arg)
{
    unsigned least = UINT_MAX, most = 0;

    (void)arg;
    for (int i = 0; i < 16; i++) {
        struct bounded *b = open_some(0.01, NULL);
        unsigned served = served_of_open_questions(b, 8000);

        least = served < least ? served : least;
        most = served > most ? served : most;
        bounded_close(b);
    }
    if (most > 1.4 * least)
        fail_msg("%u to %u served", least, most);
}

/* What stands on one side: eight candidates of the same P, of which `alike` say the same. */
static double chosen_with(struct bounded *b, unsigned alike, struct decision *d)
{
    struct decision_candidate c[DECISION_CANDIDATES_MAX];

    for (unsigned i = 0; i < DECISION_CANDIDATES_MAX; i++)
        c[i] = candidate((uint8_t)(100 + i), 0.8);
    for (unsigned i = 1; i < alike; i++)
        bounded_join(b, &c[i].key, &c[0].key);
    bounded_decide(b, &partition, c, DECISION_CANDIDATES_MAX, 0, d);
    return d->probability;
}

static void answers_that_agree_support_each_other(void **arg)
{
    struct bounded *b = open_some(0.01, NULL);
    struct decision d;
    double alone = chosen_with(b, 1, &d), half = chosen_with(b, 4, &d),
           all = chosen_with(b, 8, &d);

    (void)arg;
    assert_true(alone < half && half < all);
    assert_int_equal(d.lesson.at, 0);
    bounded_close(b);
}

static double probability_of(struct bounded *b, uint8_t name)
{
    struct decision_candidate c = candidate(name, 0.8);
    struct decision d;

    bounded_decide(b, &partition, &c, 1, 0, &d);
    return d.probability;
}

/* An answer that was wrong for other questions near it is the more likely wrong again, one that
 * was right the less. */
static void what_an_answer_was_worth_before_counts(void **arg)
{
    struct bounded *b = open_some(0.01, NULL);
    struct decision d;
    double right, wrong, unknown;

    (void)arg;
    for (unsigned i = 0; i < 2000; i++) {
        struct decision_candidate c = candidate((uint8_t)(1 + i % 20), 0.8);

        bounded_decide(b, &partition, &c, 1, 0, &d);
        bounded_learn(b, &partition, &d.lesson, uniform() < (i % 20 < 10 ? 0.95 : 0.05));
    }
    right = probability_of(b, 1);
    wrong = probability_of(b, 20);
    unknown = probability_of(b, 200);
    if (right < 0.9 || wrong > 0.2 || unknown < wrong || unknown > right)
        fail_msg("%g, %g and %g of which nothing is known", right, wrong, unknown);
    bounded_close(b);
}

/* Where questions come in bursts, a group that is not of the burst is wrong: learned. */
static void learns_what_bursts_are(void **arg)
{
    struct bounded *b = open_some(0.05, NULL);
    struct decision d;
    double within, outside;

    (void)arg;
    for (unsigned i = 0; i < 3000; i++) {
        struct decision_candidate of_burst = candidate((uint8_t)(1 + i / 100), 0.8);
        struct decision_candidate of_another = candidate((uint8_t)(100 + i % 100), 0.8);
        bool burst = uniform() < 0.5;

        bounded_stored(b, &partition, &of_burst.key);
        bounded_decide(b, &partition, burst ? &of_burst : &of_another, 1, 0, &d);
        bounded_learn(b, &partition, &d.lesson, burst);
    }
    for (unsigned i = 0; i < BOUNDED_RECENT; i++) {
        struct decision_candidate c = candidate(30, 0.8);

        bounded_stored(b, &partition, &c.key);
    }
    within = probability_of(b, 30);
    outside = probability_of(b, 99);
    if (within < 0.95 || outside > 0.6)
        fail_msg("%g within a burst, %g outside", within, outside);
    bounded_close(b);
}

static void refused_candidates_are_left_out(void **arg)
{
    struct decision_candidate c[3] = {candidate(1, 0), candidate(2, 0.99), candidate(3, 0.9)};
    struct bounded *b = open_some(0.01, NULL);
    struct decision d;

    (void)arg;
    c[0].reason = "negation";
    c[1].reason = "reported";
    bounded_decide(b, &partition, c, 3, 0, &d);
    assert_true(d.lesson.judged);
    assert_int_equal(d.lesson.at, 2);
    assert_string_equal(c[0].reason, "negation");
    assert_string_equal(c[1].reason, "reported");
    c[2].reason = "number";
    bounded_decide(b, &partition, c, 3, 0, &d);
    assert_false(d.lesson.judged);
    assert_string_equal(d.reason, "negation");
    bounded_decide(b, &partition, NULL, 0, 0, &d);
    assert_string_equal(d.reason, "no_candidate");
    bounded_learn(b, &partition, &d.lesson, true); /* nothing to learn from */
    bounded_close(b);
}

/* A caller's threshold only makes it stricter. */
static void a_caller_can_only_tighten(void **arg)
{
    struct bounded *b = open_some(0.05, NULL);
    struct decision d;
    unsigned loose = 0, strict = 0;

    (void)arg;
    (void)play(b, 3000, as_said);
    for (unsigned i = 0; i < 200; i++) {
        struct decision_candidate c = candidate(1, 0.97);

        bounded_decide(b, &partition, &c, 1, 0, &d);
        loose += d.hit;
        c = candidate(1, 0.97);
        bounded_decide(b, &partition, &c, 1, 0.9999, &d);
        strict += d.hit;
        assert_true(d.threshold >= 0.9999);
    }
    assert_true(loose > 150);
    assert_int_equal(strict, 0);
    bounded_close(b);
}

static void explores(void **arg)
{
    struct bounded *b = open_some(0.05, NULL);
    struct bounded_stats s;
    unsigned explored = 0;

    (void)arg;
    for (unsigned i = 0; i < 20000; i++) {
        struct decision_candidate c = candidate(1, 0.999);
        struct decision d;

        bounded_decide(b, &partition, &c, 1, 0, &d);
        if (d.lesson.serve && !d.hit) {
            explored++;
            assert_string_equal(d.reason, "explored");
        }
    }
    if (explored < 250 || explored > 650) /* 2 %, and a little for the risk */
        fail_msg("%u", explored);
    bounded_stats(b, &s);
    assert_int_equal(s.all.explored_total, explored);
    bounded_close(b);
}

/* --- what is kept ----------------------------------------------------------------- */

static char folder[] = "/tmp/ibid-bounded-XXXXXX";
static char file[64];

static int make_folder(void **arg)
{
    (void)arg;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/bounded", folder);
    return 0;
}

static int remove_folder(void **arg)
{
    (void)arg;
    unlink(file);
    return rmdir(folder);
}

static void survives_a_restart(void **arg)
{
    struct bounded *b = open_some(0.01, folder);
    struct bounded_model before, after;
    struct decision d;
    double supported;

    (void)arg;
    (void)play(b, 2000, modest);
    supported = chosen_with(b, 8, &d);
    assert_int_equal(bounded_models(b, &before, 1), 1);
    bounded_close(b);
    b = open_some(0.01, folder);
    assert_int_equal(bounded_models(b, &after, 1), 1);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_true(fabs(chosen_with(b, 1, &d) - supported) < 0.01); /* joined before */
    bounded_close(b);
}

static void a_harmed_file_is_left_behind(void **arg)
{
    struct bounded *b = open_some(0.01, folder);
    struct bounded_stats s;
    FILE *f;

    (void)arg;
    (void)play(b, 500, modest);
    bounded_close(b);
    f = fopen(file, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 2000, SEEK_SET), 0);
    assert_int_equal(fputs("x", f) < 0, 0);
    fclose(f);
    b = open_some(0.01, folder);
    bounded_stats(b, &s);
    assert_int_equal(s.partitions, 0);
    assert_int_equal(s.all.requests_total, 0);
    bounded_close(b);
}

static void the_least_used_partition_goes(void **arg)
{
    struct bounded *b = open_some(0.01, NULL);
    struct bounded_model m[8];
    struct decision d;
    bool first = false, last = false;

    (void)arg;
    for (uint8_t i = 1; i <= 6; i++) {
        struct decision_candidate c = candidate(1, 0.9);
        const struct digest p = {{i}};

        bounded_decide(b, &p, &c, 1, 0, &d);
        bounded_learn(b, &p, &d.lesson, true);
        bounded_count(b, &other_partition);
    }
    assert_int_equal(bounded_models(b, m, 8), 4);
    for (int i = 0; i < 4; i++) {
        first = first || m[i].partition.bytes[0] == 1;
        last = last || m[i].partition.bytes[0] == 6;
    }
    assert_true(last && !first);
    bounded_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_to_the_share),
        cmocka_unit_test(learns),
        cmocka_unit_test(luck_decides_little),
        cmocka_unit_test(answers_that_agree_support_each_other),
        cmocka_unit_test(what_an_answer_was_worth_before_counts),
        cmocka_unit_test(learns_what_bursts_are),
        cmocka_unit_test(refused_candidates_are_left_out),
        cmocka_unit_test(a_caller_can_only_tighten),
        cmocka_unit_test(explores),
        cmocka_unit_test_setup_teardown(survives_a_restart, make_folder, NULL),
        cmocka_unit_test_setup_teardown(a_harmed_file_is_left_behind, NULL, remove_folder),
        cmocka_unit_test(the_least_used_partition_goes),
        cmocka_unit_test(notices_that_traffic_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
