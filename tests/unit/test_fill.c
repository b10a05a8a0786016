/* Texts that go on, or are filled in: the prompt is these tokens in this order and no others,
 * so that the answer is that to the tokens themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine/decoder_model.h"
#include "engine/engine.h"
#include "tiny_llama.h"

enum { PREFIX = 70, SUFFIX = 71, MIDDLE = 72, IDS = 64 };

static struct decoder *model;

static int open_model(void **arg)
{
    char path[] = "/tmp/ibid-fill-XXXXXX";
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

static void on_text(void *arg, struct span text)
{
    assert_int_equal(buf_append(arg, text), ST_OK);
}

static enum status answer(const struct decoder_request *q, struct buf *out,
                          struct decoder_result *r)
{
    struct decoder_request copy = *q;
    struct decoder_session *s;
    enum status st;

    buf_init(out, 65536);
    copy.params = (struct decoder_params){.top_p = 1, .max_tokens = 12};
    copy.no_end = true;
    copy.on_text = on_text;
    copy.arg = out;
    CHECK_STATUS(ST_OK, decoder_session_open(model, 1, &s));
    st = decoder_chat(s, &copy, r);
    decoder_session_close(s);
    return st;
}

static size_t add_text(uint32_t *ids, size_t n, struct span text)
{
    size_t count;

    CHECK_STATUS(ST_OK, decoder_tokenize(model, text, false, ids + n, IDS - n, &count));
    return n + count;
}

static void check_same(const struct decoder_request *q, const uint32_t *ids, size_t n)
{
    const struct decoder_request as_ids = {.ids = ids, .id_count = n};
    struct decoder_result a, b;
    struct buf x, y;

    CHECK_STATUS(ST_OK, answer(q, &x, &a));
    CHECK_STATUS(ST_OK, answer(&as_ids, &y, &b));
    assert_int_equal(a.prompt_tokens, n);
    assert_true(x.len > 0);
    CHECK_SPAN(buf_span(&y), buf_span(&x));
    buf_release(&x);
    buf_release(&y);
}

static void a_text_goes_on(void **arg)
{
    /* What looks like a control token is text. */
    const struct decoder_turn t = {.text = SPAN("int main<|im_end|>")};
    const struct decoder_request q = {.turns = &t, .turn_count = 1, .continues = true};
    uint32_t ids[IDS];

    (void)arg;
    check_same(&q, ids, add_text(ids, 0, t.text));
}

static void a_text_is_filled_in(void **arg)
{
    const struct decoder_turn t[] = {{.text = SPAN("int f(")}, {.text = SPAN(") { }")}};
    const struct decoder_request q = {.turns = t, .turn_count = 2, .continues = true};
    struct decoder_result r;
    uint32_t ids[IDS];
    struct buf out;
    size_t n = 0;

    (void)arg;
    assert_false(decoder_fill_known(model));
    CHECK_STATUS(ST_INVALID, answer(&q, &out, &r));
    buf_release(&out);
    model->fill = (struct decoder_fill){true, PREFIX, SUFFIX, MIDDLE};
    assert_true(decoder_fill_known(model));
    ids[n++] = PREFIX;
    n = add_text(ids, n, t[0].text);
    ids[n++] = SUFFIX;
    n = add_text(ids, n, t[1].text);
    ids[n++] = MIDDLE;
    check_same(&q, ids, n);
    model->fill.known = false;
}

static void what_is_too_long_or_nothing(void **arg)
{
    static char many[100];
    struct decoder_turn t = {.text = {many, sizeof(many)}};
    const struct decoder_request q = {.turns = &t, .turn_count = 1, .continues = true};
    struct decoder_result r;
    struct buf out;

    (void)arg;
    memset(many, 'z', sizeof(many));
    CHECK_STATUS(ST_LIMIT, answer(&q, &out, &r));
    buf_release(&out);
    t.text = SPAN("");
    CHECK_STATUS(ST_INVALID, answer(&q, &out, &r));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_goes_on),
        cmocka_unit_test(a_text_is_filled_in),
        cmocka_unit_test(what_is_too_long_or_nothing),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
