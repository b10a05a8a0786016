/* FAISS (Douze et al. 2024) through its C API. */
#include <pthread.h>
#include <string.h>

#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/utils/distances_c.h>

#include "base/log.h"
#include "cache/index_centres.h"

/* Set by FAISS' OpenMP: one thread; parallelism comes from our pools. */
void omp_set_num_threads(int n);

/* More of them cost seconds and gain nothing. */
#define ITERATIONS 2

static enum status failed(const char *what)
{
    const char *why = faiss_get_last_error();

    log_at(LOG_ERROR, NULL, kv_event("faiss_failed"), kv_str("call", what),
           kv_str("why", why != NULL ? why : "unknown"));
    return ST_INTERNAL;
}

/* FAISS' own loops, not BLAS, at any size: the reference BLAS is eight times slower. For
 * the whole process, so before there is anything that looks at it. */
static void without_blas(void)
{
    faiss_set_distance_compute_blas_threshold(1 << 30);
}

static enum status train(const float *sample, size_t n, size_t dims, size_t count,
                         FaissIndexFlatIP *nearest)
{
    FaissClusteringParameters p;
    FaissClustering *c = NULL;
    int rc;

    faiss_ClusteringParameters_init(&p);
    p.niter = ITERATIONS;
    p.spherical = 1;
    p.min_points_per_centroid = 1; /* fewer only make it grumble on stderr */
    p.max_points_per_centroid = INDEX_CENTRES_SAMPLE * 2;
    rc = faiss_Clustering_new_with_params(&c, (int)dims, (int)count, &p);
    if (rc == 0)
        rc = faiss_Clustering_train(c, (idx_t)n, sample, (FaissIndex *)nearest);
    faiss_Clustering_free(c);
    return rc == 0 ? ST_OK : failed("clustering");
}

enum status index_centres_find(const float *sample, size_t n, size_t dims, size_t count,
                               float *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    FaissIndexFlatIP *flat = NULL;
    float *centres;
    size_t floats;
    enum status st;

    omp_set_num_threads(1);
    pthread_once(&once, without_blas);
    if (faiss_IndexFlatIP_new_with(&flat, (idx_t)dims) != 0)
        return failed("index_flat");
    st = train(sample, n, dims, count, flat);
    if (st == ST_OK) {
        faiss_IndexFlat_xb(flat, &centres, &floats);
        if (floats == count * dims)
            memcpy(out, centres, floats * sizeof(*out));
        else
            st = ST_INTERNAL;
    }
    faiss_IndexFlatIP_free(flat);
    return st;
}

const char *index_centres_name(void)
{
    return "faiss";
}
