#include "engine/chat_render.h"

#include <stdio.h>
#include <string.h>

#include "base/unicode.h"

/* --- chatml ----------------------------------------------------------------------------- */

static void chatml_turn(struct chat_writer *w, struct span role, struct span text)
{
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, role);
    chat_writer_say(w, SPAN("\n"));
    chat_writer_say(w, text);
    chat_writer_put(w, w->t->close);
    chat_writer_say(w, SPAN("\n"));
}

static void chatml_open_answer(struct chat_writer *w)
{
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, SPAN("assistant\n"));
}

void chat_render_chatml(struct chat_writer *w)
{
    if (!chat_writer_begins_with_system(w) && w->t->system.len > 0)
        chatml_turn(w, SPAN("system"), w->t->system);
    for (size_t i = 0; i < w->n; i++)
        chatml_turn(w, chat_writer_role(&w->turns[i]), w->turns[i].text);
    chatml_open_answer(w);
}

/* --- qwen2, qwen3 ----------------------------------------------------------------------- */

/* Tools are not for the built-in model. */
static bool qwen_has(const struct decoder_turn *turn)
{
    return chat_writer_is_role(turn, "system") || chat_writer_is_role(turn, "user") ||
           chat_writer_is_role(turn, "assistant");
}

void chat_render_qwen2(struct chat_writer *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            chat_writer_refuse(w);
    }
    chat_render_chatml(w);
}

/* Thoughts and what was said behind them; no thoughts without "</think>". */
static void split_thoughts(struct span text, struct span *thoughts, struct span *said)
{
    const struct span open = SPAN("<think>"), close = SPAN("</think>");
    size_t first = chat_writer_find(text, close, 0), last = first, start;

    *thoughts = (struct span){"", 0};
    *said = text;
    if (first == SIZE_MAX)
        return;
    for (size_t i = first; i != SIZE_MAX; i = chat_writer_find(text, close, i + 1))
        last = i;
    *said = chat_writer_trim_lines(
        (struct span){text.ptr + last + close.len, text.len - last - close.len}, true, false);
    *thoughts = chat_writer_trim_lines((struct span){text.ptr, first}, false, true);
    while ((start = chat_writer_find(*thoughts, open, 0)) != SIZE_MAX)
        *thoughts =
            (struct span){thoughts->ptr + start + open.len, thoughts->len - start - open.len};
    *thoughts = chat_writer_trim_lines(*thoughts, true, true);
}

/* Only what was thought since the last question is told. */
static void qwen3_answer(struct chat_writer *w, size_t i, bool since_question)
{
    struct span thoughts, said;

    split_thoughts(w->turns[i].text, &thoughts, &said);
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, SPAN("assistant\n"));
    if (since_question && (i + 1 == w->n || thoughts.len > 0)) {
        chat_writer_say(w, SPAN("<think>\n"));
        chat_writer_say(w, thoughts);
        chat_writer_say(w, SPAN("\n</think>\n\n"));
        said = chat_writer_trim_lines(said, true, false);
    }
    chat_writer_say(w, said);
    chat_writer_put(w, w->t->close);
    chat_writer_say(w, SPAN("\n"));
}

void chat_render_qwen3(struct chat_writer *w)
{
    size_t question = w->n;

    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            chat_writer_refuse(w);
        if (chat_writer_is_role(&w->turns[i], "user"))
            question = i;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (chat_writer_is_role(&w->turns[i], "assistant"))
            qwen3_answer(w, i, i > question);
        else
            chatml_turn(w, chat_writer_role(&w->turns[i]), w->turns[i].text);
    }
    chatml_open_answer(w);
}

/* Of 2507 on, models that think always have the beginning of it in their template. */
void chat_render_qwen3_thinking(struct chat_writer *w)
{
    chat_render_qwen3(w);
    chat_writer_say(w, SPAN("<think>\n"));
}

/* QwQ, R1: what was thought before an answer is not told. */
static struct span behind_thoughts(struct span text)
{
    const struct span mark = SPAN("</think>");

    for (size_t at; (at = chat_writer_find(text, mark, 0)) != SIZE_MAX;)
        text = (struct span){text.ptr + at + mark.len, text.len - at - mark.len};
    return text;
}

void chat_render_qwq(struct chat_writer *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct span text = w->turns[i].text;

        if (!qwen_has(&w->turns[i]))
            chat_writer_refuse(w);
        if (chat_writer_is_role(&w->turns[i], "assistant"))
            text = chat_writer_trim_lines(behind_thoughts(text), true, false);
        chatml_turn(w, chat_writer_role(&w->turns[i]), text);
    }
    chatml_open_answer(w);
    chat_writer_say(w, SPAN("<think>\n"));
}

