/* Every architecture, small and with random weights, and one that people have, against the
 * logits that architectures_reference.py computed. With --write FOLDER: the models as files,
 * for that. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine/engine.h"
#include "engine/format.h"
#include "golden/exact.h"
#include "golden/fixture.h"
#include "tiny_llama.h"
#include "tiny_models.h"

/* Half a thousand tokens of a model of this size take ten minutes in plain C with a sanitizer;
 * the small models go the same ways. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TOO_SLOW 1
#else
#define TOO_SLOW 0
#endif

#define GEMMA "gemma-3-270m/gemma-3-270m-q4_k_m.gguf"

static const struct engine_stop never = {NULL, NULL};

static void make(size_t i, char *path)
{
    struct buf file;

    buf_init(&file, 16u << 20);
    tiny_models_write(&tiny_models[i], NULL, &file);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
}

static void make_adapter(size_t i, char *path)
{
    struct buf file;

    buf_init(&file, 16u << 20);
    tiny_models_adapter_write(&tiny_models[i], &file);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
}

/* What the reference says of one model. */
struct expected {
    const char *name;
    uint32_t ids[TINY_MODELS_CONTEXT];
    size_t n;
    const struct json *positions; /* that there are logits of */
    const struct json *exact, *rounded;
};

static void read_expected(const struct json *v, const char *name, struct expected *e)
{
    uint64_t id;

    CHECK_SPAN(span_of(name), json_str(json_get(v, SPAN("name"))));
    e->name = name;
    e->n = 0;
    for (const struct json *i = json_get(v, SPAN("ids"))->child; i != NULL; i = i->next) {
        assert_true(e->n < ARRAY_LEN(e->ids) && json_u64(i, &id));
        e->ids[e->n++] = (uint32_t)id;
    }
    e->positions = json_get(v, SPAN("positions"));
    e->exact = json_get(v, SPAN("exact"));
    e->rounded = json_get(v, SPAN("rounded"));
}

/* How far every eighth logit is from a list of them, in parts of its size. */
static void check_logits(const struct expected *e, size_t pos, const struct json *list,
                         const float *got, double most)
{
    double sum = 0, size = 0, want;
    size_t n = 0;

    for (const struct json *v = list->child; v != NULL; v = v->next, n++) {
        assert_true(8 * n < TINY_WORDS && json_double(v, &want));
        sum += pow((double)got[8 * n] - want, 2);
        size += want * want;
    }
    assert_int_equal((TINY_WORDS + 7) / 8, n);
    if (!(sqrt(sum / size) <= most))
        fail_msg("%s, position %zu: logits apart by %g", e->name, pos, sqrt(sum / size));
}

typedef enum status run_fn(void *arg, const uint32_t *ids, size_t n, bool first);

/* Prompts of each length that there are logits of, and the last ones token by token. */
static void check_all(const struct expected *e, const struct json *rows, run_fn *run, void *arg,
                      const float *logits, double most)
{
    const struct json *row = rows->child;
    size_t done = 0;
    uint64_t pos;

    for (const struct json *p = e->positions->child; p != NULL; p = p->next, row = row->next) {
        assert_true(json_u64(p, &pos) && pos < e->n && row != NULL);
        if (done > 0 && pos == done)
            CHECK_STATUS(ST_OK, run(arg, e->ids + pos, 1, false));
        else
            CHECK_STATUS(ST_OK, run(arg, e->ids, pos + 1, true));
        done = (size_t)pos + 1;
        check_logits(e, done - 1, row, logits, most);
    }
}

static enum status run_session(void *arg, const uint32_t *ids, size_t n, bool first)
{
    return first ? decoder_prefill(arg, ids, n, never) : decoder_step(arg, ids[0]);
}

static void check_session(size_t i, const char *path, const struct expected *e)
{
    const struct decoder_options options = {.context_max = 0};
    /* Rounding to bytes turns a last bit into a whole step, here and there, and layer by
     * layer into about as much as rounding itself costs. */
    double most = tiny_models[i].type == FORMAT_F32 ? 1e-4 : 5e-2;
    struct decoder_session *s;
    struct model_info info;
    struct engine_error why;
    struct decoder *d;

    if (decoder_open(path, &options, &d, &why) != ST_OK)
        fail_msg("%s: %s", e->name, why.text);
    decoder_info(d, &info);
    assert_string_equal(tiny_models[i].arch, info.architecture);
    CHECK_STATUS(ST_OK, decoder_session_open(d, 2, &s));
    check_all(e, e->rounded, run_session, s, decoder_logits(s), most);
    decoder_session_close(s);
    decoder_close(d);
}

