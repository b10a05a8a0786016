#include "engine/chat_template.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/unicode.h"
#include "engine/error.h"

#define TEXT_MAX_BYTES (16u * 1024 * 1024)

#define SMOLLM_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN_SYSTEM   "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define LLAMA_DATES   "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

/* --- writing ---------------------------------------------------------------------------- */

/* Text between two control tokens is one text to the tokenizer, as if the template were
 * rendered: it is gathered until the next of them. */
struct writer {
    const struct chat_template *t;
    const struct tokenizer *k;
    const struct decoder_turn *turns;
    size_t n;
    uint32_t *ids;
    size_t cap, *count;
    struct buf text;
    enum status st; /* the first failure stays */
};

static void say(struct writer *w, struct span text)
{
    if (w->st == ST_OK)
        w->st = buf_append(&w->text, text);
}

static void flush(struct writer *w)
{
    if (w->st == ST_OK)
        w->st =
            tokenizer_encode(w->k, buf_span(&w->text), false, w->ids, w->cap, w->cap, w->count);
    buf_clear(&w->text);
}

static void put(struct writer *w, uint32_t id)
{
    if (id == TOKENIZER_NONE)
        return;
    flush(w);
    if (w->st != ST_OK)
        return;
    if (*w->count < w->cap)
        w->ids[*w->count] = id;
    (*w->count)++;
}

/* A space that the tokenizer writes itself at the front of a text. */
static void say_space(struct writer *w)
{
    if (!tokenizer_prefixes(w->k))
        say(w, SPAN(" "));
}

static void refuse(struct writer *w)
{
    if (w->st == ST_OK)
        w->st = ST_INVALID;
}

/* --- turns ------------------------------------------------------------------------------ */

static struct span trim_front(struct span s)
{
    uint32_t c;

    for (size_t at = 0; s.len > 0; at = 0) {
        if (!unicode_next(s, &at, &c) || !unicode_is_space(c))
            break;
        s = (struct span){s.ptr + at, s.len - at};
    }
    return s;
}

static struct span trim_back(struct span s)
{
    uint32_t c;

    while (s.len > 0) {
        size_t start = s.len - 1, at;

        while (start > 0 && ((unsigned char)s.ptr[start] & 0xc0) == 0x80)
            start--;
        at = start;
        if (!unicode_next(s, &at, &c) || at != s.len || !unicode_is_space(c))
            break;
        s.len = start;
    }
    return s;
}

static struct span trim(struct span s)
{
    return trim_back(trim_front(s));
}

static struct span trim_lines(struct span s, bool front, bool back)
{
    while (front && s.len > 0 && s.ptr[0] == '\n')
        s = (struct span){s.ptr + 1, s.len - 1};
    while (back && s.len > 0 && s.ptr[s.len - 1] == '\n')
        s.len--;
    return s;
}

/* OpenAI's newer name for the same thing. */
static struct span role_of(const struct decoder_turn *turn)
{
    return span_eq(turn->role, SPAN("developer")) ? SPAN("system") : turn->role;
}

static bool is_role(const struct decoder_turn *turn, const char *role)
{
    return span_eq(role_of(turn), span_of(role));
}

static bool begins_with_system(const struct writer *w)
{
    return w->n > 0 && is_role(&w->turns[0], "system");
}

/* Takes the system text off the front, for families that put it into a user's turn. What
 * is left must be user, assistant, user, …; they know nothing else. */
static struct span take_system(struct writer *w)
{
    struct span system = {NULL, 0};

    if (begins_with_system(w)) {
        system = w->turns[0].text;
        w->turns++;
        w->n--;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (!is_role(&w->turns[i], i % 2 == 0 ? "user" : "assistant"))
            refuse(w);
    }
    return system;
}

/* --- chatml ----------------------------------------------------------------------------- */

static void chatml_turn(struct writer *w, struct span role, struct span text)
{
    put(w, w->t->open);
    say(w, role);
    say(w, SPAN("\n"));
    say(w, text);
    put(w, w->t->close);
    say(w, SPAN("\n"));
}

static void chatml_open_answer(struct writer *w)
{
    put(w, w->t->open);
    say(w, SPAN("assistant\n"));
}

static void render_chatml(struct writer *w)
{
    if (!begins_with_system(w) && w->t->system.len > 0)
        chatml_turn(w, SPAN("system"), w->t->system);
    for (size_t i = 0; i < w->n; i++)
        chatml_turn(w, role_of(&w->turns[i]), w->turns[i].text);
    chatml_open_answer(w);
}

