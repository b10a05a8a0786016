/* Plays a request stream through the decision, in memory, and counts what the streams'
 * labels say of it:
 *
 *     simulate VECTORS < STREAM.tsv > CURVE.tsv
 *
 * STREAM.tsv: cluster TAB text, a line a request. VECTORS: as many rows of 384 floats.
 * Exact repeats are served first; a hit is not inserted, a miss is. A hit is wrong when
 * the served text is of another cluster. Prints a line a threshold: threshold, hits,
 * wrong, exact; then which guards fired, and how often they were right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/decision.h"
#include "cache/guard.h"

#define DIMS  384
#define TOP_K 4

struct row {
    char *cluster, *text;
    const float *vector;
    size_t same; /* the first row with this very text */
};

static struct row *rows;
static size_t row_count;

static void read_rows(const float *vectors)
{
    char *line = NULL;
    size_t cap = 0, room = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        char *tab = strchr(line, '\t');

        if (tab == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        *tab = '\0';
        if (row_count == room) {
            room = room * 2 + 1024;
            rows = realloc(rows, room * sizeof(*rows));
            if (rows == NULL)
                exit(1);
        }
        rows[row_count] =
            (struct row){strdup(line), strdup(tab + 1), vectors + row_count * DIMS, 0};
        rows[row_count].same = row_count;
        for (size_t i = 0; i < row_count; i++) {
            if (strcmp(rows[i].text, rows[row_count].text) == 0) {
                rows[row_count].same = rows[i].same;
                break;
            }
        }
        row_count++;
    }
    free(line);
}

static float dot(const float *a, const float *b)
{
    float part[16] = {0}, sum = 0;

    for (size_t i = 0; i < DIMS; i += 16) {
        for (size_t j = 0; j < 16; j++)
            part[j] += a[i + j] * b[i + j];
    }
    for (size_t j = 0; j < 16; j++)
        sum += part[j];
    return sum;
}

struct counts {
    size_t hits, wrong, exact;
};

static struct counts play(double threshold)
{
    size_t *stored = malloc(row_count * sizeof(*stored)), n = 0;
    char *is_stored = calloc(row_count, 1);
    struct decision_policy policy = {.threshold = threshold, .floor = 0.6f};
    struct counts c = {0, 0, 0};

    for (size_t t = 0; t < row_count; t++) {
        struct decision_candidate cand[TOP_K];
        size_t at[TOP_K], have = 0;
        struct decision d;

        if (is_stored[rows[t].same]) {
            c.exact++;
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            float s = dot(rows[t].vector, rows[stored[i]].vector);
            size_t k;

            if (s < policy.floor || (have == TOP_K && s <= cand[TOP_K - 1].similarity))
                continue;
            for (k = have < TOP_K ? have++ : TOP_K - 1; k > 0 && cand[k - 1].similarity < s;
                 k--) {
                cand[k] = cand[k - 1];
                at[k] = at[k - 1];
            }
            at[k] = stored[i];
            cand[k] = (struct decision_candidate){.similarity = s,
                                                  .question = span_of(rows[stored[i]].text)};
            memcpy(cand[k].key.bytes, &stored[i], sizeof(stored[i]));
        }
        decision_make(span_of(rows[t].text), cand, have, &policy, &d);
        if (d.hit) {
            size_t served;

            memcpy(&served, d.key.bytes, sizeof(served));
            c.hits++;
            c.wrong += strcmp(rows[served].cluster, rows[t].cluster) != 0;
        } else {
            stored[n++] = t;
            is_stored[rows[t].same] = 1;
        }
    }
    free(stored);
    free(is_stored);
    return c;
}

/* Every pair above the cosine `from`: which guards fire on pairs that really differ, and
 * on pairs that are the same. */
static void guards(float from)
{
    const char *const *reasons = guard_reasons();
    size_t fired[64] = {0}, right[64] = {0}, same = 0, lost = 0, differ = 0;

    for (size_t a = 0; a < row_count; a++) {
        for (size_t b = a + 1; b < row_count && b < a + 4000; b++) {
            bool equal = strcmp(rows[a].cluster, rows[b].cluster) == 0;
            struct guard_outcome g;

            if (rows[a].same == rows[b].same || dot(rows[a].vector, rows[b].vector) < from)
                continue;
            guard_check(span_of(rows[a].text), span_of(rows[b].text), &g);
            same += equal;
            differ += !equal;
            for (size_t i = 0; g.fired != NULL && reasons[i] != NULL; i++) {
                if (strcmp(reasons[i], g.fired) == 0) {
                    fired[i]++;
                    right[i] += !equal;
                }
            }
            lost += g.fired != NULL && equal;
        }
    }
    printf("# pairs above %.2f: %zu same, %zu different; all guards lose %.4f of the same\n",
           (double)from, same, differ, same > 0 ? (double)lost / (double)same : 0);
    for (size_t i = 0; reasons[i] != NULL; i++) {
        if (fired[i] > 0)
            printf("# %-10s fired %zu, right %.3f, loses %.4f of the same\n", reasons[i],
                   fired[i], (double)right[i] / (double)fired[i],
                   same > 0 ? (double)(fired[i] - right[i]) / (double)same : 0);
    }
}

int main(int argc, char **argv)
{
    static const double thresholds[] = {.3, .5,  .6,  .7,  .75, .8, .85,
                                        .9, .92, .94, .96, .98, .99};
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    float *vectors;
    long bytes;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (bytes = ftell(f)) <= 0) {
        fprintf(stderr, "usage: simulate VECTORS < STREAM.tsv\n");
        return 2;
    }
    rewind(f);
    vectors = malloc((size_t)bytes);
    if (vectors == NULL || fread(vectors, 1, (size_t)bytes, f) != (size_t)bytes)
        return 1;
    fclose(f);
    read_rows(vectors);
    printf("# n %zu\n", row_count);
    for (size_t i = 0; i < ARRAY_LEN(thresholds); i++) {
        struct counts c = play(thresholds[i]);
        double n = (double)row_count;

        printf("%.2f\t%.4f\t%.4f\t%.4f\n", thresholds[i], (double)(c.hits + c.exact) / n,
               (double)c.wrong / n, (double)c.exact / n);
    }
    guards(0.8f);
    return 0;
}
