#include "engine/choice.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 32

static bool has(const struct choice *c, size_t word, uint32_t id)
{
    for (size_t i = 0; i < c->counts[word]; i++) {
        if (c->ids[word][i] == id)
            return true;
    }
    return false;
}

static enum status add_form(struct choice *c, const struct decoder *d, size_t word,
                            struct span text)
{
    uint32_t id;
    size_t count;
    enum status st = decoder_tokenize(d, text, false, &id, 1, &count);

    if (st != ST_OK || count == 0)
        return st;
    if (!has(c, word, id))
        c->ids[word][c->counts[word]++] = id;
    return ST_OK;
}

static enum status add_word(struct choice *c, const struct decoder *d, size_t word,
                            struct span text)
{
    char forms[WORD_MAX + 1];
    enum status st = ST_OK;

    if (text.len == 0 || text.len > WORD_MAX)
        return ST_INVALID;
    forms[0] = ' ';
    memcpy(forms + 1, text.ptr, text.len);
    for (unsigned lower = 0; st == ST_OK && lower < 2; lower++) {
        if (lower == 1 && forms[1] >= 'A' && forms[1] <= 'Z')
            forms[1] = (char)(forms[1] - 'A' + 'a');
        st = add_form(c, d, word, (struct span){forms + 1, text.len});
        if (st == ST_OK)
            st = add_form(c, d, word, (struct span){forms, text.len + 1});
    }
    return st;
}

/* Tokens of word `a` that `b` has as well, taken out of both. */
static void part(struct choice *c, size_t a, size_t b)
{
    size_t left = 0;

    for (size_t i = 0; i < c->counts[a]; i++) {
        uint32_t id = c->ids[a][i];
        size_t kept = 0;

        if (!has(c, b, id)) {
            c->ids[a][left++] = id;
            continue;
        }
        for (size_t k = 0; k < c->counts[b]; k++) {
            if (c->ids[b][k] != id)
                c->ids[b][kept++] = c->ids[b][k];
        }
        c->counts[b] = kept;
    }
    c->counts[a] = left;
}

enum status choice_read(struct choice *c, const struct decoder *d, const struct span *words,
                        size_t n)
{
    enum status st = n <= DECODER_WORDS_MAX ? ST_OK : ST_INVALID;

    *c = (struct choice){.words = 0};
    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = add_word(c, d, i, words[i]);
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        for (size_t k = i + 1; k < n; k++)
            part(c, i, k);
    }
    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = c->counts[i] > 0 ? ST_OK : ST_INVALID;
    if (st == ST_OK)
        c->words = n;
    return st;
}

void choice_look(const struct choice *c, const float *logits, size_t vocabulary, double *out)
{
    float most = logits[0];
    double sum = 0;

    for (size_t i = 1; i < vocabulary; i++)
        most = logits[i] > most ? logits[i] : most;
    for (size_t i = 0; i < vocabulary; i++)
        sum += exp((double)logits[i] - (double)most);
    for (size_t w = 0; w < c->words; w++) {
        out[w] = 0;
        for (size_t i = 0; i < c->counts[w]; i++)
            out[w] += exp((double)logits[c->ids[w][i]] - (double)most) / sum;
    }
}
