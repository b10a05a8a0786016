/* The reference for large partitions: looks at every vector. Stands in for FAISS where
 * that can not be linked. */
#include <stdlib.h>
#include <string.h>

#include "cache/index_large.h"

struct index_large {
    float *vectors; /* owned */
    size_t n, cap, dims;
};

enum status index_large_build(const float *vectors, size_t n, size_t dims,
                              struct index_large **out)
{
    struct index_large *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return ST_NOMEM;
    l->vectors = malloc(n * dims * sizeof(*vectors));
    if (l->vectors == NULL) {
        free(l);
        return ST_NOMEM;
    }
    memcpy(l->vectors, vectors, n * dims * sizeof(*vectors));
    l->n = l->cap = n;
    l->dims = dims;
    *out = l;
    return ST_OK;
}

void index_large_close(struct index_large *l)
{
    free(l->vectors);
    free(l);
}

enum status index_large_add(struct index_large *l, const float *vector)
{
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 64;
        float *grown = realloc(l->vectors, cap * l->dims * sizeof(*grown));

        if (grown == NULL)
            return ST_NOMEM;
        l->vectors = grown;
        l->cap = cap;
    }
    memcpy(l->vectors + l->n++ * l->dims, vector, l->dims * sizeof(*vector));
    return ST_OK;
}

enum status index_large_search(const struct index_large *l, const float *vector, size_t k,
                               int64_t *ids)
{
    float *best = malloc(k * sizeof(*best));
    size_t have = 0;

    if (best == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        float sum = 0;
        size_t at;

        for (size_t j = 0; j < l->dims; j++)
            sum += vector[j] * l->vectors[i * l->dims + j];
        if (have == k && sum <= best[k - 1])
            continue;
        at = have < k ? have++ : k - 1;
        for (; at > 0 && best[at - 1] < sum; at--) {
            best[at] = best[at - 1];
            ids[at] = ids[at - 1];
        }
        best[at] = sum;
        ids[at] = (int64_t)i;
    }
    for (size_t i = have; i < k; i++)
        ids[i] = -1;
    free(best);
    return ST_OK;
}

const char *index_large_name(void)
{
    return "flat";
}
