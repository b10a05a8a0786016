/* The table of items and the hash below it. */
#include "cache/index_items.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/index_hash.h"
#include "failing_alloc.h"

#include "check.h"

/* --- the hash ------------------------------------------------------------------------- */

static size_t count_of(const struct index_hash *h, uint64_t hash)
{
    size_t n = 0;

    for (struct index_hash_node *at = index_hash_find(h, hash); at != NULL;
         at = index_hash_next(at))
        n++;
    return n;
}

static void hash_finds_all_while_it_grows_and_empties(void **state)
{
    /* How far apart hashes are: neighbours, all in one bucket at first, spread. */
    static const uint64_t factors[] = {1, 1024, 4096, 0x9e3779b97f4a7c15u};
    enum { N = 5000 };
    struct index_hash_node *nodes = calloc(N, sizeof(*nodes));

    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(factors); f++) {
        struct index_hash h;

        CHECK_STATUS(ST_OK, index_hash_init(&h));
        for (size_t i = 0; i < N; i++) {
            index_hash_add(&h, &nodes[i], i * factors[f]);
            if (i % 97 == 0)
                for (size_t j = 0; j <= i; j++)
                    assert_ptr_equal(&nodes[j], index_hash_find(&h, j * factors[f]));
        }
        assert_int_equal(N, h.used);
        assert_int_equal(N, h.buckets);
        for (size_t i = 0; i < N; i += 2)
            index_hash_remove(&h, &nodes[i]);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(i % 2, count_of(&h, i * factors[f]));
        assert_int_equal(N / 2, h.used);
        index_hash_release(&h);
    }
    free(nodes);
}

static void hash_tells_all_of_one_hash(void **state)
{
    struct index_hash_node nodes[6];
    struct index_hash h;

    (void)state;
    CHECK_STATUS(ST_OK, index_hash_init(&h));
    for (size_t i = 0; i < 6; i++)
        index_hash_add(&h, &nodes[i], i < 5 ? 7 : 7 + 1024);
    assert_int_equal(5, count_of(&h, 7));
    index_hash_remove(&h, &nodes[2]); /* in the middle of the chain, its head, its end */
    index_hash_remove(&h, &nodes[5]);
    index_hash_remove(&h, &nodes[0]);
    assert_int_equal(3, count_of(&h, 7));
    assert_int_equal(0, count_of(&h, 7 + 1024));
    index_hash_release(&h);
}

static void hash_without_memory_has_longer_chains(void **state)
{
    enum { N = 3000 };
    struct index_hash_node *nodes = calloc(N, sizeof(*nodes));
    struct index_hash h;

    (void)state;
    failing_alloc_after(0);
    CHECK_STATUS(ST_NOMEM, index_hash_init(&h));
    failing_alloc_after(1);
    CHECK_STATUS(ST_NOMEM, index_hash_init(&h));
    failing_alloc_after(2);
    CHECK_STATUS(ST_OK, index_hash_init(&h));
    for (size_t i = 0; i < N; i++)
        index_hash_add(&h, &nodes[i], i);
    assert_int_equal(1024, h.buckets);
    for (size_t i = 0; i < N; i++)
        assert_ptr_equal(&nodes[i], index_hash_find(&h, i));
    failing_alloc_after(UINT64_MAX);
    index_hash_release(&h);
    free(nodes);
}

/* --- items ----------------------------------------------------------------------------- */

/* Only their addresses matter here. */
static char places[2];

static struct index_partition *partition(unsigned n)
{
    return (struct index_partition *)(void *)&places[n];
}

