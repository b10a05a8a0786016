#include "privacy/finder.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "privacy/detect/detect.h"
#include "privacy/regexes.h"

struct finder {
    uint32_t classes;
    struct regexes *patterns; /* owned; NULL: none */
    const char *names[FINDER_PATTERNS_MAX];
    size_t pattern_count;
    struct find list[FINDER_FINDS_MAX];
    size_t count;
    const char *stuck;
};

/* A text under search: what is before `done` is decided. */
struct search {
    struct finder *f;
    struct span text;
    size_t done;
};

enum status finder_open(const struct finder_options *o, struct finder **out, char *why,
                        size_t why_cap)
{
    struct finder *f = calloc(1, sizeof(*f));
    enum status st = ST_OK;

    if (f == NULL)
        return ST_NOMEM;
    f->classes = o->classes;
    f->pattern_count = o->pattern_count;
    for (size_t i = 0; i < o->pattern_count; i++)
        f->names[i] = o->patterns[i].name;
    if (o->pattern_count > 0)
        st = regexes_open(o->patterns, o->pattern_count, &f->patterns, why, why_cap);
    if (st != ST_OK)
        free(f);
    else
        *out = f;
    return st;
}

void finder_close(struct finder *f)
{
    if (f == NULL)
        return;
    regexes_close(f->patterns);
    free(f);
}

const char *finder_stuck(const struct finder *f)
{
    return f->stuck;
}

/* --- the pass -------------------------------------------------------------------------------
 */

/* "-./0123456789:" and "=>?@": nothing that is looked for is without one of them. */
static bool is_trigger(char c)
{
    return (unsigned char)(c - '-') <= ':' - '-' || (unsigned char)(c - '=') <= '@' - '=';
}

static size_t next_trigger(struct span t, size_t i)
{
#if defined(__SSE2__)
    /* c - low <= width, as min(c - low, width) == c - low */
    const __m128i low_a = _mm_set1_epi8('-'), width_a = _mm_set1_epi8(':' - '-');
    const __m128i low_b = _mm_set1_epi8('='), width_b = _mm_set1_epi8('@' - '=');

    for (; t.len - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(t.ptr + i));
        __m128i a = _mm_sub_epi8(v, low_a), b = _mm_sub_epi8(v, low_b);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(a, width_a), a),
                                   _mm_cmpeq_epi8(_mm_min_epu8(b, width_b), b));
        int mask = _mm_movemask_epi8(hit);

        if (mask != 0)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < t.len && !is_trigger(t.ptr[i]))
        i++;
    return i;
}

/* White space, quotes, brackets, ",;<>|\\`": a word of prose or of a program ends there. */
static bool ends_word(char c)
{
    static const bool ends[256] = {
        ['"'] = true, ['\''] = true, ['`'] = true, [','] = true, [';'] = true,
        ['('] = true, [')'] = true,  ['['] = true, [']'] = true, ['{'] = true,
        ['}'] = true, ['<'] = true,  ['>'] = true, ['|'] = true, ['\\'] = true};

    return (unsigned char)c <= ' ' || ends[(unsigned char)c];
}

static enum status add(struct search *s, size_t at, size_t len, enum privacy_class c)
{
    struct finder *f = s->f;

    if (f->count == FINDER_FINDS_MAX)
        return ST_LIMIT;
    f->list[f->count++] = (struct find){at, len, c, 0};
    s->done = at + len;
    return ST_OK;
}

static bool wants(const struct search *s, enum privacy_class c)
{
    return (s->f->classes & PRIVACY_BIT(c)) != 0;
}

/* What there is in a word from blank to blank: most detectors need not be asked. */
struct facts {
    size_t end, digits;
    bool at, colon, point; /* point: '.' or '-' too */
};

static struct facts facts_of(struct span t, size_t from, size_t end)
{
    struct facts w = {.end = end};

    for (size_t i = from; i < end; i++) {
        char c = t.ptr[i];

        w.digits += detect_digit(c);
        w.at |= c == '@';
        w.colon |= c == ':';
        w.point |= c == '.' || c == '-';
    }
    return w;
}

