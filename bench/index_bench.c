/* What the semantic index costs, and what it finds:
 *
 *     index_bench [--fresh] [--random|--clustered] [ENTRIES...]
 *                                   default: 1000 4000 10000 16000 32000 100000
 *
 * --fresh leaves out what is worn, and compares a fifth of the searches with the scan: a
 * million entries of one kind are then measured in two minutes.
 * First every scanning kernel of this machine, alone. Then, for each number of entries in
 * one partition, on vectors at random (which have no clusters: the worst case for lists)
 * and in clusters of about a hundred, through index_search(): a scan of all, and the
 * structure for large partitions. A query is a stored vector with noise, at a cosine of
 * .9 to it. Everything is CPU time, so that a busy machine does not show.
 *
 *   insert   us an entry, from index_add() to searchable
 *   scan     ms a search without a structure
 *   build    s to train and fill a structure
 *   large    ms a search with it, the mean, the 99th of a hundred and the worst
 *   MiB      of the index with it, by its own account
 *   recall   how often its first answer is the scan's
 *   feed     us an entry that comes when there is a structure, the oldest going
 *   worn     large and recall again when a fifth of the entries has been replaced so
 *
 * Where `large` falls below `scan` is LARGE_FROM in cache/index.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "cache/index.h"
#include "cache/vector.h"
#include "cache/vector_kernels.h"

#define DIMS       384
#define QUERIES    1000
#define CLUSTER    100
#define COSINE     0.9f
#define TOP        4
#define WORN_SHARE 5

/* --- vectors ------------------------------------------------------------------------------ */

static uint64_t draws;

static double uniform(void)
{
    uint64_t n = hash_bytes((struct span){(const char *)&draws, sizeof(draws)}, 1);

    draws++;
    return (double)(n >> 11) / (double)(1ull << 53);
}

/* Nearly normal, quickly: the sum of four. */
static float normal(void)
{
    return (float)((uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508);
}

static void make_unit(float *v)
{
    float sum = 0;

    for (size_t i = 0; i < DIMS; i++)
        sum += v[i] * v[i];
    for (size_t i = 0; i < DIMS; i++)
        v[i] /= sqrtf(sum);
}

/* A unit vector at this cosine (nearly) to `from`; NULL: anywhere. */
static void draw(const float *from, float cosine, float *v)
{
    for (size_t i = 0; i < DIMS; i++)
        v[i] = normal();
    make_unit(v);
    for (size_t i = 0; from != NULL && i < DIMS; i++)
        v[i] = cosine * from[i] + sqrtf(1 - cosine * cosine) * v[i];
    make_unit(v);
}

static float *make_vectors(size_t n, bool clustered)
{
    size_t clusters = n / CLUSTER + 1;
    float *v = malloc(n * DIMS * sizeof(*v)),
          *centres = malloc(clusters * DIMS * sizeof(*centres));

    if (v == NULL || centres == NULL)
        exit(1);
    for (size_t i = 0; i < clusters; i++)
        draw(NULL, 0, centres + i * DIMS);
    for (size_t i = 0; i < n; i++) {
        size_t c = (size_t)(uniform() * (double)clusters);

        draw(clustered ? centres + c * DIMS : NULL, 0.8f, v + i * DIMS);
    }
    free(centres);
    return v;
}

/* --- measuring ---------------------------------------------------------------------------- */

static double process_cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void time_kernels(size_t n)
{
    size_t count;
    const struct vector_kernel *k = vector_kernels(&count);
    int8_t *run = aligned_alloc(64, n * DIMS);
    int32_t *out = malloc(n * sizeof(*out));
    uint8_t query[DIMS];

    if (run == NULL || out == NULL)
        exit(1);
    for (size_t i = 0; i < n * DIMS; i++)
        run[i] = (int8_t)(i * 7919 >> 3);
    for (size_t i = 0; i < DIMS; i++)
        query[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < count; i++) {
        unsigned rounds = (unsigned)(1000000 / n) + 1;
        uint64_t start_us;

        k[i].dots(query, run, n, DIMS, out);
        start_us = clock_thread_cpu_us();
        for (unsigned r = 0; r < rounds; r++)
            k[i].dots(query, run, n, DIMS, out);
        printf("kernel %-11s %6zu vectors: %.3f ms\n", k[i].name, n,
               (double)(clock_thread_cpu_us() - start_us) / 1e3 / rounds);
    }
    free(run);
    free(out);
}

static struct digest key_of(uint64_t n)
{
    struct digest d;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t h = hash_bytes((struct span){(const char *)&n, sizeof(n)}, i);

        memcpy(d.bytes + 8 * i, &h, sizeof(h));
    }
    return d;
}

static struct index *open_index(size_t entries, size_t large_from)
{
    struct index_options o = {.dimensions = DIMS,
                              .entries_max = (uint32_t)entries,
                              .queue_max = 4096,
                              .large_from = (uint32_t)large_from,
                              .bytes_max = (uint64_t)64 << 30};
    struct index *ix;

    if (index_open(&o, &ix) != ST_OK)
        exit(1);
    return ix;
}

