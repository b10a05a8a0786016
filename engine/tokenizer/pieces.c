#include "engine/tokenizer/pieces.h"

#include <stdint.h>

#include "base/compiler.h"
#include "base/unicode.h"

/* --- characters ------------------------------------------------------------------------- */

enum kind { LETTER, NUMBER, SPACE, OTHER };

static enum kind kind_of(uint32_t c)
{
    enum unicode_class k;

    if (unicode_is_space(c))
        return SPACE;
    if (c < 0x80) {
        uint32_t l = c | 0x20;

        return l >= 'a' && l <= 'z' ? LETTER : c >= '0' && c <= '9' ? NUMBER : OTHER;
    }
    k = unicode_class_of(c);
    return k == UNICODE_LETTER ? LETTER : k == UNICODE_NUMBER ? NUMBER : OTHER;
}

/* The code point at `at`; malformed bytes are taken one by one. */
static uint32_t peek(struct span s, size_t at, size_t *next)
{
    uint32_t c;

    *next = at;
    if (!unicode_next(s, next, &c)) {
        *next = at + 1;
        return 0xfffd;
    }
    return c;
}

/* Is there a character of this kind at `at`? */
static bool is_kind(struct span s, size_t at, enum kind kind)
{
    size_t next;

    return at < s.len && kind_of(peek(s, at, &next)) == kind;
}

/* End of the run of `kind` that begins at `at`. */
static size_t run_end(struct span s, size_t at, enum kind kind)
{
    size_t next;

    while (at < s.len && kind_of(peek(s, at, &next)) == kind)
        at = next;
    return at;
}

static bool is_newline(uint32_t c)
{
    return c == '\r' || c == '\n';
}

/* --- what families share ---------------------------------------------------------------- */

/* 's 't 're 've 'm 'll 'd, or nothing. Case set aside, a long s (U+017F) is an s too. */
static size_t contraction(struct span s, size_t at, bool any_case)
{
    static const struct span tails[] = {{"re", 2}, {"ve", 2}, {"ll", 2}, {"s", 1},
                                        {"t", 1},  {"m", 1},  {"d", 1}};

    if (at >= s.len || s.ptr[at] != '\'')
        return 0;
    if (any_case && s.len - at > 2 && memcmp(s.ptr + at + 1, "\xc5\xbf", 2) == 0)
        return 3;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        size_t n = tails[i].len;
        bool same = s.len - at > n;

        for (size_t j = 0; same && j < n; j++) {
            char c = s.ptr[at + 1 + j];

            if (any_case && c >= 'A' && c <= 'Z')
                c = (char)(c + 32);
            same = c == tails[i].ptr[j];
        }
        if (same)
            return n + 1;
    }
    return 0;
}

/* \s+(?!\S)|\s+ : a run of spaces leaves its last one to the word after it. */
static size_t spaces(struct span s, size_t at)
{
    size_t end = run_end(s, at, SPACE), last = at, next = at;

    if (end == s.len)
        return end - at;
    while (next < end) {
        last = next;
        (void)peek(s, next, &next);
    }
    return last > at ? last - at : end - at;
}

/* \s*[\r\n]+ */
static size_t spaces_to_newline(struct span s, size_t at)
{
    size_t end = run_end(s, at, SPACE);

    while (end > at && s.ptr[end - 1] != '\r' && s.ptr[end - 1] != '\n')
        end--;
    return end - at;
}

/* \p{N}{1,most} */
static size_t numbers(struct span s, size_t at, unsigned most)
{
    size_t end = at, next;

    for (unsigned n = 0; n < most && is_kind(s, end, NUMBER); n++, end = next)
        (void)peek(s, end, &next);
    return end - at;
}

/* ` ?[^\s\p{L}\p{N}]+[\r\n]*` (with `slash`: [\r\n/]*), or nothing. */
static size_t signs(struct span s, size_t at, bool slash)
{
    size_t from = s.ptr[at] == ' ' ? at + 1 : at, end = run_end(s, from, OTHER);

    if (end == from)
        return 0;
    while (end < s.len &&
           (is_newline((unsigned char)s.ptr[end]) || (slash && s.ptr[end] == '/')))
        end++;
    return end - at;
}

/* --- gpt-2, smollm ---------------------------------------------------------------------- */

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t length_gpt2(struct span s, size_t at)
{
    size_t n = contraction(s, at, false), from = at, next;
    enum kind kind;

    if (n > 0)
        return n;
    if (s.ptr[at] == ' ' && at + 1 < s.len)
        from = at + 1;
    kind = kind_of(peek(s, from, &next));
    if (kind != SPACE)
        return run_end(s, from, kind) - at;
    return spaces(s, at);
}

/* --- llama-bpe, qwen2 ------------------------------------------------------------------- */

/* [^\r\n\p{L}\p{N}]?\p{L}+ , or nothing */
static size_t word(struct span s, size_t at)
{
    size_t from = at, next;
    uint32_t c = peek(s, at, &next);
    enum kind kind = kind_of(c);

    if (kind != LETTER && kind != NUMBER && !is_newline(c))
        from = next;
    return is_kind(s, from, LETTER) ? run_end(s, from, LETTER) - at : 0;
}

