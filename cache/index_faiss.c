/* FAISS (Douze et al. 2024) through its C API: IVF with 8-bit codes, inner product. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>

#include "base/log.h"
#include "cache/index_large.h"

/* Set by FAISS' OpenMP: one thread; parallelism comes from our pools. */
void omp_set_num_threads(int n);

#define CENTROIDS_MIN        8
#define CENTROIDS_MAX        256
#define SAMPLES_PER_CENTROID 40 /* more costs minutes in k-means and gains nothing */
#define PROBES_SHARE         16 /* one list in so many is looked through */
#define PROBES_MIN           4

struct index_large {
    FaissIndex *faiss; /* owned */
};

static enum status failed(const char *what)
{
    const char *why = faiss_get_last_error();

    log_at(LOG_ERROR, NULL, kv_event("faiss_failed"), kv_str("call", what),
           kv_str("why", why != NULL ? why : "unknown"));
    return ST_INTERNAL;
}

/* Every k-th vector, so that the sample is spread over the whole. */
static enum status train(FaissIndex *f, const float *vectors, size_t n, size_t dims,
                         size_t centroids)
{
    size_t want = centroids * SAMPLES_PER_CENTROID, step, count = 0;
    float *sample;
    int rc;

    if (n <= want)
        return faiss_Index_train(f, (idx_t)n, vectors) == 0 ? ST_OK : failed("train");
    step = n / want;
    sample = malloc(want * dims * sizeof(*sample));
    if (sample == NULL)
        return ST_NOMEM;
    for (size_t i = 0; count < want; i += step)
        memcpy(sample + count++ * dims, vectors + i * dims, dims * sizeof(*sample));
    rc = faiss_Index_train(f, (idx_t)count, sample);
    free(sample);
    return rc == 0 ? ST_OK : failed("train");
}

enum status index_large_build(const float *vectors, size_t n, size_t dims,
                              struct index_large **out)
{
    struct index_large *l = calloc(1, sizeof(*l));
    size_t centroids = n / SAMPLES_PER_CENTROID, probes;
    FaissIndexIVF *ivf;
    char recipe[64];
    enum status st;

    if (l == NULL)
        return ST_NOMEM;
    centroids = centroids < CENTROIDS_MIN   ? CENTROIDS_MIN
                : centroids > CENTROIDS_MAX ? CENTROIDS_MAX
                                            : centroids;
    probes = centroids / PROBES_SHARE > PROBES_MIN ? centroids / PROBES_SHARE : PROBES_MIN;
    omp_set_num_threads(1);
    snprintf(recipe, sizeof(recipe), "IVF%zu,SQ8", centroids);
    if (faiss_index_factory(&l->faiss, (int)dims, recipe, METRIC_INNER_PRODUCT) != 0) {
        free(l);
        return failed("index_factory");
    }
    ivf = faiss_IndexIVF_cast(l->faiss);
    if (ivf != NULL)
        faiss_IndexIVF_set_nprobe(ivf, probes);
    st = train(l->faiss, vectors, n, dims, centroids);
    if (st == ST_OK && faiss_Index_add(l->faiss, (idx_t)n, vectors) != 0)
        st = failed("add");
    if (st != ST_OK) {
        index_large_close(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void index_large_close(struct index_large *l)
{
    faiss_Index_free(l->faiss);
    free(l);
}

enum status index_large_add(struct index_large *l, const float *vector)
{
    omp_set_num_threads(1);
    return faiss_Index_add(l->faiss, 1, vector) == 0 ? ST_OK : failed("add");
}

#define SEARCH_MAX 64

enum status index_large_search(const struct index_large *l, const float *vector, size_t k,
                               int64_t *ids)
{
    float distances[SEARCH_MAX];
    idx_t labels[SEARCH_MAX];

    if (k > SEARCH_MAX)
        return ST_INVALID;
    omp_set_num_threads(1);
    if (faiss_Index_search(l->faiss, 1, vector, (idx_t)k, distances, labels) != 0)
        return failed("search");
    for (size_t i = 0; i < k; i++)
        ids[i] = labels[i];
    return ST_OK;
}

const char *index_large_name(void)
{
    return "faiss c api, ivf sq8";
}
