/* LoRA adapters: against a forward pass of its own whose weights have them merged in; several
 * beside each other; and files that do not fit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine/engine.h"
#include "engine/format.h"
#include "engine/format_pack.h"
#include "tiny_llama.h"

enum { RANK = 5, PROMPT = 100, ANSWER = 24 };

static const struct engine_stop never = {NULL, NULL};

static uint64_t seed;

static float noise(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(seed >> 40) / 8388608.0f - 1;
}

/* What an adapter changes: by name, with its rank. */
struct change {
    const char *name;
    size_t rank;
    uint32_t type;
};

static const struct change changes[] = {
    {"blk.0.attn_q.weight", RANK, FORMAT_F32},   {"blk.0.attn_v.weight", 2, FORMAT_F16},
    {"blk.1.attn_output.weight", 1, FORMAT_F32}, {"blk.1.attn_k.weight", 40, FORMAT_F32},
    {"blk.0.ffn_gate.weight", RANK, FORMAT_F16}, {"blk.1.ffn_up.weight", RANK, FORMAT_F32},
    {"blk.0.ffn_down.weight", 3, FORMAT_F32},    {"blk.1.ffn_down.weight", 32, FORMAT_F32},
};

static struct tiny_tensor *tensor(struct tiny_llama *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->tensors[i].name, name) == 0)
            return &t->tensors[i];
    }
    fail_msg("no %s", name);
    return NULL;
}

/* Random values as the file has them; `values` is what they are. */
static void write_part(struct gguf_writer *w, const char *name, const char *end, uint32_t type,
                       size_t rows, size_t cols, float *values)
{
    const size_t bytes = rows * cols * format_of(type)->bytes;
    uint8_t *data = malloc(bytes);
    char full[80];

    assert_non_null(data);
    for (size_t i = 0; i < rows * cols; i++)
        values[i] = 0.3f * noise();
    format_pack_row(type, values, NULL, rows * cols, data);
    format_row(type, data, rows * cols, values);
    snprintf(full, sizeof(full), "%s%s", name, end);
    gguf_writer_tensor(w, full, type, (const uint64_t[3]){cols, rows, 1},
                       (struct span){(char *)data, bytes});
    free(data);
}

/* W += alpha / rank B A */
static void merge(struct tiny_tensor *w, const float *a, const float *b, size_t rank,
                  float alpha)
{
    for (size_t r = 0; r < w->rows; r++) {
        for (size_t c = 0; c < w->cols; c++) {
            double sum = 0;

            for (size_t k = 0; k < rank; k++)
                sum += (double)b[r * rank + k] * (double)a[k * w->cols + c];
            w->values[r * w->cols + c] += (float)((double)alpha / (double)rank * sum);
        }
    }
}

/* The file of an adapter from `from` on; merged into *t, if not NULL. */
static void save_adapter(struct tiny_llama *shapes, struct tiny_llama *t, uint64_t from,
                         const struct gguf_edit *edit, char *path)
{
    static float a[64 * 128], b[128 * 64];
    const float alpha = 4;
    struct gguf_writer w;
    struct buf file;

    seed = from;
    gguf_writer_init(&w, edit);
    gguf_writer_text(&w, "general.type", "adapter");
    gguf_writer_text(&w, "general.architecture", "llama");
    gguf_writer_text(&w, "adapter.type", "lora");
    gguf_writer_f32(&w, "adapter.lora.alpha", alpha);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        const struct change *c = &changes[i];
        const struct tiny_tensor *base = tensor(shapes, c->name);

        write_part(&w, c->name, ".lora_a", c->type, c->rank, base->cols, a);
        write_part(&w, c->name, ".lora_b", c->type, base->rows, c->rank, b);
        if (t != NULL)
            merge(tensor(t, c->name), a, b, c->rank, alpha);
    }
    buf_init(&file, 4u << 20);
    gguf_writer_finish(&w, &file);
    gguf_writer_save(buf_span(&file), path);
    gguf_writer_release(&w);
    buf_release(&file);
}

struct base {
    struct tiny_llama llama;
    char path[64];
    struct decoder *d;
};

