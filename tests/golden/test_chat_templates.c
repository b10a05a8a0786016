/* Conversations by the families' templates as `jinja2` renders them (chat_templates.json, by
 * chat_reference.py). A control token is shown by its text: what a turn says is never one. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/unicode.h"
#include "check.h"
#include "engine/chat_template.h"
#include "engine/gguf.h"
#include "gguf_writer.h"
#include "golden/fixture.h"

#define IDS_MAX   2048
#define TURNS_MAX 16
#define BAR       "\xef\xbd\x9c"

static const char *const controls[] = {
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|im_sep|>",
    "<|eot_id|>",
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "<" BAR "User" BAR ">",
    "<" BAR "Assistant" BAR ">",
    "<" BAR "end\xe2\x96\x81of\xe2\x96\x81sentence" BAR ">",
    "<|EOT|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
};

enum { CONTROLS = ARRAY_LEN(controls), WORDS = CONTROLS + 256 };

/* Control tokens, then every byte in GPT-2's alphabet. */
static void write_file(struct buf *out)
{
    struct span texts[WORDS];
    int32_t types[WORDS];
    char bytes[256][8];
    struct gguf_writer w;
    uint32_t next = 256;

    for (size_t i = 0; i < CONTROLS; i++)
        texts[i] = span_of(controls[i]);
    for (uint32_t b = 0; b < 256; b++) {
        bool itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

        texts[CONTROLS + b] =
            (struct span){bytes[b], unicode_put(itself ? b : next++, bytes[b])};
    }
    for (size_t i = 0; i < WORDS; i++)
        types[i] = i < CONTROLS ? 3 : 1;
    gguf_writer_init(&w, NULL);
    gguf_writer_text(&w, "tokenizer.ggml.model", "gpt2");
    gguf_writer_text(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_writer_texts(&w, "tokenizer.ggml.tokens", texts, WORDS);
    gguf_writer_i32s(&w, "tokenizer.ggml.token_type", types, WORDS);
    gguf_writer_texts(&w, "tokenizer.ggml.merges", NULL, 0);
    gguf_writer_u32(&w, "tokenizer.ggml.bos_token_id", 0);
    gguf_writer_u32(&w, "tokenizer.ggml.eos_token_id", 1);
    gguf_writer_finish(&w, out);
    gguf_writer_release(&w);
}

static size_t turns_of(const struct json *list, struct decoder_turn *out)
{
    size_t n = 0;

    for (const struct json *v = list->child; v != NULL; v = v->next) {
        assert_true(n < TURNS_MAX);
        out[n++] = (struct decoder_turn){json_str(v->child), json_str(v->child->next)};
    }
    return n;
}

static void check(const struct tokenizer *k, const struct chat_template *t,
                  const struct json *c)
{
    struct decoder_turn turns[TURNS_MAX];
    uint32_t ids[IDS_MAX];
    size_t count, n = turns_of(json_get(c, SPAN("turns")), turns);
    struct buf out;

    CHECK_STATUS(ST_OK, chat_template_encode(t, k, turns, n, ids, IDS_MAX, &count));
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < count; i++) {
        if (tokenizer_is_control(k, ids[i]))
            CHECK_STATUS(ST_OK, buf_append(&out, tokenizer_text(k, ids[i])));
        else
            CHECK_STATUS(ST_OK, tokenizer_decode(k, ids[i], &out));
    }
    CHECK_SPAN(json_str(json_get(c, SPAN("want"))), buf_span(&out));
    /* Of no text a token is made that steers. */
    for (size_t i = 0; i < n; i++) {
        size_t alone = 0;

        CHECK_STATUS(ST_OK,
                     tokenizer_encode(k, turns[i].text, false, ids, IDS_MAX, IDS_MAX, &alone));
        for (size_t j = 0; j < alone; j++)
            assert_false(tokenizer_is_control(k, ids[j]));
    }
    buf_release(&out);
}

static void every_family_renders_as_its_template(void **state)
{
    struct arena arena, keys;
    struct tokenizer *k;
    struct engine_error why;
    struct gguf g;
    struct buf file;
    size_t seen = 0;

    (void)state;
    arena_init(&arena, 65536, 8 << 20);
    arena_init(&keys, 65536, 1 << 20);
    buf_init(&file, 1 << 20);
    write_file(&file);
    CHECK_STATUS(ST_OK, gguf_read(buf_span(&file), &keys, &g, &why));
    CHECK_STATUS(ST_OK, tokenizer_open(&g, &k, &why));
    for (const struct json *v = fixture_json(&arena, "chat_templates.json")->child; v != NULL;
         v = v->next) {
        struct chat_template t;

        if (chat_template_open(k, json_str(json_get(v, SPAN("template"))), NULL, &t, &why) !=
            ST_OK)
            fail_msg("%s", why.text);
        CHECK_SPAN(json_str(json_get(v, SPAN("family"))), span_of(chat_template_name(&t)));
        for (const struct json *c = json_get(v, SPAN("cases"))->child; c != NULL; c = c->next)
            check(k, &t, c);
        seen++;
    }
    assert_int_equal(15, seen);
    tokenizer_close(k);
    buf_release(&file);
    arena_release(&keys);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_renders_as_its_template),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
