#include "engine/guess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NGRAM_MAX    4  /* last tokens that are looked for */
#define NGRAM_LEAST  2  /* fewer say nothing of what follows in a prompt */
#define RETRY        48 /* tokens after which a source that was wrong is tried again */
#define SHARE_STEP   (1.0f / 6)
#define SESSION_STEP (1.0f / 64)
#define SHARE_LEAST  0.02f
/* A column more, before anything was measured: of a pass of one column. */
#define COLUMN_FIRST 0.2
#define COST_STEP    0.125
#define RETRY_CHANCE 0.5f

void guess_init(struct guesser *g, uint32_t *text, size_t count,
                const struct guess_shares *start)
{
    *g = (struct guesser){.text = text, .count = count, .shares = *start};
}

void guess_release(struct guesser *g)
{
    free(g->text);
    g->text = NULL;
}

/* Do the last n tokens of `ids` stand before text[at]? */
static bool follows(const uint32_t *text, size_t at, const uint32_t *ids, size_t count,
                    size_t n)
{
    return at >= n && count >= n && text[at - 1] == ids[count - 1] &&
           memcmp(text + at - n, ids + count - n, n * sizeof(*ids)) == 0;
}

static void take(struct guesser *g, enum decoder_guess source, const uint32_t *from, size_t n,
                 size_t most)
{
    g->source = source;
    g->most = n < most ? n : most;
    memcpy(g->ids, from, g->most * sizeof(*from));
}

/* Where the text goes on: at the place that the answer has followed so far, or behind the next
 * place that has its last words, or any such. */
static bool find_in_text(struct guesser *g, const uint32_t *ids, size_t prompt, size_t count)
{
    const uint32_t *answer = ids + prompt;
    size_t n = count - prompt;

    if (g->count == 0)
        return false;
    if (n == 0 || follows(g->text, g->at, answer, n, 1))
        return g->at < g->count;
    for (size_t k = NGRAM_MAX; k >= NGRAM_LEAST; k--) {
        for (size_t i = 0; i < g->count; i++) {
            size_t at = (g->at + i) % g->count;

            if (at > 0 && follows(g->text, at, answer, n, k)) {
                g->at = at;
                return true;
            }
        }
    }
    return false;
}

/* Behind the last place before that has the last words: the longest of them. 0: none. */
static size_t find_before(const uint32_t *ids, size_t count)
{
    for (size_t k = NGRAM_MAX; k >= NGRAM_LEAST; k--) {
        for (size_t at = count - 1; at >= k && count > k; at--) {
            if (follows(ids, at, ids, count, k))
                return at;
        }
    }
    return 0;
}

bool guess_is_worth(const struct guesser *g, enum decoder_guess source)
{
    return g->shares.right[source] > SHARE_LEAST || g->idle[source] >= RETRY;
}

void guess_next(struct guesser *g, const uint32_t *ids, size_t prompt, size_t count,
                size_t most)
{
    size_t at;

    g->most = g->taken = 0;
    most = most < GUESS_MAX ? most : GUESS_MAX;
    if (find_in_text(g, ids, prompt, count) && guess_is_worth(g, DECODER_GUESS_NEIGHBOUR)) {
        take(g, DECODER_GUESS_NEIGHBOUR, g->text + g->at, g->count - g->at, most);
        return;
    }
    at = find_before(ids, count);
    if (at > 0 && guess_is_worth(g, DECODER_GUESS_PROMPT))
        take(g, DECODER_GUESS_PROMPT, ids + at, count - at, most);
}

float guess_chance(const struct guesser *g, size_t i)
{
    float share = g->shares.right[g->source];

    /* One is tried again, now and then. */
    if (g->idle[g->source] >= RETRY && share < RETRY_CHANCE)
        return i == 0 ? RETRY_CHANCE : 0;
    return powf(share, (float)(i + 1));
}

static void move(float *share, float step, float to)
{
    *share += step * (to - *share);
}

void guess_learn(struct guesser *g, size_t right, size_t tokens, struct guess_shares *session)
{
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++)
        g->idle[i] += (uint32_t)tokens;
    g->at = g->at + tokens < g->count ? g->at + tokens : g->count;
    if (g->taken == 0)
        return;
    g->idle[g->source] = 0;
    /* Behind the first that was wrong nothing was checked. */
    for (size_t i = 0; i < right + (right < g->taken); i++) {
        float is_right = i < right ? 1 : 0;

        move(&g->shares.right[g->source], SHARE_STEP, is_right);
        move(&session->right[g->source], SESSION_STEP, is_right);
    }
    g->taken = 0;
}

/* --- costs ---------------------------------------------------------------------------- */

void guess_cost_init(struct guess_cost *c)
{
    c->us = 0;
    for (size_t n = 0; n < ARRAY_LEN(c->times); n++)
        c->times[n] = n == 0 ? 0 : 1 + COLUMN_FIRST * (double)(n - 1);
}

void guess_cost_add(struct guess_cost *c, size_t columns, uint64_t us)
{
    double times;

    if (columns == 0 || columns >= ARRAY_LEN(c->times))
        return;
    if (c->us == 0)
        c->us = (double)us / c->times[columns];
    times = (double)us / c->us;
    /* A pass that was interrupted says nothing of its columns. */
    if (times > 2 * c->times[columns])
        times = 2 * c->times[columns];
    if (columns == 1)
        c->us += COST_STEP * (times - 1) * c->us;
    else
        c->times[columns] += COST_STEP * (times - c->times[columns]);
}

double guess_cost_pass(const struct guess_cost *c, size_t columns)
{
    size_t last = ARRAY_LEN(c->times) - 1;

    return columns <= last ? c->times[columns]
                           : c->times[last] + COLUMN_FIRST * (double)(columns - last);
}
