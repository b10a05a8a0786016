/* The run of a partition, against a plain list of what should be in it. */
#include "cache/index_run.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cache/index_items.h"
#include "failing_alloc.h"

#include "check.h"

#define DIMS 8
#define MAX  4000

/* Where the test thinks item n is; NOWHERE: removed. */
#define NOWHERE SIZE_MAX
static size_t place[MAX];

static void fill_row(uint32_t item, int8_t *vector, struct index_row *row)
{
    for (size_t i = 0; i < DIMS; i++)
        vector[i] = (int8_t)(item * 31 + i * 7);
    *row = (struct index_row){vector, (float)item, (int32_t)item * 2, item};
}

static enum status append(struct index_run *r, uint32_t item)
{
    struct index_row row;
    int8_t vector[DIMS];
    enum status st;

    fill_row(item, vector, &row);
    st = index_run_append(r, &row);
    place[item] = st == ST_OK ? r->count - 1 : NOWHERE;
    return st;
}

static void moved(uint32_t item, size_t to)
{
    if (item != INDEX_ITEM_NONE)
        place[item] = to;
}

static void remove_item(struct index_run *r, uint32_t item)
{
    size_t at = place[item];

    place[item] = NOWHERE;
    moved(index_run_remove(r, at), at);
}

/* Each of the n items is where it should be, whole, or nowhere. */
static void check(const struct index_run *r, uint32_t n)
{
    size_t there = 0;

    for (uint32_t item = 0; item < n; item++) {
        struct index_row want, got;
        int8_t vector[DIMS];

        if (place[item] == NOWHERE)
            continue;
        there++;
        assert_true(place[item] < r->count);
        got = index_run_at(r, place[item]);
        fill_row(item, vector, &want);
        assert_int_equal(want.item, got.item);
        assert_int_equal(want.sum, got.sum);
        assert_true(want.scale == got.scale);
        assert_memory_equal(want.vector, got.vector, DIMS);
    }
    assert_int_equal(r->count, there + r->holes);
    assert_true(r->cap >= r->count &&
                r->cap - r->count <= INDEX_RUN_CHUNK * 3 / 2 + r->count / 2 + 16);
}

static void rows_stay_whole_while_a_run_grows_and_shrinks(void **state)
{
    /* Around each chunk's end. */
    static const uint32_t sizes[] = {1, 2, 3, 16, 255, 256, 257, 511, 512, 513, 1500};

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct index_run r;

        index_run_init(&r, DIMS);
        for (uint32_t i = 0; i < sizes[s]; i++) {
            CHECK_STATUS(ST_OK, append(&r, i));
            assert_int_equal(0, (uintptr_t)index_run_at(&r, 0).vector % 64);
        }
        check(&r, sizes[s]);
        for (uint32_t i = 0; i < sizes[s]; i++) { /* the first, the last, the middle */
            uint32_t item = i % 3 == 0 ? i : i % 3 == 1 ? sizes[s] - 1 - i / 2 : sizes[s] / 2;

            while (place[item] == NOWHERE)
                item = (item + 1) % sizes[s];
            remove_item(&r, item);
            check(&r, sizes[s]);
        }
        assert_int_equal(0, r.count);
        CHECK_STATUS(ST_OK, append(&r, 0));
        check(&r, 1);
        index_run_release(&r);
    }
}

static void fixed_positions_stay_and_holes_are_used_again(void **state)
{
    struct index_run r;
    size_t at;

    (void)state;
    index_run_init(&r, DIMS);
    for (uint32_t i = 0; i < 600; i++)
        CHECK_STATUS(ST_OK, append(&r, i));
    index_run_fix(&r);
    for (uint32_t i = 600; i < 700; i++)
        CHECK_STATUS(ST_OK, append(&r, i));
    for (uint32_t i = 0; i < 600; i += 100)
        remove_item(&r, i);
    remove_item(&r, 599);
    assert_int_equal(7, r.holes);
    for (uint32_t i = 1; i < 599; i++)
        assert_int_equal(place[i] == NOWHERE ? NOWHERE : i, place[i]);
    remove_item(&r, 650); /* above: the last takes its place */
    assert_int_equal(650, place[699]);
    check(&r, 700);
    for (unsigned i = 0; i < 7; i++) {
        uint32_t last = index_run_at(&r, r.count - 1).item;

        at = index_run_fix_one(&r);
        assert_true(at < 600);
        place[last] = at;
        check(&r, 700);
    }
    assert_int_equal(0, r.holes);
    assert_int_equal(600, index_run_fix_one(&r)); /* no hole left: the next one above */
    assert_int_equal(601, r.fixed);
    check(&r, 700);
    index_run_release(&r);
}

