/* The nearest entries of one partition. Not synchronized. */
#ifndef CACHE_INDEX_NEAREST_H
#define CACHE_INDEX_NEAREST_H

#include <stddef.h>
#include <stdint.h>

#include "cache/decision.h"
#include "cache/index_items.h"
#include "cache/index_partition.h"
#include "cache/vector.h"

struct index_query {
    const float *vector;       /* borrowed */
    struct vector_query bytes; /* the same, packed */
    size_t k;                  /* 1..DECISION_CANDIDATES_MAX */
    float floor;
    uint64_t now_ms;
};

/* Nearest first. */
struct index_nearest {
    size_t n;
    uint32_t items[DECISION_CANDIDATES_MAX];
    float similarity[DECISION_CANDIDATES_MAX];
};

void index_nearest_find(const struct index_partition *p, const struct index_items *items,
                        const struct index_query *q, struct index_nearest *out);

#endif
