#include "engine/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/unicode.h"
#include "engine/error.h"
#include "engine/gguf.h"

#define TOKENS_MAX 1000000
/* Merging is quadratic in the length of a piece. A "word" of more bytes is cut here,
 * which only nonsense meets. */
#define PIECE_MAX 512

#define CHARS        (256 + 68) /* of the byte alphabet: 68 bytes are not printable */
#define TYPE_CONTROL 3          /* tokenizer.ggml.token_type */

enum pre { PRE_GPT2, PRE_SMOLLM, PRE_LLAMA3 };

struct merge {
    uint32_t left, right; /* right UINT32_MAX: empty */
    uint32_t rank, into;
};

struct bpe {
    enum pre pre;
    uint32_t size;
    struct span *texts; /* owned array; the bytes are the file's */
    uint8_t *control;   /* owned; by id */
    uint32_t *slots;    /* owned: id + 1 by hash of the text */
    uint32_t slot_mask;
    struct merge *merges; /* owned, by hash of the pair */
    uint32_t merge_mask;
    uint16_t char_of[256];  /* the character of each byte, in GPT-2's alphabet */
    int16_t byte_of[CHARS]; /* and back; -1: no byte's */
    uint32_t byte_ids[256]; /* the token of each single byte */
    bool whole_first;       /* a piece that is a token is not merged (llama-bpe) */
    uint32_t *specials;     /* owned: ids of control tokens, longest text first */
    size_t special_count;
};

/* --- the byte alphabet ---------------------------------------------------------------- */

/* GPT-2 gives every byte a printable character: itself where it is one, else from U+0100
 * on. */
