#include "engine/tokenizer/xlmr.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/unicode.h"
#include "engine/error.h"
#include "engine/gguf.h"
#include "engine/tokenizer/unigram.h"
#include "engine/tokenizer/vocabulary.h"

#define PIECES_MAX   1000000
#define SPECIALS_MAX 64

struct special {
    struct span text; /* in `bytes` */
    uint32_t id;
    bool takes_left; /* white space before it is part of it (lstrip) */
};

struct xlmr {
    char *bytes;             /* owned: all texts */
    char *map;               /* owned: the normalization */
    struct unigram *unigram; /* owned */
    size_t byte_count, map_bytes;
    bool bare;
    uint32_t size, unknown, begin, end;
    struct special specials[SPECIALS_MAX];
    size_t special_count;
    bool special_first[256]; /* first bytes of them */
};

/* --- opening ---------------------------------------------------------------------------- */

static enum status refuse(struct engine_error *err, const char *what)
{
    return error_set(err, ST_INVALID, "tokenizer.json: %s", what);
}

static bool is_type(const struct json *v, const char *type)
{
    return span_eq(json_str(json_get(v, SPAN("type"))), span_of(type));
}

static bool is_set(const struct json *v, const char *name)
{
    bool set = false;

    return json_bool(json_get(v, span_of(name)), &set) && set;
}

static bool is_null(const struct json *v)
{
    return v == NULL || v->type == JSON_NULL;
}

static int digit64(char c)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* RFC 4648, with its padding. */
static bool decode64(struct span s, char *out, size_t *len)
{
    uint32_t bits = 0;
    size_t n = 0, held = 0;

    while (s.len > 0 && s.ptr[s.len - 1] == '=')
        s.len--;
    for (size_t i = 0; i < s.len; i++) {
        int d = digit64(s.ptr[i]);

        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (char)(bits >> held & 0xff);
        }
    }
    *len = n;
    return true;
}

static enum status read_map(struct xlmr *x, const struct json *step, struct unigram_options *o,
                            struct engine_error *err)
{
    struct span text = json_str(json_get(step, SPAN("precompiled_charsmap")));
    size_t len = 0;

    if (x->map != NULL)
        return refuse(err, "two precompiled normalizations");
    x->map = malloc(text.len + 1);
    if (x->map == NULL)
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    x->map_bytes = text.len + 1;
    if (!decode64(text, x->map, &len) || !charsmap_read((struct span){x->map, len}, &o->map))
        return refuse(err, "the precompiled normalization is not usable");
    return ST_OK;
}

/* Several spaces are one, whatever that one is written as. */
static bool collapses(const struct json *step)
{
    struct span to = json_str(json_get(step, SPAN("content")));

    return is_type(step, "Replace") &&
           span_eq(json_str(json_get(json_get(step, SPAN("pattern")), SPAN("Regex"))),
                   SPAN(" {2,}")) &&
           (span_eq(to, SPAN(" ")) || span_eq(to, SPAN("\xe2\x96\x81")));
}

/* In the only order in which unigram.c does them. */
static enum status read_step(struct xlmr *x, const struct json *step, struct unigram_options *o,
                             struct engine_error *err)
{
    bool trimmed = o->trim_front || o->trim_back;

    if (is_type(step, "Precompiled") && !trimmed && !o->collapse)
        return read_map(x, step, o, err);
    if (is_type(step, "Strip") && !o->collapse) {
        o->trim_front |= is_set(step, "strip_left");
        o->trim_back |= is_set(step, "strip_right");
        return ST_OK;
    }
    if (collapses(step)) {
        o->collapse = true;
        return ST_OK;
    }
    return refuse(err, "only a normalizer Precompiled, Strip, Replace of spaces is supported");
}

static enum status read_normalizer(struct xlmr *x, const struct json *v,
                                   struct unigram_options *o, struct engine_error *err)
{
    const struct json *list = json_get(v, SPAN("normalizers"));
    enum status st = ST_OK;

    if (is_null(v))
        return ST_OK;
    if (!is_type(v, "Sequence"))
        return read_step(x, v, o, err);
    for (const struct json *s = list != NULL ? list->child : NULL; st == ST_OK && s != NULL;
         s = s->next)
        st = read_step(x, s, o, err);
    return st;
}

static enum status read_splitter(const struct json *v, struct unigram_options *o,
                                 struct engine_error *err)
{
    const struct json *list = json_get(v, SPAN("pretokenizers")), *scheme;
    bool split = true, prefix = true;