/* --- qwen2, qwen3 ----------------------------------------------------------------------- */

/* Tools are not for the built-in model. */
static bool qwen_has(const struct decoder_turn *turn)
{
    return is_role(turn, "system") || is_role(turn, "user") || is_role(turn, "assistant");
}

static void render_qwen2(struct writer *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            refuse(w);
    }
    render_chatml(w);
}

static size_t find_text(struct span text, struct span mark, size_t from)
{
    for (size_t i = from; mark.len <= text.len && i <= text.len - mark.len; i++) {
        if (memcmp(text.ptr + i, mark.ptr, mark.len) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* Thoughts and what was said behind them; no thoughts without "</think>". */
static void split_thoughts(struct span text, struct span *thoughts, struct span *said)
{
    const struct span open = SPAN("<think>"), close = SPAN("</think>");
    size_t first = find_text(text, close, 0), last = first, start;

    *thoughts = (struct span){"", 0};
    *said = text;
    if (first == SIZE_MAX)
        return;
    for (size_t i = first; i != SIZE_MAX; i = find_text(text, close, i + 1))
        last = i;
    *said = trim_lines((struct span){text.ptr + last + close.len, text.len - last - close.len},
                       true, false);
    *thoughts = trim_lines((struct span){text.ptr, first}, false, true);
    while ((start = find_text(*thoughts, open, 0)) != SIZE_MAX)
        *thoughts =
            (struct span){thoughts->ptr + start + open.len, thoughts->len - start - open.len};
    *thoughts = trim_lines(*thoughts, true, true);
}

/* Only what was thought since the last question is told. */
static void qwen3_answer(struct writer *w, size_t i, bool since_question)
{
    struct span thoughts, said;

    split_thoughts(w->turns[i].text, &thoughts, &said);
    put(w, w->t->open);
    say(w, SPAN("assistant\n"));
    if (since_question && (i + 1 == w->n || thoughts.len > 0)) {
        say(w, SPAN("<think>\n"));
        say(w, thoughts);
        say(w, SPAN("\n</think>\n\n"));
        said = trim_lines(said, true, false);
    }
    say(w, said);
    put(w, w->t->close);
    say(w, SPAN("\n"));
}

static void render_qwen3(struct writer *w)
{
    size_t question = w->n;

    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            refuse(w);
        if (is_role(&w->turns[i], "user"))
            question = i;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (is_role(&w->turns[i], "assistant"))
            qwen3_answer(w, i, i > question);
        else
            chatml_turn(w, role_of(&w->turns[i]), w->turns[i].text);
    }
    chatml_open_answer(w);
}

/* enable_thinking=false: the model goes on behind thoughts that are none. */
static void render_qwen3_plain(struct writer *w)
{
    render_qwen3(w);
    say(w, SPAN("<think>\n\n</think>\n\n"));
}

/* --- llama3 ----------------------------------------------------------------------------- */

static void llama3_head(struct writer *w, struct span role)
{
    put(w, w->t->open);
    say(w, role);
    put(w, w->t->middle);
    say(w, SPAN("\n\n"));
}

static void llama3_turn(struct writer *w, const struct decoder_turn *turn, bool first)
{
    bool tool = is_role(turn, "tool");

    llama3_head(w, tool ? SPAN("ipython") : role_of(turn));
    if (first && is_role(turn, "system"))
        say(w, w->t->dates);
    say(w, tool ? turn->text : trim(turn->text));
    put(w, w->t->close);
}

static void render_llama3(struct writer *w)
{
    put(w, w->t->begin);
    if (!begins_with_system(w) && w->t->dates.len > 0)
        llama3_turn(w, &(struct decoder_turn){SPAN("system"), SPAN("")}, true);
    for (size_t i = 0; i < w->n; i++)
        llama3_turn(w, &w->turns[i], i == 0);
    llama3_head(w, SPAN("assistant"));
}

/* --- llama2, mistral -------------------------------------------------------------------- */

/* The template trims the whole of it. */
static void llama2_question(struct writer *w, struct span system, struct span text)
{
    if (system.ptr == NULL) {
        say(w, trim(text));
        return;
    }
    say(w, SPAN("<<SYS>>\n"));
    say(w, system);
    say(w, SPAN("\n<</SYS>>"));
    text = trim_back(text);
    if (text.len > 0)
        say(w, SPAN("\n\n"));
    say(w, text);
}

static void render_llama2(struct writer *w)
{
    struct span system = take_system(w);

    for (size_t i = 0; i < w->n; i++) {
        if (i % 2 == 0) {
            put(w, w->t->begin);
            say(w, SPAN("[INST] "));
            llama2_question(w, i == 0 ? system : (struct span){NULL, 0}, w->turns[i].text);
            say(w, SPAN(" [/INST]"));
        } else {
            say(w, SPAN(" "));
            say(w, trim(w->turns[i].text));
            say(w, SPAN(" "));
            put(w, w->t->close);
        }
    }
}

static void mistral_system(struct writer *w, struct span system)
{
    if (system.ptr == NULL)
        return;
    say(w, system);
    say(w, SPAN("\n\n"));
}

/* "[INST]" is text. */
static void render_mistral_text(struct writer *w, struct span system)
{
    for (size_t i = 0; i < w->n; i++) {
        if (i % 2 == 0) {
            say_space(w);
            say(w, SPAN("[INST] "));
            mistral_system(w, i == 0 ? system : (struct span){NULL, 0});
            say(w, w->turns[i].text);
            say(w, SPAN(" [/INST]"));
        } else {
            say(w, SPAN(" "));
            say(w, w->t->trims ? trim(w->turns[i].text) : w->turns[i].text);
            put(w, w->t->close);
        }
    }
}

/* They are control tokens from v0.3 on, and the system text goes to the last question.
 * Behind them is a space, but not in the newest vocabularies (no SentencePiece). */
static void render_mistral_tokens(struct writer *w, struct span system)
{
    for (size_t i = 0; i < w->n; i++) {
        bool asks = i % 2 == 0;

        if (asks)
            put(w, w->t->open);
        if (tokenizer_is_sentencepiece(w->k))
            say_space(w);
        mistral_system(w, asks && i + 2 > w->n ? system : (struct span){NULL, 0});
        say(w, w->t->trims && !asks ? trim(w->turns[i].text) : w->turns[i].text);
        put(w, asks ? w->t->middle : w->t->close);
    }
}

static void render_mistral(struct writer *w)
{
    struct span system = take_system(w);

    put(w, w->t->begin);
    if (w->t->open == TOKENIZER_NONE)
        render_mistral_text(w, system);
    else
        render_mistral_tokens(w, system);
}

/* --- gemma ------------------------------------------------------------------------------ */

static void render_gemma(struct writer *w)
{
    struct span system = take_system(w);

    put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        put(w, w->t->open);
        say(w, i % 2 == 0 ? SPAN("user\n") : SPAN("model\n"));
        if (i == 0 && system.ptr != NULL) {
            say(w, system);
            say(w, SPAN("\n\n"));
        }
        say(w, trim(w->turns[i].text));
        put(w, w->t->close);
        say(w, SPAN("\n"));
    }
    put(w, w->t->open);
    say(w, SPAN("model\n"));
}

/* --- phi3, zephyr ----------------------------------------------------------------------- */

static void phi3_head(struct writer *w, struct span role)
{
    char text[32];
    uint32_t id;

    snprintf(text, sizeof(text), "<|%.*s|>", (int)(role.len < 20 ? role.len : 20), role.ptr);
    if (!tokenizer_find_control(w->k, text, &id)) {
        refuse(w);
        return;
    }
    put(w, id);
    if (w->t->newlines)
        say(w, SPAN("\n"));
}

/* Phi-3's tokens take the white space behind them away (SentencePiece; "rstrip"). */
static void render_phi3(struct writer *w)
{
    bool strips = tokenizer_is_sentencepiece(w->k);

    put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        phi3_head(w, role_of(&w->turns[i]));
        say(w, strips ? trim_front(w->turns[i].text) : w->turns[i].text);
        put(w, w->t->close);
        if (w->t->newlines)
            say(w, SPAN("\n"));
    }
    phi3_head(w, SPAN("assistant"));
}

