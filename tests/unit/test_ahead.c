/* What is popular near its end. */
#include "check.h"
#include "proxy/ahead.h"

#define REST_US 1000

static struct ahead_slot slots[AHEAD_SLOTS];

static struct digest key_of(unsigned char a, unsigned char b, unsigned char c)
{
    return (struct digest){.bytes = {a, b, c}};
}

static void test_popular_is_who_comes_twice(void **state)
{
    struct digest one = key_of(1, 2, 3), two = key_of(2, 2, 3);

    (void)state;
    assert_false(ahead_hit(slots, &one, 10, REST_US));
    assert_false(ahead_hit(slots, &two, 11, REST_US));
    assert_true(ahead_hit(slots, &one, 12, REST_US));
    assert_true(ahead_hit(slots, &two, 13, REST_US));
}

/* An upstream that is down is not asked with every second hit. */
static void test_it_rests(void **state)
{
    struct digest k = key_of(3, 0, 0);
    unsigned asked = 0;

    (void)state;
    for (uint64_t now = 1; now <= 5 * REST_US; now++)
        asked += ahead_hit(slots, &k, now, REST_US);
    assert_int_equal(asked, 5);
}

static void test_the_later_of_two_in_a_slot_counts(void **state)
{
    struct digest one = key_of(4, 4, 1), other = key_of(4, 4, 2);

    (void)state;
    for (uint64_t now = 1; now < 100; now++) {
        assert_false(ahead_hit(slots, &one, now, REST_US));
        assert_false(ahead_hit(slots, &other, now, REST_US));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_popular_is_who_comes_twice),
        cmocka_unit_test(test_it_rests),
        cmocka_unit_test(test_the_later_of_two_in_a_slot_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
