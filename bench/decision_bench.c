/* What a decision costs, without the encoder and the search: guards, P(same), verdict.
 *
 *     ninja -C build/release decision_bench && build/release/bin/decision_bench [ROUNDS]
 *
 * Questions of our own, of about 16 tokens, each asked beside five others that are as near as
 * it gets without a hit: none is spared. Prints microseconds a pair (the mean), and of
 * decisions with five candidates the median, p99 and worst, of one core's time; then the same
 * with a record kept for `explain`, and of the longest texts that are looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "cache/decision.h"
#include "cache/decision_record.h"
#include "cache/guard_text.h"

#define CANDIDATES 5
#define ROUNDS     20000
#define LONG_BYTES GUARD_TEXT_BYTES_MAX

static const char *const questions[] = {
    "How do I change the delivery address of an order that I placed yesterday?",
    "How can I change the billing address of an order that I have placed already?",
    "What do I have to do to change the address where my order is delivered?",
    "Can I still change the delivery date of the order that I placed this morning?",
    "Why was I charged twice for the same order when I paid with my new card?",
    "Why have I been charged a second time for an order that I paid by transfer?",
    "What happens to my points when I close the account that I opened last year?",
    "Which documents do you need from me to open a second account for my daughter?",
    "Is it possible to travel from Lisbon to Madrid by night train in the summer?",
    "Is it possible to travel from Madrid to Lisbon by night train in the winter?",
    "How long does it take until a refund of 49.90 euros shows up on my account?",
    "Where in the settings of the app do I turn off messages about new offers?",
};

/* Of this thread: what else runs on the machine is no cost of ours. */
static uint64_t now_ns(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void set_candidates(size_t i, struct span with[],
                           struct decision_candidate out[CANDIDATES])
{
    for (size_t k = 0; k < CANDIDATES; k++)
        out[k] = (struct decision_candidate){
            .similarity = 0.8F, .question = with[(i + 1 + k) % ARRAY_LEN(questions)]};
}

/* Microseconds of each decision; false: out of memory. */
static bool measure(struct span with[], bool keep, size_t rounds, double *took_us)
{
    const struct decision_policy policy = {.threshold = 1, .floor = 0.5F};

    for (size_t i = 0; i < rounds; i++) {
        struct span asked = with[i % ARRAY_LEN(questions)];
        struct decision_candidate c[CANDIDATES];
        struct decision_record like = {.question = asked, .count = CANDIDATES}, *record = NULL;
        struct decision d;
        uint64_t start;

        set_candidates(i, with, c);
        start = now_ns();
        decision_make(asked, c, CANDIDATES, &policy, &d);
        if (keep) {
            memcpy(like.candidates, c, sizeof(c));
            if (decision_record_copy(&like, &record) != ST_OK)
                return false;
        }
        took_us[i] = (double)(now_ns() - start) / 1e3;
        free(record);
        if (d.hit)
            return false; /* a candidate was spared: no measure */
    }
    return true;
}

static bool report(const char *what, struct span with[], bool keep, size_t rounds)
{
    double *took_us = malloc(rounds * sizeof(*took_us)), sum = 0;
    bool ok = took_us != NULL && measure(with, keep, rounds, took_us);

    if (ok) {
        for (size_t i = 0; i < rounds; i++)
            sum += took_us[i];
        qsort(took_us, rounds, sizeof(*took_us), ascending);
        printf("| %s | %.1f | %.1f | %.1f | %.1f |\n", what, sum / (double)rounds / CANDIDATES,
               took_us[rounds / 2], took_us[rounds * 99 / 100], took_us[rounds - 1]);
    }
    free(took_us);
    return ok;
}

/* Many words, and rarely the same. */
static void fill(char *text, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = i % 7 == 6 ? ' ' : (char)('a' + (seed >> 16) % 26);
    }
}

int main(int argc, char **argv)
{
    static char texts[ARRAY_LEN(questions)][LONG_BYTES];
    struct span usual[ARRAY_LEN(questions)], longest[ARRAY_LEN(questions)];
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;

    if (rounds == 0)
        return 2;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        usual[i] = span_of(questions[i]);
        fill(texts[i], LONG_BYTES, (unsigned)i);
        longest[i] = (struct span){texts[i], LONG_BYTES};
    }
    printf("| decision with %d candidates, us | a pair | p50 | p99 | worst "
           "|\n|---|---|---|---|---|\n",
           CANDIDATES);
    return report("16 tokens", usual, false, rounds) &&
                   report("16 tokens, record kept", usual, true, rounds) &&
                   report("4 KiB", longest, false, rounds / 20 + 1)
               ? 0
               : 1;
}