static void render_zephyr(struct writer *w)
{
    put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            refuse(w);
        say(w, SPAN("<|"));
        say(w, role_of(&w->turns[i]));
        say(w, SPAN("|>\n"));
        say(w, w->turns[i].text);
        put(w, w->t->close);
        say(w, SPAN("\n"));
    }
    say(w, SPAN("<|assistant|>\n"));
}

/* --- families --------------------------------------------------------------------------- */

struct chat_family {
    const char *name;
    const char *open, *middle, *close; /* control tokens; close NULL: the end token */
    bool always_begins;
    void (*render)(struct writer *w);
};

enum {
    CHATML,
    SMOLLM,
    QWEN2,
    QWEN3,
    QWEN3_PLAIN,
    LLAMA2,
    LLAMA3,
    MISTRAL,
    GEMMA,
    PHI3,
    ZEPHYR,
    TINYLLAMA,
};

#define IM_START "<|im_start|>"
#define IM_END   "<|im_end|>"

static const struct chat_family families[] = {
    [CHATML] = {"chatml", IM_START, NULL, IM_END, false, render_chatml},
    [SMOLLM] = {"smollm", IM_START, NULL, IM_END, false, render_chatml},
    [QWEN2] = {"qwen2", IM_START, NULL, IM_END, false, render_qwen2},
    [QWEN3] = {"qwen3", IM_START, NULL, IM_END, false, render_qwen3},
    [QWEN3_PLAIN] = {"qwen3-plain", IM_START, NULL, IM_END, false, render_qwen3_plain},
    [LLAMA2] = {"llama2", NULL, NULL, NULL, true, render_llama2},
    [LLAMA3] = {"llama3", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", true,
                render_llama3},
    [MISTRAL] = {"mistral", NULL, NULL, NULL, true, render_mistral},
    [GEMMA] = {"gemma", "<start_of_turn>", NULL, "<end_of_turn>", true, render_gemma},
    [PHI3] = {"phi3", "<|user|>", NULL, "<|end|>", false, render_phi3},
    [ZEPHYR] = {"zephyr", NULL, NULL, NULL, false, render_zephyr},
    [TINYLLAMA] = {"tinyllama", NULL, NULL, NULL, false, render_zephyr},
};

