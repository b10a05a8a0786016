/* FAISS (Douze et al. 2024) through its C API: IVF with 8-bit codes, inner product. */
#include <pthread.h>
#include <stdlib.h>

#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexScalarQuantizer_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/utils/distances_c.h>

#include "base/log.h"
#include "cache/index_large.h"

/* Set by FAISS' OpenMP: one thread; parallelism comes from our pools. */
void omp_set_num_threads(int n);

/* 1.6 of the square root of the number of vectors: 512 at 100,000. */
#define CENTROIDS_MIN 8
#define CENTROIDS_MAX 4096
/* More, of either, costs seconds in k-means and gains nothing. */
#define SAMPLES_PER_CENTROID 40
#define ITERATIONS           4
/* One list in so many is looked through: random unit vectors, which have no clusters at
 * all, are then found again at a cosine of .9 in 999 of 1000 (bench/index_bench.c). */
#define PROBES_SHARE 12
#define PROBES_MIN   8

struct index_large {
    FaissIndex *faiss; /* owned; a FaissIndexIVFScalarQuantizer */
};

static enum status failed(const char *what)
{
    const char *why = faiss_get_last_error();

    log_at(LOG_ERROR, NULL, kv_event("faiss_failed"), kv_str("call", what),
           kv_str("why", why != NULL ? why : "unknown"));
    return ST_INTERNAL;
}

static size_t centroids_for(size_t expected)
{
    size_t n = CENTROIDS_MIN;

    while (n < CENTROIDS_MAX && n * n * 100 < expected * 256)
        n += CENTROIDS_MIN;
    return n;
}

size_t index_large_sample(size_t expected)
{
    size_t n = centroids_for(expected) * SAMPLES_PER_CENTROID;

    return n < expected ? n : expected;
}

/* FAISS' own loops, not BLAS, at any size: the reference BLAS is eight times slower. For
 * the whole process, so before there is anything that looks at it. */
static void without_blas(void)
{
    faiss_set_distance_compute_blas_threshold(1 << 30);
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Centres of the sample, as the index that finds the nearest of them. */
static enum status make_centroids(const float *sample, size_t n, size_t dims, size_t centroids,
                                  FaissIndexFlatIP **out)
{
    FaissClusteringParameters p;
    FaissClustering *c = NULL;
    FaissIndexFlatIP *flat = NULL;
    int rc;

    if (faiss_IndexFlatIP_new_with(&flat, (idx_t)dims) != 0)
        return failed("index_flat");
    faiss_ClusteringParameters_init(&p);
    p.niter = ITERATIONS;
    p.spherical = 1;
    p.min_points_per_centroid = 1; /* fewer only make it grumble on stderr */
    p.max_points_per_centroid = SAMPLES_PER_CENTROID * 2;
    rc = faiss_Clustering_new_with_params(&c, (int)dims, (int)centroids, &p);
    if (rc == 0)
        rc = faiss_Clustering_train(c, (idx_t)n, sample, (FaissIndex *)flat);
    faiss_Clustering_free(c);
    if (rc != 0) {
        faiss_IndexFlatIP_free(flat);
        return failed("clustering");
    }
    *out = flat;
    return ST_OK;
}

enum status index_large_open(const float *sample, size_t n, size_t dims, size_t expected,
                             struct index_large **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t centroids = at_most(centroids_for(expected), n),
           probes = (centroids + PROBES_SHARE - 1) / PROBES_SHARE;
    FaissIndexIVFScalarQuantizer *ivf = NULL;
    FaissIndexFlatIP *flat = NULL;
    struct index_large *l = calloc(1, sizeof(*l));
    enum status st;

    if (l == NULL)
        return ST_NOMEM;
    omp_set_num_threads(1);
    pthread_once(&once, without_blas);
    st = make_centroids(sample, n, dims, centroids, &flat);
    if (st != ST_OK)
        goto fail_centroids;
    if (faiss_IndexIVFScalarQuantizer_new_with_metric(&ivf, (FaissIndex *)flat, dims, centroids,
                                                      QT_8bit, METRIC_INNER_PRODUCT, 0) != 0) {
        st = failed("index_ivf");
        goto fail_ivf;
    }
    faiss_IndexIVFScalarQuantizer_set_own_fields(ivf, 1); /* `flat` goes with it */
    l->faiss = (FaissIndex *)ivf;
    faiss_IndexIVFScalarQuantizer_set_nprobe(
        ivf, at_most(probes > PROBES_MIN ? probes : PROBES_MIN, centroids));
    if (faiss_Index_train(l->faiss, (idx_t)n, sample) != 0) { /* what the codes mean */
        st = failed("train");
        goto fail_train;
    }
    *out = l;
    return ST_OK;

fail_train:
    faiss_Index_free(l->faiss);
    free(l);
    return st;
fail_ivf:
    faiss_IndexFlatIP_free(flat);
fail_centroids:
    free(l);
    return st;
}

void index_large_close(struct index_large *l)
{
    faiss_Index_free(l->faiss);
    free(l);
}

enum status index_large_add(struct index_large *l, const float *vectors, const int64_t *ids,
                            size_t n)
{
    omp_set_num_threads(1);
    return faiss_Index_add_with_ids(l->faiss, (idx_t)n, vectors, ids) == 0 ? ST_OK
                                                                           : failed("add");
}

enum status index_large_search(const struct index_large *l, const float *vector, size_t k,
                               int64_t *ids, float *similarities, size_t *n)
{
    size_t have = 0;

    omp_set_num_threads(1);
    if (faiss_Index_search(l->faiss, 1, vector, (idx_t)k, similarities, ids) != 0)
        return failed("search");
    while (have < k && ids[have] >= 0) /* the rest are -1 */
        have++;
    *n = have;
    return ST_OK;
}

size_t index_large_row_bytes(size_t dims)
{
    return dims + sizeof(int64_t);
}

const char *index_large_name(void)
{
    return "faiss c api, ivf sq8";
}
