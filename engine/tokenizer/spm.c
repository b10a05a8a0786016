/* The text is worked on in parts, so that its memory does not depend on its length: no
 * token reaches over the beginning of a word (where it does, in a vocabulary of another
 * making, only very long texts are cut). */
#include "engine/tokenizer/spm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "engine/error.h"
#include "engine/gguf.h"
#include "engine/tokenizer/merge.h"

#define PART_MAX 65536          /* bytes of text merged together at most */
#define MARK     "\xe2\x96\x81" /* U+2581 stands for a space */
#define MARK_LEN 3

struct spm {
    const struct vocabulary *words; /* borrowed */
    float *scores;                  /* owned, by id */
    uint32_t byte_ids[256];         /* "<0x0A>"; UINT32_MAX: none */
    uint32_t unknown;               /* UINT32_MAX: none */
    bool prefix;
    bool words_end; /* no token goes on behind a word's end */
};

/* --- opening ---------------------------------------------------------------------------- */

static enum status read_scores(struct spm *m, const struct gguf *g, struct engine_error *err)
{
    const char *scores = vocabulary_scores(m->words, g);

    if (scores == NULL)
        return error_set(err, ST_INVALID, "tokenizer.ggml.scores is missing or not usable");
    m->scores = malloc(m->words->size * sizeof(*m->scores));
    if (m->scores == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    memcpy(m->scores, scores, m->words->size * sizeof(*m->scores));
    for (uint32_t id = 0; id < m->words->size; id++) {
        if (isnan(m->scores[id]))
            return error_set(err, ST_INVALID, "tokenizer.ggml.scores: entry %u is no number",
                             id);
    }
    return ST_OK;
}

static bool is_mark(struct span s, size_t at)
{
    return s.len - at >= MARK_LEN && memcmp(s.ptr + at, MARK, MARK_LEN) == 0;
}

/* Is there a mark behind something that is none? */
static bool holds_word_end(struct span text)
{
    size_t at = 0;

    while (at < text.len && is_mark(text, at))
        at += MARK_LEN;
    while (at < text.len) {
        const char *first = memchr(text.ptr + at, (unsigned char)MARK[0], text.len - at);

        if (first == NULL)
            return false;
        at = (size_t)(first - text.ptr);
        if (is_mark(text, at))
            return true;
        at++;
    }
    return false;
}

static void read_kinds(struct spm *m)
{
    m->words_end = true;
    m->unknown = UINT32_MAX;
    for (uint32_t id = 0; id < m->words->size; id++) {
        if (m->words->types[id] == TOKEN_UNKNOWN && m->unknown == UINT32_MAX)
            m->unknown = id;
        if (m->words->types[id] == TOKEN_NORMAL && holds_word_end(m->words->texts[id]))
            m->words_end = false;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];

        snprintf(text, sizeof(text), "<0x%02X>", byte);
        if (!vocabulary_find(m->words, span_of(text), &m->byte_ids[byte]) ||
            m->words->types[m->byte_ids[byte]] != TOKEN_BYTE)
            m->byte_ids[byte] = UINT32_MAX;
    }
}

enum status spm_open(const struct gguf *g, const struct vocabulary *words, struct spm **out,
                     struct engine_error *err)
{
    struct spm *m = calloc(1, sizeof(*m));
    enum status st;

