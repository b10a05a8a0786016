/* Entries of other replicas are fetched a few at a time; what does not fit or fails is counted.
 */
#include "cache/newcomers.h"

#include <string.h>

#include "base/digest.h"
#include "cache/entry.h"
#include "cache/store.h"

#include "check.h"

#define ASKED_MAX 64
/* newcomers.c: WAITING_MAX, TOGETHER_MAX */
#define WAITING  16384
#define TOGETHER 8

/* A store that keeps what it is asked for, until the test answers. */
struct fake_store {
    struct store store;
    struct store_get *asked[ASKED_MAX];
    size_t count;
    enum status refuses; /* what `get` returns; ST_OK: it takes the operation */
};

static struct fake_store fake;
static uint64_t found[ASKED_MAX];
static size_t found_count;

static struct digest key_of(uint64_t n)
{
    struct digest key = {0};

    memcpy(key.bytes, &n, sizeof(n));
    return key;
}

static uint64_t number_of(const struct digest *key)
{
    uint64_t n;

    memcpy(&n, key->bytes, sizeof(n));
    return n;
}

static enum status fake_get(struct store *s, struct store_get *op)
{
    struct fake_store *f = (struct fake_store *)s;

    if (f->refuses != ST_OK)
        return f->refuses;
    assert_true(f->count < ASKED_MAX);
    f->asked[f->count++] = op;
    return ST_OK;
}

/* The one that was asked for first. */
static void answer(enum status st)
{
    struct store_get *op = fake.asked[0];
    struct entry *e = NULL;

    assert_true(fake.count > 0);
    memmove(fake.asked, fake.asked + 1, --fake.count * sizeof(fake.asked[0]));
    if (st == ST_OK) {
        struct entry in = {.key = op->key, .question = SPAN("q"), .answer = SPAN("a")};

        CHECK_STATUS(ST_OK, entry_new(&in, &e));
    }
    op->done(op, st, e);
}

static void on_found(void *owner, struct entry *e)
{
    assert_ptr_equal(owner, &fake);
    assert_true(found_count < ASKED_MAX);
    found[found_count++] = number_of(&e->key);
}

static struct newcomers *open_newcomers(void)
{
    static const struct store_ops ops = {.get = fake_get};
    struct newcomers *n;

    memset(&fake, 0, sizeof(fake));
    fake.store.ops = &ops;
    found_count = 0;
    CHECK_STATUS(ST_OK, newcomers_open(&fake.store, on_found, &fake, &n));
    return n;
}

static void add(struct newcomers *n, uint64_t from, uint64_t to)
{
    for (; from < to; from++) {
        struct digest key = key_of(from);

        newcomers_add(n, &key);
    }
}

static void expect_stats(const struct newcomers *n, uint64_t fetched, uint64_t dropped)
{
    struct newcomers_stats got;

    newcomers_stats(n, &got);
    assert_int_equal(got.fetched_total, fetched);
    assert_int_equal(got.dropped_total, dropped);
}

static void a_few_at_a_time_in_their_order(void **state)
{
    struct newcomers *n = open_newcomers();

    (void)state;
    add(n, 0, 20);
    assert_int_equal(fake.count, TOGETHER);
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(fake.count <= TOGETHER);
        answer(ST_OK);
    }
    assert_int_equal(fake.count, 0);
    assert_int_equal(found_count, 20);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(found[i], i);
    expect_stats(n, 20, 0);
    newcomers_free(n);
}

static void gone_meanwhile_is_no_loss_and_a_failure_is(void **state)
{
    struct newcomers *n = open_newcomers();

    (void)state;
    add(n, 0, 4);
    answer(ST_NOTFOUND);
    answer(ST_TIMEOUT);
    answer(ST_UNAVAILABLE);
    answer(ST_OK);
    assert_int_equal(found_count, 1);
    assert_int_equal(found[0], 3);
    expect_stats(n, 1, 2);
    newcomers_free(n);
}

static void a_store_that_refuses_is_not_asked_for_ever(void **state)
{
    struct newcomers *n = open_newcomers();

    (void)state;
    fake.refuses = ST_OVERLOAD;
    add(n, 0, 3);
    expect_stats(n, 0, 3);
    fake.refuses = ST_OK;
    add(n, 3, 4);
    answer(ST_OK);
    assert_int_equal(found[0], 3);
    newcomers_free(n);
}

static void what_does_not_fit_is_counted(void **state)
{
    struct newcomers *n = open_newcomers();

    (void)state;
    add(n, 0, TOGETHER + WAITING + 5);
    assert_int_equal(fake.count, TOGETHER);
    expect_stats(n, 0, 5);
    /* Room again: the ring goes round. */
    answer(ST_OK);
    add(n, 70000, 70001);
    expect_stats(n, 1, 5);
    newcomers_stop(n);
    while (fake.count > 0)
        answer(ST_CANCELED);
    newcomers_free(n);
}

static void nothing_is_found_after_the_stop(void **state)
{
    struct newcomers *n = open_newcomers();

    (void)state;
    add(n, 0, 10);
    newcomers_stop(n);
    add(n, 10, 11);
    answer(ST_OK); /* was under way; its entry is released all the same */
    while (fake.count > 0)
        answer(ST_CANCELED);
    assert_int_equal(found_count, 0);
    expect_stats(n, 1, 0);
    newcomers_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_at_a_time_in_their_order),
        cmocka_unit_test(gone_meanwhile_is_no_loss_and_a_failure_is),
        cmocka_unit_test(a_store_that_refuses_is_not_asked_for_ever),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(nothing_is_found_after_the_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
