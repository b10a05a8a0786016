#include "cache/index.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DIMS  64
#define CLOSE 0.01f /* what bytes cost a cosine */

/* Under the thread sanitizer a look-up takes a hundred times as long: fewer of them, the
 * threads meet all the same. */
#ifdef __SANITIZE_THREAD__
#define SLOW 1
#else
#define SLOW 0
#endif

static uint64_t seed = 1;

static float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(seed >> 11) / (double)(1ull << 53)) - 0.5f;
}

static void unit_vector(float *v)
{
    float sum = 0;

    for (size_t i = 0; i < DIMS; i++) {
        v[i] = uniform();
        sum += v[i] * v[i];
    }
    for (size_t i = 0; i < DIMS; i++)
        v[i] /= sqrtf(sum);
}

static float cosine(const float *a, const float *b)
{
    float sum = 0;

    for (size_t i = 0; i < DIMS; i++)
        sum += a[i] * b[i];
    return sum;
}

/* A unit vector at about this cosine to `from`. */
static void near_vector(const float *from, float want, float *v)
{
    float noise[DIMS], along;

    unit_vector(noise);
    along = cosine(noise, from);
    for (size_t i = 0; i < DIMS; i++)
        v[i] = want * from[i] + sqrtf(1 - want * want) * (noise[i] - along * from[i]);
}

static struct digest named(unsigned n)
{
    struct digest d = {{0}};

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static struct index *fresh(uint32_t entries_max, uint32_t large_from)
{
    struct index_options o = {.dimensions = DIMS,
                              .entries_max = entries_max,
                              .queue_max = 100000,
                              .large_from = large_from,
                              .bytes_max = 1u << 30};
    struct index *ix = NULL;

    CHECK_STATUS(ST_OK, index_open(&o, &ix));
    return ix;
}

static void put(struct index *ix, unsigned partition, unsigned key, const float *v)
{
    struct digest p = named(partition), k = named(key);
    char text[32];

    snprintf(text, sizeof(text), "question %u", key);
    CHECK_STATUS(ST_OK, index_add(ix, &p, &k, v, span_of(text), UINT64_MAX));
}

static size_t find(struct index *ix, unsigned partition, const float *v, size_t k,
                   uint64_t now_ms, struct decision_candidate *out, struct arena *a)
{
    struct digest p = named(partition);

    return index_search(ix, &p, v, k, 0.3f, now_ms, a, out);
}

static void finds_the_nearest_of_its_own_partition_only(void **state)
{
    struct index *ix = fresh(1000, 0);
    struct decision_candidate c[8];
    struct arena a;
    float v[20][DIMS];

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < 20; i++) {
        unit_vector(v[i]);
        put(ix, i % 2, i, v[i]);
    }
    index_flush(ix);
    for (unsigned i = 0; i < 20; i++) {
        struct digest want = named(i);
        char text[32];

        assert_true(find(ix, i % 2, v[i], 3, 0, c, &a) >= 1);
        assert_memory_equal(c[0].key.bytes, want.bytes, sizeof(want.bytes));
        assert_true(c[0].similarity > 0.99f && c[0].similarity < 1.01f);
        snprintf(text, sizeof(text), "question %u", i);
        CHECK_SPAN(span_of(text), c[0].question);
        if (find(ix, (i + 1) % 2, v[i], 1, 0, c, &a) > 0)
            assert_memory_not_equal(c[0].key.bytes, want.bytes, sizeof(want.bytes));
    }
    assert_int_equal(find(ix, 7, v[0], 3, 0, c, &a), 0);
    arena_release(&a);
    index_close(ix);
}

static void removed_replaced_and_expired_are_not_found(void **state)
{
    struct index *ix = fresh(1000, 0);
    struct decision_candidate c[8];
    struct digest p = named(0), k = named(1);
    struct arena a;
    float v[DIMS], w[DIMS];

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    unit_vector(v);
    unit_vector(w);
    put(ix, 0, 1, v);
    index_remove(ix, &p, &k); /* still in the queue, perhaps */
    index_flush(ix);
    assert_int_equal(find(ix, 0, v, 1, 0, c, &a), 0);
    put(ix, 0, 1, v);
    put(ix, 0, 1, w);
    index_flush(ix);
    assert_int_equal(find(ix, 0, w, 4, 0, c, &a), 1);
    index_remove(ix, &p, &k);
    assert_int_equal(find(ix, 0, w, 1, 0, c, &a), 0);
    CHECK_STATUS(ST_OK, index_add(ix, &p, &k, v, SPAN("q"), 100));
    index_flush(ix);
    assert_int_equal(find(ix, 0, v, 1, 99, c, &a), 1);
    assert_int_equal(find(ix, 0, v, 1, 100, c, &a), 0);
    arena_release(&a);
    index_close(ix);
}

