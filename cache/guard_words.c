#include "cache/guard_words.h"

#include <string.h>

#include "base/compiler.h"
#include "base/unicode.h"
#include "cache/guard_units.h"

/* Function words: they are there in any question. Written by us. */
static const char *const stops[] = {
    "a",     "about", "all",    "am",    "an",     "and",   "any",  "are",   "as",    "at",
    "be",    "been",  "but",    "by",    "can",    "could", "did",  "do",    "does",  "for",
    "from",  "get",   "give",   "had",   "has",    "have",  "help", "how",   "i",     "if",
    "in",    "into",  "is",     "it",    "its",    "just",  "know", "let",   "like",  "may",
    "me",    "might", "mine",   "my",    "need",   "now",   "of",   "on",    "one",   "or",
    "our",   "out",   "please", "shall", "should", "so",    "some", "tell",  "than",  "that",
    "the",   "their", "them",   "then",  "there",  "these", "they", "this",  "those", "to",
    "up",    "us",    "want",   "was",   "way",    "we",    "were", "what",  "when",  "where",
    "which", "who",   "whom",   "whose", "why",    "will",  "with", "would", "you",   "your",
};

#define STOP_WEIGHT 0.15

static bool is_stop(struct span w)
{
    for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
        if (span_eq(w, span_of(stops[i])))
            return true;
    }
    return false;
}

/* cats -> cat, boxes -> box, cities -> city; "is", "pass", "status" stay. */
static struct span stem(struct span w)
{
    if (w.len > 2 && w.ptr[w.len - 1] == 's' && w.ptr[w.len - 2] == '\'')
        w.len -= 2;
    if (w.len > 4 && memcmp(w.ptr + w.len - 3, "ies", 3) == 0)
        return (struct span){w.ptr, w.len - 2}; /* citi: the same for city, see below */
    if (w.len > 3 && w.ptr[w.len - 1] == 's' && strchr("sui", w.ptr[w.len - 2]) == NULL)
        w.len--;
    if (w.len > 4 && w.ptr[w.len - 1] == 'y')
        return (struct span){w.ptr, w.len};
    return w;
}

static bool same_word(struct span a, struct span b)
{
    if (span_eq(a, b))
        return true;
    /* citi / city */
    return a.len == b.len && a.len > 3 && memcmp(a.ptr, b.ptr, a.len - 1) == 0 &&
           ((a.ptr[a.len - 1] == 'i' && b.ptr[b.len - 1] == 'y') ||
            (a.ptr[a.len - 1] == 'y' && b.ptr[b.len - 1] == 'i'));
}

/* --- splitting ------------------------------------------------------------------------ */

static bool is_word_char(uint32_t c)
{
    enum unicode_class k;

    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    k = unicode_class_of(c);
    return k == UNICODE_LETTER || k == UNICODE_NUMBER || k == UNICODE_MARK;
}

/* Characters that hold a word together when word characters stand on both sides. */
static bool is_joint(uint32_t c)
{
    return c == '\'' || c == 0x2019 || c == '.' || c == ',' || c == '-' || c == '/' ||
           c == ':' || c == '@' || c == '+' || c == '#';
}

struct reader {
    struct span s;
    struct guard_text *out;
    bool sentence_start;
    uint32_t quote; /* the mark that closes; 0 outside */
};

static void put(struct guard_text *t, uint32_t c)
{
    if (t->used + UNICODE_UTF8_MAX < sizeof(t->bytes))
        t->used += unicode_put(c == 0x2019 ? '\'' : c, t->bytes + t->used);
}

static uint32_t peek(struct span s, size_t at, size_t *next)
{
    uint32_t c;

    *next = at;
    if (at >= s.len)
        return 0;
    if (!unicode_next(s, next, &c)) {
        *next = at + 1;
        return ' ';
    }
    return c;
}