/* A number in groups may go on behind the word. */
static bool has_digits(struct span t, size_t at, size_t least)
{
    size_t n = 0;

    for (size_t i = at; i < t.len && i < at + 24; i++)
        n += detect_digit(t.ptr[i]);
    return n >= least;
}

static bool may_be(const struct search *s, const struct facts *w, size_t at,
                   enum privacy_class c)
{
    bool digit = detect_digit(s->text.ptr[at]);

    switch (c) {
    case PRIVACY_JWT:
        return s->text.ptr[at] == 'e' && w->point;
    case PRIVACY_KEY:
        return w->digits > 0 && w->end - at >= 18;
    case PRIVACY_EMAIL:
        return w->at || detect_at(s->text, w->end) == '\''; /* O'Neil */
    case PRIVACY_IBAN:
        return !digit && w->digits >= 2;
    case PRIVACY_CARD:
        return digit && has_digits(s->text, at, 14);
    case PRIVACY_NATIONAL_ID:
        return digit ? has_digits(s->text, at, 7) : w->digits >= 5;
    case PRIVACY_HOST:
        return w->point || w->colon;
    case PRIVACY_PHONE:
        return digit && has_digits(s->text, at, 7);
    case PRIVACY_DATE:
        return digit;
    case PRIVACY_PRIVATE_KEY:
    case PRIVACY_NAME:
    case PRIVACY_PATTERN:
    case PRIVACY_CLASSES:
        break;
    }
    return false;
}

static size_t detect(struct span t, size_t at, enum privacy_class c, size_t *start)
{
    switch (c) {
    case PRIVACY_JWT:
        return detect_jwt(t, at);
    case PRIVACY_KEY:
        return detect_key(t, at);
    case PRIVACY_EMAIL:
        return detect_email(t, at);
    case PRIVACY_IBAN:
        return detect_iban(t, at);
    case PRIVACY_CARD:
        return detect_card(t, at);
    case PRIVACY_NATIONAL_ID:
        return detect_national_id(t, at);
    case PRIVACY_HOST:
        return detect_host(t, at);
    case PRIVACY_DATE:
        return detect_date(t, at);
    case PRIVACY_PHONE:
        return detect_phone(t, at, start);
    case PRIVACY_PRIVATE_KEY:
    case PRIVACY_NAME:
    case PRIVACY_PATTERN:
    case PRIVACY_CLASSES:
        break;
    }
    return 0;
}

/* What begins with the word of letters and digits at `at`? The surer one first. */
static size_t look(const struct search *s, const struct facts *w, size_t at, size_t *start,
                   enum privacy_class *c)
{
    static const enum privacy_class order[] = {PRIVACY_JWT,  PRIVACY_KEY,  PRIVACY_EMAIL,
                                               PRIVACY_IBAN, PRIVACY_CARD, PRIVACY_NATIONAL_ID,
                                               PRIVACY_HOST, PRIVACY_DATE, PRIVACY_PHONE};
    size_t n;

    *start = at;
    *c = PRIVACY_KEY;
    if (w->at && w->colon && wants(s, PRIVACY_KEY) &&
        (n = detect_url_password(s->text, at, start)) > 0)
        return n;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        *c = order[i];
        *start = at;
        if (wants(s, *c) && may_be(s, w, at, *c) && (n = detect(s->text, at, *c, start)) > 0)
            return n;
    }
    return 0;
}

/* A word, from blank to blank, with a trigger in it. */
static enum status search_word(struct search *s, size_t from, size_t end)
{
    struct span t = s->text;
    struct facts w = facts_of(t, from, end);
    enum status st = ST_OK;

    for (size_t i = from; st == ST_OK && i < end;) {
        enum privacy_class c;
        size_t start = i, n = 0;

        if (t.ptr[i] == '-' && wants(s, PRIVACY_PRIVATE_KEY) && detect_at(t, i + 1) == '-') {
            n = detect_private_key(t, i);
            c = PRIVACY_PRIVATE_KEY;
        } else if ((t.ptr[i] == '=' || t.ptr[i] == ':') && wants(s, PRIVACY_KEY)) {
            n = detect_assigned(t, i, &start);
            c = PRIVACY_KEY;
        } else if (detect_wordy(t.ptr[i]) && (i == from || !detect_wordy(t.ptr[i - 1]))) {
            n = look(s, &w, i, &start, &c);
        }
        if (n > 0 && start >= s->done)
            st = add(s, start, n, c);
        i = n > 0 && s->done > i ? s->done : i + 1;
    }
    return st;
}

