#include "engine/chat_writer.h"

#include <string.h>

#include "base/unicode.h"

size_t chat_writer_find(struct span text, struct span mark, size_t from)
{
    for (size_t i = from; mark.len <= text.len && i <= text.len - mark.len; i++) {
        if (memcmp(text.ptr + i, mark.ptr, mark.len) == 0)
            return i;
    }
    return SIZE_MAX;
}

void chat_writer_say(struct chat_writer *w, struct span text)
{
    if (w->st == ST_OK)
        w->st = buf_append(&w->text, text);
}

void chat_writer_flush(struct chat_writer *w)
{
    if (w->st == ST_OK)
        w->st =
            tokenizer_encode(w->k, buf_span(&w->text), false, w->ids, w->cap, w->cap, w->count);
    buf_clear(&w->text);
}

void chat_writer_put(struct chat_writer *w, uint32_t id)
{
    if (id == TOKENIZER_NONE)
        return;
    chat_writer_flush(w);
    if (w->st != ST_OK)
        return;
    if (*w->count < w->cap)
        w->ids[*w->count] = id;
    (*w->count)++;
}

/* A space that the tokenizer writes itself at the front of a text. */
void chat_writer_space(struct chat_writer *w)
{
    if (!tokenizer_prefixes(w->k))
        chat_writer_say(w, SPAN(" "));
}

void chat_writer_refuse(struct chat_writer *w)
{
    if (w->st == ST_OK)
        w->st = ST_INVALID;
}

/* --- turns ------------------------------------------------------------------------------ */

struct span chat_writer_trim_front(struct span s)
{
    uint32_t c;

    for (size_t at = 0; s.len > 0; at = 0) {
        if (!unicode_next(s, &at, &c) || !unicode_is_space(c))
            break;
        s = (struct span){s.ptr + at, s.len - at};
    }
    return s;
}

struct span chat_writer_trim_back(struct span s)
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

struct span chat_writer_trim(struct span s)
{
    return chat_writer_trim_back(chat_writer_trim_front(s));
}

struct span chat_writer_trim_lines(struct span s, bool front, bool back)
{
    while (front && s.len > 0 && s.ptr[0] == '\n')
        s = (struct span){s.ptr + 1, s.len - 1};
    while (back && s.len > 0 && s.ptr[s.len - 1] == '\n')
        s.len--;
    return s;
}

/* OpenAI's newer name for the same thing. */
struct span chat_writer_role(const struct decoder_turn *turn)
{
    return span_eq(turn->role, SPAN("developer")) ? SPAN("system") : turn->role;
}

bool chat_writer_is_role(const struct decoder_turn *turn, const char *role)
{
    return span_eq(chat_writer_role(turn), span_of(role));
}

bool chat_writer_begins_with_system(const struct chat_writer *w)
{
    return w->n > 0 && chat_writer_is_role(&w->turns[0], "system");
}

/* Takes the system text off the front, for families that put it into a user's turn. What
 * is left must be user, assistant, user, …; they know nothing else. */
struct span chat_writer_take_system(struct chat_writer *w)
{
    struct span system = {NULL, 0};

    if (chat_writer_begins_with_system(w)) {
        system = w->turns[0].text;
        w->turns++;
        w->n--;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (!chat_writer_is_role(&w->turns[i], i % 2 == 0 ? "user" : "assistant"))
            chat_writer_refuse(w);
    }
    return system;
}

/* --- strings of a program --------------------------------------------------------------- */

static size_t skip_blanks(struct span s, size_t at)
{
    while (at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == '\n'))
        at++;
    return at;
}

/* What a character behind a backslash says, as in Python; a line that is gone on with says
 * nothing. false: an escape that no template has. */
static bool escaped(char c, struct span *out)
{
    static const char marks[] = "\\'\"nt\n", says[] = "\\'\"\n\t";
    const char *at = c == '\0' ? NULL : strchr(marks, c);

    if (at == NULL)
        return false;
    *out = (struct span){says + (at - marks), at - marks < 5};
    return true;
}

/* A quoted part from its quote on: where it ends, or 0. */
static size_t quoted(struct chat_writer *w, struct span s, size_t at)
{
    char quote = s.ptr[at++];
    struct span part;

    for (; at < s.len && s.ptr[at] != quote; at++) {
        part = (struct span){s.ptr + at, 1};
        if (s.ptr[at] == '\\' && (++at == s.len || !escaped(s.ptr[at], &part)))
            return 0;
        if (w != NULL)
            chat_writer_say(w, part);
    }
    return at < s.len ? at + 1 : 0;
}

bool chat_writer_literal(struct chat_writer *w, struct span s, struct span today)
{
    const struct span name = SPAN("today");
    size_t at = 0;

    for (;;) {
        at = skip_blanks(s, at);
        if (at < s.len && (s.ptr[at] == '\'' || s.ptr[at] == '"')) {
            at = quoted(w, s, at);
            if (at == 0)
                return false;
        } else if (chat_writer_find(
                       (struct span){s.ptr, at + name.len < s.len ? at + name.len : s.len},
                       name, at) == at) {
            at += name.len;
            if (w != NULL)
                chat_writer_say(w, today);
        } else {
            return false;
        }
        at = skip_blanks(s, at);
        if (at == s.len)
            return false;
        if (s.ptr[at] != '+' && s.ptr[at] != '~')
            return s.ptr[at] == '-' || s.ptr[at] == '%' || s.ptr[at] == '}';
        at++;
    }
}