/* enable_thinking=false: the model goes on behind thoughts that are none. */
void chat_render_qwen3_plain(struct chat_writer *w)
{
    chat_render_qwen3(w);
    chat_writer_say(w, SPAN("<think>\n\n</think>\n\n"));
}

/* --- smollm3 ---------------------------------------------------------------------------- */

#define NO_THINK "/no_think"
#define THINK    "/think"
#define OVERRIDE "/system_override"

/* The template says today's date, with which answers would expire at midnight: this is the day
 * the model came out. */
#define SMOLLM3_DATES "Knowledge Cutoff Date: June 2025\nToday Date: 08 July 2025\n"
#define SMOLLM_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

/* In place: what stands around a mark may be one when the mark is gone. */
static void cut_out(struct buf *text, struct span mark)
{
    size_t kept = 0;

    for (size_t at = 0; at < text->len;) {
        if (text->len - at >= mark.len && memcmp(text->ptr + at, mark.ptr, mark.len) == 0)
            at += mark.len;
        else
            text->ptr[kept++] = text->ptr[at++];
    }
    text->len = kept;
}

static void smollm3_instructions(struct chat_writer *w, struct span text, bool thinks)
{
    chat_writer_say(w, SPAN("## Metadata\n\n" SMOLLM3_DATES "Reasoning Mode: "));
    chat_writer_say(w, thinks ? SPAN(THINK) : SPAN(NO_THINK));
    chat_writer_say(w, SPAN("\n\n## Custom Instructions\n\n"));
    if (text.len > 0) {
        chat_writer_say(w, text);
        chat_writer_say(w, SPAN("\n\n"));
    } else if (!thinks || w->t->literal.len == 0) {
        chat_writer_say(w, SPAN(SMOLLM_SYSTEM ".\n\n"));
    } else if (!chat_writer_literal(w, w->t->literal, SPAN(""))) {
        chat_writer_refuse(w);
    }
}

/* The first turn ends only if it is the conversation's own; else the first question begins
 * within it. */
static void smollm3_system(struct chat_writer *w, struct span system, bool thinks)
{
    bool own = chat_writer_find(system, SPAN(OVERRIDE), 0) != SIZE_MAX;
    struct buf text;

    buf_init(&text, system.len + 1);
    if (w->st == ST_OK)
        w->st = buf_append(&text, system);
    cut_out(&text, SPAN(NO_THINK));
    cut_out(&text, SPAN(THINK));
    text.len = chat_writer_trim_back(buf_span(&text)).len;
    if (own) {
        cut_out(&text, SPAN(OVERRIDE));
        chat_writer_say(w, chat_writer_trim_back(buf_span(&text)));
        chat_writer_put(w, w->t->close);
        chat_writer_say(w, SPAN("\n"));
    } else {
        smollm3_instructions(w, buf_span(&text), thinks);
    }
    buf_release(&text);
}

static void smollm3_open_answer(struct chat_writer *w, bool thinks)
{
    chatml_open_answer(w);
    if (!thinks)
        chat_writer_say(w, SPAN("<think>\n\n</think>\n"));
}

void chat_render_smollm3(struct chat_writer *w)
{
    bool first = chat_writer_begins_with_system(w), thinks = true;
    struct span system = first ? w->turns[0].text : SPAN("");

    if (chat_writer_find(system, SPAN(NO_THINK), 0) != SIZE_MAX)
        thinks = false;
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, SPAN("system\n"));
    smollm3_system(w, system, thinks);
    for (size_t i = first; i < w->n; i++) {
        if (chat_writer_is_role(&w->turns[i], "user")) {
            chatml_turn(w, SPAN("user"), w->turns[i].text);
        } else if (chat_writer_is_role(&w->turns[i], "assistant")) {
            smollm3_open_answer(w, thinks);
            chat_writer_say(w, chat_writer_trim_lines(w->turns[i].text, true, false));
            chat_writer_put(w, w->t->close);
            chat_writer_say(w, SPAN("\n"));
        } else {
            chat_writer_refuse(w);
        }
    }
    smollm3_open_answer(w, thinks);
}

/* --- phi4 ------------------------------------------------------------------------------- */

static void phi4_head(struct chat_writer *w, struct span role)
{
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, role);
    chat_writer_put(w, w->t->middle);
}

