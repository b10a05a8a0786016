/* The map of answers that say the same, against a plain list. */
#include "cache/answer_groups.h"

#include <string.h>

#include "check.h"

/* Keys that share slots: what is hashed is their first bytes. */
static struct digest key_of(unsigned i)
{
    struct digest d = {{0}};
    uint64_t n = (uint64_t)(i % 7) + (uint64_t)(i + 1) * 4096;

    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

static uint64_t own_group(unsigned i)
{
    struct digest d = key_of(i);
    uint64_t n;

    memcpy(&n, d.bytes, sizeof(n));
    return n;
}

static void joins(void **arg)
{
    struct digest a = key_of(1), b = key_of(2), c = key_of(3);
    struct answer_groups g;

    (void)arg;
    CHECK_STATUS(ST_OK, answer_groups_init(&g, 8));
    assert_int_equal(answer_groups_of(&g, &a), own_group(1));
    answer_groups_join(&g, &b, &a);
    answer_groups_join(&g, &c, &b);
    assert_int_equal(answer_groups_of(&g, &b), own_group(1));
    assert_int_equal(answer_groups_of(&g, &c), own_group(1));
    assert_int_equal(g.count, 2);
    answer_groups_join(&g, &c, &c); /* again: what it is in it stays in */
    assert_int_equal(answer_groups_of(&g, &c), own_group(1));
    assert_int_equal(g.count, 2);
    answer_groups_release(&g);
}

static void the_oldest_go(void **arg)
{
    struct digest with = key_of(100000);
    struct answer_groups g;

    (void)arg;
    CHECK_STATUS(ST_OK, answer_groups_init(&g, 50));
    for (unsigned i = 0; i < 500; i++) {
        struct digest k = key_of(i);

        answer_groups_join(&g, &k, &with);
        for (unsigned j = 0; j <= i; j++) {
            struct digest other = key_of(j);
            bool kept = j + 50 > i;

            assert_int_equal(answer_groups_of(&g, &other),
                             kept ? own_group(100000) : own_group(j));
        }
    }
    assert_int_equal(g.count, 50);
    assert_int_equal(answer_groups_at(&g, 0).key, own_group(450));
    assert_int_equal(answer_groups_at(&g, 49).key, own_group(499));
    answer_groups_release(&g);
}

/* What was counted stays with the group, whoever joins it and whatever it joins. */
static void counts(void **arg)
{
    struct digest a = key_of(1), b = key_of(2);
    struct answer_group t;
    struct answer_groups g;

    (void)arg;
    CHECK_STATUS(ST_OK, answer_groups_init(&g, 8));
    t = answer_groups_tally(&g, own_group(1));
    assert_int_equal(t.right + t.wrong, 0);
    for (unsigned i = 0; i < 5; i++)
        answer_groups_count(&g, own_group(1), i < 3);
    assert_int_equal(g.count, 1);
    answer_groups_join(&g, &b, &a);
    t = answer_groups_tally(&g, answer_groups_of(&g, &b));
    assert_int_equal(t.right, 3);
    assert_int_equal(t.wrong, 2);
    answer_groups_join(&g, &a, &b);
    t = answer_groups_tally(&g, own_group(1));
    assert_int_equal(t.right, 3);
    t = answer_groups_tally(&g, own_group(2));
    assert_int_equal(t.right + t.wrong, 0);
    answer_groups_release(&g);
}

static void none_are_kept(void **arg)
{
    struct digest a = key_of(1), b = key_of(2);
    struct answer_groups g;

    (void)arg;
    CHECK_STATUS(ST_OK, answer_groups_init(&g, 0));
    answer_groups_join(&g, &a, &b);
    assert_int_equal(answer_groups_of(&g, &a), own_group(1));
    answer_groups_count(&g, own_group(1), true);
    assert_int_equal(answer_groups_tally(&g, own_group(1)).right, 0);
    answer_groups_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins),
        cmocka_unit_test(the_oldest_go),
        cmocka_unit_test(counts),
        cmocka_unit_test(none_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