static enum status run_exact(void *arg, const uint32_t *ids, size_t n, bool first)
{
    return exact_feed(arg, ids, n, first);
}

static void check_exact(size_t i, const char *path, const struct expected *e)
{
    static struct exact x;
    struct engine_error why;

    (void)i;
    CHECK_STATUS(ST_OK, exact_open(path, TINY_MODELS_CONTEXT, &x, &why));
    check_all(e, e->exact, run_exact, &x, x.state.logits, 2e-5);
    exact_close(&x);
}

/* --- adapters ------------------------------------------------------------------------- */

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, TINY_WORDS * sizeof(*a)) == 0;
}

/* Beside the weights it is what it is in the reference's, merged into them; and it has gone
 * when it is taken off. */
static void check_adapter(size_t i, const struct expected *e)
{
    const struct decoder_options options = {.context_max = 0};
    struct decoder_adapter *a;
    struct decoder_session *s;
    struct engine_error why;
    struct decoder *d;
    float plain[TINY_WORDS], adapted[TINY_WORDS];
    char path[64], beside[64];

    make(i, path);
    make_adapter(i, beside);
    CHECK_STATUS(ST_OK, decoder_open(path, &options, &d, &why));
    if (decoder_adapter_open(d, beside, &a, &why) != ST_OK)
        fail_msg("%s: %s", e->name, why.text);
    CHECK_STATUS(ST_OK, decoder_session_open(d, 2, &s));
    CHECK_STATUS(ST_OK, decoder_prefill(s, e->ids, 9, never));
    memcpy(plain, decoder_logits(s), sizeof(plain));
    decoder_session_adapt(s, a);
    check_all(e, e->exact, run_session, s, decoder_logits(s), 1e-4);
    CHECK_STATUS(ST_OK, decoder_prefill(s, e->ids, 9, never));
    memcpy(adapted, decoder_logits(s), sizeof(adapted));
    decoder_session_adapt(s, NULL);
    CHECK_STATUS(ST_OK, decoder_prefill(s, e->ids, 9, never));
    assert_true(same(plain, decoder_logits(s)) && !same(plain, adapted));
    decoder_session_close(s);
    decoder_adapter_close(a);
    decoder_close(d);
    unlink(path);
    unlink(beside);
}

/* Of models of floats: others round what goes into the weights, and not what goes beside. */
static void adapters_are_as_if_merged(void **state)
{
    static struct expected e;
    const struct json *v;
    struct arena arena;
    size_t seen = 0;

    (void)state;
    arena_init(&arena, 65536, 1 << 22);
    v = fixture_json(&arena, "adapters.json")->child;
    for (size_t i = 0; i < tiny_models_count; i++) {
        if (tiny_models[i].type != FORMAT_F32)
            continue;
        assert_non_null(v);
        read_expected(v, tiny_models[i].name, &e);
        check_adapter(i, &e);
        v = v->next;
        seen++;
    }
    assert_null(v);
    assert_true(seen > 8);
    arena_release(&arena);
}

/* --- experts -------------------------------------------------------------------------- */

static size_t rows_read;

static void count_rows(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                       size_t from, size_t to, float *y, size_t ldy)
{
    rows_read += to - from;
    quant_ref.matmul(w, in, n, from, to, y, ldy);
}

static void only_chosen_experts_are_read(void **state)
{
    const struct tiny_model *m = tiny_models_find("qwen3moe");
    struct quant_kernels counting = quant_ref;
    static struct exact x;
    struct engine_error why;
    struct buf file;
    char path[64];
    size_t q = m->heads * m->width, kv = m->kv_heads * m->width;
    size_t expert = 2 * m->expert_ffn + m->d;
    const uint32_t ids[2] = {7, 70};

    (void)state;
    buf_init(&file, 16u << 20);
    tiny_models_write(m, NULL, &file);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
    CHECK_STATUS(ST_OK, exact_open(path, TINY_MODELS_CONTEXT, &x, &why));
    unlink(path);
    counting.matmul = count_rows;
    x.state.k = &counting;
    CHECK_STATUS(ST_OK, exact_feed(&x, ids, 1, true));
    rows_read = 0;
    CHECK_STATUS(ST_OK, exact_feed(&x, ids + 1, 1, false));
    assert_int_equal(m->layers * (q + 2 * kv + m->d + m->experts + m->used * expert) +
                         TINY_WORDS,
                     rows_read);
    exact_close(&x);
}