static void open_base(struct base *b, uint64_t memory_max)
{
    const struct decoder_options o = {.tokens_only = true,
                                      .sequences = 4,
                                      .cache_tokens = 1024,
                                      .memory_max_bytes = memory_max};
    struct engine_error err;
    struct buf file;

    buf_init(&file, 16u << 20);
    tiny_llama_init(&b->llama, FORMAT_F32, 32, NULL, &file);
    gguf_writer_save(buf_span(&file), b->path);
    buf_release(&file);
    if (decoder_open(b->path, &o, &b->d, &err) != ST_OK)
        fail_msg("%s", err.text);
    unlink(b->path);
}

static void close_base(struct base *b)
{
    decoder_close(b->d);
    tiny_llama_release(&b->llama);
}

static struct decoder_adapter *open_adapter(struct base *b, struct tiny_llama *merged,
                                            uint64_t from)
{
    struct decoder_adapter *a;
    struct engine_error err;
    char path[64];

    save_adapter(&b->llama, merged, from, NULL, path);
    if (decoder_adapter_open(b->d, path, &a, &err) != ST_OK)
        fail_msg("%s", err.text);
    unlink(path);
    return a;
}

static void fill(uint32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)(TINY_CONTROLS + (i * i + 5 * i) % 200);
}

static double apart(const float *want, const float *got)
{
    double sum = 0, size = 0;

    for (size_t i = 0; i < TINY_WORDS; i++) {
        sum += pow((double)want[i] - (double)got[i], 2);
        size += pow((double)want[i], 2);
    }
    return sqrt(sum / size);
}

/* --- what it computes ------------------------------------------------------------------- */

static void it_is_as_if_merged(void **state)
{
    static float want[TINY_WORDS], plain[TINY_WORDS];
    uint32_t ids[PROMPT];
    struct decoder_session *s;
    struct decoder_adapter *a;
    struct base b;

    (void)state;
    open_base(&b, 0);
    fill(ids, PROMPT);
    tiny_llama_logits(&b.llama, ids, PROMPT, 0, plain);
    a = open_adapter(&b, &b.llama, 11);
    tiny_llama_logits(&b.llama, ids, PROMPT, 0, want);
    assert_true(apart(want, plain) > 0.1); /* it matters */
    for (unsigned threads = 1; threads <= 2; threads++) {
        CHECK_STATUS(ST_OK, decoder_session_open(b.d, threads, &s));
        decoder_session_adapt(s, a);
        CHECK_STATUS(ST_OK, decoder_prefill(s, ids, PROMPT - 2, never));
        CHECK_STATUS(ST_OK, decoder_step(s, ids[PROMPT - 2]));
        CHECK_STATUS(ST_OK, decoder_step(s, ids[PROMPT - 1]));
        print_message("apart by %.2g, without it by %.2g\n", apart(want, decoder_logits(s)),
                      apart(want, plain));
        assert_true(apart(want, decoder_logits(s)) < 1e-4);
        decoder_session_adapt(s, NULL);
        CHECK_STATUS(ST_OK, decoder_prefill(s, ids, PROMPT, never));
        assert_true(apart(plain, decoder_logits(s)) < 1e-4);
        decoder_session_close(s);
    }
    decoder_adapter_close(a);
    close_base(&b);
}

/* --- several at once -------------------------------------------------------------------- */

struct said {
    char text[512];
    size_t len;
    struct decoder_result result;
};

static void on_text(void *arg, struct span text)
{
    struct said *s = arg;

    assert_true(s->len + text.len <= sizeof(s->text));
    memcpy(s->text + s->len, text.ptr, text.len);
    s->len += text.len;
}

static struct decoder_answer *ask(struct decoder_session *s, const struct decoder_adapter *a,
                                  struct said *said)
{
    uint32_t ids[PROMPT];
    const struct decoder_request q = {.ids = ids,
                                      .id_count = PROMPT,
                                      .params = {.top_p = 1, .max_tokens = ANSWER},
                                      .no_end = true,
                                      .adapter = a,
                                      .on_text = on_text,
                                      .arg = said,
                                      .stop = never};
    struct decoder_answer *out;

