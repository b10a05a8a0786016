/* Neighbours that a store finds: which entries are fetched, in which order they come, and what
 * happens to those that are gone. */
#include "cache/neighbours.h"

#include <string.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "check.h"

#define ASKED_MAX  16
#define DIMENSIONS 4

/* A store that keeps what it is asked for, until the test answers. */
static struct fake {
    struct store store;
    struct store_near *near;
    struct store_get *asked[ASKED_MAX];
    size_t count;
    struct digest removed[ASKED_MAX];
    size_t removed_count;
    bool canceled;
    enum status refuses;
} fake;
static struct memory *memory;
static struct neighbours n;
static enum status ended;
static unsigned ends;
static const struct digest partition = {{7}};
static const float vector[DIMENSIONS] = {1};

static struct digest key_of(uint8_t i)
{
    return (struct digest){{i, 1}};
}

static enum status fake_near(struct store *s, struct store_near *op)
{
    assert_ptr_equal(s, &fake.store);
    fake.near = op;
    return fake.refuses;
}

static void fake_near_cancel(struct store_near *op)
{
    assert_ptr_equal(op, fake.near);
    fake.canceled = true;
}

static enum status fake_get(struct store *s, struct store_get *op)
{
    assert_ptr_equal(s, &fake.store);
    assert_true(fake.count < ASKED_MAX);
    fake.asked[fake.count++] = op;
    return ST_OK;
}

static void fake_cancel(struct store_get *op)
{
    (void)op;
    fake.canceled = true;
}

static void fake_vector_remove(struct store *s, const struct digest *p, const struct digest *k)
{
    assert_ptr_equal(s, &fake.store);
    assert_true(digest_eq(p, &partition));
    fake.removed[fake.removed_count++] = *k;
}

static void on_done(struct neighbours *op, enum status st)
{
    assert_ptr_equal(op, &n);
    ended = st;
    ends++;
}

