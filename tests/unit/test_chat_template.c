/* Conversations by every family, compared with what the models' own templates render. A
 * control token is shown by its text: what a turn says is never one. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/unicode.h"
#include "check.h"
#include "engine/chat_template.h"
#include "engine/gguf.h"
#include "gguf_writer.h"

#define IDS_MAX 1024
#define TURN(role, text)                                                                       \
    {                                                                                          \
        {role, sizeof(role) - 1},                                                              \
        {                                                                                      \
            text, sizeof(text) - 1                                                             \
        }                                                                                      \
    }
#define DATES "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

static const char *const controls[] = {
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|end|>",
    "<|user|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|assistant|>",
    "<|system|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|im_sep|>",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "<|EOT|>",
    "<\xef\xbd\x9cUser\xef\xbd\x9c>",
    "<\xef\xbd\x9c"
    "Assistant\xef\xbd\x9c>",
    "<\xef\xbd\x9c"
    "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
    "[INST]",
    "[/INST]",
};

#define CONTROLS    ARRAY_LEN(controls)
#define TEXT_TOKENS (CONTROLS - 2) /* of a vocabulary where "[INST]" is text */

struct opened {
    struct buf file;
    struct arena arena;
    struct gguf gguf;
    struct tokenizer *tokens;
};

static void open_file(struct opened *o, struct gguf_writer *w)
{
    struct engine_error why;

    gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", 0);
    gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", 1);
    buf_init(&o->file, 1 << 20);
    gguf_writer_finish(w, &o->file);
    gguf_writer_release(w);
    arena_init(&o->arena, 65536, 1 << 20);
    CHECK_STATUS(ST_OK, gguf_read(buf_span(&o->file), &o->arena, &o->gguf, &why));
    if (tokenizer_open(&o->gguf, &o->tokens, &why) != ST_OK)
        fail_msg("%s", why.text);
}

static void close_file(struct opened *o)
{
    tokenizer_close(o->tokens);
    arena_release(&o->arena);
    buf_release(&o->file);
}

/* Control tokens, then every byte, by GPT-2's alphabet or by number. */
static void write_words(struct gguf_writer *w, size_t control_count, bool pieces)
{
    struct span texts[CONTROLS + 257];
    int32_t types[CONTROLS + 257];
    char bytes[256][8];
    uint32_t next = 256;
    size_t n = 0;

    for (; n < control_count; n++) {
        texts[n] = span_of(controls[n]);
        types[n] = 3;
    }
    for (uint32_t b = 0; b < 256; b++, n++) {
        bool itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        size_t len = pieces ? (size_t)snprintf(bytes[b], 8, "<0x%02X>", b)
                            : unicode_put(itself ? b : next, bytes[b]);

        next += !itself;
        texts[n] = (struct span){bytes[b], len};
        types[n] = pieces ? 6 : 1;
    }
    texts[n] = SPAN("\xe2\x96\x81");
    types[n] = 1;
    n += pieces;
    gguf_writer_texts(w, "tokenizer.ggml.tokens", texts, n);
    gguf_writer_i32s(w, "tokenizer.ggml.token_type", types, n);
}

static void open_bytes(struct opened *o, size_t control_count)
{
    struct gguf_writer w;

    gguf_writer_init(&w, NULL);
    gguf_writer_text(&w, "tokenizer.ggml.model", "gpt2");
    gguf_writer_text(&w, "tokenizer.ggml.pre", "gpt-2");
    write_words(&w, control_count, false);
    gguf_writer_texts(&w, "tokenizer.ggml.merges", NULL, 0);
    open_file(o, &w);
}

static void open_pieces(struct opened *o, size_t control_count, bool prefix)
{
    static const float scores[CONTROLS + 257];
    struct gguf_writer w;

    gguf_writer_init(&w, NULL);
    gguf_writer_text(&w, "tokenizer.ggml.model", "llama");
    write_words(&w, control_count, true);
    gguf_writer_f32s(&w, "tokenizer.ggml.scores", scores, control_count + 257);
    gguf_writer_bool(&w, "tokenizer.ggml.add_space_prefix", prefix);
    open_file(o, &w);
}