    fill(ids, PROMPT);
    said->len = 0;
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &out));
    return out;
}

static void finish(struct decoder_session *s, struct decoder_answer *a, struct said *said)
{
    enum status st;

    for (int i = 0; i < 1000 && !decoder_answer_ended(a, &st, &said->result); i++)
        decoder_session_pass(s);
    assert_true(decoder_answer_ended(a, &st, &said->result));
    CHECK_STATUS(ST_OK, st);
    decoder_answer_close(a);
}

static void same(const struct said *want, const struct said *got)
{
    CHECK_SPAN(((struct span){want->text, want->len}), ((struct span){got->text, got->len}));
}

static void sequences_have_their_own(void **state)
{
    struct said alone[3], beside[3], again;
    const struct decoder_adapter *list[3] = {NULL};
    struct decoder_answer *answers[3];
    struct decoder_adapter *first, *second;
    struct decoder_session *s;
    struct base b;

    (void)state;
    open_base(&b, 0);
    list[1] = first = open_adapter(&b, NULL, 11);
    list[2] = second = open_adapter(&b, NULL, 12);
    for (size_t i = 0; i < 3; i++) {
        CHECK_STATUS(ST_OK, decoder_session_open(b.d, 1, &s));
        finish(s, ask(s, list[i], &alone[i]), &alone[i]);
        decoder_session_close(s);
    }
    assert_true(alone[0].len != alone[1].len ||
                memcmp(alone[0].text, alone[1].text, alone[0].len) != 0);
    CHECK_STATUS(ST_OK, decoder_session_open(b.d, 2, &s));
    for (size_t i = 0; i < 3; i++)
        answers[i] = ask(s, list[i], &beside[i]);
    for (size_t i = 0; i < 3; i++) {
        finish(s, answers[i], &beside[i]);
        same(&alone[i], &beside[i]);
        assert_int_equal(0, beside[i].result.reused_tokens);
    }
    /* The same prompt is taken again with the same adapter only. */
    finish(s, ask(s, first, &again), &again);
    same(&alone[1], &again);
    assert_true(again.result.reused_tokens > 0);
    decoder_session_close(s);
    decoder_adapter_close(first);
    decoder_adapter_close(second);
    close_base(&b);
}

/* --- files that do not fit -------------------------------------------------------------- */

#define Q "blk.0.attn_q.weight"

static void what_does_not_fit_is_refused(void **state)
{
    static const struct {
        struct gguf_edit edit;
        const char *says;
    } cases[] = {
        {{.kind = EDIT_TEXT, .name = "general.type", .text = "model"}, "it is no adapter"},
        {{.kind = EDIT_DROP_KEY, .name = "adapter.type"}, "adapters are plain LoRA"},
        {{.kind = EDIT_TEXT, .name = "general.architecture", .text = "qwen2"},
         "for the architecture 'qwen2', the model is 'llama'"},
        {{.kind = EDIT_DROP_KEY, .name = "adapter.lora.alpha"},
         "adapter.lora.alpha is missing"},
        {{.kind = EDIT_FLOAT, .name = "adapter.lora.alpha", .f = INFINITY}, "no number"},
        {{.kind = EDIT_DROP_TENSOR, .name = Q ".lora_b"}, "tensor '" Q ".lora_b' is missing"},
        {{.kind = EDIT_DROP_TENSOR, .name = Q ".lora_a"}, "tensor '" Q ".lora_a' is missing"},
        {{.kind = EDIT_NAME, .name = Q ".lora_a", .text = "blk.7.attn_q.weight.lora_a"},
         "'" Q ".lora_a' is missing"},
        {{.kind = EDIT_ADD_TENSOR, .name = Q ".lora_a", .text = "blk.0.attn_q.bias"},
         "'blk.0.attn_q.bias' is no part of a LoRA adapter"},
        {{.kind = EDIT_SHAPE, .name = Q ".lora_a", .number = 32},
         "'" Q ".lora_a' has not the columns"},
        {{.kind = EDIT_SHAPE, .name = Q ".lora_b", .number = 4},
         "'" Q ".lora_b' has not the rows"},
        {{.kind = EDIT_VALUE, .name = Q ".lora_a", .number = 0x7fc00000},
         "'" Q ".lora_a' holds a value that is not finite"},
    };
    struct base b;

    (void)state;
    open_base(&b, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_error err = {.text = ""};
        struct decoder_adapter *a;
        char path[64];

        save_adapter(&b.llama, NULL, 11, &cases[i].edit, path);
        CHECK_STATUS(ST_INVALID, decoder_adapter_open(b.d, path, &a, &err));
        if (strstr(err.text, cases[i].says) == NULL || strchr(err.text, '\n') != NULL)
            fail_msg("%s: said %s", cases[i].says, err.text);
        unlink(path);
    }
    close_base(&b);
}