static int set_up(void **state)
{
    static const struct store_ops ops = {.near = fake_near,
                                         .near_cancel = fake_near_cancel,
                                         .get = fake_get,
                                         .cancel = fake_cancel,
                                         .vector_remove = fake_vector_remove};
    const struct memory_options m = {.entries_max = 100, .bytes_max = 1u << 20};

    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.store.ops = &ops;
    ends = 0;
    CHECK_STATUS(ST_OK, memory_open(&m, &memory));
    n = (struct neighbours){.memory = memory,
                            .store = &fake.store,
                            .done = on_done,
                            .query = {.partition = partition,
                                      .vector = vector,
                                      .dimensions = DIMENSIONS,
                                      .top_k = 2,
                                      .floor = 0.6F}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neighbours_release(&n);
    memory_close(memory);
    return 0;
}

static struct entry *entry_of(uint8_t i, float cosine, uint64_t expires_ms)
{
    const float v[DIMENSIONS] = {cosine, 1 - cosine};
    const struct entry e = {.key = key_of(i),
                            .partition = partition,
                            .expires_ms = expires_ms,
                            .question = SPAN("why?"),
                            .vector = v,
                            .dimensions = DIMENSIONS};
    struct entry *out;

    CHECK_STATUS(ST_OK, entry_new(&e, &out));
    return out;
}

/* The store names entries 0 to count - 1 with these similarities. */
static void say_near(const float *similarity, size_t count)
{
    CHECK_STATUS(ST_OK, neighbours_find(&n));
    fake.near->count = count;
    for (size_t i = 0; i < count; i++) {
        fake.near->keys[i] = key_of((uint8_t)i);
        fake.near->similarity[i] = similarity[i];
    }
    fake.near->done(fake.near, ST_OK);
}

/* The first that was asked for is there, with that cosine (0: it is gone). */
static void give(float cosine)
{
    struct store_get *get = fake.asked[0];
    uint8_t i = get->key.bytes[0];

    memmove(fake.asked, fake.asked + 1, --fake.count * sizeof(fake.asked[0]));
    if (cosine > 0)
        get->done(get, ST_OK, entry_of(i, cosine, UINT64_MAX));
    else
        get->done(get, ST_NOTFOUND, NULL);
}

static void the_entries_decide_how_near_they_are(void **state)
{
    static const float said[] = {0.95F, 0.94F, 0.7F, 0.3F};
    struct decision_candidate c[DECISION_CANDIDATES_MAX];
    struct digest first = key_of(1);

    (void)state;
    say_near(said, 4);
    assert_int_equal(fake.count, 2); /* as many as are wanted */
    give(0.9F);
    assert_int_equal(ends, 0);
    give(0.92F);
    assert_int_equal(ends, 1);
    CHECK_STATUS(ST_OK, ended);
    assert_int_equal(neighbours_candidates(&n, c), 2);
    assert_true(digest_eq(&c[0].key, &first) && c[0].similarity == 0.92F);
    assert_true(c[1].similarity == 0.9F);
    assert_true(span_eq(c[0].question, SPAN("why?")));
    assert_int_equal(fake.removed_count, 0);
    /* They are in memory now. */
    assert_true(memory_has(memory, &first, clock_wall_ms()));
}

static void those_in_memory_are_not_fetched(void **state)
{
    static const float said[] = {0.95F, 0.94F};
    struct entry *e = entry_of(0, 0.95F, UINT64_MAX);

    (void)state;
    assert_true(memory_put(memory, e));
    entry_unref(e);
    say_near(said, 2);
    assert_int_equal(fake.count, 1);
    give(0.94F);
    CHECK_STATUS(ST_OK, ended);
    assert_int_equal(n.count, 2);
}

static void one_that_is_gone_is_removed_and_the_next_takes_its_place(void **state)
{
    static const float said[] = {0.95F, 0.94F, 0.93F, 0.92F, 0.91F};
    struct digest gone = key_of(0);

    (void)state;
    say_near(said, 5);
    give(0);
    give(0.94F);
    assert_int_equal(fake.count, 1);
    assert_int_equal(ends, 0);
    give(0); /* two rounds, no more */
    assert_int_equal(ends, 1);
    assert_int_equal(n.count, 1);
    assert_int_equal(fake.removed_count, 2);
    assert_true(digest_eq(&fake.removed[0], &gone));
}

static void what_does_not_fit_is_none(void **state)
{
    static const float said[] = {0.95F, 0.61F, 0.3F};
    struct entry *stale = entry_of(0, 0.95F, 1);

    (void)state;
    say_near(said, 3);
    assert_int_equal(fake.count, 2); /* 0.3 is not even fetched */
    fake.asked[0]->done(fake.asked[0], ST_OK, stale);
    memmove(fake.asked, fake.asked + 1, --fake.count * sizeof(fake.asked[0]));
    give(0.59F); /* the store is not exact */
    CHECK_STATUS(ST_OK, ended);
    assert_int_equal(n.count, 0);
    assert_int_equal(fake.removed_count, 0);
}

static void failures_are_told_and_remove_nothing(void **state)
{
    static const float said[] = {0.95F};

    (void)state;
    fake.refuses = ST_UNAVAILABLE;
    CHECK_STATUS(ST_UNAVAILABLE, neighbours_find(&n));
    assert_int_equal(ends, 0);
    fake.refuses = ST_OK;
    CHECK_STATUS(ST_OK, neighbours_find(&n));
    fake.near->done(fake.near, ST_TIMEOUT);
    CHECK_STATUS(ST_TIMEOUT, ended);
    say_near(said, 1);
    fake.asked[0]->done(fake.asked[0], ST_TIMEOUT, NULL);
    CHECK_STATUS(ST_OK, ended);
    assert_int_equal(n.count, 0);
    assert_int_equal(fake.removed_count, 0);
}

static void canceled_at_any_time_it_ends_once(void **state)
{
    static const float said[] = {0.95F, 0.94F};

    (void)state;
    CHECK_STATUS(ST_OK, neighbours_find(&n));
    neighbours_cancel(&n);
    assert_true(fake.canceled);
    fake.near->done(fake.near, ST_CANCELED);
    assert_int_equal(ends, 1);
    CHECK_STATUS(ST_CANCELED, ended);
    n.canceled = fake.canceled = false;
    say_near(said, 2);
    neighbours_cancel(&n);
    assert_true(fake.canceled);
    fake.asked[0]->done(fake.asked[0], ST_CANCELED, NULL);
    assert_int_equal(ends, 1);
    fake.asked[1]->done(fake.asked[1], ST_NOTFOUND, NULL); /* it was on its way */
    assert_int_equal(ends, 2);
    CHECK_STATUS(ST_CANCELED, ended);
    assert_int_equal(fake.removed_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_entries_decide_how_near_they_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(those_in_memory_are_not_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            one_that_is_gone_is_removed_and_the_next_takes_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_are_told_and_remove_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(canceled_at_any_time_it_ends_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
