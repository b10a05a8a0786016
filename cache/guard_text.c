#include "cache/guard_text.h"

#include <string.h>

#include "base/compiler.h"
#include "base/unicode.h"
#include "cache/guard_common.h"
#include "cache/guard_spelling.h"
#include "cache/guard_quantity.h"

/* Function words, and those that only frame a question ("can you tell me"). Written by
 * us; sorted. */
static const char *const stops[] = {
    "a",     "about",  "all",   "am",    "an",    "and",   "any",   "anybody", "anyone",
    "are",   "as",     "at",    "be",    "been",  "being", "but",   "by",      "can",
    "could", "did",    "do",    "does",  "for",   "from",  "get",   "give",    "had",
    "has",   "have",   "hello", "help",  "her",   "hey",   "hi",    "his",     "how",
    "i",     "if",     "in",    "into",  "is",    "it",    "its",   "just",    "know",
    "let",   "like",   "may",   "me",    "might", "mine",  "must",  "my",      "need",
    "now",   "of",     "on",    "one",   "or",    "our",   "out",   "please",  "really",
    "shall", "should", "so",    "some",  "tell",  "than",  "thank", "thanks",  "that",
    "the",   "their",  "them",  "then",  "there", "these", "they",  "this",    "those",
    "to",    "up",     "us",    "via",   "want",  "was",   "way",   "we",      "were",
    "what",  "when",   "where", "which", "who",   "whom",  "whose", "why",     "will",
    "with",  "would",  "you",   "your",
};

/* What follows the last dot of a file name or host. */
static const char *const extensions[] = {
    "c",    "cc",   "cfg", "com", "conf", "cpp", "css",  "csv", "dev", "dll",  "doc", "docx",
    "edu",  "exe",  "gif", "go",  "gov",  "gz",  "h",    "hpp", "htm", "html", "ini", "io",
    "java", "jpeg", "jpg", "js",  "json", "log", "md",   "mp3", "mp4", "net",  "org", "pdf",
    "php",  "png",  "ppt", "py",  "rb",   "rs",  "sh",   "so",  "sql", "svg",  "tar", "toml",
    "ts",   "txt",  "wav", "xls", "xlsx", "xml", "yaml", "yml", "zip",
};

#define STOP_WEIGHT 0.15
#define CODE_WEIGHT 1.5

static bool listed(struct span w, const char *const *list, size_t count)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t mid = low + (high - low) / 2, n = strlen(list[mid]);
        int cmp = memcmp(w.ptr, list[mid], w.len < n ? w.len : n);

        if (cmp == 0 && w.len == n)
            return true;
        if (cmp < 0 || (cmp == 0 && w.len < n))
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

/* --- characters ----------------------------------------------------------------------- */

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint32_t c)
{
    enum unicode_class k;

    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    k = unicode_class_of(c);
    return k == UNICODE_LETTER || k == UNICODE_MARK || k == UNICODE_OTHER_MARK;
}

static bool is_word_char(uint32_t c)
{
    return is_digit(c) || is_letter(c) || (c >= 0x80 && unicode_class_of(c) == UNICODE_NUMBER);
}

/* The character at `at`, and where the next begins; a broken one reads as a space, the end
 * as 0. */
static uint32_t peek(struct span s, size_t at, size_t *next)
{
    uint32_t c;

    *next = at;
    if (at >= s.len)
        return 0;
    if ((unsigned char)s.ptr[at] < 0x80) {
        *next = at + 1;
        return (unsigned char)s.ptr[at];
    }
    if (!unicode_next(s, next, &c)) {
        *next = at + 1;
        return ' ';
    }
    return c == 0x2019 || c == 0x2018 ? '\'' : c;
}

static uint32_t lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    return unicode_lower(c);
}

/* --- one word ------------------------------------------------------------------------- */

static struct span keep(struct guard_text *t, const char *bytes, size_t n)
{
    char *to = t->bytes + t->used;

    if (n > sizeof(t->bytes) - t->used)
        n = sizeof(t->bytes) - t->used;
    memcpy(to, bytes, n);
    t->used += n;
    return (struct span){to, n};
}

/* cats: cat, boxes: box, cities: city; "is", "pass", "status" stay. */
static struct span singular(struct guard_text *t, struct span w)
{
    static const char *const es[] = {"ses", "xes", "ches", "shes", "zes"};
    struct span out;