    if (m == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    m->words = words;
    m->prefix = true;
    (void)!gguf_bool(g, "tokenizer.ggml.add_space_prefix", &m->prefix);
    st = read_scores(m, g, err);
    if (st != ST_OK) {
        spm_close(m);
        return st;
    }
    read_kinds(m);
    *out = m;
    return ST_OK;
}

void spm_close(struct spm *m)
{
    free(m->scores);
    free(m);
}

size_t spm_bytes(const struct spm *m)
{
    return sizeof(*m) + m->words->size * sizeof(*m->scores);
}

size_t spm_work_bytes(size_t text_bytes)
{
    size_t most = (text_bytes < PART_MAX ? text_bytes : PART_MAX) + 1;

    return MARK_LEN * most + merge_bytes(most);
}

bool spm_prefixes(const struct spm *m)
{
    return m->prefix;
}

/* --- encoding --------------------------------------------------------------------------- */

/* A part of the text with its spaces as marks, and the characters it falls into. */
struct run {
    const struct spm *m;
    struct token_sink *sink;
    char *text;
    size_t len;
    struct merge_part *parts;
    bool unknown; /* the last token was the unknown one: a run of it is one */
};

static bool find_merge(const void *arg, const struct merge_part *left,
                       const struct merge_part *right, double *key, uint32_t *into)
{
    const struct run *r = arg;
    struct span both = {r->text + left->at, left->len + right->len};

    /* Only what training has seen: "<" and "s>" do not make a control token. */
    if (!vocabulary_find(r->m->words, both, into) || r->m->words->types[*into] != TOKEN_NORMAL)
        return false;
    *key = (double)r->m->scores[*into];
    return true;
}

static void put_unknown(struct run *r)
{
    if (!r->unknown && r->m->unknown != UINT32_MAX)
        token_sink_put(r->sink, r->m->unknown);
    r->unknown = true;
}

static void put_bytes(struct run *r, const struct merge_part *p)
{
    for (uint32_t i = 0; i < p->len; i++) {
        if (r->m->byte_ids[(unsigned char)r->text[p->at + i]] == UINT32_MAX) {
            put_unknown(r);
            return;
        }
    }
    for (uint32_t i = 0; i < p->len; i++)
        token_sink_put(r->sink, r->m->byte_ids[(unsigned char)r->text[p->at + i]]);
    r->unknown = false;
}

static void put_part(struct run *r, const struct merge_part *p)
{
    uint32_t id;

    if (!vocabulary_find(r->m->words, (struct span){r->text + p->at, p->len}, &id) ||
        r->m->words->types[id] != TOKEN_NORMAL) {
        put_bytes(r, p);
        return;
    }
    token_sink_put(r->sink, id);
    r->unknown = false;
}

static size_t characters(struct run *r)
{
    const struct span s = {r->text, r->len};
    size_t n = 0;

    for (size_t at = 0; at < s.len; n++) {
        size_t next = at;
        uint32_t c;

        if (!unicode_next(s, &next, &c))
            next = at + 1;
        r->parts[n] = (struct merge_part){.at = (uint32_t)at, .len = (uint32_t)(next - at)};
        at = next;
    }
    return n;
}

static void add(struct run *r, const char *bytes, size_t n)
{
    memcpy(r->text + r->len, bytes, n);
    r->len += n;
}

static enum status encode_part(struct run *r, struct span part)
{
    enum status st;
    size_t n;

    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] == ' ')
            add(r, MARK, MARK_LEN);
        else
            add(r, part.ptr + i, 1);
    }
    n = characters(r);
    st = merge_run(r->parts, n, find_merge, r, &n);
    for (size_t i = 0; st == ST_OK && i < n; i++)
        put_part(r, &r->parts[i]);
    r->len = 0;
    if (st == ST_OK && r->sink->count > r->sink->most)
        return ST_LIMIT;
    return st;
}

/* A mark written in the text is one as well. */
static bool begins_word(struct span text, size_t from, size_t at)
{
    if (text.ptr[at] != ' ' || text.ptr[at - 1] == ' ')
        return false;
    return at - from < MARK_LEN || !is_mark(text, at - MARK_LEN);
}

/* A part ends where a word does, or where it must; then not within a character. */
static size_t part_end(const struct spm *m, struct span text, size_t at)
{
    size_t end = at + 1, most = text.len - at > PART_MAX ? at + PART_MAX : text.len;

    if (m->words_end) {
        while (end < most && !begins_word(text, at, end))
            end++;
        if (end < most)
            return end;
    }
    for (end = most; end < text.len && end > at + 1; end--) {
        if (((unsigned char)text.ptr[end] & 0xc0) != 0x80)
            break;
    }
    return end;
}

enum status spm_encode(const struct spm *m, struct span text, struct token_sink *s)
{
    /* Of characters in the longest part, with a space before it. */
    size_t most = (text.len < PART_MAX ? text.len : PART_MAX) + 1;
    struct run r = {.m = m, .sink = s};
    enum status st = ST_OK;

    if (text.len == 0)
        return ST_OK;
    r.text = malloc(MARK_LEN * most);
    r.parts = malloc(most * sizeof(*r.parts));
    if (r.text == NULL || r.parts == NULL)
        st = ST_NOMEM;
    if (st == ST_OK && m->prefix)
        add(&r, MARK, MARK_LEN);
    for (size_t at = 0, end; st == ST_OK && at < text.len; at = end) {
        end = part_end(m, text, at);
        st = encode_part(&r, (struct span){text.ptr + at, end - at});
    }
    free(r.text);
    free(r.parts);
    return st;
}

/* --- decoding --------------------------------------------------------------------------- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum status decode_byte(struct span text, struct buf *out)
{
    int high = text.len == 6 ? digit(text.ptr[3]) : -1;
    int low = text.len == 6 ? digit(text.ptr[4]) : -1;
    char c = (char)(high * 16 + low);

    return high < 0 || low < 0 ? ST_OK : buf_append(out, (struct span){&c, 1});
}

enum status spm_decode(const struct spm *m, uint32_t id, struct buf *out)
{
    struct span text = m->words->texts[id];

    if (m->words->types[id] == TOKEN_BYTE)
        return decode_byte(text, out);
    if (m->words->types[id] == TOKEN_UNKNOWN || m->words->types[id] == TOKEN_UNUSED)
        return ST_OK;
    return vocabulary_unmark(text, out);
}
