/* The encoder against minilm_reference.py, in both precisions. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "engine/engine.h"
#include "golden/fixture.h"

#define TEXTS_MAX 16

static char folder[512];

struct golden {
    struct arena arena;
    struct span texts[TEXTS_MAX];
    const struct json *vectors[TEXTS_MAX], *ids[TEXTS_MAX];
    size_t n;
};

static void read_golden(struct golden *g)
{
    arena_init(&g->arena, 65536, 8 << 20);
    g->n = 0;
    for (const struct json *v = fixture_json(&g->arena, "minilm.json")->child; v != NULL;
         v = v->next) {
        assert_true(g->n < TEXTS_MAX);
        g->texts[g->n] = json_str(json_get(v, SPAN("text")));
        g->vectors[g->n] = json_get(v, SPAN("vector"));
        g->ids[g->n++] = json_get(v, SPAN("ids"));
    }
}

static double cosine(const float *a, const struct json *b)
{
    double sum = 0, v;

    for (const struct json *i = b->child; i != NULL; i = i->next) {
        assert_true(json_double(i, &v));
        sum += v * (double)*a++;
    }
    return sum;
}

static void check(enum encoder_precision precision, double least)
{
    const struct encoder_options options = {.precision = precision};
    const struct engine_stop never = {NULL, NULL};
    enum status each[TEXTS_MAX];
    struct engine_error why;
    struct encoder_session *s;
    struct encoder *e;
    struct golden g;
    float *all, *one;

    read_golden(&g);
    if (encoder_open(folder, &options, &e, &why) != ST_OK)
        fail_msg("%s", why.text);
    CHECK_STATUS(ST_OK, encoder_session_open(e, &s));
    all = malloc(g.n * 384 * sizeof(*all));
    one = malloc(384 * sizeof(*one));
    assert_true(all != NULL && one != NULL);
    CHECK_STATUS(ST_OK, encoder_embed(s, g.texts, g.n, all, each, never));
    for (size_t i = 0; i < g.n; i++) {
        double c = cosine(all + i * 384, g.vectors[i]);

        CHECK_STATUS(ST_OK, each[i]);
        if (!(c >= least) || c > 1.0001)
            fail_msg("text %zu: cosine %.6f", i, c);
        /* A text's vector does not depend on its neighbours. */
        CHECK_STATUS(ST_OK, encoder_embed(s, &g.texts[i], 1, one, each, never));
        assert_memory_equal(one, all + i * 384, 384 * sizeof(*one));
    }
    free(all);
    free(one);
    encoder_session_close(s);
    encoder_close(e);
    arena_release(&g.arena);
}

static void in_floats(void **state)
{
    (void)state;
    check(ENCODER_F32, 0.9999);
}

static void in_bytes(void **state)
{
    (void)state;
    check(ENCODER_INT8, 0.995);
}

static void has_the_reference_tokens(void **state)
{
    const struct encoder_options options = {.precision = ENCODER_INT8};
    struct engine_error why;
    struct encoder *e;
    struct golden g;

    (void)state;
    read_golden(&g);
    CHECK_STATUS(ST_OK, encoder_open(folder, &options, &e, &why));
    for (size_t i = 0; i < g.n; i++) {
        const struct json *v = g.ids[i]->child;
        uint32_t ids[256];
        uint64_t want;
        size_t count;

        CHECK_STATUS(ST_OK, encoder_tokenize(e, g.texts[i], ids, 256, &count));
        assert_int_equal(g.ids[i]->count, count);
        for (size_t k = 0; k < count; k++, v = v->next) {
            assert_true(json_u64(v, &want));
            assert_int_equal(want, ids[k]);
        }
    }
    encoder_close(e);
    arena_release(&g.arena);
}

static void refuses_texts_one_by_one(void **state)
{
    const struct encoder_options options = {.precision = ENCODER_INT8, .window_max = 8};
    const struct engine_stop never = {NULL, NULL};
    const struct span texts[] = {SPAN("one two three four five six"), SPAN("one two"),
                                 SPAN("one two three four five six seven"), SPAN("\xff"),
                                 SPAN("")};
    static const enum status want[] = {ST_OK, ST_OK, ST_LIMIT, ST_INVALID, ST_OK};
    float out[5 * 384];
    enum status each[5];
    struct engine_error why;
    struct encoder_session *s;
    struct encoder *e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(out); i++)
        out[i] = 7;
    CHECK_STATUS(ST_OK, encoder_open(folder, &options, &e, &why));
    CHECK_STATUS(ST_OK, encoder_session_open(e, &s));
    CHECK_STATUS(ST_OK, encoder_embed(s, texts, 5, out, each, never));
    for (size_t i = 0; i < 5; i++) {
        CHECK_STATUS(want[i], each[i]);
        assert_true((out[i * 384] == 7) == (want[i] != ST_OK));
    }
    encoder_session_close(s);
    encoder_close(e);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_floats),
        cmocka_unit_test(in_bytes),
        cmocka_unit_test(has_the_reference_tokens),
        cmocka_unit_test(refuses_texts_one_by_one),
    };

    fixture_kernels(argc, argv);
    if (!fixture_model("all-minilm-l6-v2", folder, sizeof(folder)))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
