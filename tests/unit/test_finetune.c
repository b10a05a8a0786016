/* Which stored answers become examples, which of them are held out, and that nothing near to
 * those is among the others. Vectors are made: their cosines are known. */
#include "cli/finetune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/entry.h"
#include "check.h"
#include "privacy/finder.h"
#include "protocol/answer.h"

#define DIMENSIONS 64

static struct finder *finder;

static int open_finder(void **arg)
{
    const struct finder_options o = {.classes = PRIVACY_BIT(PRIVACY_EMAIL)};
    char why[128];

    (void)arg;
    CHECK_STATUS(ST_OK, finder_open(&o, &finder, why, sizeof(why)));
    return 0;
}

static int close_finder(void **arg)
{
    (void)arg;
    finder_close(finder);
    return 0;
}

struct made {
    const char *question, *answer, *model;
    uint8_t partition;
    uint64_t created_ms;
    double turn; /* of its vector, in the plane of the first two axes */
    size_t axis; /* another one instead; 0: that plane */
};

static void add(struct finetune *f, const struct made *m, uint8_t key)
{
    struct answer a = {.verdict = ANSWER_STORABLE,
                       .text = span_of(m->answer),
                       .json = SPAN("{}"),
                       .model = span_of(m->model)};
    float vector[DIMENSIONS] = {0};
    struct entry like = {.created_ms = m->created_ms,
                         .expires_ms = UINT64_MAX,
                         .model = span_of(m->model),
                         .question = span_of(m->question),
                         .vector = vector,
                         .dimensions = DIMENSIONS};
    struct buf packed;
    struct entry *e;

    like.key.bytes[0] = key;
    like.partition.bytes[0] = m->partition;
    vector[m->axis] = m->axis > 0 ? 1 : (float)cos(m->turn);
    if (m->axis == 0)
        vector[1] = (float)sin(m->turn);
    buf_init(&packed, 65536);
    CHECK_STATUS(ST_OK, answer_pack(&packed, &a));
    like.answer = buf_span(&packed);
    CHECK_STATUS(ST_OK, entry_new(&like, &e));
    CHECK_STATUS(ST_OK, finetune_add(f, e));
    entry_unref(e);
    buf_release(&packed);
}

static struct finetune_options options(void)
{
    return (struct finetune_options){.licence = "CC0-1.0",
                                     .licences = "closed-*=none open=MIT",
                                     .finder = finder,
                                     .partition_min = 1,
                                     .near = 0.9,
                                     .held_out = 0.5,
                                     .rows_max = 1000};
}

static uint64_t left(const struct finetune *f, const char *why)
{
    for (size_t i = 0; i < FINETUNE_REASONS_MAX; i++) {
        if (f->left[i].name != NULL && strcmp(f->left[i].name, why) == 0)
            return f->left[i].count;
    }
    return 0;
}

static const struct finetune_row *find(const struct finetune *f, const char *question)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->rows[i].left == NULL && span_eq(f->rows[i].question, span_of(question)))
            return &f->rows[i];
    }
    return NULL;
}