/* Keys first.., us of CPU each. */
static double add_all(struct index *ix, const float *v, size_t n, uint64_t first)
{
    const struct digest partition = key_of(0);
    double start_s = process_cpu_s();

    for (size_t i = 0; i < n; i++) {
        struct digest key = key_of(first + i);

        while (index_add(ix, &partition, &key, v + i * DIMS,
                         SPAN("what is it that this question is about?"),
                         UINT64_MAX) == ST_OVERLOAD)
            index_flush(ix);
    }
    index_flush(ix);
    return (process_cpu_s() - start_s) * 1e6 / (double)n;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct took {
    double mean_ms, p99_ms, max_ms;
};

static bool fresh;

/* CPU of each of n searches; the first answer to each. */
static struct took search_some(struct index *ix, const float *queries, size_t count,
                               struct digest *first)
{
    static double ms[QUERIES];
    const struct digest partition = key_of(0);
    struct decision_candidate c[TOP];
    uint64_t all_us = clock_thread_cpu_us();
    struct arena a;

    arena_init(&a, 16384, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        uint64_t start_us = clock_thread_cpu_us();
        size_t n = index_search(ix, &partition, queries + i * DIMS, TOP, 0.5f, 0, &a, c);

        ms[i] = (double)(clock_thread_cpu_us() - start_us) / 1e3;
        first[i] = n > 0 ? c[0].key : (struct digest){{0}};
        arena_reset(&a);
    }
    arena_release(&a);
    all_us = clock_thread_cpu_us() - all_us;
    qsort(ms, count, sizeof(ms[0]), by_size);
    return (struct took){(double)all_us / 1e3 / (double)count, ms[count * 99 / 100],
                         ms[count - 1]};
}

static double same(const struct digest *a, const struct digest *b, size_t count)
{
    unsigned n = 0;

    for (size_t i = 0; i < count; i++)
        n += digest_eq(&a[i], &b[i]);
    return (double)n / (double)count;
}

static double mib_of(struct index *ix)
{
    struct index_stats s;

    index_stats(ix, &s);
    return (double)s.bytes / (1 << 20);
}

/* A fifth goes, another comes. */
static void measure_worn(struct index *exact, struct index *large, const float *v, size_t n,
                         const float *queries)
{
    static struct digest want[QUERIES], got[QUERIES];
    size_t extra = n / WORN_SHARE;
    struct took took;
    double feed_us;

    (void)add_all(exact, v + n * DIMS, extra, 1 + n);
    feed_us = process_cpu_s();
    (void)add_all(large, v + n * DIMS, extra, 1 + n);
    index_settle(large);
    feed_us = (process_cpu_s() - feed_us) * 1e6 / (double)extra;
    (void)search_some(exact, queries, QUERIES, want);
    took = search_some(large, queries, QUERIES, got);
    printf(" %7.1f %7.3f %7.3f %7.3f", feed_us, took.mean_ms, took.p99_ms,
           same(want, got, QUERIES));
}

static void measure(size_t n, bool clustered)
{
    size_t extra = n / WORN_SHARE, compared = fresh ? QUERIES / 5 : QUERIES;
    float *v = make_vectors(n + extra, clustered),
          *queries = malloc(sizeof(float[QUERIES][DIMS]));
    struct index *exact = open_index(n, UINT32_MAX), *large = open_index(n, n);
    static struct digest want[QUERIES], got[QUERIES];
    double insert_us, build_s;
    struct took scan, took;

    if (queries == NULL)
        exit(1);
    /* What is asked for is among the last, which also those hold that are worn. */
    for (size_t i = 0; i < QUERIES; i++)
        draw(v + ((fresh ? n : n + extra) - 1 - i * 7919 % n) * DIMS, COSINE,
             queries + i * DIMS);
    insert_us = add_all(exact, v, n, 1);
    scan = search_some(exact, queries, compared, want);
    (void)add_all(large, v, n, 1);
    build_s = process_cpu_s();
    index_settle(large);
    build_s = process_cpu_s() - build_s;
    took = search_some(large, queries, QUERIES, got);
    printf("%-9s %7zu %7.1f %7.3f %7.2f %7.3f %7.3f %7.3f %7.1f %7.3f",
           clustered ? "clustered" : "random", n, insert_us, scan.mean_ms, build_s,
           took.mean_ms, took.p99_ms, took.max_ms, mib_of(large), same(want, got, compared));
    if (!fresh)
        measure_worn(exact, large, v, n, queries);
    printf("\n");
    index_close(exact);
    index_close(large);
    free(queries);
    free(v);
}

int main(int argc, char **argv)
{
    static const size_t usual[] = {1000, 4000, 10000, 16000, 32000, 100000};
    size_t sizes[32], count = 0;
    bool random = true, clustered = true;

    log_set_level(LOG_WARN);
    for (int i = 1; i < argc && count < ARRAY_LEN(sizes); i++) {
        if (strcmp(argv[i], "--fresh") == 0) {
            fresh = true;
        } else if (strcmp(argv[i], "--random") == 0) {
            clustered = false;
        } else if (strcmp(argv[i], "--clustered") == 0) {
            random = false;
        } else if ((sizes[count++] = strtoull(argv[i], NULL, 10)) < QUERIES) {
            fprintf(stderr,
                    "usage: index_bench [--fresh] [--random|--clustered] [ENTRIES...], "
                    "each %d at least\n",
                    QUERIES);
            return 2;
        }
    }
    if (count == 0) {
        memcpy(sizes, usual, sizeof(usual));
        count = ARRAY_LEN(usual);
    }
    printf("scan by %s, large by %s, %d dimensions\n", vector_kernel(), index_backend(), DIMS);
    time_kernels(1000);
    time_kernels(10000);
    time_kernels(100000);
    printf("%-9s %7s %7s %7s %7s %7s %7s %7s %7s %7s%s\n", "vectors", "entries", "insert",
           "scan", "build", "large", "p99", "worst", "MiB", "recall",
           fresh ? "" : "    feed                    worn");
    for (size_t i = 0; i < count; i++) {
        if (random)
            measure(sizes[i], false);
        if (clustered)
            measure(sizes[i], true);
        fflush(stdout);
    }
    return 0;
}