    if (is_type(v, "Sequence") && list != NULL && list->count == 2 &&
        is_type(list->child, "WhitespaceSplit")) {
        o->split_white = true;
        v = list->child->next;
    }
    scheme = json_get(v, SPAN("prepend_scheme"));
    (void)!json_bool(json_get(v, SPAN("split")), &split);
    (void)!json_bool(json_get(v, SPAN("add_prefix_space")), &prefix);
    if (scheme != NULL)
        prefix = span_eq(json_str(scheme), SPAN("always"));
    if (!is_type(v, "Metaspace") || !split || !prefix ||
        !span_eq(json_str(json_get(v, SPAN("replacement"))), SPAN("\xe2\x96\x81")))
        return refuse(err, "only a Metaspace that splits and puts a space first is supported");
    o->prefix = true;
    return ST_OK;
}

static struct span keep(struct xlmr *x, size_t *at, struct span text)
{
    struct span s = {x->bytes + *at, text.len};

    if (text.len > 0)
        memcpy(x->bytes + *at, text.ptr, text.len);
    *at += text.len;
    return s;
}

static enum status read_specials(struct xlmr *x, const struct json *added, size_t *at,
                                 struct engine_error *err)
{
    for (const struct json *v = added != NULL ? added->child : NULL; v != NULL; v = v->next) {
        struct span text = json_str(json_get(v, SPAN("content")));
        struct special *s = &x->specials[x->special_count];
        uint64_t id;

        if (x->special_count == SPECIALS_MAX || text.len == 0 || is_set(v, "single_word") ||
            is_set(v, "rstrip") || !json_u64(json_get(v, SPAN("id")), &id) || id >= x->size)
            return refuse(err, "an added token is not usable");
        *s = (struct special){keep(x, at, text), (uint32_t)id, is_set(v, "lstrip")};
        x->special_first[(unsigned char)text.ptr[0]] = true;
        x->special_count++;
    }
    return ST_OK;
}

static enum status read_pieces(struct xlmr *x, const struct json *vocab,
                               struct unigram_piece *pieces, size_t *at,
                               struct engine_error *err)
{
    uint32_t n = 0;

    for (const struct json *v = vocab->child; v != NULL; v = v->next, n++) {
        double score;

        if (v->type != JSON_ARRAY || v->count != 2 || v->child->type != JSON_STRING ||
            !json_double(v->child->next, &score) || !isfinite(score))
            return error_set(err, ST_INVALID, "tokenizer.json: piece %u is not usable", n);
        pieces[n] = (struct unigram_piece){keep(x, at, v->child->text), score};
    }
    return ST_OK;
}

static size_t text_bytes(const struct json *vocab, const struct json *added)
{
    size_t n = 1;

    for (const struct json *v = vocab->child; v != NULL; v = v->next)
        n += json_str(v->child).len;
    for (const struct json *v = added != NULL ? added->child : NULL; v != NULL; v = v->next)
        n += json_str(json_get(v, SPAN("content"))).len;
    return n;
}

static bool find_special(const struct xlmr *x, const char *text, uint32_t *id)
{
    for (size_t i = 0; i < x->special_count; i++) {
        if (span_eq(x->specials[i].text, span_of(text))) {
            *id = x->specials[i].id;
            return true;
        }
    }
    return false;
}

static enum status read_model(struct xlmr *x, const struct json *root,
                              struct unigram_options *o, struct engine_error *err)
{
    const struct json *model = json_get(root, SPAN("model")), *vocab;
    const struct json *added = json_get(root, SPAN("added_tokens"));
    struct unigram_piece *pieces;
    uint64_t unknown;
    size_t at = 0;
    enum status st;

    vocab = json_get(model, SPAN("vocab"));
    if (vocab == NULL || vocab->type != JSON_ARRAY || vocab->count == 0 ||
        vocab->count > PIECES_MAX || is_set(model, "byte_fallback") ||
        !json_u64(json_get(model, SPAN("unk_id")), &unknown) || unknown >= vocab->count)
        return refuse(err, "no usable vocabulary of a unigram model");
    o->unknown = x->unknown = (uint32_t)unknown;
    x->size = vocab->count;
    x->byte_count = text_bytes(vocab, added);
    x->bytes = malloc(x->byte_count);
    pieces = calloc(x->size, sizeof(*pieces));
    if (x->bytes == NULL || pieces == NULL)
        st = error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    else
        st = read_pieces(x, vocab, pieces, &at, err);
    if (st == ST_OK)
        st = read_specials(x, added, &at, err);
    if (st == ST_OK)
        st = unigram_open(pieces, x->size, o, &x->unigram, err);
    free(pieces);
    return st;
}

static enum status read_all(struct xlmr *x, const struct json *root, struct engine_error *err)
{
    const struct json *after = json_get(root, SPAN("post_processor"));
    struct unigram_options o = {.prefix = false};
    enum status st = read_normalizer(x, json_get(root, SPAN("normalizer")), &o, err);

