#include "cache/index_large.h"

#include <stdlib.h>
#include <string.h>

#include "cache/entry.h"
#include "cache/index_centres.h"

/* Four times the square root of the number of vectors: what is saved in lists is then paid for
 * centres (bench/index_bench.c). */
#define CENTRES_MIN 64
#define CENTRES_MAX 4096
#define PROBES_MIN  32
#define LIST_MIN    16
/* Centres with that cosine are one. */
#define TWIN_COSINE 0.995f

struct index_large {
    size_t dims, count;
    int8_t *centres; /* owned: [count][dims] */
    float *scales;   /* owned: [count] */
    int32_t *sums;   /* owned: [count] */
    struct index_list lists[];
};

static size_t centres_for(size_t expected)
{
    size_t n = CENTRES_MIN;

    while (n < CENTRES_MAX && n * n < 16 * expected)
        n += CENTRES_MIN;
    return n;
}

/* 1.6 of the square root of the number of lists, one in 24 of 1,300 and in 40 of 4,000: vectors
 * at random, which have no clusters at all, are then found again at a cosine of .9 in 995 of
 * 1000. */
static size_t probes_for(size_t centres)
{
    size_t n = PROBES_MIN;

    while (n < INDEX_LARGE_LISTS_MAX && n * n * 100 < centres * 256)
        n++;
    return n;
}

size_t index_large_sample(size_t expected)
{
    size_t n = centres_for(expected) * INDEX_CENTRES_SAMPLE;

    return n < expected ? n : expected;
}

/* A vector against many, as vector_scan() has them. */
static void compare(const int8_t *vector, float scale, const struct index_large *l, size_t n,
                    float *cosine)
{
    uint8_t bytes[ENTRY_DIMENSIONS_MAX];
    struct vector_query q = {bytes, scale};

    for (size_t i = 0; i < l->dims; i++)
        bytes[i] = (uint8_t)(vector[i] + 128);
    vector_scan(&q, l->centres, l->scales, l->sums, n, l->dims, cosine);
}

/* Where many entries are alike, many centres coincide, and all entries are in the list of one:
 * a query would look through the empty ones and miss what is only near. The first stays. */
static void drop_twins(struct index_large *l)
{
    float cosine[CENTRES_MAX];
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++) {
        int8_t *centre = l->centres + i * l->dims;
        size_t twin = 0;

        compare(centre, l->scales[i], l, kept, cosine);
        while (twin < kept && cosine[twin] < TWIN_COSINE)
            twin++;
        if (twin < kept)
            continue;
        memmove(l->centres + kept * l->dims, centre, l->dims);
        l->scales[kept] = l->scales[i];
        l->sums[kept++] = l->sums[i];
    }
    l->count = kept;
}

static enum status alloc_centres(struct index_large *l, size_t count, size_t dims)
{
    l->count = count;
    l->dims = dims;
    l->centres = malloc(count * dims);
    l->scales = malloc(count * sizeof(*l->scales));
    l->sums = malloc(count * sizeof(*l->sums));
    return l->centres != NULL && l->scales != NULL && l->sums != NULL ? ST_OK : ST_NOMEM;
}

enum status index_large_open(const float *sample, size_t n, size_t dims, size_t expected,
                             struct index_large **out)
{
    size_t wanted = centres_for(expected), count = wanted < n ? wanted : n;
    float *centres = malloc(count * dims * sizeof(*centres));
    struct index_large *l = calloc(1, sizeof(*l) + count * sizeof(l->lists[0]));
    enum status st = ST_NOMEM;

    if (centres != NULL && l != NULL)
        st = alloc_centres(l, count, dims);
    if (st == ST_OK)
        st = index_centres_find(sample, n, dims, count, centres);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        l->scales[i] =
            vector_pack(centres + i * dims, dims, l->centres + i * dims, &l->sums[i]);
    free(centres);
    if (st == ST_OK) {
        drop_twins(l);
        *out = l;
    } else if (l != NULL) {
        index_large_close(l);
    }
    return st;
}

void index_large_close(struct index_large *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->lists[i].names);
    free(l->centres);
    free(l->scales);
    free(l->sums);
    free(l);
}

static enum status append(struct index_list *list, const struct index_name *name)
{
    if (list->n == list->cap) {
        uint32_t cap = list->cap == 0 ? LIST_MIN : list->cap + list->cap / 2;
        struct index_name *grown = realloc(list->names, cap * sizeof(*grown));

        if (grown == NULL)
            return ST_NOMEM;
        list->names = grown;
        list->cap = cap;
    }
    list->names[list->n++] = *name;
    return ST_OK;
}

enum status index_large_add(struct index_large *l, const int8_t *vector,
                            const struct index_name *name)
{
    float cosine[CENTRES_MAX];
    size_t best = 0;

    compare(vector, name->scale, l, l->count, cosine);
    for (size_t i = 1; i < l->count; i++) {
        if (cosine[i] > cosine[best])
            best = i;
    }
    return append(&l->lists[best], name);
}

/* The k nearest centres, the farthest of them on top: a heap (Williams 1964). */
struct nearest {
    const float *cosine; /* of each centre */
    uint16_t heap[INDEX_LARGE_LISTS_MAX];
    size_t n;
};

static void sink(struct nearest *b, size_t i)
{
    for (;;) {
        size_t down = 2 * i + 1;
        uint16_t here = b->heap[i];

        if (down + 1 < b->n && b->cosine[b->heap[down + 1]] < b->cosine[b->heap[down]])
            down++;
        if (down >= b->n || b->cosine[here] <= b->cosine[b->heap[down]])
            return;
        b->heap[i] = b->heap[down];
        b->heap[down] = here;
        i = down;
    }
}

static void find_nearest(struct nearest *b, size_t count, size_t k)
{
    b->n = k < count ? k : count;
    for (size_t i = 0; i < b->n; i++)
        b->heap[i] = (uint16_t)i;
    for (size_t i = b->n / 2; i-- > 0;)
        sink(b, i);
    for (size_t i = b->n; i < count; i++) {
        if (b->cosine[i] > b->cosine[b->heap[0]]) {
            b->heap[0] = (uint16_t)i;
            sink(b, 0);
        }
    }
}

size_t index_large_near(const struct index_large *l, const struct vector_query *q,
                        const struct index_list *lists[INDEX_LARGE_LISTS_MAX])
{
    float cosine[CENTRES_MAX];
    struct nearest b = {.cosine = cosine};

    vector_scan(q, l->centres, l->scales, l->sums, l->count, l->dims, cosine);
    find_nearest(&b, l->count, probes_for(l->count));
    for (size_t i = 0; i < b.n; i++)
        lists[i] = &l->lists[b.heap[i]];
    return b.n;
}

size_t index_large_row_bytes(void)
{
    return sizeof(struct index_name);
}
