#include "engine/tokenizer/unigram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "engine/error.h"
#include "engine/gguf.h"

#define MARK            "\xe2\x96\x81" /* U+2581 stands for a space */
#define MARK_LEN        3
#define WORD_MAX        65536 /* bytes looked at together; a longer "word" is cut */
#define UNKNOWN_PENALTY 10.0  /* below the worst piece */
#define GROWTH_MAX      32    /* of a text by its normalization, in bytes for a byte */

struct unigram {
    struct unigram_options o;
    uint32_t size;
    struct unigram_piece *pieces; /* owned, by text */
    uint32_t *ids;                /* owned: of the pieces in that order */
    double unknown_score;
};

/* --- opening ---------------------------------------------------------------------------- */

struct entry {
    struct unigram_piece piece;
    uint32_t id;
};

static int by_text(const void *a, const void *b)
{
    struct span x = ((const struct entry *)a)->piece.text;
    struct span y = ((const struct entry *)b)->piece.text;
    size_t n = x.len < y.len ? x.len : y.len;
    int order = n > 0 ? memcmp(x.ptr, y.ptr, n) : 0;

    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static uint32_t gather(const struct unigram_piece *pieces, uint32_t n, struct entry *list,
                       double *worst)
{
    uint32_t count = 0;

    *worst = 0;
    for (uint32_t id = 0; id < n; id++) {
        *worst = id == 0 || pieces[id].score < *worst ? pieces[id].score : *worst;
        if (pieces[id].text.len > 0)
            list[count++] = (struct entry){pieces[id], id};
    }
    qsort(list, count, sizeof(*list), by_text);
    return count;
}

enum status unigram_open(const struct unigram_piece *pieces, uint32_t n,
                         const struct unigram_options *o, struct unigram **out,
                         struct engine_error *err)
{
    struct unigram *u = calloc(1, sizeof(*u));
    struct entry *list = malloc(((size_t)n + 1) * sizeof(*list));
    double worst = 0;

    if (u != NULL) {
        u->o = *o;
        u->pieces = malloc(((size_t)n + 1) * sizeof(*u->pieces));
        u->ids = malloc(((size_t)n + 1) * sizeof(*u->ids));
    }
    if (u == NULL || list == NULL || u->pieces == NULL || u->ids == NULL) {
        free(list);
        if (u != NULL)
            unigram_close(u);
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    }
    u->size = gather(pieces, n, list, &worst);
    for (uint32_t i = 0; i < u->size; i++) {
        u->pieces[i] = list[i].piece;
        u->ids[i] = list[i].id;
    }
    free(list);
    u->unknown_score = worst - UNKNOWN_PENALTY;
    *out = u;
    return ST_OK;
}

static enum status read_options(const struct gguf *g, const struct vocabulary *words,
                                struct unigram_options *o, struct engine_error *err)
{
    const struct gguf_pair *map = gguf_find(g, "tokenizer.ggml.precompiled_charsmap");
    uint64_t unknown = 2;
    bool extra = true;

    *o = (struct unigram_options){.prefix = true};
    (void)!gguf_bool(g, "tokenizer.ggml.add_space_prefix", &o->prefix);
    (void)!gguf_bool(g, "tokenizer.ggml.remove_extra_whitespaces", &extra);
    (void)!gguf_u64(g, "tokenizer.ggml.unknown_token_id", &unknown);
    o->collapse = o->trim_front = o->trim_back = extra;
    o->unknown = unknown < words->size ? (uint32_t)unknown : 0;
    if (map != NULL && (map->kind != GGUF_ARRAY || map->element > GGUF_I8))
        return error_set(err, ST_INVALID, "tokenizer.ggml.precompiled_charsmap is no bytes");
    if (!charsmap_read(map != NULL ? map->value : (struct span){"", 0}, &o->map))
        return error_set(err, ST_INVALID, "tokenizer.ggml.precompiled_charsmap is not usable");
    return ST_OK;
}

enum status unigram_open_gguf(const struct gguf *g, const struct vocabulary *words,
                              struct unigram **out, struct engine_error *err)
{
    const char *scores = vocabulary_scores(words, g);
    struct unigram_piece *pieces = calloc(words->size, sizeof(*pieces));
    struct unigram_options o;
    enum status st = ST_OK;

    if (pieces == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    if (scores == NULL)
        st = error_set(err, ST_INVALID, "tokenizer.ggml.scores is missing or not usable");
    for (uint32_t id = 0; st == ST_OK && id < words->size; id++) {
        float score;

        memcpy(&score, scores + sizeof(score) * (size_t)id, sizeof(score));
        if (!isfinite(score))
            st =
                error_set(err, ST_INVALID, "tokenizer.ggml.scores: entry %u is not finite", id);
        pieces[id].score = (double)score;
        if (words->types[id] == TOKEN_NORMAL)
            pieces[id].text = words->texts[id];
    }
    if (st == ST_OK)
        st = read_options(g, words, &o, err);
    if (st == ST_OK)
        st = unigram_open(pieces, words->size, &o, out, err);
    free(pieces);
    return st;
}

void unigram_close(struct unigram *u)
{
    free(u->pieces);
    free(u->ids);
    free(u);
}

size_t unigram_bytes(const struct unigram *u)
{
    return sizeof(*u) + u->size * (sizeof(*u->pieces) + sizeof(*u->ids));
}

bool unigram_prefixes(const struct unigram *u)
{
    return u->o.prefix;
}

/* --- words ------------------------------------------------------------------------------ */

static bool is_mark(struct span s, size_t at)
{
    return s.len - at >= MARK_LEN && memcmp(s.ptr + at, MARK, MARK_LEN) == 0;
}

/* Any white space, for parting words, or nothing but spaces. */
static bool is_gap(const struct unigram *u, uint32_t c)
{
    return u->o.split_white ? unicode_is_space(c) : c == ' ';
}

static struct span trim(const struct unigram *u, struct span s)
{
    uint32_t c;

    for (size_t at = 0; u->o.trim_front && s.len > 0; at = 0) {
        if (!unicode_next(s, &at, &c) || !unicode_is_space(c))
            break;
        s = (struct span){s.ptr + at, s.len - at};
    }
    return u->o.trim_back ? unicode_trim_end(s) : s;
}

/* Spaces become marks: one before each word, and one for each more where they are kept. */
static enum status mark_spaces(const struct unigram *u, struct span s, struct buf *out)
{
    /* What a word begins with unless it has it: white space is gone where it parts words. */
    bool gap = u->o.split_white, wants = u->o.prefix;
    enum status st = ST_OK;

    for (size_t at = 0, from = 0; st == ST_OK && at < s.len; from = at) {
        uint32_t c;

        if (!unicode_next(s, &at, &c))
            return ST_INVALID;
        if (is_gap(u, c)) {
            if (!u->o.split_white && !(u->o.collapse && gap))
                st = buf_append(out, SPAN(MARK));
            wants = wants && u->o.split_white;
            gap = true;
            continue;
        }
        if ((wants || (u->o.split_white && gap && u->o.prefix)) && !is_mark(s, from))
            st = buf_append(out, SPAN(MARK));
        wants = gap = false;
        if (st == ST_OK)
            st = buf_append(out, (struct span){s.ptr + from, at - from});
    }
    return st;
}

/* --- the best way ----------------------------------------------------------------------- */

/* The best way to a place in the word. */
struct node {
    double score;
    uint32_t from; /* where its last piece begins; UINT32_MAX: no way yet */
    uint32_t id;
};

/* Pieces that begin with the bytes looked at so far: pieces[low..high). */
struct range {
    uint32_t low, high;
};

/* Narrows the range to those whose byte `at` is c. */
static void narrow(const struct unigram *u, struct range *r, size_t at, unsigned char c)
{
    uint32_t low = r->low, high = r->high;

    for (int side = 0; side < 2; side++) {
        uint32_t from = side == 0 ? low : r->low, to = high;

        while (from < to) {
            uint32_t mid = from + (to - from) / 2;
            struct span t = u->pieces[mid].text;
            int byte = t.len > at ? (unsigned char)t.ptr[at] : -1;

            if (side == 0 ? byte < c : byte <= c)
                from = mid + 1;
            else
                to = mid;
        }
        if (side == 0)
            r->low = from;
        else
            r->high = from;
    }
}

static void offer(struct node *n, double score, uint32_t from, uint32_t id)
{
    if (n->from == UINT32_MAX || score > n->score)
        *n = (struct node){score, from, id};
}

/* All pieces that begin at `at`; the unknown one where none is a single character. */
static void step(const struct unigram *u, struct span word, size_t at, size_t next,
                 struct node *nodes)
{
    struct range r = {0, u->size};
    double score = nodes[at].score;
    bool single = false;

    for (size_t end = at; end < word.len && r.low < r.high; end++) {
        narrow(u, &r, end - at, (unsigned char)word.ptr[end]);
        /* The shortest of the range comes first: is it all of the bytes? */
        if (r.low == r.high || u->pieces[r.low].text.len != end + 1 - at)
            continue;
        offer(&nodes[end + 1], u->pieces[r.low].score + score, (uint32_t)at, u->ids[r.low]);
        single |= end + 1 == next;
    }
    if (!single)
        offer(&nodes[next], u->unknown_score + score, (uint32_t)at, u->o.unknown);
}

/* Back from the end; then once more in the order of the text, a run of unknown pieces as
 * one. */
static void put_way(const struct unigram *u, struct node *nodes, size_t end,
                    struct token_sink *s)
{
    uint32_t next = UINT32_MAX;
    bool unknown = false;

    /* Each node on the way now tells where the next piece ends. */
    for (uint32_t at = (uint32_t)end; at > 0;) {
        uint32_t from = nodes[at].from;

        nodes[at].from = next;
        next = at;
        at = from;
    }
    for (uint32_t at = next; at != UINT32_MAX; at = nodes[at].from) {
        bool is_unknown = nodes[at].id == u->o.unknown;

        if (!is_unknown || !unknown)
            token_sink_put(s, nodes[at].id);
        unknown = is_unknown;
    }
}

static enum status encode_word(const struct unigram *u, struct span word, struct node *nodes,
                               struct token_sink *s)
{
    for (size_t i = 1; i <= word.len; i++)
        nodes[i].from = UINT32_MAX;
    nodes[0].score = 0;
    for (size_t at = 0, next = 0; at < word.len; at = next) {
        uint32_t c;

        if (!unicode_next(word, &next, &c))
            return ST_INVALID;
        step(u, word, at, next, nodes);
    }
    put_way(u, nodes, word.len, s);
    return s->count > s->most ? ST_LIMIT : ST_OK;
}

/* A word begins at each mark. */
static size_t word_end(struct span text, size_t at)
{
    size_t end = at + 1, most = text.len - at > WORD_MAX ? at + WORD_MAX : text.len;

    while (end < most && !is_mark(text, end))
        end++;
    while (end < text.len && end > at + 1 && ((unsigned char)text.ptr[end] & 0xc0) == 0x80)
        end--;
    return end;
}

static enum status encode_marked(const struct unigram *u, struct span text,
                                 struct token_sink *s)
{
    size_t most = text.len < WORD_MAX ? text.len : WORD_MAX;
    struct node *nodes = malloc((most + 1) * sizeof(*nodes));
    enum status st = nodes != NULL ? ST_OK : ST_NOMEM;

    for (size_t at = 0, end; st == ST_OK && at < text.len; at = end) {
        end = word_end(text, at);
        st = encode_word(u, (struct span){text.ptr + at, end - at}, nodes, s);
    }
    free(nodes);
    return st;
}

enum status unigram_encode(const struct unigram *u, struct span text, struct token_sink *s)
{
    struct buf normal, marked;
    enum status st;

    if (!unicode_valid(text))
        return ST_INVALID;
    buf_init(&normal, GROWTH_MAX * text.len + 64);
    buf_init(&marked, MARK_LEN * GROWTH_MAX * text.len + 64);
    st = charsmap_apply(&u->o.map, text, &normal);
    if (st == ST_OK)
        st = mark_spaces(u, trim(u, buf_span(&normal)), &marked);
    if (st == ST_OK)
        st = encode_marked(u, buf_span(&marked), s);
    buf_release(&normal);
    buf_release(&marked);
    return st;
}

size_t unigram_work_bytes(size_t text_bytes)
{
    size_t normal = GROWTH_MAX * text_bytes + 64;

    return normal + MARK_LEN * normal + (WORD_MAX + 1) * sizeof(struct node);
}