void chat_render_phi4(struct chat_writer *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            chat_writer_refuse(w);
        phi4_head(w, chat_writer_role(&w->turns[i]));
        chat_writer_say(w, w->turns[i].text);
        chat_writer_put(w, w->t->close);
    }
    phi4_head(w, SPAN("assistant"));
}

/* --- llama3 ----------------------------------------------------------------------------- */

static void llama3_head(struct chat_writer *w, struct span role)
{
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, role);
    chat_writer_put(w, w->t->middle);
    chat_writer_say(w, SPAN("\n\n"));
}

static void llama3_turn(struct chat_writer *w, const struct decoder_turn *turn, bool first)
{
    bool tool = chat_writer_is_role(turn, "tool");

    llama3_head(w, tool ? SPAN("ipython") : chat_writer_role(turn));
    if (first && chat_writer_is_role(turn, "system"))
        chat_writer_say(w, w->t->dates);
    chat_writer_say(w, tool ? turn->text : chat_writer_trim(turn->text));
    chat_writer_put(w, w->t->close);
}

void chat_render_llama3(struct chat_writer *w)
{
    chat_writer_put(w, w->t->begin);
    if (!chat_writer_begins_with_system(w) && w->t->dates.len > 0)
        llama3_turn(w, &(struct decoder_turn){SPAN("system"), SPAN("")}, true);
    for (size_t i = 0; i < w->n; i++)
        llama3_turn(w, &w->turns[i], i == 0);
    llama3_head(w, SPAN("assistant"));
}

/* --- llama2, mistral -------------------------------------------------------------------- */

/* The template trims the whole of it. */
static void llama2_question(struct chat_writer *w, struct span system, struct span text)
{
    if (system.ptr == NULL) {
        chat_writer_say(w, chat_writer_trim(text));
        return;
    }
    chat_writer_say(w, SPAN("<<SYS>>\n"));
    chat_writer_say(w, system);
    chat_writer_say(w, SPAN("\n<</SYS>>"));
    text = chat_writer_trim_back(text);
    if (text.len > 0)
        chat_writer_say(w, SPAN("\n\n"));
    chat_writer_say(w, text);
}

void chat_render_llama2(struct chat_writer *w)
{
    struct span system = chat_writer_take_system(w);

    for (size_t i = 0; i < w->n; i++) {
        if (i % 2 == 0) {
            chat_writer_put(w, w->t->begin);
            chat_writer_say(w, SPAN("[INST] "));
            llama2_question(w, i == 0 ? system : (struct span){NULL, 0}, w->turns[i].text);
            chat_writer_say(w, SPAN(" [/INST]"));
        } else {
            chat_writer_say(w, SPAN(" "));
            chat_writer_say(w, chat_writer_trim(w->turns[i].text));
            chat_writer_say(w, SPAN(" "));
            chat_writer_put(w, w->t->close);
        }
    }
}

static void mistral_system(struct chat_writer *w, struct span system)
{
    if (system.ptr == NULL)
        return;
    chat_writer_say(w, system);
    chat_writer_say(w, SPAN("\n\n"));
}

/* "[INST]" is text. */
static void render_mistral_text(struct chat_writer *w, struct span system)
{
    for (size_t i = 0; i < w->n; i++) {
        if (i % 2 == 0) {
            chat_writer_space(w);
            chat_writer_say(w, SPAN("[INST] "));
            mistral_system(w, i == 0 ? system : (struct span){NULL, 0});
            chat_writer_say(w, w->turns[i].text);
            chat_writer_say(w, SPAN(" [/INST]"));
        } else {
            chat_writer_say(w, SPAN(" "));
            chat_writer_say(w, w->t->trims ? chat_writer_trim(w->turns[i].text)
                                           : w->turns[i].text);
            chat_writer_put(w, w->t->close);
        }
    }
}

/* They are control tokens from v0.3 on, and the system text goes to the last question.
 * Behind them is a space, but not in the newest vocabularies (no SentencePiece). */
static void render_mistral_tokens(struct chat_writer *w, struct span system)
{
    for (size_t i = 0; i < w->n; i++) {
        bool asks = i % 2 == 0;

        if (asks)
            chat_writer_put(w, w->t->open);
        if (tokenizer_is_sentencepiece(w->k))
            chat_writer_space(w);
        mistral_system(w, asks && i + 2 > w->n ? system : (struct span){NULL, 0});
        chat_writer_say(w, w->t->trims && !asks ? chat_writer_trim(w->turns[i].text)
                                                : w->turns[i].text);
        chat_writer_put(w, asks ? w->t->middle : w->t->close);
    }
}

