#include "engine/chat_template.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "engine/chat_render.h"
#include "engine/error.h"

#define TEXT_MAX_BYTES (16u * 1024 * 1024)

#define SMOLLM_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN_SYSTEM   "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define PHI_SYSTEM    "Your name is Phi, an AI math expert developed by Microsoft."
#define LLAMA_DATES   "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

/* --- families --------------------------------------------------------------------------- */

struct chat_family {
    const char *name;
    const char *open, *middle, *close; /* control tokens; close NULL: the end token */
    bool always_begins;
    chat_render_fn *render;
};

enum {
    CHATML,
    SMOLLM,
    QWEN2,
    QWEN3,
    QWEN3_PLAIN,
    QWEN3_THINKING,
    QWQ,
    LLAMA2,
    LLAMA3,
    MISTRAL,
    GEMMA,
    PHI3,
    ZEPHYR,
    TINYLLAMA,
    SMOLLM3,
    PHI4,
    MISTRAL_V7,
    BITNET,
    DEEPSEEK,
    DEEPSEEK_LLM,
    DEEPSEEK_CODER,
    PHI4_MINI_REASONING,
};

#define IM_START "<|im_start|>"
#define IM_END   "<|im_end|>"
/* DeepSeek's have wide bars. */
#define BAR      "\xef\xbd\x9c"
#define DEEP_ASK "<" BAR "User" BAR ">"
#define DEEP_SAY "<" BAR "Assistant" BAR ">"
#define DEEP_END "<" BAR "end\xe2\x96\x81of\xe2\x96\x81sentence" BAR ">"

static const struct chat_family families[] = {
    [CHATML] = {"chatml", IM_START, NULL, IM_END, false, chat_render_chatml},
    [SMOLLM] = {"smollm", IM_START, NULL, IM_END, false, chat_render_chatml},
    [QWEN2] = {"qwen2", IM_START, NULL, IM_END, false, chat_render_qwen2},
    [QWEN3] = {"qwen3", IM_START, NULL, IM_END, false, chat_render_qwen3},
    [QWEN3_PLAIN] = {"qwen3-plain", IM_START, NULL, IM_END, false, chat_render_qwen3_plain},
    [QWEN3_THINKING] = {"qwen3-thinking", IM_START, NULL, IM_END, false,
                        chat_render_qwen3_thinking},
    [QWQ] = {"qwq", IM_START, NULL, IM_END, false, chat_render_qwq},
    [LLAMA2] = {"llama2", NULL, NULL, NULL, true, chat_render_llama2},
    [LLAMA3] = {"llama3", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", true,
                chat_render_llama3},
    [MISTRAL] = {"mistral", NULL, NULL, NULL, true, chat_render_mistral},
    [GEMMA] = {"gemma", "<start_of_turn>", NULL, "<end_of_turn>", true, chat_render_gemma},
    [PHI3] = {"phi3", "<|user|>", NULL, "<|end|>", false, chat_render_phi3},
    [ZEPHYR] = {"zephyr", NULL, NULL, NULL, false, chat_render_zephyr},
    [TINYLLAMA] = {"tinyllama", NULL, NULL, NULL, false, chat_render_zephyr},
    [SMOLLM3] = {"smollm3", IM_START, NULL, IM_END, false, chat_render_smollm3},
    [PHI4] = {"phi4", IM_START, "<|im_sep|>", IM_END, false, chat_render_phi4},
    [MISTRAL_V7] = {"mistral-v7", "[INST]", "[/INST]", NULL, true, chat_render_mistral_v7},
    [BITNET] = {"bitnet", NULL, NULL, "<|eot_id|>", false, chat_render_bitnet},
    [DEEPSEEK] = {"deepseek", DEEP_ASK, DEEP_SAY, DEEP_END, true, chat_render_deepseek},
    [DEEPSEEK_LLM] = {"deepseek-llm", NULL, NULL, NULL, true, chat_render_deepseek_llm},
    [DEEPSEEK_CODER] = {"deepseek-coder", NULL, NULL, "<|EOT|>", true,
                        chat_render_deepseek_coder},
    [PHI4_MINI_REASONING] = {"phi4-mini-reasoning", "<|user|>", NULL, "<|end|>", false,
                             chat_render_phi4_mini_reasoning},
};