static void check(const struct opened *o, struct span text, const char *name,
                  const struct decoder_turn *turns, size_t n, const char *want)
{
    uint32_t ids[IDS_MAX];
    struct chat_template t;
    struct engine_error why;
    struct buf out;
    size_t count;

    if (chat_template_open(o->tokens, text, name, &t, &why) != ST_OK)
        fail_msg("%s", why.text);
    CHECK_STATUS(ST_OK, chat_template_encode(&t, o->tokens, turns, n, ids, IDS_MAX, &count));
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < count; i++) {
        if (tokenizer_is_control(o->tokens, ids[i]))
            CHECK_STATUS(ST_OK, buf_append(&out, tokenizer_text(o->tokens, ids[i])));
        else
            CHECK_STATUS(ST_OK, tokenizer_decode(o->tokens, ids[i], &out));
    }
    CHECK_SPAN(span_of(want), buf_span(&out));
    buf_release(&out);
}

static const struct decoder_turn talk[] = {
    TURN("system", " be brief "),
    TURN("user", " hi\n"),
    TURN("assistant", " yes "),
    TURN("user", "why?"),
};
static const struct decoder_turn word[] = {TURN("user", "a")};

/* --- what the templates render ------------------------------------------------------------ */

#define CHATML_TALK                                                                            \
    "<|im_start|>system\n be brief <|im_end|>\n<|im_start|>user\n hi\n<|im_end|>\n"            \
    "<|im_start|>assistant\n yes <|im_end|>\n<|im_start|>user\nwhy?<|im_end|>\n"               \
    "<|im_start|>assistant\n"
#define CHATML_WORD "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
#define LLAMA3_TALK                                                                            \
    "be brief<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"               \
    "<|start_header_id|>assistant<|end_header_id|>\n\nyes<|eot_id|>"                           \
    "<|start_header_id|>user<|end_header_id|>\n\nwhy?<|eot_id|>"                               \
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
#define LLAMA3_WORD                                                                            \
    "<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"                                  \
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
#define LLAMA3_SYSTEM "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"

