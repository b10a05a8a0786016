#include "engine/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "engine/error.h"
#include "engine/gguf.h"
#include "engine/tokenizer/merge.h"
#include "engine/tokenizer/pieces.h"
#include "engine/tokenizer/unicode9.h"

/* Up to here each pair is looked at before each merge; words are short, and it is quicker
 * than a heap. */
#define FEW_MAX 32
/* No token is longer, in bytes of text. */
#define WHOLE_MAX 512

/* Bytes of a text in NFC. */
#define COMPOSED_MAX(n) (4 * (n) + 64)

#define MERGES_MAX 2000000
#define RULE_MAX   4096       /* bytes of "left right" */
#define CHARS      (256 + 68) /* of the byte alphabet: 68 bytes are not printable */

struct merge {
    uint32_t left, right; /* right UINT32_MAX: empty */
    uint32_t rank, into;
};

struct bpe {
    const struct vocabulary *words; /* borrowed */
    const struct pieces *pieces;
    struct merge *merges; /* owned, by hash of the pair */
    uint32_t merge_mask;
    uint16_t char_of[256];  /* the character of each byte, in GPT-2's alphabet */
    int16_t byte_of[CHARS]; /* and back; -1: no byte's */
    uint32_t byte_ids[256]; /* the token of each single byte */
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

static uint32_t table_size(uint64_t n)
{
    uint32_t cap = 1024;

    while (cap < 2 * n)
        cap *= 2;
    return cap;
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
    char joined[RULE_MAX];
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
    if (!vocabulary_find(b->words, left, &l) || !vocabulary_find(b->words, right, &r) ||
        !vocabulary_find(b->words, (struct span){joined, left.len + right.len}, &into))
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
        p->count > MERGES_MAX)
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

static enum status read_pre(struct bpe *b, const struct gguf *g, struct engine_error *err)
{
    struct span pre = gguf_string(g, "tokenizer.ggml.pre");

    b->pieces = pieces_find(pre);
    if (b->pieces == NULL)
        return error_set(
            err, ST_INVALID, "pre-tokenizer '%.*s' is not supported; supported: %s",
            (int)(pre.len < 40 ? pre.len : 40), pre.ptr != NULL ? pre.ptr : "", pieces_known());
    return ST_OK;
}

static enum status read_bytes(struct bpe *b, struct engine_error *err)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[UNICODE_UTF8_MAX];
        size_t n = unicode_put(b->char_of[byte], text);

        if (!vocabulary_find(b->words, (struct span){text, n}, &b->byte_ids[byte]))
            b->byte_ids[byte] = UINT32_MAX; /* some vocabularies leave out bytes of no use */
    }
    if (b->byte_ids['a'] == UINT32_MAX)
        return error_set(err, ST_INVALID, "the vocabulary has no tokens of single bytes");
    return ST_OK;
}

enum status bpe_open(const struct gguf *g, const struct vocabulary *words, struct bpe **out,
                     struct engine_error *err)
{
    struct bpe *b = calloc(1, sizeof(*b));
    enum status st;

    if (b == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    b->words = words;
    make_alphabet(b);
    st = read_pre(b, g, err);
    if (st == ST_OK)
        st = read_merges(b, g, err);
    if (st == ST_OK)
        st = read_bytes(b, err);
    if (st != ST_OK) {
        bpe_close(b);
        return st;
    }
    *out = b;
    return ST_OK;
}

void bpe_close(struct bpe *b)
{
    free(b->merges);
    free(b);
}

size_t bpe_bytes(const struct bpe *b)
{
    return sizeof(*b) + ((size_t)b->merge_mask + 1) * sizeof(*b->merges);
}

size_t bpe_work_bytes(const struct bpe *b, size_t text_bytes)
{
    size_t most = text_bytes < PIECES_MAX_BYTES ? text_bytes : PIECES_MAX_BYTES;

    return merge_bytes(most) + (b->pieces->composed ? COMPOSED_MAX(text_bytes) : 0);
}

bool bpe_begins(const struct bpe *b)
{
    return b->pieces->begins;
}

/* --- merging ---------------------------------------------------------------------------- */

static bool whole_token(const struct bpe *b, struct span piece, uint32_t *id)
{
    char text[WHOLE_MAX * 2];
    size_t n = 0;

    if (piece.len > WHOLE_MAX)
        return false;
    for (size_t i = 0; i < piece.len; i++)
        n += unicode_put(b->char_of[(unsigned char)piece.ptr[i]], text + n);
    return vocabulary_find(b->words, (struct span){text, n}, id);
}

/* The tokens of its bytes; those that have none are left out. */
static size_t bytes_of(const struct bpe *b, struct span piece, uint32_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < piece.len; i++) {
        if (b->byte_ids[(unsigned char)piece.ptr[i]] != UINT32_MAX)
            out[n++] = b->byte_ids[(unsigned char)piece.ptr[i]];
    }
    return n;
}