const char *chat_template_known(void)
{
    return "chatml, smollm, smollm3, qwen2, qwen3, qwen3-plain, qwen3-thinking, qwq, llama2, "
           "llama3, mistral, "
           "mistral-v7, gemma, phi3, phi4, phi4-mini-reasoning, zephyr, tinyllama, bitnet, "
           "deepseek, deepseek-llm, "
           "deepseek-coder";
}

static bool has(struct span text, const char *mark)
{
    return chat_writer_find(text, span_of(mark), 0) != SIZE_MAX;
}

/* Those that tell thoughts. The beginning of one on its own is printed by newer models, if
 * nobody says otherwise; QwQ tells what was said behind them only. */
static const struct chat_family *recognise_qwen3(struct span text)
{
    if (!has(text, "last_query_index") && has(text, "split('</think>')[-1].lstrip('\\n')") &&
        has(text, "assistant\\n<think>\\n' }}"))
        return has(text, "reasoning_content") ? NULL : &families[QWQ];
    if (!has(text, "last_query_index") || has(text, "'<think>\\n' }}"))
        return NULL;
    return &families[has(text, "assistant\\n<think>\\n' }}") ? QWEN3_THINKING : QWEN3];
}

/* Those that have ChatML's marks. */
static const struct chat_family *recognise_chatml(struct span text)
{
    /* Others than SmolLM3's last template tell what tools there are, if it is none. */
    if (has(text, "reasoning_mode") && has(text, "## Custom Instructions"))
        return has(text, "if xml_tools or python_tools") ? &families[SMOLLM3] : NULL;
    if (has(text, "</think>"))
        return recognise_qwen3(text);
    /* Phi-4-reasoning has a system text of its own before every other one. */
    if (has(text, "<|im_sep|>"))
        return has(text, "You are Phi") ? NULL : &families[PHI4];
    return &families[has(text, "Qwen") ? QWEN2 : CHATML];
}

static const struct chat_family *recognise_mistral(struct span text)
{
    if (!has(text, "[SYSTEM_PROMPT]"))
        return &families[has(text, "<<SYS>>") ? LLAMA2 : MISTRAL];
    /* Thoughts; spaces in other places than before each text. */
    if (has(text, "[THINK]") || has(text, "[MODEL_SETTINGS]") ||
        has(text, " [/SYSTEM_PROMPT]") ||
        has(text, "[SYSTEM_PROMPT] ") != has(text, "'[SYSTEM_PROMPT] ' +"))
        return NULL;
    return &families[MISTRAL_V7];
}

/* The family of a template, by what only it says; NULL: none that we know. */
static const struct chat_family *recognise(struct span text)
{
    if (has(text, IM_START))
        return recognise_chatml(text);
    if (has(text, "<|start_header_id|>"))
        return &families[LLAMA3];
    if (has(text, "<start_of_turn>"))
        return &families[GEMMA];
    if (has(text, "[INST]"))
        return recognise_mistral(text);
    /* From V3.1 on, answers without thoughts begin with their end. */
    if (has(text, DEEP_ASK) && has(text, DEEP_SAY))
        return has(text, DEEP_SAY "</think>") ? NULL : &families[DEEPSEEK];
    /* Phi-4-mini-reasoning has a system text of its own before every other one. */
    if (has(text, "<|system|>Your name"))
        return has(text, "'<|system|>" PHI_SYSTEM "' }}") ? &families[PHI4_MINI_REASONING]
                                                          : NULL;
    if (has(text, "<|user|>") && has(text, "<|end|>"))
        return &families[PHI3];
    /* Others end answers alone (Tulu). */
    if (has(text, "'<|user|>\\n' + message['content'] + eos_token"))
        return &families[ZEPHYR];
    if (has(text, "capitalize") && has(text, "<|eot_id|>") && has(text, "Assistant: "))
        return &families[BITNET];
    if (has(text, "### Instruction:") && has(text, "<|EOT|>"))
        return &families[DEEPSEEK_CODER];
    if (has(text, "'Assistant: ' + message['content'] + eos_token"))
        return &families[DEEPSEEK_LLM];
    return NULL;
}