static const struct {
    const char *marks; /* of the file's template; NULL: by name */
    const char *name;
    const char *talk, *word;
} cases[] = {
    {"'<|im_start|>' + message['role']", NULL, CHATML_TALK, CHATML_WORD},
    {"'<|im_start|>system\\nYou know.<|im_end|>\\n' '<|im_start|>'", NULL, CHATML_TALK,
     "<|im_start|>system\nYou know.<|im_end|>\n" CHATML_WORD},
    {NULL, "smollm", CHATML_TALK,
     "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
     "Face<|im_end|>\n" CHATML_WORD},
    {"'<|im_start|>system\\n' }} 'You are Qwen' '<|im_start|>system\\nYou are Qwen, created by "
     "Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n'",
     NULL, CHATML_TALK,
     "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
     "assistant.<|im_end|>\n" CHATML_WORD},
    {"<|im_start|> last_query_index </think>", NULL, CHATML_TALK, CHATML_WORD},
    {NULL, "qwen3-plain", CHATML_TALK "<think>\n\n</think>\n\n",
     CHATML_WORD "<think>\n\n</think>\n\n"},
    {"<|start_header_id|>", NULL, LLAMA3_SYSTEM LLAMA3_TALK, "<|begin_of_text|>" LLAMA3_WORD},
    {"<|start_header_id|> Cutting Knowledge Date", NULL, LLAMA3_SYSTEM DATES LLAMA3_TALK,
     LLAMA3_SYSTEM DATES "<|eot_id|>" LLAMA3_WORD},
    {"'<start_of_turn>'", NULL,
     "<s><start_of_turn>user\n be brief \n\nhi<end_of_turn>\n<start_of_turn>model\nyes"
     "<end_of_turn>\n<start_of_turn>user\nwhy?<end_of_turn>\n<start_of_turn>model\n",
     "<s><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\n"},
    {"'[INST] <<SYS>>'", NULL,
     "<s>[INST] <<SYS>>\n be brief \n<</SYS>>\n\n hi [/INST] yes </s><s>[INST] why? [/INST]",
     "<s>[INST] a [/INST]"},
    {"' [INST] '", NULL, "<s> [INST]  be brief \n\n hi\n [/INST]  yes </s> [INST] why? [/INST]",
     "<s> [INST] a [/INST]"},
    {"' [INST] ' message['content']|trim + eos_token", NULL,
     "<s> [INST]  be brief \n\n hi\n [/INST] yes</s> [INST] why? [/INST]",
     "<s> [INST] a [/INST]"},
    {"'<|user|>' '<|end|>\\n'", NULL,
     "<|system|>\n be brief <|end|>\n<|user|>\n hi\n<|end|>\n<|assistant|>\n yes <|end|>\n"
     "<|user|>\nwhy?<|end|>\n<|assistant|>\n",
     "<|user|>\na<|end|>\n<|assistant|>\n"},
    {"'<|user|>' + message['content'] + '<|end|>'", NULL,
     "<|system|> be brief <|end|><|user|> hi\n<|end|><|assistant|> yes <|end|><|user|>why?"
     "<|end|><|assistant|>",
     "<|user|>a<|end|><|assistant|>"},
    {"'<|user|>\\n' + message['content'] + eos_token", NULL,
     "<|system|>\n be brief </s>\n<|user|>\n hi\n</s>\n<|assistant|>\n yes </s>\n<|user|>\n"
     "why?</s>\n<|assistant|>\n",
     "<|user|>\na</s>\n<|assistant|>\n"},
    {NULL, "tinyllama",
     "<|system|>\n be brief </s>\n<|user|>\n hi\n</s>\n<|assistant|>\n yes </s>\n<|user|>\n"
     "why?</s>\n<|assistant|>\n",
     "<|user|>\na</s>\n<|assistant|>\n"},
};

static void every_family_renders_as_its_template(void **state)
{
    struct opened o;

    (void)state;
    open_bytes(&o, TEXT_TOKENS);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span marks = cases[i].marks != NULL ? span_of(cases[i].marks) : SPAN("");

        check(&o, marks, cases[i].name, talk, ARRAY_LEN(talk), cases[i].talk);
        check(&o, marks, cases[i].name, word, ARRAY_LEN(word), cases[i].word);
    }
    close_file(&o);
}

/* Of earlier questions only the answer is told. */
static void qwen3_forgets_old_thoughts(void **state)
{
    static const struct decoder_turn turns[] = {
        TURN("user", "q"),
        TURN("assistant", "<think>\nhm\n</think>\n\nok"),
        TURN("user", "r"),
        TURN("assistant", "<think>a</think>b\n"),
    };
    struct opened o;

    (void)state;
    open_bytes(&o, TEXT_TOKENS);
    check(&o, SPAN(""), "qwen3", turns, 4,
          "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nok<|im_end|>\n"
          "<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n<think>\na\n</think>\n\nb\n"
          "<|im_end|>\n<|im_start|>assistant\n");
    close_file(&o);
}

/* A space that SentencePiece writes itself is not written twice, and Phi-3's control tokens
 * take the white space behind them. */