static void the_oldest_go_first(void **state)
{
    struct index *ix = fresh(50, 0);
    struct decision_candidate c[8];
    struct index_stats s;
    struct arena a;
    float v[120][DIMS];

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < 120; i++) {
        unit_vector(v[i]);
        put(ix, i % 7, i, v[i]);
    }
    index_flush(ix);
    index_stats(ix, &s);
    assert_int_equal(s.entries, 50);
    assert_int_equal(s.evictions_total, 70);
    assert_true(find(ix, 119 % 7, v[119], 1, 0, c, &a) == 1 && c[0].similarity > 0.98f);
    assert_true(find(ix, 0, v[0], 1, 0, c, &a) == 0 || c[0].similarity < 0.98f);
    arena_release(&a);
    index_close(ix);
}

/* Small, then large, with removals and additions around: recall@1 on what is there. */
static void a_large_partition_finds_as_well(void **state)
{
    enum { N = SLOW ? 1200 : 3000 };
    struct index *ix = fresh(100000, 1000);
    struct decision_candidate c[8];
    struct index_stats s;
    struct arena a;
    float(*v)[DIMS] = malloc(sizeof(float[N][DIMS]));
    struct digest p = named(0);
    unsigned right = 0, asked = 0;

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < N; i++) {
        unit_vector(v[i]);
        put(ix, 0, i, v[i]);
        if (i % 500 == 499)
            index_flush(ix);
    }
    index_settle(ix);
    index_stats(ix, &s);
    assert_int_equal(s.large_partitions, 1);
    assert_int_equal(s.entries, N);
    for (unsigned i = 0; i < N; i += 10) {
        struct digest k = named(i);

        index_remove(ix, &p, &k);
    }
    for (unsigned i = 0; i < N; i++) {
        struct digest want = named(i);
        bool there = find(ix, 0, v[i], 1, 0, c, &a) == 1 && digest_eq(&c[0].key, &want);

        arena_reset(&a);
        if (i % 10 == 0) {
            assert_false(there);
            continue;
        }
        asked++;
        right += there;
    }
    assert_true((double)right >= 0.98 * (double)asked);
    free(v);
    arena_release(&a);
    index_close(ix);
}

/* Adds are in the queue, in the writer's hands or in the table: removed from all three. */
static void an_add_never_comes_back_after_its_removal(void **state)
{
    struct index *ix = fresh(1000, 0);
    struct decision_candidate c[1];
    struct digest p = named(0), k = named(1);
    struct index_stats s;
    struct arena a;
    float v[DIMS];

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    unit_vector(v);
    for (unsigned i = 0; i < 3000; i++) {
        put(ix, 0, 1, v);
        for (volatile unsigned wait = 0; wait < i % 300 * 10; wait++)
            ; /* so that the writer is here and there */
        index_remove(ix, &p, &k);
        assert_int_equal(0, find(ix, 0, v, 1, 0, c, &a));
    }
    index_flush(ix);
    assert_int_equal(0, find(ix, 0, v, 1, 0, c, &a));
    index_stats(ix, &s);
    assert_int_equal(0, s.entries);
    assert_int_equal(0, s.partitions);
    assert_int_equal(0, s.bytes);
    arena_release(&a);
    index_close(ix);
}

/* The exact neighbours, and as many of them. */
static void a_scan_finds_what_brute_force_finds(void **state)
{
    enum { N = 1000, K = 8 };
    struct index *ix = fresh(N, 0);
    struct decision_candidate c[K];
    float(*v)[DIMS] = malloc(sizeof(float[N][DIMS]));
    struct arena a;

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < N; i++) {
        unit_vector(v[i]);
        put(ix, 0, i, v[i]);
    }
    index_flush(ix);
    for (unsigned round = 0; round < 100; round++) {
        unsigned above = 0;
        float q[DIMS];
        size_t n;

        unit_vector(q);
        n = find(ix, 0, q, K, 0, c, &a);
        for (unsigned i = 0; i < N; i++)
            above += cosine(q, v[i]) >= 0.3f + CLOSE;
        assert_true(n >= (above < K ? above : K));
        for (size_t i = 0; i < n; i++) {
            unsigned key, better = 0;

            memcpy(&key, c[i].key.bytes, sizeof(key));
            assert_true(fabsf(cosine(q, v[key]) - c[i].similarity) < CLOSE);
            assert_true(c[i].similarity >= 0.3f);
            for (unsigned j = 0; j < N; j++)
                better += cosine(q, v[j]) > c[i].similarity + 2 * CLOSE;
            assert_true(better <= i);
        }
        arena_reset(&a);
    }
    free(v);
    arena_release(&a);
    index_close(ix);
}