static const struct chat_family *named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (strcmp(name, families[i].name) == 0)
            return &families[i];
    }
    return NULL;
}

static bool has_any(struct span s, const char *marks)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\0' && strchr(marks, s.ptr[i]) != NULL)
            return true;
    }
    return false;
}

/* ChatML's default system text stands in the template between its own marks. false: there is
 * one, and it would need to be read as a program. */
static bool chatml_system(struct span text, struct span *out)
{
    const struct span mark = SPAN(IM_START "system\\n");
    size_t at = chat_writer_find(text, mark, 0), end;

    *out = (struct span){"", 0};
    for (; at != SIZE_MAX; at = chat_writer_find(text, mark, at)) {
        struct span found, first;

        at += mark.len;
        end = chat_writer_find(text, SPAN(IM_END), at);
        if (end == SIZE_MAX)
            break;
        found = (struct span){text.ptr + at, end - at};
        first = (struct span){found.ptr, found.len > 0};
        /* Behind it the program goes on. */
        if (found.len == 0 || has_any(first, "'\"{"))
            continue;
        if (has_any(found, "'\\{"))
            return false;
        *out = found;
        break;
    }
    return true;
}

/* A system text that stands behind `mark` as a string of the program, behind the next "{{" if
 * it is printed. false: the mark is there, and behind it something that is not read as one. */
static bool read_literal(struct chat_template *t, struct span text, const char *mark,
                         bool printed)
{
    size_t at = chat_writer_find(text, span_of(mark), 0);

    if (at == SIZE_MAX)
        return true;
    at += strlen(mark);
    if (printed) {
        at = chat_writer_find(text, SPAN("{{"), at);
        if (at == SIZE_MAX)
            return false;
        at += text.len - at > 2 && text.ptr[at + 2] == '-' ? 3 : 2;
    }
    t->literal = (struct span){text.ptr + at, text.len - at};
    if (chat_writer_literal(NULL, t->literal, SPAN("")))
        return true;
    t->literal = SPAN("");
    return false;
}

static bool read_literals(struct chat_template *t, struct span text)
{
    const struct chat_family *f = t->family;

    if (f == &families[SMOLLM3])
        return read_literal(t, text, "elif reasoning_mode == \"/think\"", true);
    if (f == &families[DEEPSEEK_CODER])
        return read_literal(t, text, "if not ns.found", true);
    if (f == &families[CHATML] || f == &families[SMOLLM] || f == &families[QWEN2])
        return chatml_system(text, &t->system);
    if (f != &families[MISTRAL_V7])
        return true;
    if (!read_literal(t, text, "set default_system_message =", false))
        return false;
    if (has(text, "default_system_message = ''"))
        t->literal = SPAN("");
    return true;
}

static void read_texts(struct chat_template *t, struct span text)
{
    const struct chat_family *f = t->family;

    if (f == &families[SMOLLM] && t->system.len == 0)
        t->system = SPAN(SMOLLM_SYSTEM);
    if (f == &families[QWEN2] && t->system.len == 0)
        t->system = SPAN(QWEN_SYSTEM);
    t->trims = has(text, "|trim + eos_token") || has(text, "| trim + eos_token");
    if (f == &families[BITNET])
        t->trims = text.len == 0 || has(text, "trim");
    if (f == &families[PHI4_MINI_REASONING])
        t->system = SPAN(PHI_SYSTEM);
    t->alternates = has(text, "must alternate");
    t->spaces = has(text, "'[SYSTEM_PROMPT] ' +");
    t->thinks = has(text, DEEP_SAY "<think>");
    /* From 3.2 on every conversation begins with a system turn that tells dates. The date
     * is the template's own fallback: today's would make answers expire at midnight. */
    if (f == &families[LLAMA3] && has(text, "Cutting Knowledge Date"))
        t->dates = SPAN(LLAMA_DATES);
}

