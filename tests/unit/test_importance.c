/* What a text puts into each matrix, kept in a file, and what it is good for. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine/file.h"
#include "engine/format.h"
#include "engine/gguf.h"
#include "engine/importance.h"
#include "engine/importance_file.h"
#include "engine/quantize.h"
#include "engine/text_chunks.h"
#include "tiny_llama.h"
#include "tiny_models.h"

#define EPS 1e-5 /* of the tiny models' norms */

static char text[1200]; /* tokens of the tiny models are bytes, or little more */

static struct span words(void)
{
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "the sea, a hill; Why not? 42"[(i * i / 7 + i) % 28];
    return (struct span){text, sizeof(text)};
}

static void save_model(const char *name, const struct gguf_edit *edit, char *path)
{
    struct buf file;

    buf_init(&file, 16u << 20);
    tiny_models_write(tiny_models_find(name), edit, &file);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
}

static void collect(const char *path, struct importance *m)
{
    struct engine_error err = {.text = ""};
    enum status st;

    importance_init(m);
    st = importance_collect(m, path, words(), 1, NULL, NULL, &err);
    if (st != ST_OK)
        fail_msg("%s", err.text);
}

static const struct importance_tensor *find(const struct importance *m, const char *name)
{
    const struct importance_tensor *t = importance_find(m, (struct span){name, strlen(name)});

    assert_non_null(t);
    return t;
}

/* --- collecting ------------------------------------------------------------------------- */

static const float *tensor(const struct tiny_llama *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->tensors[i].name, name) == 0)
            return t->tensors[i].values;
    }
    fail_msg("no %s", name);
    return NULL;
}

/* The squares of the normed embeddings of the whole chunks of the text, by the book. */
static size_t sums_by_hand(const struct tiny_llama *t, const char *path, double *sums)
{
    const float *words_of = tensor(t, "token_embd.weight");
    const float *norm = tensor(t, "blk.0.attn_norm.weight");
    const struct decoder_options o = {.tokens_only = true};
    struct engine_error err;
    struct text_chunks chunks;
    struct decoder *d;
    size_t n;

    CHECK_STATUS(ST_OK, decoder_open(path, &o, &d, &err));
    CHECK_STATUS(ST_OK, text_chunks_open(d, words(), TINY_CONTEXT, &chunks));
    n = chunks.count * chunks.context;
    for (size_t k = 0; k < n; k++) {
        const float *x = words_of + (size_t)chunks.ids[k] * TINY_D;
        double mean = 0;

        for (size_t i = 0; i < TINY_D; i++)
            mean += (double)x[i] * (double)x[i] / TINY_D;
        for (size_t i = 0; i < TINY_D; i++)
            sums[i] += pow((double)x[i] * (double)norm[i], 2) / (mean + EPS);
    }
    text_chunks_close(&chunks);
    decoder_close(d);
    return n;
}

static void what_goes_into_the_first_layer(void **state)
{
    double want[TINY_D] = {0};
    const struct importance_tensor *q, *v;
    struct importance m;
    struct tiny_llama t;
    char path[64];
    struct buf file;
    size_t n;

    (void)state;
    buf_init(&file, 16u << 20);
    tiny_llama_init(&t, FORMAT_F32, 32, NULL, &file);
    gguf_writer_save(buf_span(&file), path);
    n = sums_by_hand(&t, path, want);
    assert_true(n > 2 * TINY_CONTEXT);
    collect(path, &m);
    q = find(&m, "blk.0.attn_q.weight");
    v = find(&m, "blk.0.attn_v.weight");
    assert_int_equal(TINY_D, q->cols);
    assert_int_equal(1, q->matrices);
    assert_int_equal(n, q->counts[0]);
    for (size_t i = 0; i < TINY_D; i++) {
        if (fabs(q->sums[i] - want[i]) > 1e-4 * want[i] + 1e-9)
            fail_msg("column %zu: want %g, got %g", i, want[i], q->sums[i]);
        assert_true(q->sums[i] == v->sums[i]);
    }
    /* All matrices of the layers, and nothing of the head. */
    assert_int_equal(7 * TINY_LAYERS, m.count);
    assert_int_equal(TINY_FFN, find(&m, "blk.1.ffn_down.weight")->cols);
    importance_release(&m);
    unlink(path);
    tiny_llama_release(&t);
    buf_release(&file);
}

static void experts_are_told_apart(void **state)
{
    const struct importance_tensor *gate, *up, *router;
    struct importance m;
    uint64_t sum = 0;
    char path[64];

    (void)state;
    save_model("llama, experts", NULL, path);
    collect(path, &m);
    gate = find(&m, "blk.0.ffn_gate_exps.weight");
    up = find(&m, "blk.0.ffn_up_exps.weight");
    router = find(&m, "blk.0.ffn_gate_inp.weight");
    assert_int_equal(4, gate->matrices);
    for (size_t e = 0; e < 4; e++) {
        assert_int_equal(gate->counts[e], up->counts[e]);
        sum += gate->counts[e];
    }
    assert_int_equal(2 * router->counts[0], sum); /* two experts a token */
    assert_memory_equal(gate->sums, up->sums, 4 * gate->cols * sizeof(*gate->sums));
    importance_release(&m);
    unlink(path);
}