static void sentence_pieces_bring_their_space(void **state)
{
    static const struct {
        bool control, prefix;
        const char *name, *want;
    } spm[] = {
        {false, true, "mistral",
         "<s> [INST]  be brief \n\n hi\n [/INST]  yes </s> [INST] why? [/INST]"},
        {false, false, "mistral",
         "<s> [INST]  be brief \n\n hi\n [/INST]  yes </s> [INST] why? [/INST]"},
        {true, true, "mistral",
         "<s>[INST]  hi\n[/INST]  yes </s>[INST]  be brief \n\nwhy?[/INST]"},
        {true, false, "mistral",
         "<s>[INST]  hi\n[/INST]  yes </s>[INST]  be brief \n\nwhy?[/INST]"},
        {false, true, "phi3",
         "<s><|system|> be brief <|end|><|user|> hi\n<|end|><|assistant|> yes <|end|><|user|> "
         "why?"
         "<|end|><|assistant|>"},
        {false, true, "llama2",
         "<s> [INST] <<SYS>>\n be brief \n<</SYS>>\n\n hi [/INST] yes </s><s> [INST] why? "
         "[/INST]"},
        {false, true, "zephyr",
         "<s> <|system|>\n be brief </s> \n<|user|>\n hi\n</s> \n<|assistant|>\n yes </s> \n"
         "<|user|>\nwhy?</s> \n<|assistant|>\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spm); i++) {
        struct opened o;

        open_pieces(&o, spm[i].control ? CONTROLS : TEXT_TOKENS, spm[i].prefix);
        check(&o, SPAN(""), spm[i].name, talk, ARRAY_LEN(talk), spm[i].want);
        close_file(&o);
    }
}

static void what_a_family_has_no_place_for_is_refused(void **state)
{
    static const struct decoder_turn two[] = {TURN("user", "a"), TURN("user", "b")};
    static const struct decoder_turn tool[] = {TURN("user", "a"), TURN("tool", "b")};
    static const struct {
        const char *name;
        enum status two, tool;
    } families[] = {
        {"chatml", ST_OK, ST_OK},
        {"qwen2", ST_OK, ST_INVALID},
        {"qwen3", ST_OK, ST_INVALID},
        {"llama3", ST_OK, ST_OK},
        {"llama2", ST_INVALID, ST_INVALID},
        {"mistral", ST_INVALID, ST_INVALID},
        {"gemma", ST_INVALID, ST_INVALID},
        {"phi3", ST_OK, ST_INVALID},
        {"zephyr", ST_OK, ST_INVALID},
        {"smollm3", ST_OK, ST_INVALID},
        {"phi4", ST_OK, ST_INVALID},
        {"qwq", ST_OK, ST_INVALID},
        {"bitnet", ST_OK, ST_INVALID},
        {"deepseek", ST_OK, ST_INVALID},
        {"deepseek-llm", ST_OK, ST_INVALID},
        {"deepseek-coder", ST_OK, ST_INVALID},
    };
    struct opened o;

    (void)state;
    open_bytes(&o, TEXT_TOKENS);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        uint32_t ids[IDS_MAX];
        struct chat_template t;
        struct engine_error why;
        size_t count;

        CHECK_STATUS(ST_OK, chat_template_open(o.tokens, SPAN(""), families[i].name, &t, &why));
        CHECK_STATUS(families[i].two,
                     chat_template_encode(&t, o.tokens, two, 2, ids, IDS_MAX, &count));
        CHECK_STATUS(families[i].tool,
                     chat_template_encode(&t, o.tokens, tool, 2, ids, IDS_MAX, &count));
    }
    close_file(&o);
}