static enum status search(struct search *s)
{
    struct span t = s->text;
    enum status st = ST_OK;

    for (size_t i = next_trigger(t, 0); st == ST_OK && i < t.len; i = next_trigger(t, i)) {
        size_t from = i, end = i + 1;

        /* The end of a sentence is none. */
        if (t.ptr[i] == '.' && (i + 1 == t.len || ends_word(t.ptr[i + 1]))) {
            i++;
            continue;
        }
        while (from > s->done && !ends_word(t.ptr[from - 1]))
            from--;
        while (end < t.len && !ends_word(t.ptr[end]))
            end++;
        st = search_word(s, from, end);
        /* What goes on beyond it was looked at with it. */
        i = s->done > end ? s->done : end;
        s->done = i;
    }
    return st;
}

/* --- what needs a pass of its own -----------------------------------------------------------
 */

static int by_place(const void *a, const void *b)
{
    const struct find *x = a, *y = b;

    /* Of two from one place the longer. */
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->len == y->len ? 0 : x->len > y->len ? -1 : 1;
}

/* Sorts; of what overlaps the first stays, or the pattern's: the operator knows better. */
static void settle(struct finder *f)
{
    size_t n = 0;

    qsort(f->list, f->count, sizeof(f->list[0]), by_place);
    for (size_t i = 0; i < f->count; i++) {
        struct find *last = n > 0 ? &f->list[n - 1] : NULL;
        struct find x = f->list[i];

        if (last == NULL || x.at >= last->at + last->len) {
            f->list[n++] = x;
            continue;
        }
        /* Together they are one: a part of either would be left over otherwise. */
        if (x.class == PRIVACY_PATTERN && last->class != PRIVACY_PATTERN) {
            last->class = x.class;
            last->pattern = x.pattern;
        }
        if (x.at + x.len > last->at + last->len)
            last->len = x.at + x.len - last->at;
    }
    f->count = n;
}

static enum status search_names(struct search *s)
{
    enum status st = ST_OK;
    size_t start;

    for (size_t i = 0; st == ST_OK && i < s->text.len; i++) {
        size_t n = 0;

        if (detect_letter(s->text.ptr[i]) && !detect_wordy(detect_before(s->text, i)))
            n = detect_name(s->text, i, &start);
        if (n == 0)
            continue;
        st = add(s, start, n, PRIVACY_NAME);
        i = start + n - 1;
    }
    return st;
}

static enum status search_patterns(struct search *s)
{
    struct finder *f = s->f;

    for (size_t i = 0; i < f->pattern_count; i++) {
        size_t at = 0, len = 0;

        for (;;) {
            enum status st = regexes_next(f->patterns, i, s->text, at + len, &at, &len);

            if (st == ST_NOTFOUND)
                break;
            if (st != ST_OK)
                f->stuck = f->names[i];
            else
                st = add(s, at, len, PRIVACY_PATTERN);
            if (st != ST_OK)
                return st;
            f->list[f->count - 1].pattern = (unsigned)i;
        }
    }
    return ST_OK;
}

enum status finder_scan(struct finder *f, struct span text, const struct find **out,
                        size_t *count)
{
    struct search s = {f, text, 0};
    enum status st;

    f->count = 0;
    f->stuck = NULL;
    st = (f->classes & ~PRIVACY_BIT(PRIVACY_NAME)) != 0 ? search(&s) : ST_OK;
    if (st == ST_OK && wants(&s, PRIVACY_NAME))
        st = search_names(&s);
    if (st == ST_OK && f->pattern_count > 0)
        st = search_patterns(&s);
    if (st != ST_OK)
        return st;
    if (f->count > 1 && (f->pattern_count > 0 || wants(&s, PRIVACY_NAME)))
        settle(f);
    *out = f->list;
    *count = f->count;
    return ST_OK;
}