static void a_loose_run_is_packed(void **state)
{
    (void)state;
    for (uint32_t every = 1; every < 6; every++) {
        enum { N = 1200 };
        struct index_run r;
        size_t at = 0;

        index_run_init(&r, DIMS);
        for (uint32_t i = 0; i < N; i++)
            CHECK_STATUS(ST_OK, append(&r, i));
        index_run_fix(&r);
        for (uint32_t i = 0; i < N; i++) /* at the end all of them */
            if (i % every != 0 || i > N - 100)
                remove_item(&r, i);
        index_run_loosen(&r);
        while (r.holes > 0) {
            if (at == 50 && place[0] != NOWHERE)
                remove_item(&r, 0); /* meanwhile */
            moved(index_run_pack(&r, at), at);
            at++;
            check(&r, N);
        }
        check(&r, N);
        assert_true(r.chunk_count <= (r.count + INDEX_RUN_CHUNK / 2 - 1) / INDEX_RUN_CHUNK + 1);
        index_run_release(&r);
    }
}

/* A full cache: one comes, one goes, with the number at any place of a chunk. */
static void no_memory_comes_and_goes_where_the_number_stays(void **state)
{
    (void)state;
    for (uint32_t n = 2 * INDEX_RUN_CHUNK - 2; n < 3 * INDEX_RUN_CHUNK; n++) {
        struct index_run r;
        size_t cap;

        index_run_init(&r, DIMS);
        for (uint32_t i = 0; i <= n; i++)
            CHECK_STATUS(ST_OK, append(&r, i));
        cap = r.cap;
        for (uint32_t i = 0; i < 20; i++) {
            remove_item(&r, i);
            assert_int_equal(cap, r.cap);
            CHECK_STATUS(ST_OK, append(&r, n + 1 + i));
            assert_int_equal(cap, r.cap);
        }
        check(&r, n + 21);
        index_run_release(&r);
    }
}

/* Removals, additions and taking over in any order, with a seed that is the same always. */
static void any_order_of_changes(void **state)
{
    uint64_t seed = 42;
    struct index_run r;
    uint32_t n = 0;

    (void)state;
    index_run_init(&r, DIMS);
    while (n < MAX) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        switch (seed >> 60) {
        case 0:
            index_run_fix(&r);
            break;
        case 1:
        case 2:
        case 3:
            if (r.count > r.fixed) {
                size_t from = r.hole == INDEX_ITEM_NONE ? r.fixed : r.count - 1;
                uint32_t item = index_run_at(&r, from).item;

                moved(item, index_run_fix_one(&r));
            }
            break;
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
            if (n > 0 && place[(seed >> 20) % n] != NOWHERE)
                remove_item(&r, (uint32_t)((seed >> 20) % n));
            break;
        default:
            CHECK_STATUS(ST_OK, append(&r, n++));
        }
        if (n % 64 == 0 && r.cap > 0)
            for (uint32_t i = 0; i < n; i++)
                if (place[i] != NOWHERE)
                    assert_int_equal(i, index_run_at(&r, place[i]).item);
    }
    index_run_release(&r);
}

static void a_run_survives_want_of_memory(void **state)
{
    struct index_run r;
    uint32_t n = 0;

    (void)state;
    index_run_init(&r, DIMS);
    index_run_release(&r); /* nothing in it */
    index_run_init(&r, DIMS);
    while (n < 700) { /* each time that something is asked for, it fails first */
        failing_alloc_after(n % 2);
        if (append(&r, n) == ST_OK) {
            n++;
            continue;
        }
        assert_int_equal(n, r.count);
        failing_alloc_after(UINT64_MAX);
        CHECK_STATUS(ST_OK, append(&r, n));
        n++;
    }
    failing_alloc_after(0); /* becoming smaller needs none */
    for (uint32_t i = 0; i < n - 1; i++)
        remove_item(&r, i);
    failing_alloc_after(UINT64_MAX);
    assert_int_equal(1, r.count);
    assert_int_equal(n - 1, index_run_at(&r, 0).item);
    index_run_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stay_whole_while_a_run_grows_and_shrinks),
        cmocka_unit_test(fixed_positions_stay_and_holes_are_used_again),
        cmocka_unit_test(a_loose_run_is_packed),
        cmocka_unit_test(no_memory_comes_and_goes_where_the_number_stays),
        cmocka_unit_test(any_order_of_changes),
        cmocka_unit_test(a_run_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
