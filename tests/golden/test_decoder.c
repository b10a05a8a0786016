/* The decoder against forward passes that share no code with it: a tiny model that the test
 * makes up, in every type of weights, and the built-in one against what
 * smollm_reference.py computed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine/engine.h"
#include "golden/exact.h"
#include "golden/fixture.h"
#include "tiny_llama.h"

#define SMOLLM "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"

static const struct engine_stop never = {NULL, NULL};

/* --- the tiny model ------------------------------------------------------------------- */

struct opened {
    struct tiny_llama tiny;
    struct decoder *model;
    struct decoder_session *session;
};

static void open_tiny_as(struct opened *o, uint32_t type, unsigned threads,
                         const struct decoder_options *options)
{
    struct engine_error why;
    struct buf file;
    char path[64];

    buf_init(&file, 1 << 20);
    tiny_llama_init(&o->tiny, type, 32, NULL, &file);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
    if (decoder_open(path, options, &o->model, &why) != ST_OK)
        fail_msg("%s", why.text);
    unlink(path);
    CHECK_STATUS(ST_OK, decoder_session_open(o->model, threads, &o->session));
}

static void open_tiny_with(struct opened *o, uint32_t type, unsigned threads,
                           enum decoder_cache kv)
{
    open_tiny_as(o, type, threads, &(struct decoder_options){.kv_type = kv});
}

static void open_tiny_answers(struct opened *o, uint32_t answers)
{
    open_tiny_as(o, 8, 2, &(struct decoder_options){.sequences = answers});
}

static void open_tiny(struct opened *o, uint32_t type, unsigned threads)
{
    open_tiny_with(o, type, threads, CACHE_F32);
}

static void close_tiny(struct opened *o)
{
    decoder_session_close(o->session);
    decoder_close(o->model);
    tiny_llama_release(&o->tiny);
}

static double apart(const float *a, const float *b, size_t n)
{
    double sum = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        sum += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return sqrt(sum / size);
}

static void check_tiny(struct opened *o, uint32_t type, const uint32_t *ids, size_t n)
{
    float want[TINY_WORDS];
    /* Rounding to bytes turns a difference in the last bit into one of a whole step, here
     * and there. */
    double off, most = type > 1 ? 1e-2 : 1e-5;

    tiny_llama_logits(&o->tiny, ids, n, type > 1, want);
    off = apart(decoder_logits(o->session), want, TINY_WORDS);
    if (!(off <= most))
        fail_msg("type %u, %zu tokens: logits apart by %g", type, n, off);
}

static void has_the_logits_of_a_plain_forward_pass(void **state)
{
    static const uint32_t types[] = {0, 1, 2, 3, 8};
    /* One column, an odd few, a block of columns and its neighbours. */
    static const size_t lengths[] = {1, 2, 5, 63, 64, 65, 131};
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    for (size_t i = 0; i < TINY_CONTEXT; i++)
        ids[i] = (uint32_t)(i * 37 + i / 7) % TINY_WORDS;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        struct opened o;

        open_tiny(&o, types[t], t % 2 == 0 ? 1 : 3);
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            size_t n = lengths[i];

            CHECK_STATUS(ST_OK, decoder_prefill(o.session, ids, n, never));
            check_tiny(&o, types[t], ids, n);
            CHECK_STATUS(ST_OK, decoder_step(o.session, ids[n]));
            CHECK_STATUS(ST_OK, decoder_step(o.session, ids[n + 1]));
            check_tiny(&o, types[t], ids, n + 2);
        }
        close_tiny(&o);
    }
}

/* Several tokens at once have the logits that they have one by one. */
static void steps_are_a_step_each(void **state)
{
    enum { STEPS = 5, BEFORE = 40 };
    static float want[STEPS][TINY_WORDS];
    uint32_t ids[BEFORE + STEPS];
    struct opened o;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ids[i] = (uint32_t)(i * 37 + i / 7) % TINY_WORDS;
    open_tiny_answers(&o, STEPS);
    CHECK_STATUS(ST_OK, decoder_prefill(o.session, ids, BEFORE, never));
    for (size_t i = 0; i < STEPS; i++) {
        CHECK_STATUS(ST_OK, decoder_step(o.session, ids[BEFORE + i]));
        memcpy(want[i], decoder_logits(o.session), sizeof(want[i]));
    }
    CHECK_STATUS(ST_OK, decoder_prefill(o.session, ids, BEFORE, never));
    CHECK_STATUS(ST_OK, decoder_steps(o.session, ids + BEFORE, STEPS));
    assert_memory_equal(want, decoder_logits(o.session), sizeof(want));
    CHECK_STATUS(ST_LIMIT, decoder_steps(o.session, ids, STEPS + 1));
    close_tiny(&o);
}