static void fused_tensors_are_told_once(void **state)
{
    struct importance m;
    char path[64];

    (void)state;
    save_model("phi3", NULL, path);
    collect(path, &m);
    assert_int_equal(find(&m, "blk.0.attn_output.weight")->counts[0],
                     find(&m, "blk.0.attn_qkv.weight")->counts[0]);
    assert_int_equal(4 * 2, m.count);
    importance_release(&m);
    unlink(path);
}

static void a_text_that_is_too_short(void **state)
{
    struct engine_error err = {.text = ""};
    struct importance m;
    char path[64];

    (void)state;
    save_model("qwen3", NULL, path);
    importance_init(&m);
    CHECK_STATUS(ST_INVALID, importance_collect(&m, path, SPAN("short"), 1, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "fewer than the"));
    importance_release(&m);
    unlink(path);
}

/* --- files ------------------------------------------------------------------------------ */

static void a_file_keeps_it(void **state)
{
    char path[64], out[80];
    struct engine_error err = {.text = ""};
    struct importance m, back;
    float a[256], b[256];

    (void)state;
    save_model("llama, experts", NULL, path);
    collect(path, &m);
    snprintf(out, sizeof(out), "%s.imatrix", path);
    CHECK_STATUS(ST_OK, importance_file_save(&m, out, SPAN("words.txt"), &err));
    CHECK_STATUS(ST_INVALID, importance_file_save(&m, out, SPAN("words.txt"), &err));
    assert_non_null(strstr(err.text, "is there already"));
    importance_init(&back);
    CHECK_STATUS(ST_OK, importance_file_load(&back, out, &err));
    assert_int_equal(m.count, back.count);
    assert_int_equal(m.chunks, back.chunks);
    for (size_t i = 0; i < m.count; i++) {
        const struct importance_tensor *t = &m.list[i];
        const struct importance_tensor *u = importance_find(&back, t->name);

        assert_non_null(u);
        assert_true(u->matrices == t->matrices && u->cols == t->cols && t->cols <= 256);
        for (size_t k = 0; k < t->matrices; k++) {
            assert_int_equal(importance_weights(t, k, a), importance_weights(u, k, b));
            for (size_t c = 0; t->counts[k] > 0 && c < t->cols; c++)
                assert_true(fabsf(a[c] - b[c]) <= 1e-4f * a[c]);
        }
    }
    importance_release(&back);
    importance_release(&m);
    unlink(out);
    unlink(path);
}

/* A matrix of 32 columns: its sums, and its counts of `rows`. */
static void save_imatrix(const char *type, const float *sums, uint64_t rows, const char *drop,
                         char *path)
{
    const struct gguf_edit edit = {.kind = drop != NULL ? EDIT_DROP_TENSOR : EDIT_NONE,
                                   .name = drop};
    const float counts[4] = {2, 2, 2, 2};
    struct gguf_writer w;
    struct buf file;

    gguf_writer_init(&w, &edit);
    gguf_writer_text(&w, "general.type", type);
    gguf_writer_tensor(&w, "a.weight.in_sum2", FORMAT_F32, (const uint64_t[3]){32, 1, 1},
                       (struct span){(const char *)sums, 128});
    gguf_writer_tensor(&w, "a.weight.counts", FORMAT_F32, (const uint64_t[3]){1, rows, 1},
                       (struct span){(const char *)counts, 4 * rows});
    buf_init(&file, 1u << 20);
    gguf_writer_finish(&w, &file);
    gguf_writer_save(buf_span(&file), path);
    gguf_writer_release(&w);
    buf_release(&file);
}

