/* A store whose entries are sealed: what is on the disk, and what happens to it under other
 * keys. Over Redis the same is tested end to end (test_seal.py). */
#define _GNU_SOURCE /* memmem() */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/seal.h"
#include "cache/entry_seal.h"
#include "check.h"
#include "store_fixture.h"

#define KEY_A "0101010101010101010101010101010101010101010101010101010101010101"
#define KEY_B "0202020202020202020202020202020202020202020202020202020202020202"

static struct seal_ring ring_of(const char *lines)
{
    struct seal_ring r;
    char why[160];

    CHECK_STATUS(ST_OK, seal_read_keys(span_of(lines), &r, why, sizeof(why)));
    return r;
}

static struct entry *entry_with(const char *answer)
{
    struct entry e = {.created_ms = 1,
                      .expires_ms = clock_wall_ms() + 3600000,
                      .question = SPAN("canary in the question"),
                      .model = SPAN("canary-of-a-model"),
                      .answer = span_of(answer)},
                 *out;

    e.key = store_fixture_key(7);
    CHECK_STATUS(ST_OK, entry_new(&e, &out));
    return out;
}

static void frames_are_sealed(void **state)
{
    struct seal_ring a = ring_of(KEY_A), b = ring_of(KEY_B);
    struct entry *e = entry_with("canary in the answer"), *back;
    struct buf clear, shut;

    (void)state;
    buf_init(&clear, 1 << 20);
    buf_init(&shut, 1 << 20);
    CHECK_STATUS(ST_OK, entry_seal_encode(NULL, e, &clear));
    CHECK_STATUS(ST_OK, entry_seal_encode(&a, e, &shut));
    assert_non_null(memmem(clear.ptr, clear.len, "canary", 6));
    assert_null(memmem(shut.ptr, shut.len, "canary", 6));
    CHECK_STATUS(ST_OK, entry_seal_decode(&a, buf_span(&shut), &back));
    CHECK_SPAN(e->answer, back->answer);
    assert_true(digest_eq(&e->key, &back->key));
    entry_unref(back);
    CHECK_STATUS(ST_UNAVAILABLE, entry_seal_decode(&b, buf_span(&shut), &back));
    CHECK_STATUS(ST_UNAVAILABLE, entry_seal_decode(NULL, buf_span(&shut), &back));
    /* Who can write to the store can not put an answer there that would be served. */
    CHECK_STATUS(ST_UNAVAILABLE, entry_seal_decode(&a, buf_span(&clear), &back));
    shut.ptr[shut.len - 1] ^= 1;
    CHECK_STATUS(ST_INVALID, entry_seal_decode(&a, buf_span(&shut), &back));
    buf_release(&clear);
    buf_release(&shut);
    entry_unref(e);
}

/* Whether any file of the folder holds these bytes. */
static bool on_disk(const struct fixture *f, const char *what)
{
    char command[256];

    snprintf(command, sizeof(command), "grep -rqa '%s' %s", what, f->folder);
    return system(command) == 0;
}

static void put(struct fixture *f, uint64_t n)
{
    store_fixture_put_until(f, n, 200, clock_wall_ms() + 3600000);
    store_fixture_settle(f, store_fixture_stats(f).puts_total + 1);
}

static void put_canary(struct fixture *f)
{
    struct entry *e = entry_with("canary in the answer");

    f->store->ops->put(f->store, e);
    entry_unref(e);
    store_fixture_settle(f, 1);
}

static void disk_shows_nothing(void **state)
{
    struct seal_ring a = ring_of(KEY_A);
    struct fixture f;

    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        store_fixture_init(&f, "lmdb:");
        f.options.seal = sealed ? &a : NULL;
        store_fixture_open(&f);
        put_canary(&f);
        store_fixture_close(&f);
        assert_int_equal(!sealed, on_disk(&f, "canary"));
        store_fixture_release(&f);
    }
}

/* Key A, then none, then B alone, then B and A, then A again. */
static void keys_come_and_go(void **state)
{
    struct seal_ring a = ring_of(KEY_A), b = ring_of(KEY_B), both = ring_of(KEY_B "\n" KEY_A);
    const struct seal_ring *const refused[] = {NULL, &b, &a};
    struct fixture f;

    (void)state;
    store_fixture_init(&f, "lmdb:");
    f.options.seal = &a;
    store_fixture_open(&f);
    put(&f, 1);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    store_fixture_close(&f);
    for (size_t i = 0; i < 2; i++) {
        f.options.seal = refused[i];
        CHECK_STATUS(ST_UNAVAILABLE, store_fixture_try_open(&f));
        assert_non_null(strstr(f.why, "which store.seal_key_file does not hold"));
    }
    f.options.seal = &both;
    store_fixture_open(&f);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1)); /* nothing was lost */
    put(&f, 2);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 2));
    store_fixture_close(&f);
    f.options.seal = refused[2]; /* number 2 is sealed by B */
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_try_open(&f));
    store_fixture_release(&f);
}

/* What was stored in the clear before is neither served nor thrown away. */
static void clear_ones_are_left(void **state)
{
    struct seal_ring a = ring_of(KEY_A);
    struct fixture f;
    uint64_t visited;

    (void)state;
    store_fixture_init(&f, "lmdb:");
    store_fixture_open(&f);
    put(&f, 1);
    store_fixture_close(&f);
    f.options.seal = &a;
    store_fixture_open(&f);
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    CHECK_STATUS(ST_OK, store_fixture_scan(&f, 0, &visited));
    assert_int_equal(0, visited);
    assert_int_equal(2, store_fixture_stats(&f).unreadable_total);
    assert_int_equal(0, store_fixture_stats(&f).corrupt_total);
    store_fixture_close(&f);
    f.options.seal = NULL;
    store_fixture_open(&f);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1));
    store_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_sealed),
        cmocka_unit_test(disk_shows_nothing),
        cmocka_unit_test(keys_come_and_go),
        cmocka_unit_test(clear_ones_are_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
