/* Models that mix types of weights, as files that people have do, against the logits that
 * mixed_reference.py computed. With --write FOLDER: the models as files, for that. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine/engine.h"
#include "golden/exact.h"
#include "golden/fixture.h"
#include "mixed_llama.h"
#include "tiny_llama.h"

#define CONTEXT 128

static const struct engine_stop never = {NULL, NULL};

static void make(size_t i, char *path)
{
    struct buf file;

    buf_init(&file, 8u << 20);
    mixed_llama_write(&mixed_llama_models[i], &file);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
}

static size_t ids_of(const struct json *v, uint32_t *out)
{
    size_t n = 0;
    uint64_t id;

    for (const struct json *i = json_get(v, SPAN("ids"))->child; i != NULL; i = i->next) {
        assert_true(n < CONTEXT && json_u64(i, &id));
        out[n++] = (uint32_t)id;
    }
    return n;
}

/* How far logits are from a list of them, in parts of its size. */
static void check_logits(const char *name, const struct json *list, const float *got,
                         double most)
{
    double sum = 0, size = 0, want;
    size_t n = 0;

    for (const struct json *v = list->child; v != NULL; v = v->next, n++) {
        assert_true(json_double(v, &want));
        sum += pow((double)got[n] - want, 2);
        size += want * want;
    }
    assert_int_equal(TINY_WORDS, n);
    if (!(sqrt(sum / size) <= most))
        fail_msg("%s: logits apart by %g", name, sqrt(sum / size));
}

static void check_rounded(const char *name, const char *path, const struct json *v)
{
    const struct decoder_options options = {.context_max = 0};
    const struct json *want = json_get(v, SPAN("rounded"))->child;
    struct decoder_session *s;
    struct engine_error why;
    struct decoder *d;
    uint32_t ids[CONTEXT];
    size_t n = ids_of(v, ids);

    if (decoder_open(path, &options, &d, &why) != ST_OK)
        fail_msg("%s: %s", name, why.text);
    CHECK_STATUS(ST_OK, decoder_session_open(d, 2, &s));
    CHECK_STATUS(ST_OK, decoder_prefill(s, ids, n - 1, never));
    /* What turns a last bit into a whole step of a byte, here and there, is in both. */
    check_logits(name, want, decoder_logits(s), 2e-2);
    CHECK_STATUS(ST_OK, decoder_step(s, ids[n - 1]));
    check_logits(name, want->next, decoder_logits(s), 2e-2);
    decoder_session_close(s);
    decoder_close(d);
}

static void check_exact(const char *name, const char *path, const struct json *v)
{
    const struct json *want = json_get(v, SPAN("exact"))->child;
    static struct exact e;
    struct engine_error why;
    uint32_t ids[CONTEXT];
    size_t n = ids_of(v, ids);

    CHECK_STATUS(ST_OK, exact_open(path, CONTEXT, &e, &why));
    CHECK_STATUS(ST_OK, exact_feed(&e, ids, n - 1, true));
    check_logits(name, want, e.state.logits, 1e-5);
    CHECK_STATUS(ST_OK, exact_feed(&e, &ids[n - 1], 1, false));
    check_logits(name, want->next, e.state.logits, 1e-5);
    exact_close(&e);
}

static void each(void (*check)(const char *, const char *, const struct json *))
{
    const struct json *v;
    struct arena arena;
    size_t i = 0;

    arena_init(&arena, 65536, 1 << 22);
    for (v = fixture_json(&arena, "mixed.json")->child; v != NULL; v = v->next, i++) {
        char path[64];

        assert_true(i < MIXED_MODELS);
        make(i, path);
        check(mixed_llama_models[i].name, path, v);
        unlink(path);
    }
    assert_int_equal(MIXED_MODELS, i);
    arena_release(&arena);
}

static void mixed_models_have_the_reference_logits(void **state)
{
    (void)state;
    each(check_rounded);
}

static void mixed_models_have_them_to_many_digits(void **state)
{
    (void)state;
    each(check_exact);
}

static int write_models(const char *folder)
{
    for (size_t i = 0; i < MIXED_MODELS; i++) {
        char from[64], to[512];

        make(i, from);
        snprintf(to, sizeof(to), "%s/mixed-%zu.gguf", folder, i);
        if (rename(from, to) != 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    /* The kernels do not matter to the last: once is enough. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_models_have_the_reference_logits),
    };
    const struct CMUnitTest exact[] = {
        cmocka_unit_test(mixed_models_have_them_to_many_digits),
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