static void keys_and_values_may_be_kept_smaller(void **state)
{
    /* Bytes: half a step of 1/127 of the largest of a block, in keys and values of both
     * layers; random weights do not average it away. */
    static const double most[] = {1e-5, 1e-3, 2e-2};
    uint32_t ids[TINY_CONTEXT];
    float want[TINY_WORDS];

    (void)state;
    for (size_t i = 0; i < TINY_CONTEXT; i++)
        ids[i] = (uint32_t)(i * 37 + i / 7) % TINY_WORDS;
    for (enum decoder_cache kv = CACHE_F32; kv <= CACHE_Q8; kv++) {
        struct opened o;
        double off;

        open_tiny_with(&o, 0, 2, kv);
        CHECK_STATUS(ST_OK, decoder_prefill(o.session, ids, 150, never));
        CHECK_STATUS(ST_OK, decoder_step(o.session, ids[150]));
        tiny_llama_logits(&o.tiny, ids, 151, 0, want);
        off = apart(decoder_logits(o.session), want, TINY_WORDS);
        if (!(off <= most[kv]))
            fail_msg("kept as %d: logits apart by %g", (int)kv, off);
        close_tiny(&o);
    }
}

static bool always(void *arg)
{
    (*(int *)arg)++;
    return true;
}

static void refuses_what_does_not_fit(void **state)
{
    uint32_t ids[TINY_CONTEXT + 1] = {0};
    struct opened o;
    int asked = 0;

    (void)state;
    open_tiny(&o, 8, 1);
    CHECK_STATUS(ST_LIMIT, decoder_prefill(o.session, ids, 0, never));
    CHECK_STATUS(ST_LIMIT, decoder_prefill(o.session, ids, TINY_CONTEXT + 1, never));
    ids[3] = TINY_WORDS;
    CHECK_STATUS(ST_INVALID, decoder_prefill(o.session, ids, 5, never));
    ids[3] = 3;
    CHECK_STATUS(ST_CANCELED,
                 decoder_prefill(o.session, ids, 5, (struct engine_stop){always, &asked}));
    assert_int_equal(1, asked);
    CHECK_STATUS(ST_OK, decoder_prefill(o.session, ids, TINY_CONTEXT, never));
    CHECK_STATUS(ST_LIMIT, decoder_step(o.session, 1));
    close_tiny(&o);
}

static void on_text(void *arg, struct span text)
{
    CHECK_STATUS(ST_OK, buf_append(arg, text));
}

static void ask(struct opened *o, struct span text, const struct decoder_params *p,
                struct buf *out, struct decoder_result *result)
{
    const struct decoder_turn turn = {SPAN("user"), text};
    const struct decoder_request q = {
        .turns = &turn, .turn_count = 1, .params = *p, .on_text = on_text, .arg = out};

    buf_clear(out);
    CHECK_STATUS(ST_OK, decoder_chat(o->session, &q, result));
}

static void chat(struct opened *o, const struct decoder_params *p, struct buf *out,
                 struct decoder_result *result)
{
    ask(o, SPAN("hello world"), p, out, result);
}

static void answers_are_bounded_and_repeat_for_a_seed(void **state)
{
    struct decoder_params p = {.temperature = 1.5f, .top_p = 1, .seed = 7, .max_tokens = 24};
    struct decoder_result result;
    struct buf a, b;
    struct opened o;

    (void)state;
    buf_init(&a, 4096);
    buf_init(&b, 4096);
    open_tiny(&o, 8, 2);
    chat(&o, &p, &a, &result);
    assert_true(result.completion_tokens <= 24);
    chat(&o, &p, &b, &result);
    CHECK_SPAN(buf_span(&a), buf_span(&b));
    p.temperature = 0;
    p.max_tokens = 0;
    chat(&o, &p, &a, &result);
    assert_true(result.prompt_tokens + result.completion_tokens <= TINY_CONTEXT + 1);
    buf_release(&a);
    buf_release(&b);
    close_tiny(&o);
}

/* What was computed for an earlier conversation is taken, and no answer changes by that. */
static void a_beginning_seen_before_changes_no_answer(void **state)
{
    const struct span text =
        SPAN("0123456789 abcdefghijklmnopqrstuvwxyz, and so on for 64 tokens");
    struct decoder_params p = {.top_p = 1, .max_tokens = 24};
    struct decoder_result first, again;
    struct buf cold, warm;
    struct opened o;

    (void)state;
    buf_init(&cold, 4096);
    buf_init(&warm, 4096);
    open_tiny(&o, 0, 2);
    ask(&o, text, &p, &cold, &first);
    ask(&o, text, &p, &warm, &again);
    assert_int_equal(0, first.reused_tokens);
    assert_int_equal((first.prompt_tokens - 1) / 32 * 32, again.reused_tokens);
    assert_true(again.reused_tokens > 0);
    assert_int_equal(first.prompt_tokens, again.prompt_tokens);
    CHECK_SPAN(buf_span(&cold), buf_span(&warm));
    buf_release(&cold);
    buf_release(&warm);
    close_tiny(&o);
}