static void make_alphabet(struct bpe *b)
{
    uint16_t next = 256;

    for (size_t c = 0; c < CHARS; c++)
        b->byte_of[c] = -1;
    for (uint16_t byte = 0; byte < 256; byte++) {
        bool itself =
            (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;

        b->char_of[byte] = itself ? byte : next++;
        b->byte_of[b->char_of[byte]] = (int16_t)byte;
    }
}

/* --- opening -------------------------------------------------------------------------- */

static bool find_text(const struct bpe *b, struct span text, uint32_t *id)
{
    uint32_t i = (uint32_t)hash_bytes(text, 0) & b->slot_mask;

    for (; b->slots[i] != 0; i = (i + 1) & b->slot_mask) {
        if (span_eq(b->texts[b->slots[i] - 1], text)) {
            *id = b->slots[i] - 1;
            return true;
        }
    }
    return false;
}

static uint32_t table_size(uint64_t n)
{
    uint32_t cap = 1024;

    while (cap < 2 * n)
        cap *= 2;
    return cap;
}

/* false: another has the same text. Besides being a lie, a million of the same would take
 * a million steps each. Tokens without a text are places that are not used. */
static bool add_token(struct bpe *b, uint32_t id)
{
    struct span text = b->texts[id];
    uint32_t i = (uint32_t)hash_bytes(text, 0) & b->slot_mask;

    if (text.len == 0)
        return true;
    for (; b->slots[i] != 0; i = (i + 1) & b->slot_mask) {
        if (span_eq(b->texts[b->slots[i] - 1], text))
            return false;
    }
    b->slots[i] = id + 1;
    return true;
}

static enum status read_tokens(struct bpe *b, const struct gguf *g, struct engine_error *err)
{
    const struct gguf_pair *p = gguf_find(g, "tokenizer.ggml.tokens");
    const struct gguf_pair *t = gguf_find(g, "tokenizer.ggml.token_type");
    size_t at = 0;
    uint32_t cap;

    if (p == NULL || p->kind != GGUF_ARRAY || p->element != GGUF_STRING || p->count == 0 ||
        p->count > TOKENS_MAX)
        return error_set(err, ST_INVALID, "tokenizer.ggml.tokens is missing or not usable");
    if (t != NULL && (t->kind != GGUF_ARRAY || t->count != p->count || t->element != GGUF_I32))
        return error_set(err, ST_INVALID, "tokenizer.ggml.token_type does not fit the tokens");
    cap = table_size(p->count);
    b->size = (uint32_t)p->count;
    b->slot_mask = cap - 1;
    b->texts = calloc(b->size, sizeof(*b->texts));
    b->control = calloc(b->size, 1);
    b->slots = calloc(cap, sizeof(*b->slots));
    if (b->texts == NULL || b->control == NULL || b->slots == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    for (uint32_t id = 0; id < b->size && gguf_next_string(p, &at, &b->texts[id]); id++) {
        int32_t type = 1;

        if (t != NULL)
            memcpy(&type, t->value.ptr + 4 * (size_t)id, sizeof(type));
        b->control[id] = type == TYPE_CONTROL;
        b->special_count += b->control[id];
        if (!add_token(b, id))
            return error_set(err, ST_INVALID, "tokenizer.ggml.tokens: entry %u is there twice",
                             id);
    }
    return ST_OK;
}

static struct merge *merge_slot(const struct bpe *b, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    uint32_t i = (uint32_t)(pair * 0x9e3779b97f4a7c15u >> 32) & b->merge_mask;

    while (b->merges[i].right != UINT32_MAX &&
           (b->merges[i].left != left || b->merges[i].right != right))
        i = (i + 1) & b->merge_mask;
    return &b->merges[i];
}

static enum status add_merge(struct bpe *b, struct span text, uint32_t rank,
                             struct engine_error *err)
{
    /* The first space after the first byte parts the two. */
    const char *space = text.len > 1 ? memchr(text.ptr + 1, ' ', text.len - 1) : NULL;
    char joined[2 * PIECE_MAX * UNICODE_UTF8_MAX];
    struct span left, right;
    uint32_t l, r, into;
    struct merge *m;

    if (space == NULL || text.len > sizeof(joined))
        return error_set(err, ST_INVALID, "tokenizer.ggml.merges: entry %u is not usable",
                         rank);
    left = (struct span){text.ptr, (size_t)(space - text.ptr)};
    right = (struct span){space + 1, text.len - left.len - 1};
    memcpy(joined, left.ptr, left.len);
    memcpy(joined + left.len, right.ptr, right.len);
    if (!find_text(b, left, &l) || !find_text(b, right, &r) ||
        !find_text(b, (struct span){joined, left.len + right.len}, &into))
        return error_set(err, ST_INVALID, "tokenizer.ggml.merges: entry %u names no token",
                         rank);
    m = merge_slot(b, l, r);
    if (m->right == UINT32_MAX)
        *m = (struct merge){l, r, rank, into};
    return ST_OK;
}

static enum status read_merges(struct bpe *b, const struct gguf *g, struct engine_error *err)
{
    const struct gguf_pair *p = gguf_find(g, "tokenizer.ggml.merges");
    struct span text;
    size_t at = 0;
    uint32_t cap, rank = 0;
    enum status st = ST_OK;

    if (p == NULL || p->kind != GGUF_ARRAY || p->element != GGUF_STRING ||
        p->count > TOKENS_MAX)
        return error_set(err, ST_INVALID, "tokenizer.ggml.merges is missing or not usable");
    cap = table_size(p->count);
    b->merge_mask = cap - 1;
    b->merges = malloc(cap * sizeof(*b->merges));
    if (b->merges == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    for (uint32_t i = 0; i < cap; i++)
        b->merges[i].right = UINT32_MAX;
    while (st == ST_OK && gguf_next_string(p, &at, &text))
        st = add_merge(b, text, rank++, err);
    return st;
}

struct by_length {
    size_t length;
    uint32_t id;
};

static int longest_first(const void *a, const void *b)
{
    size_t x = ((const struct by_length *)a)->length, y = ((const struct by_length *)b)->length;

    return (x < y) - (x > y);
}

static enum status read_specials(struct bpe *b, struct engine_error *err)
{
    struct by_length *list = calloc(b->special_count + 1, sizeof(*list));
    size_t n = 0;

    b->specials = calloc(b->special_count + 1, sizeof(*b->specials));
    if (b->specials == NULL || list == NULL) {
        free(list);
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    }
    for (uint32_t id = 0; id < b->size; id++) {
        if (b->control[id] && b->texts[id].len > 0)
            list[n++] = (struct by_length){b->texts[id].len, id};
    }
    qsort(list, n, sizeof(*list), longest_first);
    for (size_t i = 0; i < n; i++)
        b->specials[i] = list[i].id;
    b->special_count = n;
    free(list);
    return ST_OK;
}

static enum status read_pre(struct bpe *b, const struct gguf *g, struct engine_error *err)
{
    struct span model = gguf_string(g, "tokenizer.ggml.model");
    struct span pre = gguf_string(g, "tokenizer.ggml.pre");

    if (!span_eq(model, SPAN("gpt2")))
        return error_set(err, ST_INVALID, "tokenizer '%.*s' is not supported; supported: gpt2",
                         (int)(model.len < 40 ? model.len : 40),
                         model.ptr != NULL ? model.ptr : "");
    if (span_eq(pre, SPAN("smollm"))) {
        b->pre = PRE_SMOLLM;
    } else if (span_eq(pre, SPAN("gpt-2")) || span_eq(pre, SPAN("gpt2"))) {
        b->pre = PRE_GPT2;
    } else if (span_eq(pre, SPAN("llama-bpe")) || span_eq(pre, SPAN("llama3"))) {
        b->pre = PRE_LLAMA3;
        b->whole_first = true;
    } else {
        return error_set(err, ST_INVALID,
                         "pre-tokenizer '%.*s' is not supported; supported: smollm, gpt-2, "
                         "llama-bpe",
                         (int)(pre.len < 40 ? pre.len : 40), pre.ptr != NULL ? pre.ptr : "");
    }
    return ST_OK;
}

static enum status read_bytes(struct bpe *b, struct engine_error *err)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[UNICODE_UTF8_MAX];
        size_t n = unicode_put(b->char_of[byte], text);

        if (!find_text(b, (struct span){text, n}, &b->byte_ids[byte]))
            b->byte_ids[byte] = UINT32_MAX; /* some vocabularies leave out bytes of no use */
    }
    if (b->byte_ids['a'] == UINT32_MAX)
        return error_set(err, ST_INVALID, "the vocabulary has no tokens of single bytes");
    return ST_OK;
}

enum status bpe_open(const struct gguf *g, struct bpe **out, struct engine_error *err)
{
    struct bpe *b = calloc(1, sizeof(*b));
    enum status st;

    if (b == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    make_alphabet(b);
    st = read_pre(b, g, err);
    if (st == ST_OK)
        st = read_tokens(b, g, err);
    if (st == ST_OK)
        st = read_merges(b, g, err);
    if (st == ST_OK)
        st = read_bytes(b, err);
    if (st == ST_OK)
        st = read_specials(b, err);
    if (st != ST_OK) {
        bpe_close(b);
        return st;
    }
    *out = b;
    return ST_OK;
}

void bpe_close(struct bpe *b)
{
    free(b->texts);
    free(b->control);
    free(b->slots);
    free(b->merges);
    free(b->specials);
    free(b);
}

uint32_t bpe_size(const struct bpe *b)
{
    return b->size;
}

/* --- pieces ----------------------------------------------------------------------------- */

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

/* End of the run of `kind` that begins at `at`. */
static size_t run_end(struct span s, size_t at, enum kind kind)
{
    size_t next;

    while (at < s.len && kind_of(peek(s, at, &next)) == kind)
        at = next;
    return at;
}

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(struct span s, size_t at, bool any_case)
{
    static const struct span tails[] = {{"re", 2}, {"ve", 2}, {"ll", 2}, {"s", 1},
                                        {"t", 1},  {"m", 1},  {"d", 1}};

    if (s.ptr[at] != '\'')
        return 0;
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

/* Length of the piece at `at`:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t piece_gpt2(struct span s, size_t at)
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

static size_t newlines(struct span s, size_t at)
{
    while (at < s.len && (s.ptr[at] == '\r' || s.ptr[at] == '\n'))
        at++;
    return at;
}

/* \s*[\r\n]+ */
static size_t spaces_to_newline(struct span s, size_t at)
{
    size_t end = run_end(s, at, SPACE);

    while (end > at && s.ptr[end - 1] != '\r' && s.ptr[end - 1] != '\n')
        end--;
    return end - at;
}

/* (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 * \s+(?!\S)|\s+ */
static size_t piece_llama3(struct span s, size_t at)
{
    size_t n = contraction(s, at, true), next, after;
    uint32_t c = peek(s, at, &next);
    enum kind kind = kind_of(c);

    if (n > 0)
        return n;
    if (kind == LETTER)
        return run_end(s, at, LETTER) - at;
    if (kind != NUMBER && c != '\r' && c != '\n' && next < s.len &&
        kind_of(peek(s, next, &after)) == LETTER)
        return run_end(s, next, LETTER) - at;
    if (kind == NUMBER) {
        for (n = 1; n < 3 && next < s.len && kind_of(peek(s, next, &after)) == NUMBER; n++)
            next = after;
        return next - at;
    }
    if (kind == OTHER)
        return newlines(s, run_end(s, at, OTHER)) - at;
    if (c == ' ' && next < s.len && kind_of(peek(s, next, &after)) == OTHER)
        return newlines(s, run_end(s, next, OTHER)) - at;
    n = spaces_to_newline(s, at);
    return n > 0 ? n : spaces(s, at);
}

/* Looks no further than a piece may be long, so that a run of one kind costs its length
 * and not its square. */
static size_t piece_length(const struct bpe *b, struct span s, size_t at)
{
    size_t n;

    if (s.len - at > PIECE_MAX + UNICODE_UTF8_MAX)
        s.len = at + PIECE_MAX + UNICODE_UTF8_MAX;
    n = b->pre == PRE_LLAMA3 ? piece_llama3(s, at) : piece_gpt2(s, at);
    return n > PIECE_MAX ? PIECE_MAX : n;
}

/* The end of the part of the text that is split by itself. smollm: each number is one, so
 * a space before it stays alone. */
static size_t part_end(const struct bpe *b, struct span s, size_t at)
{
    size_t next;

    if (b->pre != PRE_SMOLLM)
        return s.len;
    if (kind_of(peek(s, at, &next)) == NUMBER)
        return next;
    while (at < s.len && kind_of(peek(s, at, &next)) != NUMBER)
        at = next;
    return at;
}

/* --- merging ---------------------------------------------------------------------------- */

static void emit(uint32_t id, uint32_t *ids, size_t cap, size_t *count)
{
    if (*count < cap)
        ids[*count] = id;
    (*count)++;
}

static bool whole_token(const struct bpe *b, struct span piece, uint32_t *id)
{
    char text[PIECE_MAX * 2];
    size_t n = 0;

    for (size_t i = 0; i < piece.len; i++)
        n += unicode_put(b->char_of[(unsigned char)piece.ptr[i]], text + n);
    return find_text(b, (struct span){text, n}, id);
}

/* The lowest rank first, the leftmost of equals. */
static void merge_piece(const struct bpe *b, struct span piece, uint32_t *ids, size_t cap,
                        size_t *count)
{
    uint32_t part[PIECE_MAX], whole;
    size_t n = 0;

    if (b->whole_first && whole_token(b, piece, &whole)) {
        emit(whole, ids, cap, count);
        return;
    }
    for (size_t i = 0; i < piece.len; i++) {
        if (b->byte_ids[(unsigned char)piece.ptr[i]] != UINT32_MAX)
            part[n++] = b->byte_ids[(unsigned char)piece.ptr[i]];
    }
    while (n > 1) {
        const struct merge *best = NULL;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const struct merge *m = merge_slot(b, part[i], part[i + 1]);

            if (m->right != UINT32_MAX && (best == NULL || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (best == NULL)
            break;
        part[at] = best->into;
        memmove(part + at + 1, part + at + 2, (n - at - 2) * sizeof(part[0]));
        n--;
    }
    for (size_t i = 0; i < n; i++)
        emit(part[i], ids, cap, count);
}

/* Text without special tokens. */
static enum status encode_plain(const struct bpe *b, struct span text, uint32_t *ids,
                                size_t cap, size_t most, size_t *count)
{
    struct span part = {text.ptr, 0};

    for (size_t at = 0; at < text.len;) {
        size_t n;

        if (at == part.len)
            part.len = part_end(b, text, at);
        n = piece_length(b, part, at);
        merge_piece(b, (struct span){text.ptr + at, n}, ids, cap, count);
        if (*count > most)
            return ST_LIMIT;
        at += n;
    }
    return ST_OK;
}

static bool special_at(const struct bpe *b, struct span rest, uint32_t *id)
{
    for (size_t i = 0; i < b->special_count; i++) {
        struct span t = b->texts[b->specials[i]];

        if (t.len <= rest.len && memcmp(t.ptr, rest.ptr, t.len) == 0) {
            *id = b->specials[i];
            return true;
        }
    }
    return false;
}

enum status bpe_encode(const struct bpe *b, struct span text, bool special, uint32_t *ids,
                       size_t cap, size_t most, size_t *count)
{
    enum status st = ST_OK;
    size_t start = 0;
    uint32_t id;

    for (size_t at = 0; special && st == ST_OK && at < text.len;) {
        if (!special_at(b, (struct span){text.ptr + at, text.len - at}, &id)) {
            at++;
            continue;
        }
        st =
            encode_plain(b, (struct span){text.ptr + start, at - start}, ids, cap, most, count);
        emit(id, ids, cap, count);
        at += b->texts[id].len;
        start = at;
    }
    if (st == ST_OK && start < text.len)
        st = encode_plain(b, (struct span){text.ptr + start, text.len - start}, ids, cap, most,
                          count);
    return st == ST_OK && *count > most ? ST_LIMIT : st;
}

enum status bpe_decode(const struct bpe *b, uint32_t id, struct buf *out)
{
    struct span text;
    enum status st = ST_OK;

    if (id >= b->size)
        return ST_INVALID;
    if (b->control[id])
        return ST_OK;
    text = b->texts[id];
    for (size_t at = 0; st == ST_OK && at < text.len;) {
        size_t next;
        uint32_t code = peek(text, at, &next);
        int byte = code < CHARS ? b->byte_of[code] : -1;
        char c = (char)byte;

        /* A character outside the alphabet stands for itself. */
        st = byte >= 0 ? buf_append(out, (struct span){&c, 1})
                       : buf_append(out, (struct span){text.ptr + at, next - at});
        at = next;
    }
    return st;
}

bool bpe_find(const struct bpe *b, const char *text, uint32_t *id)
{
    return find_text(b, span_of(text), id);
}

bool bpe_is_control(const struct bpe *b, uint32_t id)
{
    return id < b->size && b->control[id];
}
