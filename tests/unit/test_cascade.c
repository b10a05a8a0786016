/* What an answer shows, what is learned from that, the line that keeps to a loss, and the file.
 */
#include "router/cascade_file.h"
#include "router/cascade_training.h"
#include "router/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define N 2000

static struct cascade_outcome outcomes[N];
static uint64_t state = 11;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* Right the more often the surer it was, and the less it repeated itself. */
static void draw(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct cascade_outcome *o = &outcomes[i];
        double sum;

        *o = (struct cascade_outcome){.large = 1};
        for (size_t k = 0; k < SIGNS_COUNT; k++)
            o->signs[k] = uniform();
        o->signs[SIGN_LOG_P] = -3 * uniform();
        o->signs[SIGN_VOTES] = 0; /* never varies */
        sum = 5 + 5 * o->signs[SIGN_LOG_P] - 4 * o->signs[SIGN_REPEATS];
        o->small = uniform() < 1 / (1 + exp(-sum));
    }
}

static struct span text(const char *s)
{
    return span_of(s);
}

static void an_answer_is_seen(void **arg)
{
    struct span shown[] = {SPAN("Positive."), SPAN("negative"), SPAN("positive")};
    struct signs_input in = {.tokens = 4,
                             .log_p = -2,
                             .least_log_p = -1.5,
                             .entropy = 1,
                             .first_margin = 0.5,
                             .least_margin = 0.25,
                             .question = text("Is the soup hot or cold?"),
                             .answer = text("  POSITIVE!"),
                             .shown = shown,
                             .shown_count = 3,
                             .nearest = 0.75,
                             .votes = 1,
                             .enough = 0.25};
    double s[SIGNS_COUNT];

    (void)arg;
    signs_of(&in, s);
    assert_true(s[SIGN_LOG_P] == -0.5 && s[SIGN_ENTROPY] == 0.25);
    assert_true(s[SIGN_LEAST_LOG_P] == -1.5 && s[SIGN_LEAST_MARGIN] == 0.25);
    assert_true(s[SIGN_EXAMPLES] == 3 && s[SIGN_NEAREST] == 0.75 && s[SIGN_VOTES] == 1 &&
                s[SIGN_ENOUGH] == 0.25);
    assert_true(fabs(s[SIGN_ALIKE] - 2.0 / 3) < 1e-12);
    assert_true(fabs(s[SIGN_FOLLOWS] - 2.0 / 3) < 1e-12);
    assert_true(s[SIGN_ECHO] == 0 && s[SIGN_REPEATS] == 0);
    in.answer = text("The soup, the soup, the hot SOUP");
    signs_of(&in, s);
    assert_true(s[SIGN_ECHO] == 1 && fabs(s[SIGN_REPEATS] - 4.0 / 7) < 1e-12);
    assert_true(s[SIGN_FOLLOWS] == 0 && s[SIGN_SHAPE] > 1);
    /* No answer, no figures: still numbers. */
    in = (struct signs_input){.log_p = -INFINITY, .entropy = NAN};
    signs_of(&in, s);
    for (size_t i = 0; i < SIGNS_COUNT; i++)
        assert_true(isfinite(s[i]));
}

static void a_text_of_many_words(void **arg)
{
    char *many = malloc(200000);
    double s[SIGNS_COUNT];

    (void)arg;
    assert_non_null(many);
    for (size_t i = 0; i < 200000; i++)
        many[i] = i % 5 == 4 ? ' ' : (char)('a' + (i * 7 + i / 26) % 26);
    signs_of(&(struct signs_input){.tokens = 1,
                                   .question = {many, 200000},
                                   .answer = {many + 100, 150000}},
             s);
    assert_true(s[SIGN_ECHO] > 0.4 && s[SIGN_ECHO] <= 1 && s[SIGN_REPEATS] <= 1);
    free(many);
}

static void the_same_but_for_form(void **arg)
{
    (void)arg;
    assert_true(signs_same(text("Paris"), text(" \"paris.\"\n")));
    assert_true(signs_same(text("a, b"), text("a b")));
    assert_false(signs_same(text("a b"), text("a b c")));
    assert_false(signs_same(text("a b c"), text("a b")));
    assert_false(signs_same(text("caf\xc3\xa9"), text("cafe")));
    assert_true(signs_same(text(""), text(" . ")));
}

static void learns_what_is_right(void **arg)
{
    struct cascade_report held, again;
    struct cascade c;
    size_t wrong = 0;

    (void)arg;
    draw(N);
    CHECK_STATUS(ST_OK, cascade_training_run(outcomes, N, 0.02, &c, &held));
    assert_true(held.area > 0.85 && held.calibration_error < 0.05);
    assert_true(held.line < 1 && held.lost <= 0.02 && held.stays > 0.05);
    assert_true(c.weight[SIGN_LOG_P] > 0 && c.weight[SIGN_REPEATS] < 0);
    assert_true(c.weight[SIGN_VOTES] == 0);
    for (size_t i = 0; i < 100; i++)
        wrong += !(cascade_sure(&c, outcomes[i].signs) > 0);
    assert_int_equal(wrong, 0);
    draw(N); /* others */
    CHECK_STATUS(ST_OK, cascade_training_test(&c, outcomes, N, 0.02, &again));
    assert_true(fabs(again.area - held.area) < 0.03 && again.calibration_error < 0.06);
    assert_true(again.lost < 0.03 && again.stays > 0.05);
}