/* --- the built-in model --------------------------------------------------------------- */

static size_t numbers(const struct json *v, uint32_t *out)
{
    size_t n = 0;
    uint64_t id;

    for (const struct json *i = v->child; i != NULL; i = i->next) {
        assert_true(json_u64(i, &id));
        out[n++] = (uint32_t)id;
    }
    return n;
}

/* Logits of the listed tokens, and the first of them the likeliest. */
static void check_top(const struct json *top, const float *logits, double most)
{
    double largest = 0, want;
    uint64_t id;

    for (const struct json *t = top->child; t != NULL; t = t->next) {
        assert_true(json_u64(t->child, &id) && json_double(t->child->next, &want));
        largest = fmax(largest, fabs(want));
        if (!(fabs((double)logits[id] - want) <= most * largest))
            fail_msg("token %u: want %.3f, got %.3f", (unsigned)id, want, (double)logits[id]);
    }
}

static uint32_t first_of(const struct json *top)
{
    uint64_t id = 0;

    assert_true(json_u64(top->child->child, &id));
    return (uint32_t)id;
}

static void smollm_has_the_reference_tokens_and_logits(void **state)
{
    const struct decoder_options options = {.context_max = 256};
    struct engine_error why;
    struct decoder_session *s;
    struct decoder *d;
    struct arena arena;
    uint32_t want[512], ids[512];
    char path[512];
    size_t n, count;

    (void)state;
    if (!fixture_model(SMOLLM, path, sizeof(path)))
        skip();
    arena_init(&arena, 65536, 1 << 22);
    CHECK_STATUS(ST_OK, decoder_open(path, &options, &d, &why));
    CHECK_STATUS(ST_OK, decoder_session_open(d, 1, &s));
    for (const struct json *v = fixture_json(&arena, "smollm.json")->child; v != NULL;
         v = v->next) {
        const struct json *plain = json_get(v, SPAN("plain")), *top = json_get(v, SPAN("top"));

        n = numbers(plain != NULL ? plain : json_get(v, SPAN("ids")), want);
        CHECK_STATUS(ST_OK, decoder_tokenize(d, json_str(json_get(v, SPAN("text"))),
                                             plain == NULL, ids, ARRAY_LEN(ids), &count));
        assert_int_equal(n, count);
        assert_memory_equal(want, ids, n * sizeof(ids[0]));
        if (plain != NULL)
            continue;
        CHECK_STATUS(ST_OK, decoder_prefill(s, ids, n, never));
        for (const struct json *t = top->child; t != NULL; t = t->next) {
            /* Inputs as bytes cost some percent in this model, whoever does it. */
            check_top(t, decoder_logits(s), 0.1);
            CHECK_STATUS(ST_OK, decoder_step(s, first_of(t)));
        }
    }
    decoder_session_close(s);
    decoder_close(d);
    arena_release(&arena);
}

static void smollm_has_the_reference_logits_to_many_digits(void **state)
{
    static struct exact e;
    struct engine_error why;
    struct arena arena;
    uint32_t ids[512];
    char path[512];

    (void)state;
    if (!fixture_model(SMOLLM, path, sizeof(path)))
        skip();
    arena_init(&arena, 65536, 1 << 22);
    CHECK_STATUS(ST_OK, exact_open(path, 256, &e, &why));
    for (const struct json *v = fixture_json(&arena, "smollm.json")->child; v != NULL;
         v = v->next) {
        const struct json *top = json_get(v, SPAN("top"));

        if (top == NULL)
            continue;
        CHECK_STATUS(ST_OK, exact_feed(&e, ids, numbers(json_get(v, SPAN("ids")), ids), true));
        for (const struct json *t = top->child; t != NULL; t = t->next) {
            uint32_t id = first_of(t);

            check_top(t, e.state.logits, 1e-3);
            CHECK_STATUS(ST_OK, exact_feed(&e, &id, 1, false));
        }
    }
    exact_close(&e);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    /* The kernels do not matter to the last: once is enough. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_logits_of_a_plain_forward_pass),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(answers_are_bounded_and_repeat_for_a_seed),
        cmocka_unit_test(steps_are_a_step_each),
        cmocka_unit_test(keys_and_values_may_be_kept_smaller),
        cmocka_unit_test(a_beginning_seen_before_changes_no_answer),
        cmocka_unit_test(smollm_has_the_reference_tokens_and_logits),
    };
    const struct CMUnitTest exact[] = {
        cmocka_unit_test(smollm_has_the_reference_logits_to_many_digits),
    };
    int bad;

    fixture_kernels(argc, argv);
    bad = cmocka_run_group_tests(tests, NULL, NULL);
    if (argc == 1)
        bad += cmocka_run_group_tests(exact, NULL, NULL);
    return bad;
}
