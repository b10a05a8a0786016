#include "cache/index_queue.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static struct digest named(unsigned n)
{
    struct digest d = {{0}};

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static struct index_change *change(unsigned partition, unsigned key, size_t bytes)
{
    struct index_change *c = calloc(1, sizeof(*c));

    c->partition = named(partition);
    c->key = named(key);
    c->bytes = bytes;
    return c;
}

static void put(struct index_queue *q, unsigned partition, unsigned key)
{
    CHECK_STATUS(ST_OK, index_queue_put(q, change(partition, key, 10)));
}

/* Takes all, frees them, compares their keys. */
static void check_takes(struct index_queue *q, const unsigned *keys, size_t n)
{
    struct index_change *c = index_queue_take(q, 100);

    for (size_t i = 0; i < n; i++) {
        struct digest want = named(keys[i]);
        struct index_change *next;

        assert_non_null(c);
        assert_memory_equal(want.bytes, c->key.bytes, DIGEST_BYTES);
        next = c->next;
        free(c);
        c = next;
    }
    assert_null(c);
    index_queue_done(q, false);
    assert_int_equal(0, q->count);
    assert_int_equal(0, q->bytes);
}

static void a_full_queue_takes_no_more(void **state)
{
    struct index_queue q = {.count_max = 3, .bytes_max = 100};
    struct index_change *c;

    (void)state;
    CHECK_STATUS(ST_OK, index_queue_init(&q));
    for (unsigned i = 0; i < 3; i++)
        put(&q, 0, i);
    c = change(0, 9, 10);
    CHECK_STATUS(ST_OVERLOAD, index_queue_put(&q, c));
    check_takes(&q, (unsigned[]){0, 1, 2}, 3);
    c->bytes = 101; /* the only one: as large as it likes */
    CHECK_STATUS(ST_OK, index_queue_put(&q, c));
    c = change(0, 10, 1);
    CHECK_STATUS(ST_OVERLOAD, index_queue_put(&q, c));
    free(c);
    check_takes(&q, (unsigned[]){9}, 1);
    assert_int_equal(2, q.dropped_total);
    assert_int_equal(4, q.adds_total);
    index_queue_release(&q);
}

static void what_is_forgotten_does_not_come(void **state)
{
    static const struct {
        unsigned forget[3];
        size_t forgets;
        unsigned left[4];
        size_t lefts;
    } cases[] = {
        {{0}, 1, {1, 2, 9}, 3},    {{2}, 1, {0, 1, 9}, 3}, {{1}, 1, {0, 2, 9}, 3},
        {{7}, 1, {0, 1, 2, 9}, 4}, {{0, 1, 2}, 3, {9}, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct index_queue q = {.count_max = 10, .bytes_max = 1000};
        struct digest p = named(0), other = named(1);

        CHECK_STATUS(ST_OK, index_queue_init(&q));
        for (unsigned k = 0; k < 3; k++)
            put(&q, 0, k);
        for (size_t f = 0; f < cases[i].forgets; f++) {
            struct digest k = named(cases[i].forget[f]);

            index_queue_forget(&q, &other, &k); /* not its partition */
            index_queue_forget(&q, &p, &k);
        }
        put(&q, 0, 9); /* goes to the end, wherever that is now */
        check_takes(&q, cases[i].left, cases[i].lefts);
        index_queue_release(&q);
    }
}

static void taken_in_pieces_and_left_over(void **state)
{
    struct index_queue q = {.count_max = 10, .bytes_max = 1000};
    struct index_change *c;

    (void)state;
    CHECK_STATUS(ST_OK, index_queue_init(&q));
    index_queue_flush(&q, true); /* nothing to wait for */
    for (unsigned k = 0; k < 5; k++)
        put(&q, 0, k);
    c = index_queue_take(&q, 2);
    assert_non_null(c->next);
    assert_null(c->next->next);
    free(c->next);
    free(c);
    index_queue_done(&q, false);
    check_takes(&q, (unsigned[]){2, 3, 4}, 3);
    index_queue_nudge(&q);
    assert_true(index_queue_wait(&q)); /* returns at once */
    assert_null(index_queue_take(&q, 2));
    index_queue_done(&q, false);
    put(&q, 0, 1);
    index_queue_stop(&q);
    assert_false(index_queue_wait(&q));
    index_queue_release(&q); /* frees it */
}

static void *flush(void *q)
{
    index_queue_flush(q, false);
    return NULL;
}

/* Who flushes may be waiting for what is then forgotten; nobody else wakes them. */
static void forgetting_ends_a_flush(void **state)
{
    struct index_queue q = {.count_max = 10, .bytes_max = 100};
    struct digest partition = named(1), key = named(2);
    pthread_t thread;

    (void)state;
    CHECK_STATUS(ST_OK, index_queue_init(&q));
    for (unsigned i = 0; i < 200; i++) {
        put(&q, 1, 2);
        assert_int_equal(0, pthread_create(&thread, NULL, flush, &q));
        index_queue_forget(&q, &partition, &key);
        assert_int_equal(0, pthread_join(thread, NULL));
    }
    index_queue_release(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_takes_no_more),
        cmocka_unit_test(what_is_forgotten_does_not_come),
        cmocka_unit_test(taken_in_pieces_and_left_over),
        cmocka_unit_test(forgetting_ends_a_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