    if (st == ST_OK)
        st = read_splitter(json_get(root, SPAN("pre_tokenizer")), &o, err);
    if (st == ST_OK)
        st = read_model(x, root, &o, err);
    if (st == ST_OK && !x->bare &&
        ((!is_type(after, "TemplateProcessing") && !is_type(after, "RobertaProcessing")) ||
         !find_special(x, "<s>", &x->begin) || !find_special(x, "</s>", &x->end)))
        st = refuse(err, "only <s> text </s> is supported");
    return st;
}

enum status xlmr_open(const struct json *root, bool bare, struct xlmr **out,
                      struct engine_error *err)
{
    struct xlmr *x = calloc(1, sizeof(*x));
    enum status st;

    if (x == NULL)
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    x->bare = bare;
    st = read_all(x, root, err);
    if (st != ST_OK) {
        xlmr_close(x);
        return st;
    }
    *out = x;
    return ST_OK;
}

/* --- from GGUF -------------------------------------------------------------------------- */

static enum status gguf_options(struct xlmr *x, const struct gguf *g, struct unigram_options *o,
                                struct engine_error *err)
{
    const struct gguf_pair *map = gguf_find(g, "tokenizer.ggml.precompiled_charsmap");
    struct span bytes = map != NULL ? map->value : (struct span){"", 0};
    bool extra = true;

    (void)!gguf_bool(g, "tokenizer.ggml.remove_extra_whitespaces", &extra);
    (void)!gguf_bool(g, "tokenizer.ggml.add_space_prefix", &o->prefix);
    o->collapse = o->trim_back = extra;
    if (map != NULL && (map->kind != GGUF_ARRAY || map->element > GGUF_I8))
        return error_set(err, ST_INVALID, "tokenizer.ggml.precompiled_charsmap is no bytes");
    x->map = malloc(bytes.len + 1);
    if (x->map == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    x->map_bytes = bytes.len + 1;
    if (bytes.len > 0)
        memcpy(x->map, bytes.ptr, bytes.len);
    if (!charsmap_read((struct span){x->map, bytes.len}, &o->map))
        return error_set(err, ST_INVALID, "tokenizer.ggml.precompiled_charsmap is not usable");
    return ST_OK;
}

/* An id that the file has to say, and a flag that it may set, but not otherwise. */
static enum status gguf_id(const struct xlmr *x, const struct gguf *g, const char *key,
                           const char *flag, uint32_t *out, struct engine_error *err)
{
    uint64_t id = 0;
    bool set = true;

    if (!gguf_u64(g, key, &id) || id >= x->size)
        return error_set(err, ST_INVALID, "%s is missing or no token", key);
    if (flag != NULL && gguf_find(g, flag) != NULL && (!gguf_bool(g, flag, &set) || !set))
        return error_set(err, ST_INVALID, "%s: only true is supported", flag);
    *out = (uint32_t)id;
    return ST_OK;
}

static enum status gguf_ids(struct xlmr *x, const struct gguf *g, struct unigram_options *o,
                            struct engine_error *err)
{
    enum status st = gguf_id(x, g, "tokenizer.ggml.bos_token_id",
                             "tokenizer.ggml.add_bos_token", &x->begin, err);

    if (st == ST_OK)
        st = gguf_id(x, g, "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token",
                     &x->end, err);
    if (st == ST_OK)
        st = gguf_id(x, g, "tokenizer.ggml.unknown_token_id", NULL, &x->unknown, err);
    o->unknown = x->unknown;
    return st;
}

/* Control tokens and their like are found as they are; of them a mask takes the white space
 * before it. */
static enum status gguf_piece(struct xlmr *x, const struct vocabulary *words, uint32_t id,
                              struct unigram_piece *piece, size_t *at, struct engine_error *err)
{
    struct span text = words->texts[id];

    if (words->types[id] == TOKEN_NORMAL) {
        piece->text = keep(x, at, text);
        return ST_OK;
    }
    if (words->types[id] == TOKEN_UNUSED || words->types[id] == TOKEN_BYTE)
        return ST_OK;
    if (x->special_count == SPECIALS_MAX || text.len == 0)
        return error_set(err, ST_INVALID,
                         "tokenizer.ggml.tokens: more than %d control tokens, or an empty one",
                         SPECIALS_MAX);
    x->specials[x->special_count++] =
        (struct special){keep(x, at, text), id, span_eq(text, SPAN("<mask>"))};
    x->special_first[(unsigned char)text.ptr[0]] = true;
    return ST_OK;
}

static enum status gguf_pieces(struct xlmr *x, const struct gguf *g,
                               const struct vocabulary *words, struct unigram_piece *pieces,
                               struct engine_error *err)
{
    const char *scores = vocabulary_scores(words, g);
    size_t at = 0;
    enum status st = ST_OK;