const char *chat_template_known(void)
{
    return "chatml, smollm, qwen2, qwen3, qwen3-plain, llama2, llama3, mistral, gemma, phi3, "
           "zephyr, tinyllama";
}

static bool has(struct span text, const char *mark)
{
    return find_text(text, span_of(mark), 0) != SIZE_MAX;
}

/* The family of a template, by what only it says; NULL: none that we know. */
static const struct chat_family *recognise(struct span text)
{
    if (has(text, IM_START)) {
        if (has(text, "</think>"))
            return has(text, "last_query_index") ? &families[QWEN3] : NULL;
        if (has(text, "<|im_sep|>"))
            return NULL;
        return &families[has(text, "Qwen") ? QWEN2 : CHATML];
    }
    if (has(text, "<|start_header_id|>"))
        return &families[LLAMA3];
    if (has(text, "<start_of_turn>"))
        return &families[GEMMA];
    if (has(text, "[INST]") && !has(text, "[SYSTEM_PROMPT]"))
        return &families[has(text, "<<SYS>>") ? LLAMA2 : MISTRAL];
    if (has(text, "<|user|>") && has(text, "<|end|>"))
        return &families[PHI3];
    if (has(text, "<|user|>") && has(text, "eos_token"))
        return &families[ZEPHYR];
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

/* ChatML's default system text stands in the template between its own marks. */
static struct span chatml_system(struct span text)
{
    const struct span mark = SPAN(IM_START "system\\n");
    size_t at = find_text(text, mark, 0), end;

    for (; at != SIZE_MAX; at = find_text(text, mark, at)) {
        at += mark.len;
        end = find_text(text, SPAN(IM_END), at);
        if (end == SIZE_MAX)
            break;
        /* Behind it the program goes on, or the text would need to be read as a program. */
        if (end > at && memchr(text.ptr + at, '\'', end - at) == NULL &&
            memchr(text.ptr + at, '\\', end - at) == NULL &&
            memchr(text.ptr + at, '{', end - at) == NULL)
            return (struct span){text.ptr + at, end - at};
    }
    return (struct span){"", 0};
}

static void read_texts(struct chat_template *t, struct span text)
{
    const struct chat_family *f = t->family;

    if (f == &families[CHATML] || f == &families[SMOLLM] || f == &families[QWEN2])
        t->system = chatml_system(text);
    if (f == &families[SMOLLM] && t->system.len == 0)
        t->system = SPAN(SMOLLM_SYSTEM);
    if (f == &families[QWEN2] && t->system.len == 0)
        t->system = SPAN(QWEN_SYSTEM);
    t->trims = has(text, "|trim + eos_token") || has(text, "| trim + eos_token");
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
    if (f == &families[PHI3])
        t->newlines = !tokenizer_is_sentencepiece(k) &&
                      (has(text, "<|end|>\\n") || has(text, "<|end|>' + '\\n"));
    return t->close != TOKENIZER_NONE;
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
    struct writer w = {.t = t,
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
    buf_init(&w.text, TEXT_MAX_BYTES);
    t->family->render(&w);
    flush(&w);
    buf_release(&w.text);
    return w.st == ST_OK && *count > cap ? ST_LIMIT : w.st;
}