/* Of few answers none is sure to keep to a small loss; of more tolerance more stays. */
static void the_line_keeps_to_the_loss(void **arg)
{
    struct cascade_report few, r;
    struct cascade c;
    double before = 0;

    (void)arg;
    draw(N);
    CHECK_STATUS(ST_OK, cascade_training_run(outcomes, CASCADE_TRAINING_MIN, 0.01, &c, &few));
    assert_true(few.line > 1 && few.stays == 0); /* none wrong of fifty may still be .03 */
    for (double loss = 0.005; loss < 0.5; loss *= 2) {
        CHECK_STATUS(ST_OK, cascade_training_run(outcomes, N, loss, &c, &r));
        assert_true(r.lost <= loss && r.stays >= before);
        before = r.stays;
    }
    assert_true(before > 0.3);
    assert_true(cascade_line(&c, 1) <= 0);
}

/* Half of a group that is wrong throughout must not hide behind another that is right. */
static void each_group_keeps_to_the_loss(void **arg)
{
    struct cascade_report r;
    struct cascade one, each;
    double lost = 0, n = 0;

    (void)arg;
    draw(N);
    for (size_t i = 0; i < N; i++) {
        outcomes[i].group = i % 10 == 0;
        if (outcomes[i].group)
            outcomes[i].small = outcomes[i].small > 0 && uniform() < 0.5;
    }
    CHECK_STATUS(ST_OK, cascade_training_run(outcomes, N, 0.05, &each, &r));
    assert_int_equal(each.least, N / 10);
    for (size_t i = 0; i < N; i += 10) {
        n++;
        lost += cascade_sure(&each, outcomes[i].signs) >= r.line && outcomes[i].small < 1;
    }
    assert_true(lost / n <= 0.06);
    for (size_t i = 0; i < N; i++)
        outcomes[i].group = 0;
    CHECK_STATUS(ST_OK, cascade_training_run(outcomes, N, 0.05, &one, &r));
    assert_int_equal(one.least, N);
    assert_true(cascade_line(&one, 0.05) < cascade_line(&each, 0.05));
}

static void what_can_not_be_learned(void **arg)
{
    struct cascade_report r;
    struct cascade c;

    (void)arg;
    draw(N);
    CHECK_STATUS(ST_INVALID,
                 cascade_training_run(outcomes, CASCADE_TRAINING_MIN - 1, 0.02, &c, &r));
    for (size_t i = 0; i < N; i++)
        outcomes[i].small = 1;
    CHECK_STATUS(ST_INVALID, cascade_training_run(outcomes, N, 0.02, &c, &r));
}

static void the_file_keeps_it(void **arg)
{
    struct cascade c, back;
    struct cascade_report r;
    char why[160];
    struct buf out;

    (void)arg;
    draw(N);
    CHECK_STATUS(ST_OK, cascade_training_run(outcomes, N, 0.02, &c, &r));
    strcpy(c.models, "smollm2-135m-instruct other");
    buf_init(&out, CASCADE_FILE_MAX_BYTES);
    CHECK_STATUS(ST_OK, cascade_file_write(&c, &out));
    assert_true(out.len < 16384);
    CHECK_STATUS(ST_OK, cascade_file_read(buf_span(&out), &back, why, sizeof(why)));
    assert_string_equal(back.models, c.models);
    for (size_t i = 0; i < 100; i++)
        assert_true(fabs(cascade_sure(&c, outcomes[i].signs) -
                         cascade_sure(&back, outcomes[i].signs)) < 1e-6);
    assert_true(fabs(cascade_line(&c, 0.02) - cascade_line(&back, 0.02)) < 1e-6);
    /* Every beginning of it is refused, and says why. */
    for (size_t n = 0; n + 1 < out.len; n += 97) {
        why[0] = '\0';
        CHECK_STATUS(ST_INVALID,
                     cascade_file_read((struct span){out.ptr, n}, &back, why, sizeof(why)));
        assert_true(why[0] != '\0');
    }
    buf_release(&out);
}

static void bad_files(void **arg)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"{}", "it is no file of 'ibid tune cascade'"},
        {"{\"kind\":\"ibid router\"}", "it is no file of 'ibid tune cascade'"},
        {"{\"kind\":\"ibid cascade\",\"version\":2}",
         "it was written by another version; run 'ibid tune cascade' again"},
        {"{\"kind\":\"ibid cascade\",\"version\":1,\"weight\":{\"log_p\":1}}",
         "it was written by another version; run 'ibid tune cascade' again"},
    };
    struct cascade c;
    char why[160];

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_STATUS(ST_INVALID, cascade_file_read(text(bad[i].text), &c, why, sizeof(why)));
        assert_string_equal(why, bad[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_seen),
        cmocka_unit_test(a_text_of_many_words),
        cmocka_unit_test(the_same_but_for_form),
        cmocka_unit_test(learns_what_is_right),
        cmocka_unit_test(the_line_keeps_to_the_loss),
        cmocka_unit_test(each_group_keeps_to_the_loss),
        cmocka_unit_test(what_can_not_be_learned),
        cmocka_unit_test(the_file_keeps_it),
        cmocka_unit_test(bad_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
