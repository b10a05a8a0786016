/* Clean, pad ideographs, take accents off, lower, split at white space and punctuation:
 * what the library does in passes over a copy is done here code point by code point, and
 * a word is looked up where it ends. */
#include "engine/tokenizer/wordpiece.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/unicode.h"
#include "engine/error.h"
#include "engine/tokenizer/unicode8.h"

#define SPECIALS_MAX   64
#define WORD_BYTES_MAX (WORDPIECE_WORD_CHARS_MAX * UNICODE_UTF8_MAX)

struct slot {
    uint32_t at, len; /* of the piece in `bytes`; len 0: empty */
    uint32_t id;
};

struct special {
    char text[32];
    size_t len;
    uint32_t id;
};

/* Pieces that continue a word stand in a table of their own, without "##". */
struct table {
    struct slot *slots; /* owned; open addressing */
    uint32_t mask;
};

struct wordpiece {
    char *bytes; /* owned: all pieces one after the other */
    size_t byte_count;
    struct table first, next;
    uint32_t size;
    uint32_t piece_max; /* bytes of the longest piece, "##" not counted */
    uint32_t unknown, cls, sep;
    bool lowercase, bare;
    struct special specials[SPECIALS_MAX];
    size_t special_count;
    bool special_first[256]; /* first bytes of them */
};

/* --- opening ------------------------------------------------------------------------ */

static bool table_init(struct table *t, size_t entries)
{
    uint32_t cap = 1024;

    while (cap < entries * 2)
        cap *= 2;
    t->slots = calloc(cap, sizeof(*t->slots));
    t->mask = cap - 1;
    return t->slots != NULL;
}

static void table_add(const struct wordpiece *w, struct table *t, struct slot s)
{
    uint32_t i = (uint32_t)hash_bytes((struct span){w->bytes + s.at, s.len}, 0) & t->mask;

    while (t->slots[i].len != 0)
        i = (i + 1) & t->mask;
    t->slots[i] = s;
}

static bool table_find(const struct wordpiece *w, const struct table *t, struct span piece,
                       uint32_t *id)
{
    uint32_t i = (uint32_t)hash_bytes(piece, 0) & t->mask;

    for (; t->slots[i].len != 0; i = (i + 1) & t->mask) {
        if (t->slots[i].len == piece.len &&
            memcmp(w->bytes + t->slots[i].at, piece.ptr, piece.len) == 0) {
            *id = t->slots[i].id;
            return true;
        }
    }
    return false;
}

static enum status add_special(struct wordpiece *w, const struct wordpiece_piece *p,
                               struct engine_error *err)
{
    struct special *s = &w->specials[w->special_count];

    if (w->special_count == SPECIALS_MAX || p->text.len > sizeof(s->text))
        return error_set(err, ST_INVALID,
                         "tokenizer: special token '%.*s' is longer than %zu bytes, or there "
                         "are more than %d",
                         (int)(p->text.len < 64 ? p->text.len : 64), p->text.ptr,
                         sizeof(s->text), SPECIALS_MAX);
    memcpy(s->text, p->text.ptr, p->text.len);
    s->len = p->text.len;
    s->id = p->id;
    w->special_first[(unsigned char)p->text.ptr[0]] = true;
    w->special_count++;
    return ST_OK;
}

/* The first of two pieces of one text is found. */
static void add_word(struct wordpiece *w, const struct wordpiece_piece *p)
{
    struct slot s = {(uint32_t)w->byte_count, (uint32_t)p->text.len, p->id};

    if (p->text.len > w->piece_max)
        w->piece_max = (uint32_t)p->text.len;
    memcpy(w->bytes + s.at, p->text.ptr, p->text.len);
    table_add(w, p->place == WORDPIECE_NEXT ? &w->next : &w->first, s);
    w->byte_count += p->text.len;
}

static enum status add_pieces(struct wordpiece *w, const struct wordpiece_piece *pieces,
                              size_t n, struct engine_error *err)
{
    size_t bytes = 1;
    enum status st = ST_OK;

    for (size_t i = 0; i < n; i++)
        bytes += pieces[i].text.len;
    if (bytes <= UINT32_MAX)
        w->bytes = malloc(bytes);
    if (w->bytes == NULL || !table_init(&w->first, n) || !table_init(&w->next, n))
        return error_set(err, ST_NOMEM, "tokenizer: out of memory");
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        if (pieces[i].text.len == 0)
            continue;
        if (pieces[i].place == WORDPIECE_SPECIAL)
            st = add_special(w, &pieces[i], err);
        add_word(w, &pieces[i]);
    }
    return st;
}

static bool find_marks(struct wordpiece *w)
{
    return table_find(w, &w->first, SPAN("[UNK]"), &w->unknown) &&
           (w->bare || (table_find(w, &w->first, SPAN("[CLS]"), &w->cls) &&
                        table_find(w, &w->first, SPAN("[SEP]"), &w->sep)));
}

enum status wordpiece_open(const struct wordpiece_piece *pieces, size_t n, uint32_t size,
                           const struct wordpiece_options *o, struct wordpiece **out,
                           struct engine_error *err)
{
    struct wordpiece *w = calloc(1, sizeof(*w));
    enum status st;

