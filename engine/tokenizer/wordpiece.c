/* Clean, pad ideographs, take accents off, lower, split at white space and punctuation:
 * what the library does in passes over a copy is done here code point by code point, and
 * a word is looked up where it ends. */
#include "engine/tokenizer/wordpiece.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/unicode.h"
#include "engine/error.h"
#include "engine/tokenizer/unicode8.h"

#define ARENA_LIMIT    (256u * 1024 * 1024)
#define PIECES_MAX     1000000
#define SPECIALS_MAX   64
#define WORD_CHARS_MAX 100 /* a longer word is unknown (max_input_chars_per_word) */
#define WORD_BYTES_MAX (WORD_CHARS_MAX * UNICODE_UTF8_MAX)

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
    struct table first, next;
    uint32_t size;
    uint32_t piece_max; /* bytes of the longest piece, "##" not counted */
    uint32_t unknown, cls, sep;
    bool lowercase;
    struct special specials[SPECIALS_MAX];
    size_t special_count;
    bool special_first[256]; /* first bytes of them */
};

/* --- opening ------------------------------------------------------------------------ */

static bool table_init(struct table *t, uint32_t entries)
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

static enum status read_vocab(struct wordpiece *w, const struct json *vocab,
                              struct engine_error *err)
{
    size_t bytes = 0;
    uint32_t at = 0;

    if (vocab == NULL || vocab->type != JSON_OBJECT || vocab->count == 0 ||
        vocab->count > PIECES_MAX)
        return error_set(err, ST_INVALID, "tokenizer.json: no usable vocabulary");
    for (const struct json *v = vocab->child; v != NULL; v = v->next)
        bytes += v->key.len;
    w->size = vocab->count;
    w->bytes = malloc(bytes + 1);
    if (w->bytes == NULL || bytes > UINT32_MAX || !table_init(&w->first, w->size) ||
        !table_init(&w->next, w->size))
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    for (const struct json *v = vocab->child; v != NULL; v = v->next) {
        bool continues = v->key.len > 2 && memcmp(v->key.ptr, "##", 2) == 0;
        struct span piece = v->key;
        uint64_t id;

        if (!json_u64(v, &id) || id >= w->size)
            return error_set(err, ST_INVALID,
                             "tokenizer.json: the id of '%.*s' is out of range",
                             (int)(piece.len < 64 ? piece.len : 64), piece.ptr);
        if (continues)
            piece = (struct span){piece.ptr + 2, piece.len - 2};
        if (piece.len == 0)
            continue;
        if (piece.len > w->piece_max)
            w->piece_max = (uint32_t)piece.len;
        memcpy(w->bytes + at, piece.ptr, piece.len);
        table_add(w, continues ? &w->next : &w->first,
                  (struct slot){at, (uint32_t)piece.len, (uint32_t)id});
        at += (uint32_t)piece.len;
    }
    return ST_OK;
}

/* true when the member is there and true */
static bool is_set(const struct json *v, const char *name)
{
    bool set = false;

    return json_bool(json_get(v, span_of(name)), &set) && set;
}

static enum status read_specials(struct wordpiece *w, const struct json *added,
                                 struct engine_error *err)
{
    for (const struct json *v = added != NULL ? added->child : NULL; v != NULL; v = v->next) {
        struct span text = json_str(json_get(v, SPAN("content")));
        struct special *s = &w->specials[w->special_count];
        uint64_t id;

        if (w->special_count == SPECIALS_MAX || text.len == 0 || text.len > sizeof(s->text) ||
            !json_u64(json_get(v, SPAN("id")), &id) || id >= w->size)
            return error_set(err, ST_INVALID, "tokenizer.json: an added token is not usable");
        if (is_set(v, "single_word") || is_set(v, "lstrip") || is_set(v, "rstrip") ||
            is_set(v, "normalized"))
            return error_set(err, ST_INVALID,
                             "tokenizer.json: added token '%.*s' asks for more than an exact "
                             "match, which is not supported",
                             (int)text.len, text.ptr);
        memcpy(s->text, text.ptr, text.len);
        s->len = text.len;
        s->id = (uint32_t)id;
        w->special_first[(unsigned char)text.ptr[0]] = true;
        w->special_count++;
    }
    return ST_OK;
}