/* Keys from..to are found (but for 1 in 50: large ones are nearly exact), and no other
 * key of those removed. */
static void check_found(struct index *ix, float (*v)[DIMS], unsigned from, unsigned to)
{
    unsigned right = 0;
    struct arena a;

    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = from; i < to; i++) {
        struct decision_candidate c[1];
        struct digest want = named(i);

        right += find(ix, 0, v[i], 1, 0, c, &a) == 1 && digest_eq(&c[0].key, &want);
        arena_reset(&a);
    }
    assert_true(right * 50 >= (to - from) * 49);
    arena_release(&a);
}

static void check_gone(struct index *ix, float (*v)[DIMS], unsigned from, unsigned to)
{
    struct arena a;

    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = from; i < to; i++) {
        struct decision_candidate c[4];
        struct digest gone = named(i);
        size_t n = find(ix, 0, v[i], 4, 0, c, &a);

        for (size_t j = 0; j < n; j++)
            assert_false(digest_eq(&c[j].key, &gone));
        arena_reset(&a);
    }
    arena_release(&a);
}

static void remove_keys(struct index *ix, unsigned from, unsigned to)
{
    struct digest p = named(0);

    for (unsigned i = from; i < to; i++) {
        struct digest k = named(i);

        index_remove(ix, &p, &k);
    }
}

static float (*many_vectors(unsigned n))[DIMS]
{
    float(*v)[DIMS] = malloc(n * sizeof(*v));

    for (unsigned i = 0; i < n; i++)
        unit_vector(v[i]);
    return v;
}

static void put_keys(struct index *ix, float (*v)[DIMS], unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        put(ix, 0, i, v[i]);
    index_flush(ix);
}

static struct index_stats stats_of(struct index *ix)
{
    struct index_stats s;

    index_stats(ix, &s);
    return s;
}

static void removed_while_a_structure_is_built_stays_removed(void **state)
{
    float(*v)[DIMS] = many_vectors(4000);

    (void)state;
    for (unsigned round = 0; round < (SLOW ? 2 : 5); round++) {
        struct index *ix = fresh(100000, 2000);

        put_keys(ix, v, 0, 2500); /* a build begins */
        remove_keys(ix, 100 * round, 100 * round + 400);
        check_gone(ix, v, 100 * round, 100 * round + 400);
        put_keys(ix, v, 2500, 4000);
        index_settle(ix);
        assert_int_equal(1, stats_of(ix).large_partitions);
        check_gone(ix, v, 100 * round, 100 * round + 400);
        check_found(ix, v, 100 * round + 400, 4000);
        index_close(ix);
    }
    free(v);
}

static void a_partition_gone_while_its_structure_is_built(void **state)
{
    float(*v)[DIMS] = many_vectors(3000);
    struct index *ix = fresh(100000, 2000);

    (void)state;
    put_keys(ix, v, 0, 2500);
    remove_keys(ix, 0, 2500);
    assert_int_equal(0, stats_of(ix).partitions);
    assert_int_equal(0, stats_of(ix).bytes);
    put_keys(ix, v, 2500, 3000); /* another one by the same name */
    index_settle(ix);
    assert_int_equal(0, stats_of(ix).large_partitions);
    check_gone(ix, v, 0, 2500);
    check_found(ix, v, 2500, 3000);
    put_keys(ix, v, 0, 2500);
    index_close(ix); /* while it is built, perhaps */
    free(v);
}

/* The oldest go for each that comes, several times around. */
static void a_large_partition_at_its_bound_wears_well(void **state)
{
    enum { N = SLOW ? 5000 : 12000, BOUND = SLOW ? 1200 : 2000 };
    float(*v)[DIMS] = many_vectors(N);
    struct index *ix = fresh(BOUND, 1000);

    (void)state;
    for (unsigned i = 0; i < N; i += 1000) {
        put_keys(ix, v, i, i + 1000);
        if (i % 3000 == 0)
            index_settle(ix);
    }
    index_settle(ix);
    assert_int_equal(BOUND, stats_of(ix).entries);
    assert_int_equal(N - BOUND, stats_of(ix).evictions_total);
    assert_int_equal(1, stats_of(ix).large_partitions);
    assert_true(stats_of(ix).rebuilds_total > 1);
    check_gone(ix, v, 0, N - BOUND);
    check_found(ix, v, N - BOUND, N);
    remove_keys(ix, 0, N);
    assert_int_equal(0, stats_of(ix).bytes);
    index_close(ix);
    free(v);
}

