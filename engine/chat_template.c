#include "engine/chat_template.h"

#include <string.h>

#include "base/buf.h"
#include "engine/error.h"

#define TURN_MAX_BYTES (16u * 1024 * 1024)

#define SMOLLM_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define LLAMA_SYSTEM  "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

static bool has(struct span text, const char *mark)
{
    size_t n = strlen(mark);

    for (size_t i = 0; i + n <= text.len; i++) {
        if (memcmp(text.ptr + i, mark, n) == 0)
            return true;
    }
    return false;
}

static enum status missing(struct engine_error *err, const char *family)
{
    return error_set(err, ST_INVALID,
                     "the vocabulary has not the control tokens of the chat template '%s'",
                     family);
}

static enum status open_chatml(const struct bpe *b, struct span text, struct chat_template *out,
                               struct engine_error *err)
{
    *out = (struct chat_template){.family = CHAT_CHATML, .begin = UINT32_MAX};
    if (has(text, SMOLLM_SYSTEM))
        out->system = SPAN(SMOLLM_SYSTEM);
    if (!bpe_find(b, "<|im_start|>", &out->open) || !bpe_find(b, "<|im_end|>", &out->close))
        return missing(err, "chatml");
    return ST_OK;
}

static enum status open_llama3(const struct bpe *b, struct span text, struct chat_template *out,
                               struct engine_error *err)
{
    *out = (struct chat_template){.family = CHAT_LLAMA3};
    /* From 3.2 on every conversation begins with a system turn that tells dates. The date
     * is the template's own fallback: today's would make answers expire at midnight. */
    if (has(text, "Cutting Knowledge Date")) {
        out->before_system = SPAN(LLAMA_SYSTEM);
        out->system = SPAN(" ");
    }
    if (!bpe_find(b, "<|begin_of_text|>", &out->begin) ||
        !bpe_find(b, "<|start_header_id|>", &out->open) ||
        !bpe_find(b, "<|end_header_id|>", &out->end) || !bpe_find(b, "<|eot_id|>", &out->close))
        return missing(err, "llama3");
    return ST_OK;
}

enum status chat_template_open(const struct bpe *b, struct span text, const char *name,
                               struct chat_template *out, struct engine_error *err)
{
    if (name != NULL ? strcmp(name, "chatml") == 0 : has(text, "<|im_start|>"))
        return open_chatml(b, text, out, err);
    if (name != NULL ? strcmp(name, "llama3") == 0 : has(text, "<|start_header_id|>"))
        return open_llama3(b, text, out, err);
    if (name != NULL)
        return error_set(err, ST_INVALID,
                         "chat template '%s' is unknown; known: chatml, llama3", name);
    return error_set(err, ST_INVALID,
                     "the file's chat template is not recognised; name its family with "
                     "local.chat_template or --chat-template (chatml, llama3)");
}

/* Where ids go. */
struct sink {
    const struct bpe *b;
    uint32_t *ids;
    size_t cap, *count;
};

static void put(struct sink *s, uint32_t id)
{
    if (*s->count < s->cap)
        s->ids[*s->count] = id;
    (*s->count)++;
}

static enum status put_text(struct sink *s, struct span text)
{
    return bpe_encode(s->b, text, false, s->ids, s->cap, s->cap, s->count);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Role and text are one text to the tokenizer, as if the template were rendered. */
static enum status put_chatml(struct sink *s, const struct chat_template *t, struct span role,
                              struct span text)
{
    struct buf joined;
    enum status st;

    buf_init(&joined, TURN_MAX_BYTES);
    st = buf_append(&joined, role);
    if (st == ST_OK)
        st = buf_append(&joined, SPAN("\n"));
    if (st == ST_OK)
        st = buf_append(&joined, text);
    put(s, t->open);
    if (st == ST_OK)
        st = put_text(s, buf_span(&joined));
    put(s, t->close);
    if (st == ST_OK)
        st = put_text(s, SPAN("\n"));
    buf_release(&joined);
    return st;
}

static enum status put_llama3(struct sink *s, const struct chat_template *t, struct span role,
                              struct span text)
{
    struct buf joined;
    enum status st;

    buf_init(&joined, TURN_MAX_BYTES);
    st = buf_append(&joined, SPAN("\n\n"));
    if (st == ST_OK && span_eq(role, SPAN("system")))
        st = buf_append(&joined, t->before_system);
    if (st == ST_OK)
        st = buf_append(&joined, trim(text));
    put(s, t->open);
    if (st == ST_OK)
        st = put_text(s, role);
    put(s, t->end);
    if (st == ST_OK)
        st = put_text(s, buf_span(&joined));
    put(s, t->close);
    buf_release(&joined);
    return st;
}

static enum status put_turn(struct sink *s, const struct chat_template *t, struct span role,
                            struct span text)
{
    /* OpenAI's newer name for the same thing. */
    if (span_eq(role, SPAN("developer")))
        role = SPAN("system");
    return t->family == CHAT_CHATML ? put_chatml(s, t, role, text)
                                    : put_llama3(s, t, role, text);
}

enum status chat_template_encode(const struct chat_template *t, const struct bpe *b,
                                 const struct decoder_turn *turns, size_t n, uint32_t *ids,
                                 size_t cap, size_t *count)
{
    struct sink s = {b, ids, cap, count};
    enum status st = ST_OK;
    bool has_system = n > 0 && (span_eq(turns[0].role, SPAN("system")) ||
                                span_eq(turns[0].role, SPAN("developer")));

    *count = 0;
    if (t->family == CHAT_LLAMA3)
        put(&s, t->begin);
    if (!has_system && t->system.len > 0)
        st = put_turn(&s, t, SPAN("system"), t->system);
    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = put_turn(&s, t, turns[i].role, turns[i].text);
    if (st != ST_OK)
        return st;
    put(&s, t->open);
    st = put_text(&s, t->family == CHAT_CHATML ? SPAN("assistant\n") : SPAN("assistant"));
    if (t->family == CHAT_LLAMA3)
        put(&s, t->end);
    if (st == ST_OK && t->family == CHAT_LLAMA3)
        st = put_text(&s, SPAN("\n\n"));
    return st == ST_OK && *count > cap ? ST_LIMIT : st;
}
