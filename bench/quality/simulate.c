/* Plays a request stream through the decision, in memory:
 *
 *     simulate VECTORS < STREAM.tsv > CURVE.tsv
 *     simulate VECTORS cosine < STREAM.tsv
 *     simulate VECTORS candidates < STREAM.tsv
 *
 * STREAM.tsv: cluster TAB text, a line a request. Exact repeats are served first; a hit
 * is not inserted, a miss is. A hit is wrong when the served text is of another cluster.
 * Prints a line a threshold: "p" (the decision) or "cosine" (nothing but the cosine),
 * threshold, share of hits, of wrong answers, of exact repeats; with "cosine" only the
 * latter kind. With "candidates": a line for each candidate that no guard refuses, when
 * only exact repeats are served: whether it is the same, cosine, P(same), and the two
 * requests' numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/decision.h"
#include "cache/guard.h"
#include "rows.h"

#define TOP_K 4
/* No pair below it reaches any threshold of the curve; it only keeps the lists short. */
#define NEAR 0.72f

/* An earlier request that is near, and what the decision says of the two. */
struct neighbour {
    size_t at;
    float cosine;
    float p; /* below 0: not asked yet */
};

struct list {
    struct neighbour *item; /* owned; nearest first */
    size_t count;
};

struct counts {
    size_t hits, wrong, exact;
};

typedef float score_fn(const struct rows *r, size_t t, struct neighbour *n);

static int nearest_first(const void *x, const void *y)
{
    const struct neighbour *a = x, *b = y;

    return (a->cosine < b->cosine) - (a->cosine > b->cosine);
}

static struct list *find_neighbours(const struct rows *r)
{
    struct list *lists = calloc(r->count, sizeof(*lists));
    struct neighbour *found = malloc(r->count * sizeof(*found));

    for (size_t t = 0; lists != NULL && found != NULL && t < r->count; t++) {
        size_t n = 0;

        for (size_t i = 0; i < t && r->row[t].same == t; i++) {
            float cosine = r->row[i].same == i ? rows_cosine(&r->row[t], &r->row[i]) : 0;

            if (cosine >= NEAR)
                found[n++] = (struct neighbour){i, cosine, -1};
        }
        qsort(found, n, sizeof(*found), nearest_first);
        lists[t] = (struct list){malloc((n + 1) * sizeof(*found)), n};
        if (lists[t].item == NULL)
            exit(1);
        memcpy(lists[t].item, found, n * sizeof(*found));
    }
    free(found);
    return lists;
}

/* 0: refused by a guard. */
static float by_decision(const struct rows *r, size_t t, struct neighbour *n)
{
    const struct decision_policy any = {.threshold = 0, .floor = NEAR};
    struct decision_candidate c = {.similarity = n->cosine,
                                   .question = span_of(r->row[n->at].text)};
    struct decision d;

    if (n->p < 0) {
        decision_make(span_of(r->row[t].text), &c, 1, &any, &d);
        n->p = d.hit ? (float)d.probability : 0;
    }
    return n->p;
}

static float by_cosine(const struct rows *r, size_t t, struct neighbour *n)
{
    (void)r;
    (void)t;
    return n->cosine;
}

/* The neighbour that is served, or NULL. As decision_make and cache_decide do it: the first of
 * the nearest that passes; where P(same) is asked, moved by what was seen of the traffic. */
static const struct neighbour *choose(const struct rows *r, size_t t, struct list *l,
                                      const char *stored, score_fn *score, double threshold,
                                      struct traffic_counts *seen)
{
    const struct neighbour *found = NULL;
    double moved = traffic_shift(seen);
    bool near = false, refused = false;
    size_t looked_at = 0;

    for (size_t i = 0; i < l->count && looked_at < TOP_K && found == NULL; i++) {
        double p;

        if (!stored[l->item[i].at])
            continue;
        p = (double)score(r, t, &l->item[i]);
        near |= l->item[i].cosine >= TRAFFIC_NEAR;
        refused |= p <= 0 && l->item[i].cosine >= TRAFFIC_NEAR;
        if (score == by_decision)
            p = traffic_moved(p, moved + (looked_at > 0 ? DECISION_OVERTAKEN : 0));
        looked_at++;
        if (p >= threshold)
            found = &l->item[i];
    }
    if (near && score == by_decision)
        traffic_count(seen, refused);
    return found;
}

static struct counts play(const struct rows *r, struct list *lists, score_fn *score,
                          double threshold)
{
    char *stored = calloc(r->count, 1);
    struct traffic_counts seen = {0, 0};
    struct counts c = {0, 0, 0};

    if (stored == NULL)
        exit(1);
    for (size_t t = 0; t < r->count; t++) {
        size_t first = r->row[t].same;
        const struct neighbour *n;

        if (stored[first]) {
            c.exact++;
            continue;
        }
        n = choose(r, first, &lists[first], stored, score, threshold, &seen);
        if (n != NULL) {
            c.hits++;
            c.wrong += strcmp(r->row[n->at].label, r->row[t].label) != 0;
        } else {
            stored[first] = 1;
        }
    }
    free(stored);
    return c;
}

static void print_candidates(const struct rows *r, const struct list *lists)
{
    for (size_t t = 0; t < r->count; t++) {
        for (size_t i = 0; r->row[t].same == t && i < lists[t].count && i < TOP_K; i++) {
            const struct neighbour *n = &lists[t].item[i];
            struct guard_outcome g;

            guard_check(span_of(r->row[t].text), span_of(r->row[n->at].text), &g);
            if (g.fired == NULL)
                printf("%d\t%.5f\t%.5f\t%zu\t%zu\n",
                       strcmp(r->row[t].label, r->row[n->at].label) == 0, (double)n->cosine,
                       decision_probability(n->cosine, &g), t, n->at);
        }
    }
}

static void print(const char *name, double threshold, struct counts c, size_t n)
{
    printf("%s\t%.3f\t%.5f\t%.5f\t%.5f\n", name, threshold,
           (double)(c.hits + c.exact) / (double)n, (double)c.wrong / (double)n,
           (double)c.exact / (double)n);
}

int main(int argc, char **argv)
{
    struct list *lists;
    struct rows r;

    if (argc < 2) {
        fprintf(stderr, "usage: simulate VECTORS < STREAM.tsv\n");
        return 2;
    }
    rows_read(argv[1], &r);
    lists = find_neighbours(&r);
    if (lists == NULL)
        return 1;
    if (argc > 2 && strcmp(argv[2], "candidates") == 0) {
        print_candidates(&r, lists);
        return 0;
    }
    for (int i = 50; i < 100 && argc == 2; i++)
        print("p", i / 100.0, play(&r, lists, by_decision, i / 100.0), r.count);
    for (int i = 200; i > 160; i--)
        print("cosine", i / 200.0, play(&r, lists, by_cosine, i / 200.0), r.count);
    return 0;
}