/* The lowest rank first, the leftmost of equals. */
static void merge_few(const struct bpe *b, struct span piece, struct token_sink *s)
{
    uint32_t part[FEW_MAX];
    size_t n = bytes_of(b, piece, part);

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
        token_sink_put(s, part[i]);
}

static bool find_merge(const void *arg, const struct merge_part *left,
                       const struct merge_part *right, double *key, uint32_t *into)
{
    const struct merge *m = merge_slot(arg, left->id, right->id);

    if (m->right == UINT32_MAX)
        return false;
    *key = -(double)m->rank;
    *into = m->into;
    return true;
}

static enum status merge_many(const struct bpe *b, struct span piece, struct token_sink *s)
{
    struct merge_part *parts = malloc(piece.len * sizeof(*parts));
    enum status st = ST_NOMEM;
    size_t n = 0;

    for (size_t i = 0; parts != NULL && i < piece.len; i++) {
        uint32_t id = b->byte_ids[(unsigned char)piece.ptr[i]];

        if (id != UINT32_MAX) {
            parts[n] = (struct merge_part){.id = id, .at = (uint32_t)n, .len = 1};
            n++;
        }
    }
    if (parts != NULL)
        st = merge_run(parts, n, find_merge, b, &n);
    for (size_t i = 0; st == ST_OK && i < n; i++)
        token_sink_put(s, parts[i].id);
    free(parts);
    return st;
}

static enum status put_piece(const struct bpe *b, struct span piece, struct token_sink *s)
{
    uint32_t whole;

    if (b->pieces->whole_first && whole_token(b, piece, &whole)) {
        token_sink_put(s, whole);
        return ST_OK;
    }
    if (piece.len > FEW_MAX)
        return merge_many(b, piece, s);
    merge_few(b, piece, s);
    return ST_OK;
}

/* --- texts ------------------------------------------------------------------------------ */

static enum status encode_composed(const struct bpe *b, struct span text, struct token_sink *s)
{
    struct pieces_place place = {{0}};
    enum status st = ST_OK;

    for (size_t at = 0; st == ST_OK && at < text.len;) {
        size_t n = pieces_next(b->pieces, text, at, &place);

        st = put_piece(b, (struct span){text.ptr + at, n}, s);
        if (st == ST_OK && s->count > s->most)
            return ST_LIMIT;
        at += n;
    }
    return st;
}

enum status bpe_encode(const struct bpe *b, struct span text, struct token_sink *s)
{
    struct buf composed;
    enum status st;

    /* What is no UTF-8 has no normal form and is taken as it is. */
    if (!b->pieces->composed || unicode_is_composed(text) || !unicode_valid(text))
        return encode_composed(b, text, s);
    buf_init(&composed, COMPOSED_MAX(text.len));
    st = unicode9_compose(text, &composed);
    if (st == ST_OK)
        st = encode_composed(b, buf_span(&composed), s);
    buf_release(&composed);
    return st;
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

enum status bpe_decode(const struct bpe *b, struct span text, struct buf *out)
{
    enum status st = ST_OK;

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