/* Pairs for what is no matrix of a layer. */
static void what_is_no_matrix_of_a_layer_is_refused(void **state)
{
    static const struct {
        const char *name, *says;
        uint64_t cols, rows;
    } cases[] = {
        {"token_embd.weight", "only matrices of layers", TINY_D, TINY_WORDS},
        {"blk.0.attn_norm.weight", "no single matrix", TINY_D, 1},
        {"blk.9.attn_q.weight", "the model has not got", TINY_D, TINY_D},
    };
    struct base b;

    (void)state;
    open_base(&b, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const float zeros[TINY_WORDS] = {0};
        struct engine_error err = {.text = ""};
        struct decoder_adapter *a;
        struct gguf_writer w;
        struct buf file;
        char path[64], name[80];

        gguf_writer_init(&w, NULL);
        gguf_writer_text(&w, "general.type", "adapter");
        gguf_writer_text(&w, "general.architecture", "llama");
        gguf_writer_text(&w, "adapter.type", "lora");
        gguf_writer_f32(&w, "adapter.lora.alpha", 1);
        snprintf(name, sizeof(name), "%s.lora_a", cases[i].name);
        gguf_writer_tensor(&w, name, FORMAT_F32, (const uint64_t[3]){cases[i].cols, 1, 1},
                           (struct span){(const char *)zeros, 4 * cases[i].cols});
        snprintf(name, sizeof(name), "%s.lora_b", cases[i].name);
        gguf_writer_tensor(&w, name, FORMAT_F32, (const uint64_t[3]){1, cases[i].rows, 1},
                           (struct span){(const char *)zeros, 4 * cases[i].rows});
        buf_init(&file, 4u << 20);
        gguf_writer_finish(&w, &file);
        gguf_writer_save(buf_span(&file), path);
        CHECK_STATUS(ST_INVALID, decoder_adapter_open(b.d, path, &a, &err));
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: said %s", cases[i].says, err.text);
        gguf_writer_release(&w);
        buf_release(&file);
        unlink(path);
    }
    close_base(&b);
}

static void memory_is_in_the_budget(void **state)
{
    struct decoder_adapter_info info;
    struct decoder_adapter *a, *more[64];
    struct engine_error err;
    enum status st = ST_OK;
    struct base b;
    char path[64];
    size_t n = 0;

    (void)state;
    open_base(&b, 6u << 20);
    a = open_adapter(&b, NULL, 11);
    decoder_adapter_info(a, &info);
    assert_int_equal(40, info.rank);
    assert_int_equal(ARRAY_LEN(changes), info.matrices);
    save_adapter(&b.llama, NULL, 12, NULL, path);
    while (n < ARRAY_LEN(more) && st == ST_OK) {
        st = decoder_adapter_open(b.d, path, &more[n], &err);
        n += st == ST_OK ? 1 : 0;
    }
    CHECK_STATUS(ST_LIMIT, st);
    assert_non_null(strstr(err.text, "more than the model has left it"));
    assert_true((n + 1) * info.memory_bytes < 6u << 20);
    for (size_t i = 0; i < n; i++)
        decoder_adapter_close(more[i]);
    decoder_adapter_close(a);
    unlink(path);
    close_base(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_as_if_merged),
        cmocka_unit_test(sequences_have_their_own),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(what_is_no_matrix_of_a_layer_is_refused),
        cmocka_unit_test(memory_is_in_the_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