/* A template that is nearly one we know is none. */
static void what_is_nearly_known_is_refused(void **state)
{
    static const char *const texts[] = {
        "<|im_start|> reasoning_mode ## Custom Instructions ### Tools None",
        "<|im_start|> </think> last_query_index {%- else %}{{- '<think>\\n' }}",
        "'<|im_start|>system\\nReason, and answer in \\\\boxed{}.<|im_end|>\\n'",
        "'<|im_start|>system\\nDon\\'t.<|im_end|>\\n'",
        "'<|system|>Your name is Phi' '<|user|>' '<|end|>'",
        "'<|user|>\\n' + message['content'] + '\\n' '<|assistant|>' eos_token",
        "<|im_start|> <|im_sep|> You are Phi, a language model",
        "[INST] [SYSTEM_PROMPT] {{ message['content'] }}",
        "[INST] '[SYSTEM_PROMPT]' [THINK]",
        "[INST] '[SYSTEM_PROMPT] ' + message['content'] + ' [/SYSTEM_PROMPT]'",
        ("<|im_start|> reasoning_content split('</think>')[-1].lstrip('\\n') "
         "'<|im_start|>assistant\\n<think>\\n' }}"),
        "[INST] '[SYSTEM_PROMPT]' set default_system_message = name + 'x' %}",
        "[INST] '[SYSTEM_PROMPT]' set default_system_message = 'x",
        "[INST] '[SYSTEM_PROMPT]' set default_system_message = 'x\\q' %}",
        "[INST] '[SYSTEM_PROMPT]' set default_system_message = 'x' +",
        "[INST] '[SYSTEM_PROMPT]' set default_system_message = today",
        "[INST] '[SYSTEM_PROMPT]' set default_system_message =",
        "[INST] '[SYSTEM_PROMPT]' set default_system_message = 'x\\",
        "### Instruction: <|EOT|> if not ns.found -%} x",
        ("<\xef\xbd\x9cUser\xef\xbd\x9c> <\xef\xbd\x9c"
         "Assistant\xef\xbd\x9c></think>"),
        "",
    };
    struct opened o;

    (void)state;
    open_bytes(&o, CONTROLS);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct chat_template t;
        struct engine_error why;

        if (chat_template_open(o.tokens, span_of(texts[i]), NULL, &t, &why) != ST_INVALID)
            fail_msg("'%s' is taken for %s", texts[i], chat_template_name(&t));
    }
    close_file(&o);
}

/* A program in double quotes is no system text; and who names a family does without the one
 * of the file. */
static void a_program_is_no_system_text(void **state)
{
    struct opened o;

    (void)state;
    open_bytes(&o, CONTROLS);
    check(&o, SPAN("\"<|im_start|>system\\n\" + messages[0].content + \"<|im_end|>\\n\""), NULL,
          word, ARRAY_LEN(word), CHATML_WORD);
    check(&o, SPAN("'<|im_start|>system\\nin \\\\boxed{}.<|im_end|>\\n'"), "chatml", word,
          ARRAY_LEN(word), CHATML_WORD);
    close_file(&o);
}

/* Where the template says so, only questions and answers in turn. */
static void a_template_may_ask_for_turns(void **state)
{
    static const struct decoder_turn two[] = {TURN("user", "a"), TURN("user", "b")};
    static const struct decoder_turn late[] = {TURN("user", "a"), TURN("system", "b")};
    struct opened o;

    (void)state;
    open_bytes(&o, CONTROLS);
    for (size_t strict = 0; strict < 2; strict++) {
        struct span text = strict ? SPAN("[INST] '[SYSTEM_PROMPT]' roles must alternate")
                                  : SPAN("[INST] '[SYSTEM_PROMPT]'");
        enum status want = strict ? ST_INVALID : ST_OK;
        uint32_t ids[IDS_MAX];
        struct chat_template t;
        struct engine_error why;
        size_t count;

        CHECK_STATUS(ST_OK, chat_template_open(o.tokens, text, NULL, &t, &why));
        CHECK_STATUS(want, chat_template_encode(&t, o.tokens, two, 2, ids, IDS_MAX, &count));
        CHECK_STATUS(want, chat_template_encode(&t, o.tokens, late, 2, ids, IDS_MAX, &count));
    }
    close_file(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_renders_as_its_template),
        cmocka_unit_test(qwen3_forgets_old_thoughts),
        cmocka_unit_test(sentence_pieces_bring_their_space),
        cmocka_unit_test(what_a_family_has_no_place_for_is_refused),
        cmocka_unit_test(what_is_nearly_known_is_refused),
        cmocka_unit_test(a_program_is_no_system_text),
        cmocka_unit_test(a_template_may_ask_for_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
