/* A classifier learned from questions whose difficulty is known, and its file. */
#include "router/classifier_file.h"
#include "router/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define N    1200
#define DIMS 6

static char texts[N][64];
static float vectors[N][DIMS];
static struct training_example examples[N];
static uint64_t state = 7;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* The large model is better the more often the longer the text is and the further the first
 * number of the vector is up. Every tenth has no vector. */
static void draw(void)
{
    for (size_t i = 0; i < N; i++) {
        struct training_example *e = &examples[i];
        size_t length = 4 + (size_t)(50 * uniform());
        double hard;

        memset(texts[i], 'x', length);
        for (size_t k = 0; k < DIMS; k++)
            vectors[i][k] = (float)(uniform() - 0.5);
        hard = 0.08 * ((double)length - 29) + (i % 10 != 0 ? 4 * (double)vectors[i][0] : 0);
        *e = (struct training_example){{texts[i], length},
                                       i % 10 != 0 ? vectors[i] : NULL,
                                       uniform() < 1 / (1 + exp(hard)),
                                       1};
    }
}

static void learns(void **arg)
{
    struct training_report all, plain, again;
    struct classifier c, f;

    (void)arg;
    draw();
    CHECK_STATUS(ST_OK, training_run(examples, N, DIMS, "an encoder", &c, &all));
    CHECK_STATUS(ST_OK, training_run(examples, N, 0, NULL, &f, &plain));
    assert_true(plain.worth.apgr > 0.58);
    assert_true(all.worth.apgr > plain.worth.apgr + 0.01);
    assert_true(all.calibration_error < 0.06 && plain.calibration_error < 0.06);
    assert_true(all.worth.cpt50 < 0.4);
    draw(); /* others */
    CHECK_STATUS(ST_OK, training_test(&c, examples, N, &again));
    assert_true(fabs(again.worth.apgr - all.worth.apgr) < 0.04);
    assert_true(again.calibration_error < 0.07);
    classifier_release(&c);
    classifier_release(&f);
}

/* Nothing to see: no opinion, rather than a wrong one. */
static void chance_stays_chance(void **arg)
{
    struct training_report r;
    struct classifier c;

    (void)arg;
    draw();
    for (size_t i = 0; i < N; i++)
        examples[i].small = uniform() < 0.7;
    CHECK_STATUS(ST_OK, training_run(examples, N, DIMS, "an encoder", &c, &r));
    assert_true(fabs(r.worth.apgr - 0.5) < 0.08);
    assert_true(r.calibration_error < 0.05);
    classifier_release(&c);
}

static void refuses(void **arg)
{
    struct training_report r;
    struct classifier c;

    (void)arg;
    draw();
    CHECK_STATUS(ST_INVALID, training_run(examples, TRAINING_MIN - 1, DIMS, "", &c, &r));
    for (size_t i = 0; i < N; i++)
        examples[i].small = 1;
    CHECK_STATUS(ST_INVALID, training_run(examples, N, DIMS, "", &c, &r));
}

static void lines(void **arg)
{
    struct classifier c = {.dimensions = 0};

    (void)arg;
    for (int i = 0; i < CURVE_SETTINGS; i++)
        c.settings[i] = (struct curve_setting){1 - i / 50.0, i / 100.0, 0.2 - i / 500.0};
    assert_true(fabs(classifier_line_for_share(&c, 0.255) - 0.49) < 1e-9);
    assert_true(classifier_line_for_share(&c, 0) == 1);
    assert_true(classifier_line_for_share(&c, 7) == -1);
    assert_true(fabs(classifier_line_for_quality(&c, 0.1) - 0) < 1e-9);
    assert_true(classifier_line_for_quality(&c, 1) == 1);
    assert_true(classifier_line_for_quality(&c, -1) == -1);
}

/* --- the file ----------------------------------------------------------------------------- */

static void write_one(struct buf *out, struct classifier *c)
{
    struct classifier_example e = {SPAN("What \"is\" it?\n"), 0.25, 1, vectors[1]};
    struct training_report r;

    draw();
    CHECK_STATUS(ST_OK, training_run(examples, 200, DIMS, "an encoder", c, &r));
    buf_init(out, CLASSIFIER_FILE_MAX_BYTES);
    CHECK_STATUS(ST_OK, classifier_file_write(c, &e, 1, out));
}

