/* Guesses of what an answer goes on with, and when they are worth their time. */
#include "engine/guess.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static const struct guess_shares half = {{0.5f, 0.5f, 0.5f}};

static struct guesser like(const uint32_t *text, size_t n)
{
    uint32_t *copy = malloc((n + 1) * sizeof(*copy));
    struct guesser g;

    assert_true(copy != NULL);
    memcpy(copy, text, n * sizeof(*copy));
    guess_init(&g, copy, n, &half);
    return g;
}

static void check(const struct guesser *g, enum decoder_guess source, const uint32_t *want,
                  size_t n)
{
    assert_int_equal(source, g->source);
    assert_int_equal(n, g->most);
    assert_memory_equal(want, g->ids, n * sizeof(*want));
}

static void a_near_answer_is_followed(void **state)
{
    static const uint32_t text[] = {10, 11, 12, 13, 14, 15, 16, 17};
    /* A prompt of two; one other token in the answer, then two left out. */
    static const uint32_t ids[] = {1, 2, 10, 11, 99, 13, 16, 17};
    struct guess_shares session = half;
    struct guesser g = like(text, ARRAY_LEN(text));

    (void)state;
    guess_next(&g, ids, 2, 2, 3);
    check(&g, DECODER_GUESS_NEIGHBOUR, text, 3);
    guess_learn(&g, 0, 2, &session);
    guess_next(&g, ids, 2, 4, GUESS_MAX);
    check(&g, DECODER_GUESS_NEIGHBOUR, text + 2, 6);
    /* 99 stands for 12: nothing to go by; behind 13 it is in step again. */
    guess_learn(&g, 0, 1, &session);
    guess_next(&g, ids, 2, 5, GUESS_MAX);
    assert_int_equal(0, g.most);
    guess_learn(&g, 0, 1, &session);
    guess_next(&g, ids, 2, 6, GUESS_MAX);
    check(&g, DECODER_GUESS_NEIGHBOUR, text + 4, 4);
    /* 16 and 17: found by both. */
    guess_learn(&g, 0, 2, &session);
    guess_next(&g, ids, 2, 7, GUESS_MAX);
    guess_next(&g, ids, 2, 8, GUESS_MAX);
    assert_int_equal(0, g.most);
    guess_release(&g);
}

static void what_was_said_before_is_said_again(void **state)
{
    static const uint32_t ids[] = {5, 6, 7, 8, 9, 1, 2, 6, 7};
    struct guesser g = like(ids, 0);

    (void)state;
    guess_next(&g, ids, 6, ARRAY_LEN(ids), 4);
    check(&g, DECODER_GUESS_PROMPT, ids + 3, 4);
    guess_next(&g, ids, 6, 7, 4);
    assert_int_equal(0, g.most);
    guess_release(&g);
}

static void who_is_wrong_is_asked_less(void **state)
{
    static const uint32_t text[] = {1, 2, 3, 4, 5, 6};
    struct guess_shares session = half;
    struct guesser g = like(text, ARRAY_LEN(text));
    float before = guess_chance(&g, 0);

    (void)state;
    assert_true(guess_chance(&g, 2) < before);
    guess_next(&g, text, 0, 0, 4);
    g.taken = 4;
    guess_learn(&g, 4, 5, &session);
    assert_true(g.shares.right[DECODER_GUESS_NEIGHBOUR] > 0.5f);
    assert_true(session.right[DECODER_GUESS_NEIGHBOUR] > 0.5f);
    for (int i = 0; i < 40; i++) {
        g.taken = 1;
        guess_learn(&g, 0, 1, &session);
    }
    assert_true(guess_chance(&g, 0) < 0.05f);
    assert_int_equal(0, (int)(10 * session.right[DECODER_GUESS_PROMPT]) - 5);
    /* Not for ever. */
    guess_learn(&g, 0, 1000, &session);
    assert_true(guess_chance(&g, 0) > 0.3f);
    assert_true(guess_chance(&g, 1) == 0);
    guess_release(&g);
}

static void costs_are_what_passes_took(void **state)
{
    struct guess_cost c;

    (void)state;
    guess_cost_init(&c);
    assert_float_equal(1, guess_cost_pass(&c, 1), 1e-9);
    assert_true(guess_cost_pass(&c, 4) > 1);
    for (int i = 0; i < 100; i++) {
        guess_cost_add(&c, 1, 4000);
        guess_cost_add(&c, 4, 10000);
    }
    assert_float_equal(2.5, guess_cost_pass(&c, 4), 0.01);
    /* All take longer at once: a deeper context. */
    for (int i = 0; i < 100; i++)
        guess_cost_add(&c, 1, 6000);
    assert_float_equal(2.5, guess_cost_pass(&c, 4), 0.01);
    /* One that was interrupted changes little. */
    guess_cost_add(&c, 4, 15000000);
    assert_true(guess_cost_pass(&c, 4) < 3);
    /* Beyond what is measured. */
    assert_true(guess_cost_pass(&c, 1000) > guess_cost_pass(&c, 47));
    guess_cost_add(&c, 1000, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_near_answer_is_followed),
        cmocka_unit_test(what_was_said_before_is_said_again),
        cmocka_unit_test(who_is_wrong_is_asked_less),
        cmocka_unit_test(costs_are_what_passes_took),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