static bool is_text(const struct json *v, const char *name, const char *want)
{
    return span_eq(json_str(json_get(v, span_of(name))), span_of(want));
}

static enum status read_normalizer(struct wordpiece *w, const struct json *norm,
                                   struct engine_error *err)
{
    const struct json *accents = json_get(norm, SPAN("strip_accents"));
    bool strip;

    w->lowercase = is_set(norm, "lowercase");
    strip = w->lowercase; /* when it is not said */
    (void)!json_bool(accents, &strip);
    if (!is_text(norm, "type", "BertNormalizer") || !is_set(norm, "clean_text") ||
        !is_set(norm, "handle_chinese_chars") || strip != w->lowercase)
        return error_set(err, ST_INVALID,
                         "tokenizer.json: only a BertNormalizer that cleans, pads ideographs "
                         "and takes accents off where it lowers is supported");
    return ST_OK;
}

static enum status read_kinds(struct wordpiece *w, const struct json *root,
                              struct engine_error *err)
{
    const struct json *model = json_get(root, SPAN("model"));
    const struct json *after = json_get(root, SPAN("post_processor"));
    uint64_t chars = WORD_CHARS_MAX;

    if (!is_text(model, "type", "WordPiece"))
        return error_set(err, ST_INVALID, "tokenizer.json: only WordPiece is supported here");
    (void)!json_u64(json_get(model, SPAN("max_input_chars_per_word")), &chars);
    if (!is_text(model, "continuing_subword_prefix", "##") ||
        !is_text(model, "unk_token", "[UNK]") || chars != WORD_CHARS_MAX)
        return error_set(err, ST_INVALID,
                         "tokenizer.json: only '##', '[UNK]' and words of %d characters are "
                         "supported",
                         WORD_CHARS_MAX);
    if (!is_text(json_get(root, SPAN("pre_tokenizer")), "type", "BertPreTokenizer"))
        return error_set(err, ST_INVALID, "tokenizer.json: only BertPreTokenizer is supported");
    if (!is_text(after, "type", "TemplateProcessing") &&
        !is_text(after, "type", "BertProcessing"))
        return error_set(err, ST_INVALID, "tokenizer.json: only [CLS] text [SEP] is supported");
    return read_normalizer(w, json_get(root, SPAN("normalizer")), err);
}

static enum status read_all(struct wordpiece *w, const struct json *root,
                            struct engine_error *err)
{
    enum status st = read_kinds(w, root, err);

    if (st == ST_OK)
        st = read_vocab(w, json_get(json_get(root, SPAN("model")), SPAN("vocab")), err);
    if (st == ST_OK)
        st = read_specials(w, json_get(root, SPAN("added_tokens")), err);
    if (st == ST_OK && (!table_find(w, &w->first, SPAN("[UNK]"), &w->unknown) ||
                        !table_find(w, &w->first, SPAN("[CLS]"), &w->cls) ||
                        !table_find(w, &w->first, SPAN("[SEP]"), &w->sep)))
        st = error_set(err, ST_INVALID, "tokenizer.json: [UNK], [CLS] or [SEP] is missing");
    return st;
}

enum status wordpiece_open_tree(const struct json *root, struct wordpiece **out,
                                struct engine_error *err)
{
    struct wordpiece *w = calloc(1, sizeof(*w));
    enum status st;

    if (w == NULL)
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    st = read_all(w, root, err);
    if (st != ST_OK) {
        wordpiece_close(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

enum status wordpiece_open(struct span json, struct wordpiece **out, struct engine_error *err)
{
    struct json_error why;
    struct json *root;
    struct arena arena;
    enum status st;

    arena_init(&arena, 1024 * 1024, ARENA_LIMIT);
    st = json_parse(&arena, json, 32, &root, &why);
    if (st == ST_OK)
        st = wordpiece_open_tree(root, out, err);
    else
        st = error_set(err, ST_INVALID, "tokenizer.json: %s", why.text);
    arena_release(&arena);
    return st;
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
    bool known = r->chars <= WORD_CHARS_MAX;

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
    if (r->chars <= WORD_CHARS_MAX)
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
    emit(&r, w->sep);
    if (r.count > most)
        return ST_LIMIT;
    *count = r.count;
    return ST_OK;
}