/* What stands behind words in the newer families' expressions:
 * \p{N}{1,most}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t no_word(struct span s, size_t at, unsigned most, bool slash)
{
    size_t n = numbers(s, at, most);

    if (n == 0)
        n = signs(s, at, slash);
    if (n == 0)
        n = spaces_to_newline(s, at);
    return n > 0 ? n : spaces(s, at);
}

static size_t length_newer(struct span s, size_t at, unsigned most)
{
    size_t n = contraction(s, at, true);

    if (n == 0)
        n = word(s, at);
    return n > 0 ? n : no_word(s, at, most, false);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
 * \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t length_llama3(struct span s, size_t at)
{
    return length_newer(s, at, 3);
}

/* The same with \p{N} */
static size_t length_qwen2(struct span s, size_t at)
{
    return length_newer(s, at, 1);
}

/* --- gpt-4o ----------------------------------------------------------------------------- */

/* Lm, Lo and M count as upper and as lower. */
static bool may_be(uint32_t c, enum unicode_case which)
{
    enum unicode_case k = unicode_case_of(c);

    return k == which || k == UNICODE_CASE_EITHER;
}

/* End of a run of what may be of this case. *other: the last place in it, its end included,
 * at which a character that may be of the other case as well begins; SIZE_MAX: none. */
static size_t case_run(struct span s, size_t at, enum unicode_case which, size_t *either)
{
    size_t next;

    *either = SIZE_MAX;
    while (at < s.len) {
        uint32_t c = peek(s, at, &next);

        if (!may_be(c, which))
            break;
        if (unicode_case_of(c) == UNICODE_CASE_EITHER)
            *either = at;
        at = next;
    }
    return at;
}

/* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ from `at` on: its end, or 0.
 * The first run gives back from its last character that the second one can take. */
static size_t capitalised(struct span s, size_t at)
{
    size_t either, none, end = case_run(s, at, UNICODE_CASE_UPPER, &either);
    size_t tail = case_run(s, end, UNICODE_CASE_LOWER, &none);

    if (tail > end)
        return tail;
    return either != SIZE_MAX ? case_run(s, either, UNICODE_CASE_LOWER, &none) : 0;
}

/* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]* */
static size_t upper(struct span s, size_t at)
{
    size_t none, end = case_run(s, at, UNICODE_CASE_UPPER, &none);

    return end > at ? case_run(s, end, UNICODE_CASE_LOWER, &none) : 0;
}

/* [^\r\n\p{L}\p{N}]? before one of the two, and a contraction behind it. The character
 * before may be a mark, which is part of a word as well: it is tried as both. */
static size_t cased_word(struct span s, size_t at, size_t (*part)(struct span, size_t))
{
    size_t next, end = 0;
    uint32_t c = peek(s, at, &next);
    enum kind kind = kind_of(c);

    if (kind != LETTER && kind != NUMBER && !is_newline(c))
        end = part(s, next);
    if (end == 0)
        end = part(s, at);
    return end > 0 ? end + contraction(s, end, true) - at : 0;
}

/* [^\r\n\p{L}\p{N}]?UPPER*LOWER+(?i:'s|…)?|[^\r\n\p{L}\p{N}]?UPPER+LOWER*(?i:'s|…)?|
 * \p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t length_gpt4o(struct span s, size_t at)
{
    size_t n = cased_word(s, at, capitalised);

    if (n == 0)
        n = cased_word(s, at, upper);
    return n > 0 ? n : no_word(s, at, 3, true);
}

/* --- by name ---------------------------------------------------------------------------- */

static const struct pieces gpt2 = {.length = length_gpt2, .name = "gpt-2"};
static const struct pieces smollm = {
    .length = length_gpt2, .numbers_alone = true, .name = "smollm"};
static const struct pieces llama3 = {.length = length_llama3, .name = "llama-bpe"};
static const struct pieces qwen2 = {.length = length_qwen2, .composed = true, .name = "qwen2"};
static const struct pieces gpt4o = {.length = length_gpt4o, .name = "gpt-4o"};

/* Names that other files give the same expressions (llama.cpp, src/llama-vocab.cpp). */
static const struct {
    const char *name;
    const struct pieces *is;
} names[] = {
    {"gpt-2", &gpt2},       {"gpt2", &gpt2},
    {"phi-2", &gpt2},       {"olmo", &gpt2},
    {"mpt", &gpt2},         {"jina-es", &gpt2},
    {"jina-de", &gpt2},     {"roberta-bpe", &gpt2},
    {"smollm", &smollm},    {"starcoder", &smollm},
    {"refact", &smollm},    {"command-r", &smollm},
    {"codeshell", &smollm}, {"llama-bpe", &llama3},
    {"llama3", &llama3},    {"llama-v3", &llama3},
    {"falcon3", &llama3},   {"qwen2", &qwen2},
    {"stablelm2", &qwen2},  {"deepseek-r1-qwen", &qwen2},
    {"gpt-4o", &gpt4o},     {"llama4", &gpt4o},
};

const struct pieces *pieces_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (span_eq(name, span_of(names[i].name)))
            return names[i].is;
    }
    return NULL;
}

const char *pieces_known(void)
{
    return "gpt-2, smollm, llama-bpe, qwen2, gpt-4o";
}

/* A space before a number that is alone stays alone as well. */
size_t pieces_part_end(const struct pieces *p, struct span s, size_t at)
{
    size_t next;

    if (!p->numbers_alone)
        return s.len;
    if (kind_of(peek(s, at, &next)) == NUMBER)
        return next;
    while (at < s.len && kind_of(peek(s, at, &next)) != NUMBER)
        at = next;
    return at;
}