    if (w == NULL)
        return error_set(err, ST_NOMEM, "tokenizer: out of memory");
    w->size = size;
    w->lowercase = o->lowercase;
    w->bare = o->bare;
    st = add_pieces(w, pieces, n, err);
    if (st == ST_OK && !find_marks(w))
        st = error_set(err, ST_INVALID, "tokenizer: [UNK], [CLS] or [SEP] is missing");
    if (st != ST_OK) {
        wordpiece_close(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void wordpiece_close(struct wordpiece *w)
{
    free(w->bytes);
    free(w->first.slots);
    free(w->next.slots);
    free(w);
}

uint32_t wordpiece_size(const struct wordpiece *w)
{
    return w->size;
}

size_t wordpiece_bytes(const struct wordpiece *w)
{
    size_t slots = (size_t)w->first.mask + w->next.mask + 2;

    return sizeof(*w) + w->byte_count + slots * sizeof(struct slot);
}

/* --- encoding ----------------------------------------------------------------------- */

/* Where ids go, and the word that is being gathered. */
struct run {
    const struct wordpiece *w;
    uint32_t *ids;
    size_t cap, count;
    char word[WORD_BYTES_MAX];
    size_t bytes, chars;
};

static void emit(struct run *r, uint32_t id)
{
    if (r->w->bare && id == r->w->unknown)
        return;
    if (r->count < r->cap)
        r->ids[r->count] = id;
    r->count++;
}

/* The first n of `len` bytes, or fewer: not a part of a character. */
static size_t whole_chars(const char *p, size_t len, size_t n)
{
    while (n > 0 && n < len && ((unsigned char)p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Greedy, longest piece first; a word with a part that is no piece is unknown whole. */
static void end_word(struct run *r)
{
    size_t at = 0, mark = r->count;
    size_t bytes = r->bytes;
    bool known = r->chars <= WORDPIECE_WORD_CHARS_MAX;

    r->bytes = 0;
    if (r->chars == 0)
        return;
    r->chars = 0;
    while (known && at < bytes) {
        const struct table *t = at == 0 ? &r->w->first : &r->w->next;
        size_t n = bytes - at < r->w->piece_max ? bytes - at : r->w->piece_max;
        uint32_t id = 0;

        n = whole_chars(r->word + at, bytes - at, n);
        while (n > 0 && !table_find(r->w, t, (struct span){r->word + at, n}, &id))
            n = whole_chars(r->word + at, bytes - at, n - 1);
        known = n > 0;
        if (known)
            emit(r, id);
        at += n;
    }
    if (!known) {
        r->count = mark;
        emit(r, r->w->unknown);
    }
}

static void add_char(struct run *r, uint32_t c)
{
    r->chars++;
    if (r->chars <= WORDPIECE_WORD_CHARS_MAX)
        r->bytes += unicode_put(c, r->word + r->bytes);
}

/* BERT's punctuation: what ASCII says, symbols included, and category P. */
static bool is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
               (c >= 123 && c <= 126);
    return unicode8_class_of(c) == UNICODE_PUNCTUATION;
}

static bool is_cjk(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static void take_clean(struct run *r, uint32_t c)
{
    if (r->w->lowercase)
        c = unicode_lower(c);
    if (unicode_is_space(c)) {
        end_word(r);
    } else if (is_punctuation(c)) {
        end_word(r);
        add_char(r, c);
        end_word(r);
    } else {
        add_char(r, c);
    }
}

/* A decomposition never joins across code points here, since marks go. */
static void take_char(struct run *r, uint32_t c)
{
    uint32_t parts[UNICODE_DECOMPOSE_MAX];
    size_t n;
    bool cjk;

    if (c < 0x80 && c > 0x20 && c != 0x7f) { /* nearly always */
        take_clean(r, c);
        return;
    }
    if (c == '\t' || c == '\n' || c == '\r' || c == ' ') {
        end_word(r);
        return;
    }
    if (c == 0 || c == 0xfffd || unicode8_class_of(c) == UNICODE_CONTROL)
        return;
    cjk = is_cjk(c);
    if (cjk)
        end_word(r);
    if (!r->w->lowercase) {
        take_clean(r, c);
    } else {
        n = unicode_decompose(c, parts);
        for (size_t i = 0; i < n; i++) {
            if (unicode8_class_of(parts[i]) != UNICODE_MARK)
                take_clean(r, parts[i]);
        }
    }
    if (cjk)
        end_word(r);
}

/* A special token written out in the text is that token, as in the reference. */
static const struct special *special_at(const struct wordpiece *w, struct span rest)
{
    if (!w->special_first[(unsigned char)rest.ptr[0]])
        return NULL;
    for (size_t i = 0; i < w->special_count; i++) {
        if (w->specials[i].len <= rest.len &&
            memcmp(w->specials[i].text, rest.ptr, w->specials[i].len) == 0)
            return &w->specials[i];
    }
    return NULL;
}

enum status wordpiece_encode(const struct wordpiece *w, struct span text, uint32_t *ids,
                             size_t cap, size_t most, size_t *count)
{
    struct run r = {.w = w, .ids = ids, .cap = cap};

    if (!w->bare)
        emit(&r, w->cls);
    for (size_t at = 0; at < text.len;) {
        struct span rest = {text.ptr + at, text.len - at};
        const struct special *s = special_at(w, rest);
        uint32_t c;

        if (r.count > most)
            return ST_LIMIT;
        if (s != NULL) {
            end_word(&r);
            emit(&r, s->id);
            at += s->len;
        } else if (unicode_next(text, &at, &c)) {
            take_char(&r, c);
        } else {
            return ST_INVALID;
        }
    }
    end_word(&r);
    if (!w->bare)
        emit(&r, w->sep);
    if (r.count > most)
        return ST_LIMIT;
    *count = r.count;
    return ST_OK;
}
