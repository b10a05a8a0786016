#include "base/arena.h"

#include <stdint.h>

#include "check.h"

static void respects_alignment_across_chunks(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 64, 4096);
    for (size_t align = 1; align <= 64; align *= 2) {
        void *p = arena_alloc(&a, 33, align);

        assert_true(p != NULL);
        assert_true(((uintptr_t)p & (align - 1)) == 0);
        memset(p, 0xa5, 33); /* ASan sees an overlap or an overrun */
    }
    arena_release(&a);
}

static void refuses_more_than_the_limit(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 64, 100);
    assert_true(arena_alloc(&a, 60, 1) != NULL);
    assert_true(arena_alloc(&a, 41, 1) == NULL);
    assert_true(arena_alloc(&a, SIZE_MAX, 8) == NULL);
    assert_true(arena_alloc(&a, 40, 1) != NULL); /* still usable after a refusal */
    arena_release(&a);
    assert_true(a.used == 0);
    assert_true(arena_alloc(&a, 100, 1) != NULL);
    arena_release(&a);
}

static void copies_with_a_terminator(void **state)
{
    struct arena a;
    struct span copy = {0};

    (void)state;
    arena_init(&a, 16, 64);
    assert_true(arena_copy(&a, SPAN("hit"), &copy) == ST_OK);
    assert_string_equal("hit", copy.ptr);
    assert_true(copy.len == 3);
    CHECK_STATUS(ST_OK, arena_copy(&a, (struct span){0}, &copy));
    assert_string_equal("", copy.ptr);
    arena_release(&a);
}

static void reset_keeps_one_chunk_and_the_limit(void **state)
{
    struct arena a;
    void *first;

    (void)state;
    arena_init(&a, 64, 256);
    first = arena_alloc(&a, 60, 1);
    assert_non_null(arena_alloc(&a, 100, 1));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_ptr_equal(arena_alloc(&a, 60, 1), first);
    assert_non_null(arena_alloc(&a, 196, 1));
    assert_null(arena_alloc(&a, 1, 1));
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(respects_alignment_across_chunks),
        cmocka_unit_test(refuses_more_than_the_limit),
        cmocka_unit_test(copies_with_a_terminator),
        cmocka_unit_test(reset_keeps_one_chunk_and_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