void chat_render_mistral(struct chat_writer *w)
{
    struct span system = chat_writer_take_system(w);

    chat_writer_put(w, w->t->begin);
    if (w->t->open == TOKENIZER_NONE)
        render_mistral_text(w, system);
    else
        render_mistral_tokens(w, system);
}

/* --- mistral from version 7 on ---------------------------------------------------------- */

/* The day that a template's `today` is: today's would make answers expire at midnight. */
#define MISTRAL_TODAY "2025-01-30"

static void mistral_v7_default(struct chat_writer *w)
{
    if (w->t->literal.len == 0 || chat_writer_begins_with_system(w))
        return;
    chat_writer_put(w, w->t->system_open);
    if (!chat_writer_literal(w, w->t->literal, SPAN(MISTRAL_TODAY)))
        chat_writer_refuse(w);
    chat_writer_put(w, w->t->system_close);
}

void chat_render_mistral_v7(struct chat_writer *w)
{
    chat_writer_put(w, w->t->begin);
    mistral_v7_default(w);
    if (w->t->alternates) {
        struct chat_writer rest = *w;

        (void)chat_writer_take_system(&rest);
        w->st = rest.st;
    }
    for (size_t i = 0; i < w->n; i++) {
        const struct decoder_turn *turn = &w->turns[i];
        bool asks = chat_writer_is_role(turn, "user");
        bool rules = chat_writer_is_role(turn, "system");

        if (!qwen_has(turn))
            chat_writer_refuse(w);
        if (asks || rules)
            chat_writer_put(w, asks ? w->t->open : w->t->system_open);
        if (w->t->spaces)
            chat_writer_space(w);
        chat_writer_say(w, turn->text);
        chat_writer_put(w, asks ? w->t->middle : rules ? w->t->system_close : w->t->close);
    }
}

/* --- gemma ------------------------------------------------------------------------------ */

void chat_render_gemma(struct chat_writer *w)
{
    struct span system = chat_writer_take_system(w);

    chat_writer_put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        chat_writer_put(w, w->t->open);
        chat_writer_say(w, i % 2 == 0 ? SPAN("user\n") : SPAN("model\n"));
        if (i == 0 && system.ptr != NULL) {
            chat_writer_say(w, system);
            chat_writer_say(w, SPAN("\n\n"));
        }
        chat_writer_say(w, chat_writer_trim(w->turns[i].text));
        chat_writer_put(w, w->t->close);
        chat_writer_say(w, SPAN("\n"));
    }
    chat_writer_put(w, w->t->open);
    chat_writer_say(w, SPAN("model\n"));
}

/* --- phi3, zephyr ----------------------------------------------------------------------- */

static void phi3_head(struct chat_writer *w, struct span role)
{
    char text[32];
    uint32_t id;

    snprintf(text, sizeof(text), "<|%.*s|>", (int)(role.len < 20 ? role.len : 20), role.ptr);
    if (!tokenizer_find_control(w->k, text, &id)) {
        chat_writer_refuse(w);
        return;
    }
    chat_writer_put(w, id);
    if (w->t->newlines)
        chat_writer_say(w, SPAN("\n"));
}

/* Phi-3's tokens take the white space behind them away (SentencePiece; "rstrip"). */
void chat_render_phi3(struct chat_writer *w)
{
    bool strips = tokenizer_is_sentencepiece(w->k);

    chat_writer_put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        phi3_head(w, chat_writer_role(&w->turns[i]));
        chat_writer_say(w,
                        strips ? chat_writer_trim_front(w->turns[i].text) : w->turns[i].text);
        chat_writer_put(w, w->t->close);
        if (w->t->newlines)
            chat_writer_say(w, SPAN("\n"));
    }
    phi3_head(w, SPAN("assistant"));
}

/* The model's own system text, and behind it all others; then the other turns. */
void chat_render_phi4_mini_reasoning(struct chat_writer *w)
{
    chat_writer_put(w, w->t->begin);
    phi3_head(w, SPAN("system"));
    chat_writer_say(w, w->t->system);
    for (size_t i = 0; i < w->n; i++) {
        if (!chat_writer_is_role(&w->turns[i], "system"))
            continue;
        chat_writer_say(w, SPAN(" "));
        chat_writer_say(w, w->turns[i].text);
    }
    chat_writer_put(w, w->t->close);
    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            chat_writer_refuse(w);
        if (chat_writer_is_role(&w->turns[i], "system"))
            continue;
        phi3_head(w, chat_writer_role(&w->turns[i]));
        chat_writer_say(w, w->turns[i].text);
        chat_writer_put(w, w->t->close);
    }
    phi3_head(w, SPAN("assistant"));
}

