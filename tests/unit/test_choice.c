/* How likely an answer begins with one of some words: the shares of their first tokens in the
 * softmax of the logits, which are asked for another way here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "check.h"
#include "engine/choice.h"
#include "engine/engine.h"
#include "tiny_llama.h"

static const struct span words[] = {{"Yes", 3}, {"No", 2}};

static struct decoder *model;

static int open_model(void **arg)
{
    char path[] = "/tmp/ibid-choice-XXXXXX";
    int fd = mkstemp(path);
    FILE *out = fdopen(fd, "wb");
    const struct decoder_options o = {.context_max = 64};
    struct engine_error err = {.text = ""};
    struct tiny_llama t;
    struct buf file;

    (void)arg;
    assert_non_null(out);
    buf_init(&file, SIZE_MAX / 2);
    tiny_llama_init(&t, 0, 32, NULL, &file);
    tiny_llama_release(&t);
    assert_int_equal(fwrite(file.ptr, 1, file.len, out), file.len);
    fclose(out);
    buf_release(&file);
    CHECK_STATUS(ST_OK, decoder_open(path, &o, &model, &err));
    unlink(path);
    return 0;
}

static int close_model(void **arg)
{
    (void)arg;
    decoder_close(model);
    return 0;
}

static uint32_t first_token(const char *text)
{
    uint32_t id;
    size_t count;

    CHECK_STATUS(ST_OK, decoder_tokenize(model, span_of(text), false, &id, 1, &count));
    return id;
}

static void on_text(void *arg, struct span text)
{
    (void)arg;
    (void)text;
}

static double share(const float *logits, const char *a, const char *b)
{
    double sum = 0;

    for (size_t i = 0; i < TINY_WORDS; i++)
        sum += exp((double)logits[i]);
    return (exp((double)logits[first_token(a)]) + exp((double)logits[first_token(b)])) / sum;
}

static void chances_are_those_of_the_logits(void **arg)
{
    const uint32_t ids[] = {5, 9, 70, 33};
    struct decoder_request q = {.ids = ids,
                                .id_count = ARRAY_LEN(ids),
                                .params = {.top_p = 1, .max_tokens = 3},
                                .words = words,
                                .word_count = 2,
                                .no_end = true,
                                .on_text = on_text};
    struct engine_stop never = {NULL, NULL};
    struct decoder_session *s;
    struct decoder_result r;
    double yes, no;

    (void)arg;
    CHECK_STATUS(ST_OK, decoder_session_open(model, 1, &s));
    CHECK_STATUS(ST_OK, decoder_prefill(s, ids, ARRAY_LEN(ids), never));
    /* Bytes are tokens: what the words have in common, the blank before them, is neither's. */
    yes = share(decoder_logits(s), "Y", "y");
    no = share(decoder_logits(s), "N", "n");
    CHECK_STATUS(ST_OK, decoder_chat(s, &q, &r));
    assert_float_equal(r.begins[0], yes, 1e-6);
    assert_float_equal(r.begins[1], no, 1e-6);
    assert_true(yes > 0 && no > 0 && yes != no);
    /* Nobody asks. */
    q.word_count = 0;
    CHECK_STATUS(ST_OK, decoder_chat(s, &q, &r));
    assert_true(r.begins[0] == 0 && r.begins[1] == 0);
    decoder_session_close(s);
}

static void what_is_no_word_is_refused(void **arg)
{
    static const struct span same[] = {{"Yes", 3}, {"yes", 3}}, none[] = {{"", 0}};
    char text[64] = "Yes yes yes yes yes yes yes yes yes yes";
    const struct span lengthy = span_of(text);
    struct span many[DECODER_WORDS_MAX + 1];
    struct choice c;

    (void)arg;
    CHECK_STATUS(ST_OK, choice_read(&c, model, words, 2));
    assert_int_equal(c.words, 2);
    CHECK_STATUS(ST_INVALID, choice_read(&c, model, same, 2)); /* no token tells them apart */
    CHECK_STATUS(ST_INVALID, choice_read(&c, model, none, 1));
    CHECK_STATUS(ST_INVALID, choice_read(&c, model, &lengthy, 1));
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = words[i % 2];
    CHECK_STATUS(ST_INVALID, choice_read(&c, model, many, ARRAY_LEN(many)));
    assert_int_equal(c.words, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chances_are_those_of_the_logits),
        cmocka_unit_test(what_is_no_word_is_refused),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