static void broken_files_are_refused(void **state)
{
    static const struct {
        const char *type;
        float first;
        uint64_t rows;
        const char *drop, *says;
    } cases[] = {
        {"imatrix", 1, 1, NULL, NULL},
        {"model", 1, 1, NULL, "no importance matrix"},
        {"imatrix", 1, 1, "a.weight.counts", "'a.weight.counts' is missing"},
        {"imatrix", 1, 3, NULL, "'a.weight.counts' is not 1 times 1"},
        {"imatrix", -1, 1, NULL, "no sum of squares"},
        {"imatrix", NAN, 1, NULL, "no sum of squares"},
        {"imatrix", INFINITY, 1, NULL, "no sum of squares"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        float sums[32] = {cases[i].first};
        struct engine_error err = {.text = ""};
        struct importance m;
        char path[64];

        save_imatrix(cases[i].type, sums, cases[i].rows, cases[i].drop, path);
        importance_init(&m);
        CHECK_STATUS(cases[i].says == NULL ? ST_OK : ST_INVALID,
                     importance_file_load(&m, path, &err));
        if (cases[i].says != NULL && strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: said %s", cases[i].says, err.text);
        importance_release(&m);
        unlink(path);
    }
}

/* --- quantizing ------------------------------------------------------------------------- */

static void row_of(const struct gguf_tensor *t, size_t r, float *out)
{
    const struct format *f = format_of(t->type);
    size_t cols = (size_t)t->shape[0];

    format_row(t->type, (const uint8_t *)t->data.ptr + r * (cols / f->values * f->bytes), cols,
               out);
}

/* The sum over all matrices of a layer of importance times the square of the error. */
static double error_between(const char *a, const char *b, const struct importance *m)
{
    struct file files[2] = {{{NULL, 0}}, {{NULL, 0}}};
    struct engine_error err;
    struct arena arena;
    struct gguf g[2];
    double sum = 0;

    arena_init(&arena, 1 << 16, 16u << 20);
    CHECK_STATUS(ST_OK, file_map(a, &files[0], &err));
    CHECK_STATUS(ST_OK, file_map(b, &files[1], &err));
    for (size_t i = 0; i < 2; i++)
        CHECK_STATUS(ST_OK, gguf_read(files[i].bytes, &arena, &g[i], &err));
    for (size_t i = 0; i < g[0].tensor_count; i++) {
        const struct gguf_tensor *t = &g[0].tensors[i], *u = &g[1].tensors[i];
        const struct importance_tensor *known = importance_find(m, t->name);
        float w[256], x[256], y[256];

        if (known == NULL || t->type == u->type)
            continue;
        assert_true(importance_weights(known, 0, w) && t->shape[0] <= 256);
        for (size_t r = 0; r < t->shape[1]; r++) {
            row_of(t, r, x);
            row_of(u, r, y);
            for (size_t c = 0; c < t->shape[0]; c++)
                sum += (double)w[c] * pow((double)x[c] - (double)y[c], 2);
        }
    }
    arena_release(&arena);
    file_release(&files[0]);
    file_release(&files[1]);
    return sum;
}

static double error_of(const char *path, const char *type, const struct importance *told,
                       const struct importance *m)
{
    const struct quantize_options o = {
        .type = type, .threads = 1, .requantize = true, .importance = told};
    struct quantize_result r;
    struct engine_error err = {.text = ""};
    char out[80];
    double error;

    snprintf(out, sizeof(out), "%s.out", path);
    if (quantize_file(path, out, &o, &r, &err) != ST_OK)
        fail_msg("%s", err.text);
    assert_int_equal(told != NULL ? 14 : 0, r.weighted);
    error = error_between(path, out, m);
    unlink(out);
    return error;
}

static void errors_are_smaller_where_it_matters(void **state)
{
    static const char *const types[] = {"Q4_0", "IQ4_NL", "Q5_K_M", "TQ2_0"};
    struct importance m;
    char path[64];

    (void)state;
    save_model("qwen3, Q4_K", NULL, path);
    collect(path, &m);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        double blind = error_of(path, types[i], NULL, &m),
               told = error_of(path, types[i], &m, &m);

        print_message("%-7s %.4f, told %.4f\n", types[i], blind, told);
        assert_true(told < blind && told > 0);
    }
    assert_true(error_of(path, "IQ2_XS", &m, &m) > 0);
    importance_release(&m);
    unlink(path);
}

static void what_cannot_be_is_refused(void **state)
{
    struct quantize_options o = {.type = "IQ2_XS", .threads = 1, .requantize = true};
    struct engine_error err = {.text = ""};
    struct importance m;
    struct quantize_result r;
    char path[64], other[64], out[80];

    (void)state;
    save_model("qwen3, Q4_K", NULL, path);
    save_model("qwen3", NULL, other);
    snprintf(out, sizeof(out), "%s.out", path);
    CHECK_STATUS(ST_INVALID, quantize_file(path, out, &o, &r, &err));
    assert_non_null(strstr(err.text, "IQ2_XS without an importance matrix"));
    collect(other, &m);
    o.importance = &m;
    CHECK_STATUS(ST_INVALID, quantize_file(path, out, &o, &r, &err));
    assert_non_null(
        strstr(err.text, "the importance matrix is of another model: tensor 'blk."));
    assert_int_equal(-1, access(out, F_OK));
    importance_release(&m);
    unlink(path);
    unlink(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_into_the_first_layer),
        cmocka_unit_test(experts_are_told_apart),
        cmocka_unit_test(fused_tensors_are_told_once),
        cmocka_unit_test(a_text_that_is_too_short),
        cmocka_unit_test(a_file_keeps_it),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(errors_are_smaller_where_it_matters),
        cmocka_unit_test(what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