static void the_newest_of_equals_stays(void **arg)
{
    const struct made rows[] = {{"What is it?", "old", "m", 1, 1, 0, 2},
                                {"WHAT is it", "new", "m", 2, 2, 0, 3},
                                {"what, is it?!", "between", "m", 1, 1, 0, 4},
                                {"What is that?", "x", "m", 1, 1, 0, 5}};
    struct finetune_options o = options();
    struct finetune f;

    (void)arg;
    finetune_init(&f, &o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        add(&f, &rows[i], (uint8_t)(9 - i));
    CHECK_STATUS(ST_OK, finetune_choose(&f));
    assert_int_equal(left(&f, "same"), 2);
    assert_non_null(find(&f, "WHAT is it"));
    assert_non_null(find(&f, "What is that?"));
    /* In the order of keys, whatever the store's is. */
    for (size_t i = 1; i < f.count; i++)
        assert_true(f.rows[i - 1].key.bytes[0] < f.rows[i].key.bytes[0]);
    finetune_release(&f);
}

static void what_is_not_fit_is_counted(void **arg)
{
    const struct made rows[] = {
        {"", "x", "m", 1, 1, 0, 2},
        {"Who?", "", "m", 1, 1, 0, 2},
        {"Who?", "I'm not sure.", "m", 1, 1, 0, 2},
        {"Who?", "Ask ann@example.com.", "m", 1, 1, 0, 2},
        {"Whose is bob@example.com?", "His.", "m", 1, 1, 0, 2},
        {"Who?", "Ann.", "closed-2", 1, 1, 0, 2},
        {"Who is it?", "Ann.", "open", 1, 1, 0, 2},
        {"Who was it?", "Bob.", "m", 2, 1, 0, 3},
    };
    struct finetune_options o = options();
    struct finetune f;

    (void)arg;
    o.partition_min = 2;
    finetune_init(&f, &o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        add(&f, &rows[i], (uint8_t)i);
    assert_int_equal(f.seen, ARRAY_LEN(rows));
    assert_int_equal(f.count, 2);
    assert_string_equal(f.rows[0].licence, "MIT");
    assert_string_equal(f.rows[1].licence, "CC0-1.0");
    CHECK_STATUS(ST_OK, finetune_choose(&f));
    assert_int_equal(left(&f, "no_question"), 1);
    assert_int_equal(left(&f, "no_text"), 1);
    assert_int_equal(left(&f, "no_answer"), 1);
    assert_int_equal(left(&f, "private"), 2);
    assert_int_equal(left(&f, "no_licence"), 1);
    assert_int_equal(left(&f, "alone"), 2); /* one each */
    finetune_release(&f);
}

/* 25 degrees apart: a cosine of .906; two steps: .643. All are one chain, with a guard between
 * any two, so that none is another's wording. */
static void a_chain_stays_together(void **arg)
{
    static const char *const names[] = {"Paris", "Rome",   "Oslo",  "Bern",   "Riga",
                                        "Kyiv",  "Prague", "Sofia", "Athens", "Dublin"};
    struct finetune_options o = options();
    struct finetune f;
    unsigned held = 0;

    (void)arg;
    for (unsigned chain = 0; chain < 40; chain++) {
        char text[ARRAY_LEN(names)][64];
        bool side = false;

        finetune_init(&f, &o);
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            struct made m = {text[i], "x", "m", 1, 1, (double)i * 25 * 3.14159265 / 180, 0};

            snprintf(text[i], sizeof(text[i]), "How many people live in %s, %u?", names[i],
                     chain);
            add(&f, &m, (uint8_t)(i * 7 % 10)); /* met in another order */
        }
        CHECK_STATUS(ST_OK, finetune_choose(&f));
        assert_int_equal(left(&f, "near"), 0);
        for (size_t i = 0; i < f.count; i++) {
            if (i == 0)
                side = f.rows[i].held_out;
            assert_int_equal(f.rows[i].held_out, side);
        }
        held += side;
        finetune_release(&f);
    }
    /* Half of the chains, give or take: 40 throws of a coin are within this but once in 1e5. */
    assert_in_range(held, 7, 33);
}

static void other_wordings_go(void **arg)
{
    const struct made rows[] = {{"How do I enable the alarm?", "x", "m", 1, 1, 0, 0},
                                {"How can I enable the alarm?", "y", "m", 1, 1, 0.1, 0},
                                {"How do I disable the alarm?", "z", "m", 1, 1, 0.2, 0}};
    struct finetune_options o = options();
    struct finetune f;

    (void)arg;
    finetune_init(&f, &o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        add(&f, &rows[i], (uint8_t)i);
    CHECK_STATUS(ST_OK, finetune_choose(&f));
    assert_int_equal(left(&f, "near"), 1);
    assert_non_null(find(&f, rows[0].question));
    assert_non_null(find(&f, rows[2].question)); /* near, and another question */
    assert_int_equal(find(&f, rows[0].question)->held_out,
                     find(&f, rows[2].question)->held_out);
    finetune_release(&f);
}

static void no_more_than_asked_for(void **arg)
{
    struct finetune_options o = options();
    struct finetune f;

    (void)arg;
    o.rows_max = 2;
    o.one_partition = true;
    o.partition.bytes[0] = 1;
    o.partition_bytes = 1;
    finetune_init(&f, &o);
    for (uint8_t i = 0; i < 5; i++) {
        char text[32];
        struct made m = {text, "x", "m", i > 0, 1, 0, 2 + (size_t)i};

        snprintf(text, sizeof(text), "What is number %u?", i);
        add(&f, &m, i);
    }
    assert_int_equal(left(&f, "not_asked_for"), 1);
    assert_int_equal(left(&f, "rows_max"), 2);
    assert_int_equal(f.count, 2);
    finetune_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_of_equals_stays),
        cmocka_unit_test(what_is_not_fit_is_counted),
        cmocka_unit_test(a_chain_stays_together),
        cmocka_unit_test(other_wordings_go),
        cmocka_unit_test(no_more_than_asked_for),
    };

    return cmocka_run_group_tests(tests, open_finder, close_finder);
}
