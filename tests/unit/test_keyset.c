#include <string.h>

#include "cache/keyset.h"
#include "check.h"

#define KEYS 4000

/* Keys that differ in the low bits only, as real ones never do. */
static struct digest key_of(uint64_t n)
{
    struct digest d = {{0}};

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Any order of steps gives what an array would give. */
static void it_agrees_with_an_array(void **state)
{
    static uint64_t want[KEYS];
    struct keyset k;
    uint64_t random = 1, count = 0;

    (void)state;
    keyset_init(&k);
    for (unsigned step = 1; step < 200000; step++) {
        uint64_t n = random_next(&random) % KEYS;
        struct digest key = key_of(n);

        if (random_next(&random) % 2 == 0) {
            CHECK_STATUS(ST_OK, keyset_set(&k, &key, step));
            count += want[n] == 0;
            want[n] = step;
        } else {
            assert_false(keyset_remove(&k, &key, step)); /* not its number */
            assert_int_equal(keyset_remove(&k, &key, want[n]), want[n] != 0);
            count -= want[n] != 0;
            want[n] = 0;
        }
        assert_int_equal(k.used, count);
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        struct digest key = key_of(i);

        assert_int_equal(keyset_find(&k, &key), want[i]);
    }
    keyset_release(&k);
    keyset_release(&k);
}

/* Beyond the size from which the table lies in large pages. */
static void a_large_one_finds_what_it_has(void **state)
{
    const uint64_t keys = 200000;
    struct keyset k;

    (void)state;
    keyset_init(&k);
    for (uint64_t n = 0; n < keys; n++) {
        struct digest key = key_of(n);

        CHECK_STATUS(ST_OK, keyset_set(&k, &key, n + 1));
    }
    for (uint64_t n = 0; n < keys; n += 2) {
        struct digest key = key_of(n);

        assert_true(keyset_remove(&k, &key, n + 1));
    }
    for (uint64_t n = 0; n < 2 * keys; n++) {
        struct digest key = key_of(n);

        assert_int_equal(keyset_find(&k, &key), n < keys && n % 2 == 1 ? n + 1 : 0);
    }
    assert_int_equal(k.used, keys / 2);
    keyset_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_an_array),
        cmocka_unit_test(a_large_one_finds_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