void chat_render_zephyr(struct chat_writer *w)
{
    chat_writer_put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        if (!qwen_has(&w->turns[i]))
            chat_writer_refuse(w);
        chat_writer_say(w, SPAN("<|"));
        chat_writer_say(w, chat_writer_role(&w->turns[i]));
        chat_writer_say(w, SPAN("|>\n"));
        chat_writer_say(w, w->turns[i].text);
        chat_writer_put(w, w->t->close);
        chat_writer_say(w, SPAN("\n"));
    }
    chat_writer_say(w, SPAN("<|assistant|>\n"));
}

/* --- bitnet ----------------------------------------------------------------------------- */

void chat_render_bitnet(struct chat_writer *w)
{
    chat_writer_put(w, w->t->begin);
    for (size_t i = 0; i < w->n; i++) {
        const struct decoder_turn *turn = &w->turns[i];

        if (!qwen_has(turn))
            chat_writer_refuse(w);
        chat_writer_say(w, chat_writer_is_role(turn, "system") ? SPAN("System: ")
                           : chat_writer_is_role(turn, "user") ? SPAN("User: ")
                                                               : SPAN("Assistant: "));
        chat_writer_say(w, w->t->trims ? chat_writer_trim(turn->text) : turn->text);
        chat_writer_put(w, w->t->close);
    }
    chat_writer_say(w, SPAN("Assistant: "));
}

/* --- deepseek --------------------------------------------------------------------------- */

/* Every turn is a question or an answer, but for a system text at the front. */
static struct span deepseek_system(struct chat_writer *w)
{
    struct span system = SPAN("");

    if (chat_writer_begins_with_system(w)) {
        system = w->turns[0].text;
        w->turns++;
        w->n--;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (!chat_writer_is_role(&w->turns[i], "user") &&
            !chat_writer_is_role(&w->turns[i], "assistant"))
            chat_writer_refuse(w);
    }
    return system;
}

void chat_render_deepseek(struct chat_writer *w)
{
    chat_writer_put(w, w->t->begin);
    chat_writer_say(w, deepseek_system(w));
    for (size_t i = 0; i < w->n; i++) {
        bool asks = chat_writer_is_role(&w->turns[i], "user");

        chat_writer_put(w, asks ? w->t->open : w->t->middle);
        chat_writer_say(w, asks ? w->turns[i].text : behind_thoughts(w->turns[i].text));
        chat_writer_put(w, asks ? TOKENIZER_NONE : w->t->close);
    }
    chat_writer_put(w, w->t->middle);
    if (w->t->thinks)
        chat_writer_say(w, SPAN("<think>\n"));
}

void chat_render_deepseek_llm(struct chat_writer *w)
{
    struct span system;

    chat_writer_put(w, w->t->begin);
    system = deepseek_system(w);
    chat_writer_say(w, system);
    chat_writer_say(w, system.len > 0 ? SPAN("\n\n") : SPAN(""));
    for (size_t i = 0; i < w->n; i++) {
        bool asks = chat_writer_is_role(&w->turns[i], "user");

        chat_writer_say(w, asks ? SPAN("User: ") : SPAN("Assistant: "));
        chat_writer_say(w, w->turns[i].text);
        chat_writer_say(w, asks ? SPAN("\n\n") : SPAN(""));
        chat_writer_put(w, asks ? TOKENIZER_NONE : w->t->close);
    }
    chat_writer_say(w, SPAN("Assistant:"));
}

void chat_render_deepseek_coder(struct chat_writer *w)
{
    bool own = chat_writer_begins_with_system(w);

    chat_writer_put(w, w->t->begin);
    if (own)
        chat_writer_say(w, deepseek_system(w));
    else if (w->t->literal.len > 0 && !chat_writer_literal(w, w->t->literal, SPAN("")))
        chat_writer_refuse(w);
    (void)deepseek_system(w);
    for (size_t i = 0; i < w->n; i++) {
        bool asks = chat_writer_is_role(&w->turns[i], "user");

        chat_writer_say(w, asks ? SPAN("### Instruction:\n") : SPAN("### Response:\n"));
        chat_writer_say(w, w->turns[i].text);
        chat_writer_say(w, SPAN("\n"));
        if (!asks) {
            chat_writer_put(w, w->t->close);
            chat_writer_say(w, SPAN("\n"));
        }
    }
    chat_writer_say(w, SPAN("### Response:\n"));
}
