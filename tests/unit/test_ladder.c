/* Which of several models a request is left to, and why not to the others. */
#include "proxy/ladder.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "config/config_models.h"
#include "protocol/protocol.h"

static struct config *settings(void)
{
    struct config *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    config_defaults(c);
    return c;
}

static struct config_model *add(struct config *c, const char *name)
{
    struct config_model *m = &c->models[c->model_count++];

    *m = (struct config_model){.json = true, .code = true, .confidence_min = -1};
    strcpy(m->name, name);
    return m;
}

static void check(const struct config *c, const struct chat_request *q, uint32_t absent,
                  size_t from, size_t rung, const char *why)
{
    struct ladder l;
    const char *fact;

    ladder_init(&l, c);
    assert_int_equal(ladder_next(&l, q, (struct ladder_limits){.absent = absent}, from, &fact),
                     rung);
    if (why != NULL)
        assert_string_equal(fact, why);
    else
        assert_null(fact);
}

static void the_models_there_are(void **arg)
{
    struct config *c = settings();
    struct config_model m;
    size_t i;

    (void)arg;
    assert_int_equal(config_models_count(c), 1);
    config_models_get(c, 0, &m);
    assert_string_equal(m.name, "smollm2-135m-instruct");
    strcpy(c->local.model, "/models/some.Q4_0.gguf");
    config_models_get(c, 0, &m);
    assert_string_equal(m.name, "some.Q4_0");
    add(c, "large");
    c->models[0].context_max = 77;
    c->route.confidence_min = 0.5;
    assert_int_equal(config_models_count(c), 2);
    config_models_get(c, 1, &m);
    assert_string_equal(m.name, "large");
    assert_int_equal(m.context_max, 77);
    assert_int_equal(m.max_tokens, c->local.max_tokens);
    assert_true(m.confidence_min == 0.5);
    assert_true(config_models_find(c, SPAN("LARGE"), &i) && i == 1);
    assert_false(config_models_find(c, SPAN("larg"), &i));
    strcpy(c->local.model, "off");
    assert_true(config_models_find(c, SPAN("large"), &i) && i == 0);
    CHECK_SPAN(SPAN("large"), config_models_named("local:large"));
    assert_int_equal(config_models_named("local").len, 0);
    free(c);
}

static void who_would_be_late(void **arg)
{
    struct chat_request q = {.last_text = SPAN("Why?"), .choices = 1};
    struct config *c = settings();
    struct ladder l;
    const char *fact;

    (void)arg;
    add(c, "b");
    strcpy(c->route.ladder, "smollm2-135m-instruct b");
    ladder_init(&l, c);
    assert_int_equal(ladder_next(&l, &q, (struct ladder_limits){.late = 1}, 0, &fact), 1);
    assert_null(fact);
    assert_int_equal(ladder_next(&l, &q, (struct ladder_limits){.late = 3}, 0, &fact), 2);
    assert_string_equal(fact, "deadline");
    /* What is not there is not late. */
    assert_int_equal(
        ladder_next(&l, &q, (struct ladder_limits){.absent = 2, .late = 3}, 0, &fact), 2);
    assert_string_equal(fact, "not_served");
    free(c);
}

static void the_order(void **arg)
{
    struct chat_request q = {.last_text = SPAN("Why?"), .choices = 1};
    struct config *c = settings();

    (void)arg;
    /* Without a ladder the first there is, and nothing behind it. */
    add(c, "b");
    check(c, &q, 0, 0, 0, NULL);
    check(c, &q, 0, 1, 1, NULL);
    check(c, &q, 1, 0, 1, "not_served");
    strcpy(c->route.ladder, "b smollm2-135m-instruct");
    check(c, &q, 0, 0, 0, NULL);
    check(c, &q, 0, 1, 1, NULL);
    check(c, &q, 0, 2, 2, NULL);
    /* The first of the ladder is the second model. */
    check(c, &q, 2, 0, 1, NULL);
    check(c, &q, 3, 0, 2, "not_served");
    strcpy(c->local.model, "off");
    c->model_count = 0;
    strcpy(c->route.ladder, "");
    check(c, &q, 0, 0, 0, NULL);
    free(c);
}

static void facts(void **arg)
{
    struct chat_turn turn = {SPAN("user"), SPAN("Why?")};
    const struct chat_request plain = {
        .turns = &turn, .turn_count = 1, .last_text = SPAN("Why?"), .choices = 1};
    struct chat_request q = plain;
    struct config *c = settings();
    struct config_model *a = add(c, "a");

    (void)arg;
    add(c, "b");
    strcpy(c->route.ladder, "a b");
    a->context_max = 100;
    turn.text.len = 400;
    check(c, &q, 0, 0, 0, NULL);
    turn.text.len = 404;
    check(c, &q, 0, 0, 1, NULL);
    turn.text.len = 4 * (c->local.context_max + 1);
    check(c, &q, 0, 0, 2, "context");
    turn.text.len = 4;

    q.form = CHAT_JSON;
    check(c, &q, 0, 0, 0, NULL);
    a->json = false;
    check(c, &q, 0, 0, 1, NULL);
    check(c, &q, 4, 0, 2, "not_served");

    q = plain;
    q.last_text = SPAN("Look:\n```\nf();\n```");
    check(c, &q, 0, 0, 0, NULL);
    a->code = false;
    check(c, &q, 0, 0, 1, NULL);

    q.last_text = SPAN("Wie heißt das und warum ist es nicht da?");
    check(c, &q, 0, 0, 0, NULL);
    strcpy(a->languages, "fr en");
    check(c, &q, 0, 0, 1, NULL);
    strcpy(a->languages, "fr de");
    check(c, &q, 0, 0, 0, NULL);
    strcpy(a->languages, "fr");
    q.last_text = SPAN("Nora?");
    check(c, &q, 0, 0, 0, NULL);

    q = plain;
    q.has_tools = true;
    check(c, &q, 0, 0, 2, "tools");
    c->models[1].tools = true;
    check(c, &q, 0, 0, 2, "tools"); /* free to call or not: never */
    q.must_call_tool = true;
    check(c, &q, 0, 0, 1, NULL);
    q.has_tool_turns = true;
    check(c, &q, 0, 0, 2, "tools");
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_models_there_are),
        cmocka_unit_test(the_order),
        cmocka_unit_test(who_would_be_late),
        cmocka_unit_test(facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