static void a_large_partition_becomes_small_and_large_again(void **state)
{
    enum { N = 3000 };
    float(*v)[DIMS] = many_vectors(N);
    struct index *ix = fresh(100000, 1000);
    uint64_t bytes;

    (void)state;
    put_keys(ix, v, 0, 200);
    bytes = stats_of(ix).bytes;
    put_keys(ix, v, 200, N);
    index_settle(ix);
    assert_int_equal(1, stats_of(ix).large_partitions);
    remove_keys(ix, 200, N);
    check_found(ix, v, 0, 200); /* at any time meanwhile */
    index_settle(ix);
    assert_int_equal(0, stats_of(ix).large_partitions);
    assert_int_equal(bytes, stats_of(ix).bytes);
    check_found(ix, v, 0, 200);
    check_gone(ix, v, 200, N);
    put_keys(ix, v, 200, N);
    index_settle(ix);
    assert_int_equal(1, stats_of(ix).large_partitions);
    check_found(ix, v, 0, N);
    index_close(ix);
    free(v);
}

static void replaced_in_a_large_partition(void **state)
{
    enum { N = 1500 };
    float(*v)[DIMS] = many_vectors(2 * N);
    struct index *ix = fresh(100000, 1000);
    uint64_t bytes;

    (void)state;
    put_keys(ix, v, 0, N);
    index_settle(ix);
    bytes = stats_of(ix).bytes;
    for (unsigned i = 0; i < N; i += 10)
        put(ix, 0, i, v[N + i]);
    index_settle(ix);
    assert_int_equal(N, stats_of(ix).entries);
    assert_int_equal(bytes, stats_of(ix).bytes);
    for (unsigned i = 0; i < N; i += 10)
        memcpy(v[i], v[N + i], sizeof(v[i]));
    check_found(ix, v, 0, N);
    index_close(ix);
    free(v);
}

/* More of what is late or gone, and nearer, than a structure is asked for. */
static void what_is_gone_does_not_hide_what_is_there(void **state)
{
    enum { N = 1500, CROWD = 600 };
    float(*v)[DIMS] = many_vectors(N);
    struct decision_candidate c[2];
    struct digest p = named(0);
    struct index *ix = fresh(100000, 1000);
    struct arena a;
    float near[DIMS];

    (void)state;
    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < CROWD; i++) {
        struct digest k = named(N + i);

        CHECK_STATUS(ST_OK, index_add(ix, &p, &k, v[0], SPAN("late"), i % 2 ? 100 : 1000));
    }
    near_vector(v[0], 0.9f, near);
    memcpy(v[1], near, sizeof(near));
    put_keys(ix, v, 1, N);
    index_settle(ix);
    assert_int_equal(1, stats_of(ix).large_partitions);
    for (unsigned i = 0; i < CROWD; i += 2) /* of the rest each other one is late */
        remove_keys(ix, N + i, N + i + 1);
    assert_int_equal(2, find(ix, 0, v[0], 2, 99, c, &a));
    assert_true(c[1].similarity > 0.99f);
    assert_int_equal(1, find(ix, 0, v[0], 1, 100, c, &a));
    assert_true(c[0].similarity < 0.95f && c[0].similarity > 0.85f);
    CHECK_SPAN(SPAN("question 1"), c[0].question);
    arena_release(&a);
    index_close(ix);
    free(v);
}

static void bytes_are_bounded(void **state)
{
    static const uint32_t large_froms[] = {0, 500};
    enum { N = SLOW ? 2500 : 9000, MOST = SLOW ? 1 << 18 : 1 << 20 };
    float(*v)[DIMS] = many_vectors(N);

    (void)state;
    for (unsigned t = 0; t < 2; t++) {
        struct index_options o = {.dimensions = DIMS,
                                  .entries_max = 1000000,
                                  .queue_max = 100000,
                                  .large_from = large_froms[t],
                                  .bytes_max = MOST};
        struct index *ix;
        struct index_stats s;

        CHECK_STATUS(ST_OK, index_open(&o, &ix));
        for (unsigned i = 0; i < N; i++) {
            struct digest p = named(0), k = named(i);
            enum status st;

            while ((st = index_add(ix, &p, &k, v[i], SPAN("?"), UINT64_MAX)) == ST_OVERLOAD)
                index_flush(ix); /* what waits is bounded too */
            CHECK_STATUS(ST_OK, st);
            if (i % 1000 == 0) {
                index_flush(ix);
                assert_true(stats_of(ix).bytes <= MOST);
            }
        }
        index_settle(ix);
        s = stats_of(ix);
        assert_true(s.bytes <= MOST && s.bytes > MOST / 10 * 9);
        assert_int_equal(N, s.entries + s.evictions_total);
        assert_int_equal(t, s.large_partitions);
        check_found(ix, v, N - (unsigned)s.entries, N);
        check_gone(ix, v, 0, N - (unsigned)s.entries);
        index_close(ix);
    }
    free(v);
}

