/* Pages of keys and values: who shares them, who finds them again, what goes first. */
#include "engine/kv_cache.h"

#include <string.h>

#include "check.h"

enum { WIDTH = 16, LAYERS = 2, HEADS = 3, PAGE = ATTEND_PAGE };

static const struct kv_shape shape = {LAYERS, HEADS, WIDTH, CACHE_F32};

static uint32_t ids[PAGE * 8];

static int fill_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAGE * 8; i++)
        ids[i] = (uint32_t)(i * 31 % 1000);
    return 0;
}

static struct kv_cache *open_cache(size_t pages)
{
    struct kv_cache *c;

    CHECK_STATUS(ST_OK, kv_cache_open(&shape, pages, &c));
    return c;
}

static struct kv_sequence start(struct kv_cache *c)
{
    struct kv_sequence s;

    CHECK_STATUS(ST_OK, kv_cache_init(&s, c, PAGE * 8));
    return s;
}

static struct kv_counts counts(const struct kv_cache *c)
{
    struct kv_counts n;

    kv_cache_counts(c, &n);
    return n;
}

static float mark_of(size_t layer, size_t head, uint32_t salt)
{
    return (float)(salt * 100 + layer * 10 + head);
}

/* Writes a key that tells the place, in every layer and head. */
static void mark(struct kv_sequence *s, uint32_t pos, uint32_t salt)
{
    float key[WIDTH], value[WIDTH] = {0};

    for (size_t l = 0; l < LAYERS; l++) {
        for (size_t h = 0; h < HEADS; h++) {
            struct attend_keys k = kv_cache_keys(s, l, h);

            for (size_t i = 0; i < WIDTH; i++)
                key[i] = mark_of(l, h, salt);
            attend_ref.store(k.type, attend_slot(&k, pos / PAGE), pos % PAGE, WIDTH, key,
                             value);
        }
    }
}

static void check_mark(const struct kv_sequence *s, uint32_t pos, uint32_t salt)
{
    for (size_t l = 0; l < LAYERS; l++) {
        for (size_t h = 0; h < HEADS; h++) {
            struct attend_keys k = kv_cache_keys(s, l, h);
            const float *keys = (const float *)(const void *)attend_slot(&k, pos / PAGE);

            assert_float_equal(mark_of(l, h, salt), keys[pos % PAGE], 0);
        }
    }
}

/* A sequence that has computed the first n tokens of `ids`. */
static struct kv_sequence computed(struct kv_cache *c, size_t n)
{
    struct kv_sequence s = start(c);

    CHECK_STATUS(ST_OK, kv_cache_extend(&s, ids, n));
    for (uint32_t i = 0; i < n; i++)
        mark(&s, i, i);
    kv_cache_commit(&s);
    return s;
}

static void a_beginning_is_found_again(void **state)
{
    struct kv_cache *c = open_cache(8);
    struct kv_sequence s = computed(c, 3 * PAGE + 5), t = start(c), u = start(c);

    (void)state;
    assert_int_equal(3 * PAGE, kv_cache_reuse(&t, ids, 3 * PAGE + 1));
    for (uint32_t i = 0; i < 3 * PAGE; i++)
        check_mark(&t, i, i);
    assert_int_equal(4, counts(c).used);
    kv_cache_release(&s);
    kv_cache_release(&t);
    assert_int_equal(3, counts(c).kept);
    assert_int_equal(0, counts(c).used);
    /* One token is always left to compute. */
    assert_int_equal(2 * PAGE, kv_cache_reuse(&u, ids, 3 * PAGE));
    assert_int_equal(5 * PAGE, counts(c).reused);
    kv_cache_release(&u);
    kv_cache_close(c);
}

/* The same tokens behind others are not the same. */
static void a_page_is_found_behind_its_own_beginning_only(void **state)
{
    struct kv_cache *c = open_cache(8);
    struct kv_sequence s = computed(c, 2 * PAGE + 1), t = start(c);
    uint32_t other[3 * PAGE];

    (void)state;
    memcpy(other, ids, sizeof(other));
    other[0]++;
    assert_int_equal(0, kv_cache_reuse(&t, other, 3 * PAGE));
    memcpy(other, ids, sizeof(other));
    other[PAGE]++;
    assert_int_equal(PAGE, kv_cache_reuse(&t, other, 3 * PAGE));
    kv_cache_truncate(&t, 0);
    assert_int_equal(0, kv_cache_reuse(&t, ids + PAGE, 2 * PAGE));
    kv_cache_release(&t);
    kv_cache_release(&s);
    kv_cache_close(c);
}

static void what_was_not_committed_is_not_found(void **state)
{
    struct kv_cache *c = open_cache(8);
    struct kv_sequence s = start(c), t = start(c);

    (void)state;
    CHECK_STATUS(ST_OK, kv_cache_extend(&s, ids, 2 * PAGE));
    assert_int_equal(0, kv_cache_reuse(&t, ids, 2 * PAGE));
    kv_cache_truncate(&s, 0);
    kv_cache_commit(&s);
    assert_int_equal(0, kv_cache_reuse(&t, ids, 2 * PAGE));
    assert_int_equal(0, counts(c).used + counts(c).kept);
    kv_cache_release(&s);
    kv_cache_release(&t);
    kv_cache_close(c);
}