    if (w.len > 4 && memcmp(w.ptr + w.len - 3, "ies", 3) == 0) {
        out = keep(t, w.ptr, w.len - 2);
        if (out.len == w.len - 2)
            t->bytes[t->used - 1] = 'y';
        return out;
    }
    for (size_t i = 0; i < ARRAY_LEN(es); i++) {
        size_t n = strlen(es[i]);

        if (w.len > n + 1 && memcmp(w.ptr + w.len - n, es[i], n) == 0)
            return (struct span){w.ptr, w.len - (i == 0 || i == 4 ? 1 : 2)};
    }
    if (w.len > 3 && w.ptr[w.len - 1] == 's' && strchr("sui", w.ptr[w.len - 2]) == NULL)
        w.len--;
    return w;
}

static bool has_vowel(struct span w)
{
    for (size_t i = 0; i < w.len; i++) {
        if (strchr("aeiouy", w.ptr[i]) != NULL)
            return true;
    }
    return false;
}

/* "closed", "closing" and "close" have one base, "stop" and "stopped" too. */
static void set_base(struct guard_word *w)
{
    struct span b = w->text;
    size_t cut = 0;

    if (b.len > 5 && memcmp(b.ptr + b.len - 3, "ing", 3) == 0)
        cut = 3;
    else if (b.len > 3 && memcmp(b.ptr + b.len - 2, "ed", 2) == 0 && b.ptr[b.len - 3] != 'e')
        cut = 2;
    b.len -= cut;
    w->inflected = cut > 0 && has_vowel(b);
    if (cut > 0 && !w->inflected)
        b.len += cut;
    else if (cut > 0 && b.len > 3 && b.ptr[b.len - 1] == b.ptr[b.len - 2] &&
             strchr("lsz", b.ptr[b.len - 1]) == NULL)
        b.len--;
    else if (cut == 0 && b.len > 2 && b.ptr[b.len - 1] == 'e')
        b.len--;
    w->base = b;
    w->hash = 2166136261u;
    for (size_t i = 0; i < b.len; i++)
        w->hash = (w->hash ^ (unsigned char)b.ptr[i]) * 16777619u;
}

static void add(struct guard_text *t, struct span raw, bool capital, bool code)
{
    struct guard_word *w = &t->words[t->count];

    if (t->count == GUARD_TEXT_WORDS_MAX || raw.len == 0)
        return;
    *w = (struct guard_word){.raw = raw,
                             .text = code ? raw : singular(t, raw),
                             .capital = capital,
                             .code = code,
                             .partner = GUARD_TEXT_NONE,
                             .factor = 1};
    set_base(w);
    w->stop = !code && listed(raw, stops, ARRAY_LEN(stops));
    w->weight = w->stop ? STOP_WEIGHT : code ? CODE_WEIGHT : guard_common_weight(raw);
    t->count++;
}

static void add_spelled(struct guard_text *t, struct span raw, bool capital, bool code)
{
    struct span first, second;

    if (raw.len == 0)
        return;
    guard_spelling_expand(raw, &first, &second);
    add(t, first, capital, code);
    add(t, second, false, code);
}

/* --- splitting ------------------------------------------------------------------------ */

struct reader {
    struct span s;
    struct guard_text *out;
    bool sentence_start;
    bool piece_start; /* the next word opens a sentence, or what stands in brackets */
    uint32_t quote;   /* the mark that closes; 0 outside */
};

/* "e-mail" and "re-enable" are one word, "mind-blowing" is two. */
static bool is_joined_prefix(struct span w)
{
    static const char *const prefixes[] = {"co", "de", "dis", "pre", "re", "un"};

    return w.len == 1 || listed(w, prefixes, ARRAY_LEN(prefixes));
}

/* Does the character hold together what stands before and after it? */
static bool is_joint(uint32_t before, uint32_t c, uint32_t after, bool acronym)
{
    if (c == '\'')
        return is_letter(before) && is_letter(after);
    if (is_digit(before) && is_digit(after))
        return c == '.' || c == ',' || c == ':' || c == '/' || c == '-';
    return c == '.' && acronym && is_letter(after);
}