static void there_and_back(void **arg)
{
    struct classifier_example *e;
    struct classifier c, d;
    struct arena arena;
    char why[128];
    struct buf text;
    size_t count;

    (void)arg;
    write_one(&text, &c);
    CHECK_STATUS(ST_OK, classifier_file_read(buf_span(&text), &d, why, sizeof(why)));
    assert_string_equal(d.encoder, "an encoder");
    assert_int_equal(d.examples, 200);
    for (size_t i = 0; i < 100; i++) {
        double f[FEATURES_COUNT];
        const float *v = examples[i].vector;

        features_of(examples[i].text, f);
        assert_true(fabs(classifier_judge(&c, v, f).loss - classifier_judge(&d, v, f).loss) <
                    0.01);
        assert_true(fabs(classifier_judge(&c, NULL, f).enough -
                         classifier_judge(&d, NULL, f).enough) < 1e-6);
    }
    assert_true(fabs(classifier_line_for_share(&c, 0.3) - classifier_line_for_share(&d, 0.3)) <
                1e-6);
    arena_init(&arena, 4096, 1 << 20);
    CHECK_STATUS(ST_OK, classifier_file_examples(buf_span(&text), DIMS, &arena, &e, &count));
    assert_int_equal(count, 1);
    CHECK_SPAN(SPAN("What \"is\" it?\n"), e->text);
    assert_true(e->small == 0.25 && e->large == 1);
    assert_true(fabs((double)e->vector[2] - (double)vectors[1][2]) < 0.01);
    CHECK_STATUS(ST_INVALID,
                 classifier_file_examples(buf_span(&text), DIMS + 1, &arena, &e, &count));
    arena_release(&arena);
    classifier_release(&c);
    classifier_release(&d);
    buf_release(&text);
}

/* The text with the first `from` replaced. */
static void replaced(const struct buf *text, const char *from, const char *to, struct buf *out)
{
    const char *at = NULL;

    buf_clear(out);
    for (size_t i = 0; i + strlen(from) <= text->len && at == NULL; i++) {
        if (memcmp(text->ptr + i, from, strlen(from)) == 0)
            at = text->ptr + i;
    }
    assert_non_null(at);
    CHECK_STATUS(ST_OK, buf_append(out, (struct span){text->ptr, (size_t)(at - text->ptr)}));
    CHECK_STATUS(ST_OK, buf_append(out, span_of(to)));
    at += strlen(from);
    CHECK_STATUS(ST_OK,
                 buf_append(out, (struct span){at, (size_t)(text->ptr + text->len - at)}));
}

static void bad_files(void **arg)
{
    static const struct {
        const char *from, *to, *why;
    } table[] = {
        {"{", "[", "byte "},
        {"ibid router", "ibid rooter", "no file of 'ibid tune router'"},
        {"\"version\":1", "\"version\":2", "another version"},
        {"\"words\"", "\"wards\"", "another version"},
        {"\"dimensions\":6", "\"dimensions\":7", "'with_vector'"},
        {"\"dimensions\":6", "\"dimensions\":5000", "'dimensions'"},
        {"\"dimensions\":6", "\"dimensions\":-1", "'dimensions'"},
        {"\"encoder\"", "\"encader\"", "'encoder'"},
        {"\"usual\":[", "\"usual\":[0,", "'usual'"},
        {"\"usual\":[", "\"usual\":[1e300,", "'usual'"},
        {"\"without_vector\":[", "\"without_vector\":[{},", "'without_vector'"},
        {"\"vector\":\"", "\"vector\":\"!", "'with_vector'"},
        {"\"settings\":[", "\"settings\":[[1,0,0],", "'settings'"},
    };
    struct classifier c, d;
    struct buf text, bad;
    char why[128];

    (void)arg;
    write_one(&text, &c);
    buf_init(&bad, CLASSIFIER_FILE_MAX_BYTES);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        replaced(&text, table[i].from, table[i].to, &bad);
        CHECK_STATUS(ST_INVALID, classifier_file_read(buf_span(&bad), &d, why, sizeof(why)));
        if (strstr(why, table[i].why) == NULL)
            fail_msg("%s -> %s: '%s' does not name %s", table[i].from, table[i].to, why,
                     table[i].why);
    }
    for (size_t n = 0; n < text.len; n += 97)
        CHECK_STATUS(ST_INVALID,
                     classifier_file_read((struct span){text.ptr, n}, &d, why, sizeof(why)));
    classifier_release(&c);
    buf_release(&bad);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns),         cmocka_unit_test(chance_stays_chance),
        cmocka_unit_test(refuses),        cmocka_unit_test(lines),
        cmocka_unit_test(there_and_back), cmocka_unit_test(bad_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