static void forks_write_into_pages_of_their_own(void **state)
{
    struct kv_cache *c = open_cache(8);
    struct kv_sequence s = computed(c, PAGE + 5), t = start(c);

    (void)state;
    CHECK_STATUS(ST_OK, kv_cache_fork(&s, &t));
    assert_int_equal(2, counts(c).used);
    CHECK_STATUS(ST_OK, kv_cache_extend(&t, ids, 1));
    assert_int_equal(3, counts(c).used);
    mark(&t, PAGE + 5, 900);
    CHECK_STATUS(ST_OK, kv_cache_extend(&s, ids, 1));
    assert_int_equal(3, counts(c).used);
    mark(&s, PAGE + 5, 800);
    check_mark(&t, PAGE + 5, 900);
    check_mark(&t, PAGE + 4, PAGE + 4);
    check_mark(&s, PAGE + 5, 800);
    kv_cache_release(&s);
    kv_cache_release(&t);
    kv_cache_close(c);
}

/* A sequence that goes back into a page others may find must not change it. */
static void going_back_leaves_kept_pages_as_they_are(void **state)
{
    struct kv_cache *c = open_cache(8);
    struct kv_sequence s = computed(c, 2 * PAGE), t = start(c);
    uint32_t other = 77777;

    (void)state;
    kv_cache_truncate(&s, PAGE + 3);
    CHECK_STATUS(ST_OK, kv_cache_extend(&s, &other, 1));
    mark(&s, PAGE + 3, 900);
    kv_cache_commit(&s);
    assert_int_equal(2 * PAGE, kv_cache_reuse(&t, ids, 2 * PAGE + 1));
    check_mark(&t, PAGE + 3, PAGE + 3);
    check_mark(&s, PAGE + 3, 900);
    check_mark(&s, PAGE + 2, PAGE + 2);
    kv_cache_release(&s);
    kv_cache_release(&t);
    kv_cache_close(c);
}

static void two_that_compute_the_same_end_with_one(void **state)
{
    struct kv_cache *c = open_cache(8);
    struct kv_sequence s = computed(c, 2 * PAGE), t = computed(c, 2 * PAGE + 1);

    (void)state;
    assert_int_equal(3, counts(c).used);
    kv_cache_release(&s);
    kv_cache_release(&t);
    assert_int_equal(2, counts(c).kept);
    kv_cache_close(c);
}

static void the_longest_unused_goes_first_and_ends_before_beginnings(void **state)
{
    struct kv_cache *c = open_cache(4);
    struct kv_sequence s = computed(c, 3 * PAGE), t = start(c);

    (void)state;
    kv_cache_release(&s);
    assert_int_equal(3, counts(c).kept);
    CHECK_STATUS(ST_OK, kv_cache_extend(&t, ids + 3 * PAGE, 2 * PAGE));
    assert_int_equal(1, counts(c).evicted);
    kv_cache_truncate(&t, 0);
    assert_int_equal(2 * PAGE, kv_cache_reuse(&t, ids, 4 * PAGE));
    kv_cache_release(&t);
    kv_cache_close(c);
}

static void no_more_than_there_is(void **state)
{
    struct kv_cache *c = open_cache(3);
    struct kv_sequence s = start(c), t = start(c);

    (void)state;
    CHECK_STATUS(ST_OK, kv_cache_extend(&s, ids, 2 * PAGE));
    CHECK_STATUS(ST_LIMIT, kv_cache_extend(&t, ids, PAGE + 1));
    assert_int_equal(0, t.length);
    CHECK_STATUS(ST_OK, kv_cache_extend(&t, ids, PAGE));
    CHECK_STATUS(ST_LIMIT, kv_cache_extend(&s, ids, 1));
    kv_cache_release(&t);
    CHECK_STATUS(ST_OK, kv_cache_extend(&s, ids, 1));
    kv_cache_release(&s);
    CHECK_STATUS(ST_OK, kv_cache_init(&s, c, PAGE));
    CHECK_STATUS(ST_LIMIT, kv_cache_extend(&s, ids, PAGE + 1));
    kv_cache_release(&s);
    kv_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beginning_is_found_again),
        cmocka_unit_test(a_page_is_found_behind_its_own_beginning_only),
        cmocka_unit_test(what_was_not_committed_is_not_found),
        cmocka_unit_test(forks_write_into_pages_of_their_own),
        cmocka_unit_test(going_back_leaves_kept_pages_as_they_are),
        cmocka_unit_test(two_that_compute_the_same_end_with_one),
        cmocka_unit_test(the_longest_unused_goes_first_and_ends_before_beginnings),
        cmocka_unit_test(no_more_than_there_is),
    };

    return cmocka_run_group_tests(tests, fill_ids, NULL);
}
