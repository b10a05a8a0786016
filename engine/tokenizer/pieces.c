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

/* --- gpt-4o, tekken --------------------------------------------------------------------- */

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

/* [^\r\n\p{L}\p{N}]? before one of the two. The character before may be a mark, which is
 * part of a word as well: it is tried as both. The end, or 0. */
static size_t cased_part(struct span s, size_t at, size_t (*part)(struct span, size_t))
{
    size_t next, end = 0;
    uint32_t c = peek(s, at, &next);
    enum kind kind = kind_of(c);

    if (kind != LETTER && kind != NUMBER && !is_newline(c))
        end = part(s, next);
    return end > 0 ? end : part(s, at);
}

static size_t cased_word(struct span s, size_t at)
{
    size_t end = cased_part(s, at, capitalised);

    return end > 0 ? end : cased_part(s, at, upper);
}

/* [^\r\n\p{L}\p{N}]?UPPER*LOWER+(?i:'s|…)?|[^\r\n\p{L}\p{N}]?UPPER+LOWER*(?i:'s|…)?|
 * \p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t length_gpt4o(struct span s, size_t at)
{
    size_t end = cased_word(s, at);

    return end > 0 ? end + contraction(s, end, true) - at : no_word(s, at, 3, true);
}

/* The same without contractions, and \p{N} */
static size_t length_tekken(struct span s, size_t at)
{
    size_t end = cased_word(s, at);

    return end > 0 ? end - at : no_word(s, at, 1, true);
}

/* --- expressions that part what others left ---------------------------------------------- */

/* What an expression finds is a piece, and so is what lies between two finds. The length of
 * the first of either at `at`; `find` gives the length of a find, or 0. */
static size_t first_piece(struct span s, size_t at, size_t (*find)(struct span, size_t))
{
    size_t end = at, next, n = find(s, at);

    if (n > 0)
        return n;
    while (end < s.len) {
        (void)peek(s, end, &next);
        end = next;
        if (end < s.len && find(s, end) > 0)
            break;
    }
    return end - at;
}

/* \p{N} */
static size_t find_number(struct span s, size_t at)
{
    return numbers(s, at, 1);
}

static size_t length_numbers(struct span s, size_t at)
{
    return first_piece(s, at, find_number);
}

/* [\r\n] */
static size_t find_newline(struct span s, size_t at)
{
    return is_newline((unsigned char)s.ptr[at]);
}

static size_t length_newlines(struct span s, size_t at)
{
    return first_piece(s, at, find_newline);
}

/* \s?C+ for a class C of characters: a space that is of the class itself may be either. */
static size_t find_run(struct span s, size_t at, bool (*is)(uint32_t))
{
    size_t end = at, next, from = at;

    if (unicode_is_space(peek(s, at, &next)))
        from = next;
    if (from == s.len || !is(peek(s, from, &end)))
        from = at;
    for (end = from; end < s.len && is(peek(s, end, &next)); end = next)
        continue;
    return end > from ? end - at : 0;
}

static bool is_letter(uint32_t c)
{
    return kind_of(c) == LETTER;
}

static bool is_punctuation(uint32_t c)
{
    return unicode_class_of(c) == UNICODE_PUNCTUATION;
}

/* Letters that have a case, as DeepSeek's expression lists them: these are not in it. */
static bool is_cased(uint32_t c)
{
    static const struct unicode_range left_out[] = {
        {0x560, 0x588},     {0x10c7, 0x10ff},   {0x1c80, 0x1c8f},   {0x2d00, 0x2d2d},
        {0xa790, 0xa7fa},   {0xab30, 0xab68},   {0x10570, 0x105bc}, {0x16e40, 0x16e7f},
        {0x1d400, 0x1d7cb}, {0x1df00, 0x1dfff},
    };
    enum unicode_case k = unicode_case_of(c);

    return (k == UNICODE_CASE_UPPER || k == UNICODE_CASE_LOWER) &&
           !unicode_in_ranges(left_out, ARRAY_LEN(left_out), c);
}

/* [!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002] */
static bool is_listed_sign(uint32_t c)
{
    static const struct unicode_range listed[] = {
        {'!', '/'},       {':', '~'},       {0x2018, 0x201f},
        {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e},
    };

    return unicode_in_ranges(listed, ARRAY_LEN(listed), c);
}

static size_t find_letters(struct span s, size_t at)
{
    return find_run(s, at, is_letter);
}

static size_t find_punctuation(struct span s, size_t at)
{
    return find_run(s, at, is_punctuation);
}

static size_t find_cased(struct span s, size_t at)
{
    return find_run(s, at, is_cased);
}

static size_t find_listed_signs(struct span s, size_t at)
{
    return find_run(s, at, is_listed_sign);
}