static void limits_of_what_is_taken(void **state)
{
    struct index *ix = fresh(10, 0);
    struct digest p = named(0), k = named(0);
    struct decision_candidate c[1];
    struct arena a;
    float v[DIMS] = {1};
    char *text = malloc(65537);

    (void)state;
    memset(text, 'a', 65537);
    arena_init(&a, 4096, 1 << 20);
    CHECK_STATUS(ST_LIMIT, index_add(ix, &p, &k, v, (struct span){text, 65537}, 1));
    CHECK_STATUS(ST_OK, index_add(ix, &p, &k, v, (struct span){text, 65536}, 1));
    k = named(1);
    CHECK_STATUS(ST_OK, index_add(ix, &p, &k, v, (struct span){NULL, 0}, 2));
    index_flush(ix);
    assert_int_equal(0, find(ix, 0, v, 0, 0, c, &a)); /* none wanted */
    assert_int_equal(1, find(ix, 0, v, 1, 0, c, &a));
    assert_int_equal(1, find(ix, 0, v, 1, 1, c, &a));
    assert_int_equal(0, c[0].question.len);
    arena_release(&a);
    arena_init(&a, 16, 16); /* too small for anything */
    assert_int_equal(0, find(ix, 0, v, 1, 0, c, &a));
    arena_release(&a);
    index_close(ix);
    free(text);
}

/* --- threads --------------------------------------------------------------------------- */

#define READS 1500

/* Whatever is found is whole, and never what has been removed for good. */
static void *search_all_the_time(void *arg)
{
    struct index *ix = arg;
    struct decision_candidate c[8];
    struct arena a;
    float v[DIMS] = {1};

    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < READS; i++) {
        struct digest p = named(i % 3);
        size_t n;

        v[i % DIMS] += 0.5f;
        n = index_search(ix, &p, v, 8, -1, 0, &a, c);
        for (size_t j = 0; j < n; j++) {
            unsigned key;
            char text[32];

            memcpy(&key, c[j].key.bytes, sizeof(key));
            snprintf(text, sizeof(text), "question %u", key);
            assert_true(key % 3 == i % 3 && span_eq(span_of(text), c[j].question));
        }
        arena_reset(&a);
    }
    arena_release(&a);
    return NULL;
}

static void *remove_all_the_time(void *arg)
{
    struct index *ix = arg;

    for (unsigned i = 0; i < READS; i++) {
        struct digest p = named(i % 3), k = named(i);

        index_remove(ix, &p, &k);
    }
    return NULL;
}

static void searches_and_changes_go_on_together(void **state)
{
    struct index *ix = fresh(900, 200); /* structures come and go, the oldest go */
    void *(*const what[])(void *) = {search_all_the_time, search_all_the_time,
                                     remove_all_the_time};
    pthread_t threads[3];
    float v[DIMS];

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, what[i], ix), 0);
    for (unsigned i = 0; i < 4000; i++) {
        unit_vector(v);
        put(ix, i % 3, i, v);
        if (i % 500 == 0)
            index_settle(ix);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    index_settle(ix);
    assert_true(stats_of(ix).entries <= 900 && stats_of(ix).rebuilds_total > 0);
    index_close(ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_nearest_of_its_own_partition_only),
        cmocka_unit_test(removed_replaced_and_expired_are_not_found),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(a_large_partition_finds_as_well),
        cmocka_unit_test(an_add_never_comes_back_after_its_removal),
        cmocka_unit_test(a_scan_finds_what_brute_force_finds),
        cmocka_unit_test(removed_while_a_structure_is_built_stays_removed),
        cmocka_unit_test(a_partition_gone_while_its_structure_is_built),
        cmocka_unit_test(a_large_partition_at_its_bound_wears_well),
        cmocka_unit_test(a_large_partition_becomes_small_and_large_again),
        cmocka_unit_test(replaced_in_a_large_partition),
        cmocka_unit_test(what_is_gone_does_not_hide_what_is_there),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(limits_of_what_is_taken),
        cmocka_unit_test(searches_and_changes_go_on_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