    if (scores == NULL)
        return error_set(err, ST_INVALID, "tokenizer.ggml.scores is missing or not usable");
    for (uint32_t id = 0; st == ST_OK && id < words->size; id++) {
        float score;

        memcpy(&score, scores + sizeof(score) * (size_t)id, sizeof(score));
        if (!isfinite(score))
            return error_set(err, ST_INVALID, "tokenizer.ggml.scores: entry %u is not finite",
                             id);
        pieces[id].score = (double)score;
        st = gguf_piece(x, words, id, &pieces[id], &at, err);
    }
    return st;
}

static enum status read_gguf(struct xlmr *x, const struct gguf *g,
                             const struct vocabulary *words, struct engine_error *err)
{
    struct unigram_options o = {.prefix = true};
    struct unigram_piece *pieces = calloc(words->size, sizeof(*pieces));
    enum status st;

    x->size = words->size;
    x->byte_count = 1;
    for (uint32_t id = 0; id < words->size; id++)
        x->byte_count += words->texts[id].len;
    x->bytes = malloc(x->byte_count);
    if (pieces == NULL || x->bytes == NULL) {
        free(pieces);
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    }
    st = gguf_options(x, g, &o, err);
    if (st == ST_OK)
        st = gguf_ids(x, g, &o, err);
    if (st == ST_OK)
        st = gguf_pieces(x, g, words, pieces, err);
    if (st == ST_OK)
        st = unigram_open(pieces, x->size, &o, &x->unigram, err);
    free(pieces);
    return st;
}

enum status xlmr_open_gguf(const struct gguf *g, struct xlmr **out, struct engine_error *err)
{
    struct vocabulary words = {.size = 0};
    struct xlmr *x = calloc(1, sizeof(*x));
    enum status st;

    if (x == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    st = vocabulary_read(&words, g, err);
    if (st == ST_OK)
        st = read_gguf(x, g, &words, err);
    vocabulary_release(&words);
    if (st != ST_OK) {
        xlmr_close(x);
        return st;
    }
    *out = x;
    return ST_OK;
}

void xlmr_close(struct xlmr *x)
{
    if (x->unigram != NULL)
        unigram_close(x->unigram);
    free(x->bytes);
    free(x->map);
    free(x);
}

uint32_t xlmr_size(const struct xlmr *x)
{
    return x->size;
}

size_t xlmr_bytes(const struct xlmr *x)
{
    return sizeof(*x) + x->byte_count + x->map_bytes + unigram_bytes(x->unigram);
}

/* --- encoding --------------------------------------------------------------------------- */

static const struct special *special_at(const struct xlmr *x, struct span rest)
{
    const struct special *best = NULL;

    if (!x->special_first[(unsigned char)rest.ptr[0]])
        return NULL;
    for (size_t i = 0; i < x->special_count; i++) {
        struct span t = x->specials[i].text;

        if (t.len <= rest.len && memcmp(t.ptr, rest.ptr, t.len) == 0 &&
            (best == NULL || t.len > best->text.len))
            best = &x->specials[i];
    }
    return best;
}

static void drop_unknown(const struct xlmr *x, struct token_sink *s)
{
    size_t n = s->count < s->cap ? s->count : s->cap, kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (s->ids[i] != x->unknown)
            s->ids[kept++] = s->ids[i];
    }
    s->count -= n - kept;
}

enum status xlmr_encode(const struct xlmr *x, struct span text, uint32_t *ids, size_t cap,
                        size_t most, size_t *count)
{
    struct token_sink s = {ids, cap, 0, most};
    enum status st = unicode_valid(text) ? ST_OK : ST_INVALID;
    size_t start = 0, at = 0;

    if (!x->bare)
        token_sink_put(&s, x->begin);
    while (st == ST_OK && at < text.len) {
        const struct special *t = special_at(x, (struct span){text.ptr + at, text.len - at});
        struct span plain = {text.ptr + start, at - start};

        if (t == NULL) {
            at++;
            continue;
        }
        st = unigram_encode(x->unigram, t->takes_left ? unicode_trim_end(plain) : plain, &s);
        token_sink_put(&s, t->id);
        at += t->text.len;
        start = at;
    }
    if (st == ST_OK)
        st = unigram_encode(x->unigram, (struct span){text.ptr + start, text.len - start}, &s);
    if (!x->bare)
        token_sink_put(&s, x->end);
    else if (st == ST_OK)
        drop_unknown(x, &s);
    if (st == ST_OK && s.count > most)
        st = ST_LIMIT;
    if (st == ST_OK)
        *count = s.count;
    return st;
}
