/* The reference for large partitions: looks at every vector. Stands in for FAISS where
 * that can not be linked. */
#include <stdlib.h>
#include <string.h>

#include "cache/index_large.h"

struct index_large {
    float *vectors; /* owned: [cap][dims] */
    int64_t *ids;   /* owned: [cap] */
    size_t n, cap, dims;
};

size_t index_large_sample(size_t expected)
{
    return expected < 16 ? expected : 16; /* there is nothing to learn */
}

enum status index_large_open(const float *sample, size_t n, size_t dims, size_t expected,
                             struct index_large **out)
{
    struct index_large *l = calloc(1, sizeof(*l));

    (void)sample;
    (void)n;
    (void)expected;
    if (l == NULL)
        return ST_NOMEM;
    l->dims = dims;
    *out = l;
    return ST_OK;
}

void index_large_close(struct index_large *l)
{
    free(l->vectors);
    free(l->ids);
    free(l);
}

static enum status grow(struct index_large *l, size_t n)
{
    size_t cap = l->cap * 2 + n;
    float *vectors;
    int64_t *ids;

    if (l->n + n <= l->cap)
        return ST_OK;
    vectors = realloc(l->vectors, cap * l->dims * sizeof(*vectors));
    if (vectors == NULL)
        return ST_NOMEM;
    l->vectors = vectors;
    ids = realloc(l->ids, cap * sizeof(*ids));
    if (ids == NULL)
        return ST_NOMEM;
    l->ids = ids;
    l->cap = cap;
    return ST_OK;
}

enum status index_large_add(struct index_large *l, const float *vectors, const int64_t *ids,
                            size_t n)
{
    enum status st = grow(l, n);

    if (st != ST_OK)
        return st;
    memcpy(l->vectors + l->n * l->dims, vectors, n * l->dims * sizeof(*vectors));
    memcpy(l->ids + l->n, ids, n * sizeof(*ids));
    l->n += n;
    return ST_OK;
}

enum status index_large_search(const struct index_large *l, const float *vector, size_t k,
                               int64_t *ids, float *similarities, size_t *n)
{
    size_t have = 0;

    for (size_t i = 0; i < l->n; i++) {
        float sum = 0;
        size_t at;

        for (size_t j = 0; j < l->dims; j++)
            sum += vector[j] * l->vectors[i * l->dims + j];
        if (have == k && sum <= similarities[k - 1])
            continue;
        at = have < k ? have++ : k - 1;
        for (; at > 0 && similarities[at - 1] < sum; at--) {
            similarities[at] = similarities[at - 1];
            ids[at] = ids[at - 1];
        }
        similarities[at] = sum;
        ids[at] = l->ids[i];
    }
    *n = have;
    return ST_OK;
}

size_t index_large_row_bytes(size_t dims)
{
    return dims * sizeof(float) + sizeof(int64_t);
}

const char *index_large_name(void)
{
    return "flat";
}