static struct digest named(unsigned n)
{
    struct digest d = {{0}};

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static uint32_t add(struct index_items *t, unsigned p, unsigned key)
{
    struct digest k = named(key);
    uint32_t id;
    char text[32];

    snprintf(text, sizeof(text), "question %u", key);
    CHECK_STATUS(ST_OK, index_items_add(t, partition(p), &k, span_of(text), key, &id));
    return id;
}

static uint32_t find(const struct index_items *t, unsigned p, unsigned key)
{
    struct digest k = named(key);

    return index_items_find(t, partition(p), &k);
}

/* From the oldest on, and back. */
static void check_order(const struct index_items *t, const unsigned *keys, size_t n)
{
    uint32_t id = t->oldest;

    assert_int_equal(n, t->used);
    for (size_t i = 0; i < n; i++) {
        struct digest want = named(keys[i]);

        assert_memory_equal(want.bytes, index_items_at(t, id)->key.bytes, DIGEST_BYTES);
        id = index_items_at(t, id)->newer;
    }
    assert_int_equal(INDEX_ITEM_NONE, id);
    id = t->newest;
    for (size_t i = n; i-- > 0;) {
        struct digest want = named(keys[i]);

        assert_memory_equal(want.bytes, index_items_at(t, id)->key.bytes, DIGEST_BYTES);
        id = index_items_at(t, id)->older;
    }
    assert_int_equal(INDEX_ITEM_NONE, id);
}

static void items_go_from_any_place_of_the_order(void **state)
{
    static const struct {
        unsigned remove[4];
        size_t removes;
        unsigned left[4];
        size_t lefts;
    } cases[] = {
        {{0}, 1, {1, 2, 3}, 3},    {{3}, 1, {0, 1, 2}, 3},    {{1}, 1, {0, 2, 3}, 3},
        {{1, 2}, 2, {0, 3}, 2},    {{0, 3}, 2, {1, 2}, 2},    {{0, 1, 2}, 3, {3}, 1},
        {{3, 2, 1, 0}, 4, {0}, 0}, {{2, 0, 3, 1}, 4, {0}, 0},
    };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct index_items t;

        CHECK_STATUS(ST_OK, index_items_init(&t));
        for (unsigned i = 0; i < 4; i++)
            add(&t, 0, i);
        for (size_t i = 0; i < cases[c].removes; i++)
            index_items_remove(&t, find(&t, 0, cases[c].remove[i]));
        check_order(&t, cases[c].left, cases[c].lefts);
        for (size_t i = 0; i < cases[c].removes; i++)
            assert_int_equal(INDEX_ITEM_NONE, find(&t, 0, cases[c].remove[i]));
        add(&t, 0, 9); /* works after any of it */
        assert_int_equal(t.newest, find(&t, 0, 9));
        index_items_release(&t);
    }
}

static void items_of_one_key_in_two_partitions(void **state)
{
    struct index_items t;
    uint32_t a, b;

    (void)state;
    CHECK_STATUS(ST_OK, index_items_init(&t));
    assert_int_equal(INDEX_ITEM_NONE, find(&t, 0, 5));
    a = add(&t, 0, 5);
    b = add(&t, 1, 5);
    assert_int_not_equal(a, b);
    assert_int_equal(a, find(&t, 0, 5));
    assert_int_equal(b, find(&t, 1, 5));
    index_items_remove(&t, a);
    assert_int_equal(INDEX_ITEM_NONE, find(&t, 0, 5));
    assert_int_equal(b, find(&t, 1, 5));
    index_items_release(&t);
}

static void items_do_not_move_and_ids_are_used_again(void **state)
{
    enum { N = 5000 };
    struct index_items t;
    struct index_item *first;
    uint32_t highest = 0;

    (void)state;
    CHECK_STATUS(ST_OK, index_items_init(&t));
    first = index_items_at(&t, add(&t, 0, 0));
    for (unsigned i = 1; i < N; i++) {
        uint32_t id = add(&t, i % 2, i);

        highest = id > highest ? id : highest;
    }
    assert_int_equal(N - 1, highest);
    assert_ptr_equal(first, index_items_at(&t, find(&t, 0, 0)));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 1; i < N; i += 3)
            index_items_remove(&t, find(&t, i % 2, i));
        for (unsigned i = 1; i < N; i += 3)
            assert_true(add(&t, i % 2, i) < N);
    }
    for (unsigned i = 0; i < N; i++) {
        const struct index_item *it = index_items_at(&t, find(&t, i % 2, i));
        char text[32];

        snprintf(text, sizeof(text), "question %u", i);
        CHECK_SPAN(span_of(text), ((struct span){it->question, it->question_bytes}));
        assert_int_equal(i, it->expires_ms);
    }
    assert_int_equal(N, t.used);
    index_items_release(&t);
}

static void items_survive_want_of_memory(void **state)
{
    static const char nothing[1];
    struct digest k = named(77);

    (void)state;
    for (uint64_t n = 0;; n++) {
        struct index_items t;
        enum status st;
        uint32_t id;

        failing_alloc_after(n);
        st = index_items_init(&t);
        if (st != ST_OK) {
            CHECK_STATUS(ST_NOMEM, st);
            continue;
        }
        st = index_items_add(&t, partition(0), &k, (struct span){nothing, 0}, 1, &id);
        failing_alloc_after(UINT64_MAX);
        if (st != ST_OK) {
            CHECK_STATUS(ST_NOMEM, st);
            assert_int_equal(0, t.used);
            assert_int_equal(INDEX_ITEM_NONE, find(&t, 0, 77));
            add(&t, 0, 77);
        }
        assert_int_equal(1, t.used);
        assert_int_not_equal(INDEX_ITEM_NONE, find(&t, 0, 77));
        index_items_release(&t);
        if (st == ST_OK)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_finds_all_while_it_grows_and_empties),
        cmocka_unit_test(hash_tells_all_of_one_hash),
        cmocka_unit_test(hash_without_memory_has_longer_chains),
        cmocka_unit_test(items_go_from_any_place_of_the_order),
        cmocka_unit_test(items_of_one_key_in_two_partitions),
        cmocka_unit_test(items_do_not_move_and_ids_are_used_again),
        cmocka_unit_test(items_survive_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
