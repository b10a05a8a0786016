/* The words of the questions are left out because answers repeat them, which makes answers to
 * near questions look alike; the others weigh what they say (guard_common.h). A number, a yes
 * or a no decides a short answer ("order 17" / "order 18", "you can" / "you can not") and is
 * one word of many in a long one. */
#include "cache/agreement.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define YES_FROM 0.50
#define NO_BELOW 0.25
#define DECISIVE 3.0 /* weight */

static bool has(const uint32_t *hashes, size_t n, uint32_t hash)
{
    for (size_t i = 0; i < n; i++) {
        if (hashes[i] == hash)
            return true;
    }
    return false;
}

static bool is_decisive(const struct guard_word *w)
{
    static const char *const words[] = {"yes", "no", "not", "never", "neither", NULL};

    return (w->number && !w->soft) || guard_text_among(w, words);
}

/* "90 minutes" is "1.5 hours". */
static uint32_t hash_of(const struct guard_word *w)
{
    double value = w->count * w->factor;
    uint64_t bits;

    if (!w->number || isnan(value))
        return w->hash;
    memcpy(&bits, &value, sizeof(bits));
    bits = (bits ^ (bits >> 32) ^ (uint64_t)(unsigned char)w->unit) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(bits >> 32);
}

void agreement_read(struct span question, struct span answer, struct agreement_text *out)
{
    struct guard_text text;

    out->answer = answer;
    out->said_count = 0;
    guard_text_read(question, &text);
    for (size_t i = 0; i < text.count; i++)
        out->asked[i] = hash_of(&text.words[i]);
    out->asked_count = text.count;
    guard_text_read(answer, &text);
    for (size_t i = 0; i < text.count; i++) {
        const struct guard_word *w = &text.words[i];
        bool decisive = is_decisive(w);
        uint32_t hash = hash_of(w);

        if ((w->stop && !decisive) || has(out->said, out->said_count, hash))
            continue;
        out->weight[out->said_count] = decisive ? DECISIVE : w->weight;
        out->said[out->said_count++] = hash;
    }
}

/* Weights of what `a` said beyond the questions; *shared: of that, what `b` said too. */
static double sum_of(const struct agreement_text *a, const struct agreement_text *b,
                     double *shared)
{
    double sum = 0;

    *shared = 0;
    for (size_t i = 0; i < a->said_count; i++) {
        if (has(a->asked, a->asked_count, a->said[i]) ||
            has(b->asked, b->asked_count, a->said[i]))
            continue;
        sum += a->weight[i];
        if (has(b->said, b->said_count, a->said[i]))
            *shared += a->weight[i];
    }
    return sum;
}

double agreement_overlap(const struct agreement_text *a, const struct agreement_text *b)
{
    double of_a, of_b, all_a = sum_of(a, b, &of_a), all_b = sum_of(b, a, &of_b);

    return all_a > 0 && all_b > 0 ? (of_a + of_b) / (all_a + all_b) : -1;
}

enum agreement agreement_of(const struct agreement_text *a, const struct agreement_text *b)
{
    double value;

    if (span_eq(a->answer, b->answer))
        return AGREEMENT_YES;
    value = agreement_overlap(a, b);
    if (value < 0)
        return AGREEMENT_UNSURE;
    return value >= YES_FROM  ? AGREEMENT_YES
           : value < NO_BELOW ? AGREEMENT_NO
                              : AGREEMENT_UNSURE;
}
