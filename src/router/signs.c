#include "router/signs.h"

#include <math.h>

#include "base/hash.h"
#include "router/words.h"

#define WORDS_MAX 512 /* of a text; a power of two above it is the table's room */
#define TABLE     1024
/* No honest figure is beyond it: sums stay finite, whatever a model says. */
#define FIGURE_MAX 1e3

static const char *const names[SIGNS_COUNT] = {
    [SIGN_LOG_P] = "log_p",
    [SIGN_LEAST_LOG_P] = "least_log_p",
    [SIGN_ENTROPY] = "entropy",
    [SIGN_FIRST_MARGIN] = "first_margin",
    [SIGN_LEAST_MARGIN] = "least_margin",
    [SIGN_TOKENS] = "tokens",
    [SIGN_REPEATS] = "repeats",
    [SIGN_ECHO] = "echo",
    [SIGN_EXAMPLES] = "examples",
    [SIGN_NEAREST] = "nearest",
    [SIGN_ALIKE] = "alike",
    [SIGN_FOLLOWS] = "follows",
    [SIGN_SHAPE] = "shape",
    [SIGN_VOTES] = "votes",
    [SIGN_ENOUGH] = "enough",
};

const char *signs_name(size_t i)
{
    return i < SIGNS_OWN ? names[i] : features_name((enum feature)(i - SIGNS_OWN));
}

/* --- words -------------------------------------------------------------------------------- */

static struct words beginning_of(struct span text)
{
    return words_of(
        (struct span){text.ptr, text.len > SIGNS_READ_MAX ? SIGNS_READ_MAX : text.len});
}

/* Hashes of words; two of one hash are taken for the same. */
struct table {
    uint64_t hash[TABLE]; /* 0: empty */
    size_t count;
};

/* Was it there? With `add` it is from now on, as long as there is room. */
static bool meet(struct table *t, struct span word, bool add)
{
    uint64_t h = hash_bytes(word, 0) | 1;
    size_t i = h / 2 % TABLE;

    for (; t->hash[i] != 0; i = (i + 1) % TABLE) {
        if (t->hash[i] == h)
            return true;
    }
    if (add && t->count < WORDS_MAX) {
        t->hash[i] = h;
        t->count++;
    }
    return false;
}

bool signs_same(struct span a, struct span b)
{
    struct words of_a = beginning_of(a), of_b = beginning_of(b);
    struct span x, y;

    do {
        x = words_next(&of_a);
        y = words_next(&of_b);
        if (!span_eq(x, y))
            return false;
    } while (x.len > 0);
    return true;
}

/* --- what is seen ------------------------------------------------------------------------- */

static void look_at_words(const struct signs_input *in, double *out)
{
    struct table asked = {.count = 0}, said = {.count = 0};
    struct words question = beginning_of(in->question), answer = beginning_of(in->answer);
    double all = 0, again = 0, echo = 0;
    struct span w;

    while ((w = words_next(&question)).len > 0)
        (void)meet(&asked, w, true);
    while ((w = words_next(&answer)).len > 0) {
        all++;
        echo += meet(&asked, w, false);
        again += meet(&said, w, true);
    }
    out[SIGN_REPEATS] = all > 0 ? again / all : 0;
    out[SIGN_ECHO] = all > 0 ? echo / all : 0;
}

static void look_at_examples(const struct signs_input *in, double *out)
{
    double n = (double)in->shown_count, length = 0;
    size_t most = 0, follows = 0;

    out[SIGN_EXAMPLES] = n;
    out[SIGN_NEAREST] = in->nearest;
    out[SIGN_ALIKE] = out[SIGN_FOLLOWS] = out[SIGN_SHAPE] = 0;
    if (in->shown_count == 0)
        return;
    for (size_t i = 0; i < in->shown_count; i++) {
        size_t alike = 0;

        for (size_t k = 0; k < in->shown_count; k++)
            alike += signs_same(in->shown[i], in->shown[k]);
        most = alike > most ? alike : most;
        follows += signs_same(in->answer, in->shown[i]);
        length += log1p((double)in->shown[i].len);
    }
    out[SIGN_ALIKE] = (double)most / n;
    out[SIGN_FOLLOWS] = (double)follows / n;
    out[SIGN_SHAPE] = fabs(log1p((double)in->answer.len) - length / n);
}

static double bounded(double v)
{
    return isnan(v) ? 0 : fmax(-FIGURE_MAX, fmin(FIGURE_MAX, v));
}

void signs_of(const struct signs_input *in, double *out)
{
    double n = in->tokens > 0 ? (double)in->tokens : 1;

    out[SIGN_LOG_P] = in->log_p / n;
    out[SIGN_LEAST_LOG_P] = in->least_log_p;
    out[SIGN_ENTROPY] = in->entropy / n;
    out[SIGN_FIRST_MARGIN] = in->first_margin;
    out[SIGN_LEAST_MARGIN] = in->least_margin;
    out[SIGN_TOKENS] = log1p((double)in->tokens);
    look_at_words(in, out);
    look_at_examples(in, out);
    out[SIGN_VOTES] = in->votes;
    out[SIGN_ENOUGH] = in->enough;
    features_of(in->question, out + SIGNS_OWN);
    for (size_t i = 0; i < SIGNS_COUNT; i++)
        out[i] = bounded(out[i]);
}