static size_t length_letters(struct span s, size_t at)
{
    return first_piece(s, at, find_letters);
}

static size_t length_punctuation(struct span s, size_t at)
{
    return first_piece(s, at, find_punctuation);
}

static size_t length_cased(struct span s, size_t at)
{
    return first_piece(s, at, find_cased);
}

static size_t length_listed_signs(struct span s, size_t at)
{
    return first_piece(s, at, find_listed_signs);
}

/* \s+$ */
static size_t length_last_spaces(struct span s, size_t at)
{
    size_t end = unicode_trim_end((struct span){s.ptr + at, s.len - at}).len;

    return end > 0 ? end : s.len - at;
}

/* [\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+ */
static size_t length_asian(struct span s, size_t at)
{
    static const struct unicode_range listed[] = {{0x800, 0x9fa5}, {0xac00, 0xd7ff}};
    size_t next, end = at;
    bool in = unicode_in_ranges(listed, ARRAY_LEN(listed), peek(s, at, &next));

    while (end < s.len &&
           unicode_in_ranges(listed, ARRAY_LEN(listed), peek(s, end, &next)) == in)
        end = next;
    return end - at;
}

/* --- by name ---------------------------------------------------------------------------- */

static const struct pieces gpt2 = {.steps = {length_gpt2}};
static const struct pieces smollm = {.steps = {length_numbers, length_gpt2}};
static const struct pieces llama3 = {
    .steps = {length_llama3}, .whole_first = true, .begins = true};
/* The same expression: SmolLM3 has Llama 3's tokens, and no token to begin with. */
static const struct pieces smaug = {.steps = {length_llama3}, .whole_first = true};
static const struct pieces dbrx = {.steps = {length_llama3}};
static const struct pieces qwen2 = {.steps = {length_qwen2}, .composed = true};
static const struct pieces gpt4o = {.steps = {length_gpt4o}};
static const struct pieces tekken = {
    .steps = {length_tekken}, .whole_first = true, .begins = true};
static const struct pieces deepseek_llm = {.steps = {length_newlines, length_cased,
                                                     length_listed_signs, length_last_spaces,
                                                     length_asian, length_numbers}};
static const struct pieces deepseek_coder = {.steps = {length_newlines, length_letters,
                                                       length_punctuation, length_asian,
                                                       length_numbers}};

/* Names that other files give the same expressions (llama.cpp, src/llama-vocab.cpp). */
static const struct {
    const char *name;
    const struct pieces *is;
} names[] = {
    {"gpt-2", &gpt2},
    {"gpt2", &gpt2},
    {"phi-2", &gpt2},
    {"olmo", &gpt2},
    {"mpt", &gpt2},
    {"jina-es", &gpt2},
    {"jina-de", &gpt2},
    {"roberta-bpe", &gpt2},
    {"smollm", &smollm},
    {"starcoder", &smollm},
    {"refact", &smollm},
    {"command-r", &smollm},
    {"codeshell", &smollm},
    {"llama-bpe", &llama3},
    {"llama3", &llama3},
    {"llama-v3", &llama3},
    {"falcon3", &llama3},
    {"smaug-bpe", &smaug},
    {"dbrx", &dbrx},
    {"qwen2", &qwen2},
    {"stablelm2", &qwen2},
    {"deepseek-r1-qwen", &qwen2},
    {"gpt-4o", &gpt4o},
    {"llama4", &gpt4o},
    {"tekken", &tekken},
    {"deepseek-llm", &deepseek_llm},
    {"deepseek-coder", &deepseek_coder},
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
    return "gpt-2, smollm, llama-bpe, smaug-bpe, dbrx, qwen2, gpt-4o, tekken, deepseek-llm, "
           "deepseek-coder";
}

/* A step's piece is what the next step parts, so that its end stays while they are at it. Only
 * the last one looks no further than a piece may be long: a run of one kind costs its length
 * and not its square. */
size_t pieces_next(const struct pieces *p, struct span s, size_t at, struct pieces_place *place)
{
    struct span part = s;
    size_t last = 0, n;

    while (last + 1 < PIECES_STEPS_MAX && p->steps[last + 1] != NULL)
        last++;
    for (size_t i = 0; i < last; i++) {
        if (place->ends[i] <= at)
            place->ends[i] = at + p->steps[i](part, at);
        part.len = place->ends[i];
    }
    if (part.len - at > PIECES_MAX_BYTES + UNICODE_UTF8_MAX)
        part.len = at + PIECES_MAX_BYTES + UNICODE_UTF8_MAX;
    n = p->steps[last](part, at);
    return n > PIECES_MAX_BYTES ? PIECES_MAX_BYTES : n;
}
