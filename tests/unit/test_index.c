#include "cache/index.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/vector.h"

#include "check.h"

#define DIMS 64

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
    enum { N = 3000 };
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

static void *search_all_the_time(void *arg)
{
    struct index *ix = arg;
    struct decision_candidate c[8];
    struct arena a;
    float v[DIMS] = {1};

    arena_init(&a, 4096, 1 << 20);
    for (unsigned i = 0; i < 3000; i++) {
        struct digest p = named(i % 3);

        (void)index_search(ix, &p, v, 4, 0.0f, 0, &a, c);
        arena_reset(&a);
    }
    arena_release(&a);
    return NULL;
}

static void searches_and_changes_go_on_together(void **state)
{
    struct index *ix = fresh(500, 200);
    pthread_t readers[2];
    float v[DIMS];

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, search_all_the_time, ix), 0);
    for (unsigned i = 0; i < 2000; i++) {
        struct digest p = named(i % 3), k = named(i / 2);

        unit_vector(v);
        put(ix, i % 3, i, v);
        if (i % 5 == 0)
            index_remove(ix, &p, &k);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    index_close(ix);
}

static void every_kernel_says_the_same(void **state)
{
    enum { D = 384, N = 37 };
    static int8_t run[N * D];
    float scales[N], out[N], v[D];
    uint8_t bytes[D];
    int32_t sums[N];
    struct vector_query q = {bytes, 0};
    int8_t packed[D];
    int32_t sum;

    (void)state;
    for (size_t i = 0; i < D; i++)
        v[i] = uniform();
    q.scale = vector_pack(v, D, packed, &sum);
    for (size_t i = 0; i < D; i++)
        bytes[i] = (uint8_t)(packed[i] + 128);
    for (size_t i = 0; i < N; i++) {
        float w[D];

        for (size_t j = 0; j < D; j++)
            w[j] = uniform();
        scales[i] = vector_pack(w, D, run + i * D, &sums[i]);
    }
    vector_scan(&q, run, scales, sums, N, D, out);
    for (size_t i = 0; i < N; i++) {
        int32_t exact = 0;

        for (size_t j = 0; j < D; j++)
            exact += packed[j] * run[i * D + j];
        assert_true(fabsf(out[i] - (float)exact * q.scale * scales[i]) < 1e-6f * (float)D);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_nearest_of_its_own_partition_only),
        cmocka_unit_test(removed_replaced_and_expired_are_not_found),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(a_large_partition_finds_as_well),
        cmocka_unit_test(searches_and_changes_go_on_together),
        cmocka_unit_test(every_kernel_says_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