/* A word of letters and digits from `at` on; returns where it ends. */
static size_t read_word(struct reader *r, size_t at)
{
    struct guard_text *t = r->out;
    char word[128];
    size_t n = 0, begin = at, next, after_next, letters = 0;
    uint32_t first = peek(r->s, at, &next), before = 0;
    bool inner_capital = false, capital;

    while (at < r->s.len) {
        uint32_t c = peek(r->s, at, &next), after = peek(r->s, next, &after_next);
        bool acronym =
            letters == 1 && (at == begin + 1 || (at >= 2 && r->s.ptr[at - 2] == '.'));

        if (c == '-' && at > begin && is_letter(after) &&
            is_joined_prefix((struct span){word, n})) {
            at = next;
            continue;
        }
        if ((c == '+' || c == '#') && at > begin && n <= 3 && (letters == 1 || before == '+')) {
            ; /* C++, C#, A+ */
        } else if (!is_word_char(c)) {
            if (at == begin || !is_joint(before, c, after, acronym))
                break;
            if (c == '.' && is_letter(before)) { /* U.S.A. is USA */
                letters = 0;
                before = c;
                at = next;
                continue;
            }
        }
        letters = is_letter(c) ? letters + 1 : 0;
        inner_capital |= at > begin && lower(c) != c;
        if (n + UNICODE_UTF8_MAX < sizeof(word))
            n += unicode_put(lower(c), word + n);
        before = c;
        at = next;
    }
    capital = (lower(first) != first && !r->sentence_start) || inner_capital;
    if (n == 1 && word[0] == 'i')
        capital = false;
    add_spelled(t, keep(t, word, n), capital, r->quote != 0);
    r->sentence_start = false;
    return at;
}

static bool has(struct span s, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = 0; i + n <= s.len; i++) {
        if (memcmp(s.ptr + i, what, n) == 0)
            return true;
    }
    return false;
}

static bool starts(struct span s, const char *what)
{
    size_t n = strlen(what);

    return s.len > n && memcmp(s.ptr, what, n) == 0;
}

/* main.c, os.path.join, example.com; not "U.S.A", "3.5" or two sentences run together. */
static bool is_dotted_name(struct span s)
{
    size_t dots = 0, last = 0, shortest = s.len, part = 0;
    char tail[8];
    size_t n;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '.') {
            part++;
            continue;
        }
        dots++;
        last = i;
        shortest = part < shortest ? part : shortest;
        part = 0;
    }
    n = s.len - last - 1;
    if (dots == 0 || last == 0 || shortest < 1 || n == 0 || n >= sizeof(tail))
        return dots >= 2 && shortest >= 2 && part >= 2 && !is_digit((unsigned char)s.ptr[0]);
    for (size_t i = 0; i < n; i++)
        tail[i] = (char)lower((unsigned char)s.ptr[last + 1 + i]);
    if (shortest >= 2 && listed((struct span){tail, n}, extensions, ARRAY_LEN(extensions)))
        return true;
    return dots >= 2 && shortest >= 2 && !is_digit((unsigned char)s.ptr[0]);
}

static bool is_code(struct span s)
{
    size_t slashes = 0;
    bool letter = false;

    for (size_t i = 0; i < s.len; i++) {
        slashes += s.ptr[i] == '/';
        letter |= is_letter((unsigned char)s.ptr[i]);
    }
    if (!letter)
        return false;
    if (has(s, "://") || has(s, "_") || has(s, "::") || has(s, "->") || has(s, "()") ||
        has(s, "\\") || has(s, "@") || starts(s, "www.") || starts(s, "--"))
        return true;
    if (s.ptr[0] == '-')
        return s.len > 1 && is_letter((unsigned char)s.ptr[1]);
    return starts(s, "/") || starts(s, "./") || starts(s, "../") || starts(s, "~/") ||
           slashes >= 2 || is_dotted_name(s);
}

#define CHUNK_MAX 256 /* longer ones are no names */

/* What stands between two spaces or marks of quotation, without the marks behind it. */
static struct span chunk_at(struct span s, size_t at)
{
    size_t end = at;

    while (end < s.len && (unsigned char)s.ptr[end] > ' ' &&
           strchr("\"`<>", s.ptr[end]) == NULL)
        end++;
    while (end > at + 1 && strchr(".,;:!?)]}'*", s.ptr[end - 1]) != NULL &&
           !(s.ptr[end - 1] == ')' && s.ptr[end - 2] == '('))
        end--;
    return (struct span){s.ptr + at, end - at};
}

static bool read_code(struct reader *r, size_t at, size_t *end)
{
    struct span chunk = chunk_at(r->s, at);
    struct guard_text *t = r->out;
    struct span kept;

    if (chunk.len < 2 || chunk.len > CHUNK_MAX || !is_code(chunk))
        return false;
    kept = keep(t, chunk.ptr, chunk.len);
    for (size_t i = 0; chunk.ptr[0] != '-' && i < kept.len; i++) {
        char *c = t->bytes + (size_t)(kept.ptr - t->bytes) + i; /* -v is not -V */

        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    }
    add(t, kept, false, true);
    r->sentence_start = false;
    *end = at + chunk.len;
    return true;
}