/* One word from `at` on; returns where it ends. */
static size_t read_word(struct reader *r, size_t at)
{
    struct guard_text *t = r->out;
    struct guard_word w = {.quoted = r->quote != 0};
    size_t start = t->used, begin = at, next, after;
    uint32_t first = peek(r->s, at, &next);
    bool inner_capital = false, code = false, letters = false;

    for (size_t i = begin; i < r->s.len; i = next) {
        uint32_t c = peek(r->s, i, &next), d = peek(r->s, next, &after);

        if (!is_word_char(c) && !(i > begin && is_joint(c) && is_word_char(d)))
            break;
        code |=
            c == '_' || c == '/' || c == '@' || (i > begin && c == '.' && letters) || c == '#';
        letters |= c > '9';
        if (i > begin && unicode_lower(c) != c)
            inner_capital = true;
        put(t, unicode_lower(c));
        at = next;
    }
    w.raw = (struct span){t->bytes + start, t->used - start};
    w.text = stem(w.raw);
    w.capital = (unicode_lower(first) != first && !r->sentence_start) || inner_capital;
    w.quoted |= code;
    guard_units_number(&w);
    w.stop = !w.number && is_stop(w.raw);
    if (w.raw.len == 1 && w.raw.ptr[0] == 'i')
        w.capital = false;
    if (t->count < GUARD_WORDS_MAX && w.raw.len > 0)
        t->words[t->count++] = w;
    r->sentence_start = false;
    return at;
}

static void read_mark(struct reader *r, uint32_t c)
{
    if (r->quote != 0) {
        if (c == r->quote)
            r->quote = 0;
    } else if (c == '"' || c == '`') {
        r->quote = c;
    } else if (c == 0x201c) {
        r->quote = 0x201d;
    }
    if (c == '.' || c == '?' || c == '!' || c == '\n' || c == ':')
        r->sentence_start = true;
    /* Signs that change what a number is. */
    if ((c == '$' || c == '%' || c == 0x20ac || c == 0xa3) && r->out->count < GUARD_WORDS_MAX) {
        struct guard_text *t = r->out;
        size_t start = t->used;

        put(t, c);
        t->words[t->count++] = (struct guard_word){.text = {t->bytes + start, t->used - start},
                                                   .raw = {t->bytes + start, t->used - start}};
    }
}

static void read_text(struct span s, struct guard_text *out)
{
    struct reader r = {.s = s, .out = out, .sentence_start = true};

    out->count = out->used = 0;
    if (r.s.len > GUARD_TEXT_MAX)
        r.s.len = GUARD_TEXT_MAX;
    for (size_t at = 0; at < r.s.len;) {
        size_t next;
        uint32_t c = peek(r.s, at, &next);

        if (is_word_char(c)) {
            at = read_word(&r, at);
        } else {
            read_mark(&r, c);
            at = next;
        }
    }
    guard_units_join(out);
}

/* --- comparing ------------------------------------------------------------------------ */

static double weight(const struct guard_word *w)
{
    return w->stop ? STOP_WEIGHT : 1;
}

static bool equal(const struct guard_word *x, const struct guard_word *y)
{
    if (x->number && y->number)
        return guard_units_equal(x, y);
    return same_word(x->text, y->text);
}

static void match(struct guard_text *a, struct guard_text *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            if (b->words[j].matched || !equal(&a->words[i], &b->words[j]))
                continue;
            a->words[i].matched = b->words[j].matched = true;
            break;
        }
    }
}

static void weigh(const struct guard_text *t, double *common, double *own, double *forgiven)
{
    double most[2] = {0, 0};

    *common = *own = 0;
    for (size_t i = 0; i < t->count; i++) {
        double w = weight(&t->words[i]);

        if (t->words[i].matched) {
            *common += w;
            continue;
        }
        *own += w;
        if (w > most[0]) {
            most[1] = most[0];
            most[0] = w;
        } else if (w > most[1]) {
            most[1] = w;
        }
    }
    *forgiven = most[0] + most[1];
}

void guard_words_read(struct span a, struct span b, struct guard_pair *out)
{
    double common, other, own_a, own_b, forgiven_a, forgiven_b, rest;

    read_text(a, &out->a);
    read_text(b, &out->b);
    match(&out->a, &out->b);
    weigh(&out->a, &common, &own_a, &forgiven_a);
    weigh(&out->b, &other, &own_b, &forgiven_b);
    rest = own_a - forgiven_a + own_b - forgiven_b;
    out->overlap = common + own_a + own_b > 0 ? common / (common + own_a + own_b) : 1;
    out->rest_overlap = common + rest > 0 ? common / (common + rest) : 0;
    /* Two words each of a question of three are most of it. */
    if (common < (own_a > own_b ? own_a : own_b))
        out->rest_overlap = out->overlap;
}