static bool find_token(const struct tokenizer *k, const char *text, uint32_t *id)
{
    *id = TOKENIZER_NONE;
    return text == NULL || tokenizer_find(k, text, id);
}

static bool read_tokens(struct chat_template *t, const struct tokenizer *k, struct span text)
{
    const struct chat_family *f = t->family;

    if (!find_token(k, f->open, &t->open) || !find_token(k, f->middle, &t->middle) ||
        !find_token(k, f->close, &t->close))
        return false;
    if (f->close == NULL)
        t->close = tokenizer_end(k);
    t->begin = f->always_begins || tokenizer_begins(k) ? tokenizer_begin(k) : TOKENIZER_NONE;
    if (f == &families[LLAMA3] && !tokenizer_find(k, "<|begin_of_text|>", &t->begin))
        return false;
    if (f == &families[MISTRAL] && tokenizer_find_control(k, "[INST]", &t->open) &&
        !tokenizer_find_control(k, "[/INST]", &t->middle))
        return false;
    t->system_open = t->system_close = TOKENIZER_NONE;
    if (f == &families[MISTRAL_V7] &&
        (!tokenizer_find(k, "[SYSTEM_PROMPT]", &t->system_open) ||
         !tokenizer_find(k, "[/SYSTEM_PROMPT]", &t->system_close)))
        return false;
    if (f == &families[PHI3])
        t->newlines = !tokenizer_is_sentencepiece(k) &&
                      (has(text, "<|end|>\\n") || has(text, "<|end|>' + '\\n"));
    return t->close != TOKENIZER_NONE;
}

static size_t text_max(const struct tokenizer *k, size_t cap)
{
    size_t longest = tokenizer_longest(k) + 1;

    return cap < TEXT_MAX_BYTES / longest ? (cap + 1) * longest : TEXT_MAX_BYTES;
}

size_t chat_template_bytes(const struct tokenizer *k, size_t cap)
{
    size_t most = text_max(k, cap);

    return most + tokenizer_work_bytes(k, most);
}

const char *chat_template_name(const struct chat_template *t)
{
    return t->family->name;
}

enum status chat_template_open(const struct tokenizer *k, struct span text, const char *name,
                               struct chat_template *out, struct engine_error *err)
{
    struct chat_template t = {.family = name != NULL ? named(name) : recognise(text)};

    if (t.family == NULL && name != NULL)
        return error_set(err, ST_INVALID, "chat template '%s' is unknown; known: %s", name,
                         chat_template_known());
    if (t.family == NULL)
        return error_set(err, ST_INVALID,
                         "the file's chat template is not recognised; name its family with "
                         "local.chat_template (%s)",
                         chat_template_known());
    if (!read_literals(&t, text) && name == NULL)
        return error_set(err, ST_INVALID,
                         "the file's chat template, '%s', has a system text of its own that is "
                         "not readable; without it: local.chat_template",
                         t.family->name);
    read_texts(&t, text);
    if (!read_tokens(&t, k, text))
        return error_set(err, ST_INVALID,
                         "the vocabulary has not the control tokens of the chat template '%s'",
                         t.family->name);
    *out = t;
    return ST_OK;
}

enum status chat_template_encode(const struct chat_template *t, const struct tokenizer *k,
                                 const struct decoder_turn *turns, size_t n, uint32_t *ids,
                                 size_t cap, size_t *count)
{
    struct chat_writer w = {.t = t,
                            .k = k,
                            .turns = turns,
                            .n = n,
                            .ids = ids,
                            .cap = cap,
                            .count = count,
                            .st = ST_OK};

    *count = 0;
    if (t->family == NULL)
        return ST_INVALID;
    buf_init(&w.text, text_max(k, cap));
    t->family->render(&w);
    chat_writer_flush(&w);
    buf_release(&w.text);
    return w.st == ST_OK && *count > cap ? ST_LIMIT : w.st;
}