static bool may_begin_code(uint32_t c)
{
    return is_word_char(c) || c == '-' || c == '/' || c == '.' || c == '~' || c == '_';
}

static uint32_t closing_quote(const struct reader *r, size_t at, uint32_t c)
{
    size_t next;

    switch (c) {
    case '"':
    case '`':
        return c;
    case 0x201c:
        return 0x201d;
    case 0xab:
        return 0xbb;
    case '\'': /* an apostrophe stands within a word or behind it */
        return (at == 0 || r->s.ptr[at - 1] == ' ') && is_word_char(peek(r->s, at + 1, &next))
                   ? '\''
                   : 0;
    default:
        return 0;
    }
}

static void read_mark(struct reader *r, size_t at, uint32_t c)
{
    struct guard_text *t = r->out;
    char bytes[UNICODE_UTF8_MAX];

    if (r->quote != 0)
        r->quote = c == r->quote ? 0 : r->quote;
    else
        r->quote = closing_quote(r, at, c);
    if (c == '.' || c == '?' || c == '!' || c == '\n' || c == ':' || c == '"')
        r->sentence_start = true;
    r->piece_start |= r->sentence_start || c == ';' || c == '(' || c == ')' || c == '[' ||
                      c == ']' || c == 0x2014 || c == 0x2013 || c == 0x2026;
    /* Signs that say what a number is. */
    if (guard_quantity_is_sign(c))
        add(t, keep(t, bytes, unicode_put(c, bytes)), false, false);
}

/* In a text or title in capitals, capitals say nothing. */
static void forget_capitals(struct guard_text *t)
{
    size_t capitals = 0;

    for (size_t i = 0; i < t->count; i++)
        capitals += t->words[i].capital;
    if (t->count < 4 || capitals * 10 < t->count * 6)
        return;
    for (size_t i = 0; i < t->count; i++)
        t->words[i].capital = false;
}

void guard_text_read(struct span s, struct guard_text *out)
{
    struct reader r = {.s = s, .out = out, .sentence_start = true, .piece_start = true};
    bool after_space = true;

    out->count = out->used = 0;
    if (r.s.len > GUARD_TEXT_BYTES_MAX)
        r.s.len = GUARD_TEXT_BYTES_MAX;
    for (size_t at = 0; at < r.s.len && out->count < GUARD_TEXT_WORDS_MAX;) {
        size_t next;
        uint32_t c = peek(r.s, at, &next);
        size_t before = out->count;

        if (after_space && may_begin_code(c) && read_code(&r, at, &at)) {
            after_space = false;
        } else if (is_word_char(c)) {
            at = read_word(&r, at);
            after_space = false;
        } else {
            read_mark(&r, at, c);
            after_space = c == ' ' || c == '\n' || c == '\t' || c == '(' || r.quote == c ||
                          c == '`' || c == '"';
            at = next;
        }
        if (out->count > before && is_word_char(c)) {
            out->words[before].opens = r.piece_start;
            r.piece_start = false;
        }
    }
    forget_capitals(out);
    guard_quantity_read(out);
}

/* --- asking --------------------------------------------------------------------------- */

/* Most words differ in their first letter. */
bool guard_text_is(const struct guard_word *w, const char *word)
{
    return w->raw.ptr[0] == word[0] && strncmp(w->raw.ptr, word, w->raw.len) == 0 &&
           word[w->raw.len] == '\0';
}

bool guard_text_among(const struct guard_word *w, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (guard_text_is(w, *list))
            return true;
    }
    return false;
}

size_t guard_text_find(const struct guard_text *t, const char *word)
{
    for (size_t i = 0; i < t->count; i++) {
        if (guard_text_is(&t->words[i], word))
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_text_same(const struct guard_word *a, const struct guard_word *b)
{
    return a->hash == b->hash &&
           (span_eq(a->text, b->text) ||
            ((a->inflected || b->inflected) && span_eq(a->base, b->base)));
}

bool guard_text_asks_yes(const struct guard_text *t)
{
    static const char *const verbs[] = {
        "is",   "are",   "was", "were", "am",  "do",   "does",   "did",   "can", "could",
        "will", "would", "may", "must", "has", "have", "should", "shall", NULL};

    return t->count > 0 && guard_text_among(&t->words[0], verbs);
}