/* --- all ------------------------------------------------------------------------------ */

static void each(void (*check)(size_t, const char *, const struct expected *))
{
    static struct expected e;
    const struct json *v;
    struct arena arena;
    size_t i = 0;

    arena_init(&arena, 65536, 1 << 22);
    for (v = fixture_json(&arena, "architectures.json")->child; v != NULL; v = v->next, i++) {
        char path[64];

        assert_true(i < tiny_models_count);
        read_expected(v, tiny_models[i].name, &e);
        make(i, path);
        check(i, path, &e);
        unlink(path);
    }
    assert_int_equal(tiny_models_count, i);
    arena_release(&arena);
}

static void architectures_have_the_reference_logits(void **state)
{
    (void)state;
    each(check_session);
}

static void architectures_have_them_to_many_digits(void **state)
{
    (void)state;
    each(check_exact);
}

/* --- Gemma 3, 270 million parameters -------------------------------------------------- */

/* Logits of the likeliest tokens, each within `most` of the largest. */
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

static void run_gemma(run_fn *run, void *arg, const float *logits, double most)
{
    static uint32_t ids[1024];
    const struct json *v, *top;
    struct arena arena;
    size_t n = 0;
    uint64_t id;

    arena_init(&arena, 65536, 1 << 22);
    v = fixture_json(&arena, "gemma.json");
    for (const struct json *i = json_get(v, SPAN("ids"))->child; i != NULL; i = i->next) {
        assert_true(n < ARRAY_LEN(ids) && json_u64(i, &id));
        ids[n++] = (uint32_t)id;
    }
    top = json_get(v, SPAN("top"))->child;
    CHECK_STATUS(ST_OK, run(arg, ids, n - 1, true));
    check_top(top, logits, most);
    CHECK_STATUS(ST_OK, run(arg, ids + n - 1, 1, false));
    check_top(top->next, logits, most);
    arena_release(&arena);
}

static void gemma_has_the_reference_logits(void **state)
{
    const struct decoder_options options = {.context_max = 600, .chat_template = "gemma"};
    struct decoder_session *s;
    struct engine_error why;
    struct decoder *d;
    char path[512];

    (void)state;
    if (TOO_SLOW || !fixture_model(GEMMA, path, sizeof(path)))
        skip();
    if (decoder_open(path, &options, &d, &why) != ST_OK)
        fail_msg("%s", why.text);
    CHECK_STATUS(ST_OK, decoder_session_open(d, 2, &s));
    /* Inputs as bytes cost some percent in this model, whoever does it. */
    run_gemma(run_session, s, decoder_logits(s), 0.1);
    decoder_session_close(s);
    decoder_close(d);
}

static void gemma_has_them_to_many_digits(void **state)
{
    static struct exact x;
    struct engine_error why;
    char path[512];

    (void)state;
    if (TOO_SLOW || !fixture_model(GEMMA, path, sizeof(path)))
        skip();
    CHECK_STATUS(ST_OK, exact_open(path, 600, &x, &why));
    run_gemma(run_exact, &x, x.state.logits, 1e-3);
    exact_close(&x);
}

static int write_models(const char *folder)
{
    for (size_t i = 0; i < tiny_models_count; i++) {
        char from[64], to[512];

        make(i, from);
        snprintf(to, sizeof(to), "%s/%02zu %s.gguf", folder, i, tiny_models[i].name);
        if (rename(from, to) != 0)
            return 1;
        if (tiny_models[i].type != FORMAT_F32)
            continue;
        make_adapter(i, from);
        snprintf(to, sizeof(to), "%s/%02zu %s.lora", folder, i, tiny_models[i].name);
        if (rename(from, to) != 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    /* The kernels do not matter to the last: once is enough. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(architectures_have_the_reference_logits),
        cmocka_unit_test(adapters_are_as_if_merged),
        cmocka_unit_test(gemma_has_the_reference_logits),
    };
    const struct CMUnitTest exact[] = {
        cmocka_unit_test(architectures_have_them_to_many_digits),
        cmocka_unit_test(only_chosen_experts_are_read),
        cmocka_unit_test(gemma_has_them_to_many_digits),
    };
    int bad;

    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_models(argv[2]);
    fixture_kernels(argc, argv);
    bad = cmocka_run_group_tests(tests, NULL, NULL);
    if (argc == 1)
        bad += cmocka_run_group_tests(exact, NULL, NULL);
    return bad;
}
