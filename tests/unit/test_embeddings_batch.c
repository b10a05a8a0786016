/* A request of several inputs taken apart, and its answer taken apart and put together. */
#include <stdio.h>

#include "base/json.h"
#include "check.h"
#include "protocol/answer.h"
#include "protocol/embeddings_batch.h"
#include "protocol/protocol.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 1 << 24);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct chat_request decode(const char *body)
{
    const struct protocol_request in = {SPAN("/v1/embeddings"), {"", 0}, span_of(body), 32};
    struct protocol_error why;
    struct chat_request q;

    CHECK_STATUS(ST_OK, openai_embeddings_protocol.decode(&arena, &in, &q, &why));
    return q;
}

static struct span written(const struct json *v)
{
    struct span copy;
    struct buf out;

    buf_init(&out, 1 << 16);
    CHECK_STATUS(ST_OK, json_write(&out, v));
    CHECK_STATUS(ST_OK, arena_copy(&arena, buf_span(&out), &copy));
    buf_release(&out);
    return copy;
}

static void test_what_is_a_batch(void **state)
{
    static const struct {
        const char *input;
        size_t count;
        const char *form;
    } cases[] = {
        {"\"a\"", 0, "\"a\""},
        {"[\"a\"]", 0, "\"a\""},
        {"[[1,2]]", 0, "[1,2]"},
        {"[1,2]", 0, "[1,2]"},
        {"[7]", 0, "[7]"},
        {"[]", 0, "[]"},
        {"7", 0, "7"},
        {"[\"a\",\"b\"]", 2, "[\"a\",\"b\"]"},
        {"[[1],[2,3]]", 2, "[[1],[2,3]]"},
        {"[\"a\",1]", 0, "[\"a\",1]"},
        {"[\"a\",null]", 0, "[\"a\",null]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[128];
        struct chat_request q;

        snprintf(body, sizeof(body), "{\"model\":\"m\",\"user\":\"u\",\"input\":%s}",
                 cases[i].input);
        q = decode(body);
        assert_int_equal(cases[i].count, q.batch_count);
        CHECK_SPAN(span_of(cases[i].form), written(json_get(q.exact_form, SPAN("input"))));
        assert_null(json_get(q.exact_form, SPAN("user")));
    }
}

static void test_requests_of_some_inputs(void **state)
{
    struct chat_request q =
        decode("{\"input\":[\"a\",[1,2],\"ccc\"],\"model\":\"m\",\"user\":\"u\"}");
    const struct json *form;
    uint64_t weights[3];
    struct buf out;

    (void)state;
    assert_int_equal(3, q.batch_count);
    CHECK_STATUS(ST_OK, embeddings_batch_form(&arena, &q, 1, &form));
    CHECK_SPAN(SPAN("{\"input\":[1,2],\"model\":\"m\"}"), written(form));
    buf_init(&out, 4096);
    CHECK_STATUS(ST_OK,
                 embeddings_batch_body(&arena, &q, (const bool[]){true, false, true}, &out));
    CHECK_SPAN(SPAN("{\"input\":[\"a\",\"ccc\"],\"model\":\"m\",\"user\":\"u\"}"),
               buf_span(&out));
    embeddings_batch_weights(&q, weights);
    assert_true(weights[0] == 2 && weights[1] == 3 && weights[2] == 4);
    buf_release(&out);
}

static struct answer answer_of(const char *body)
{
    struct answer a;

    CHECK_STATUS(ST_OK, answer_read(&openai_embeddings_protocol, &arena, span_of(body), &a));
    assert_int_equal(ANSWER_STORABLE, a.verdict);
    return a;
}

static void test_answers(void **state)
{
    static const uint64_t weights[] = {2, 3, 4};
    struct answer whole = answer_of(
        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
        "[0.5]},{\"index\":1,\"embedding\":\"AAAA\"},{\"index\":2,\"embedding\":[2],\"x\":1}]"
        ",\"model\":\"m\",\"extra\":true,\"usage\":{\"prompt_tokens\":30,\"total_tokens\":30}"
        "}");
    struct answer all[3], back[3], joined;

    (void)state;
    CHECK_STATUS(ST_OK, embeddings_batch_split(&arena, &whole, weights, 3, all));
    CHECK_SPAN(SPAN("{\"object\":\"list\",\"data\":[{\"index\":0,\"embedding\":\"AAAA\"}],"
                    "\"model\":\"m\",\"extra\":true,\"usage\":{\"prompt_tokens\":10,"
                    "\"total_tokens\":10}}"),
               all[1].json);
    assert_true(all[0].prompt_tokens + all[1].prompt_tokens + all[2].prompt_tokens == 30);
    back[0] = all[2];
    back[1] = all[0];
    back[2] = all[2];
    CHECK_STATUS(ST_OK, embeddings_batch_join(&arena, back, 3, &joined));
    CHECK_SPAN(SPAN("{\"object\":\"list\",\"data\":[{\"index\":0,\"embedding\":[2],\"x\":1},"
                    "{\"index\":1,\"object\":\"embedding\",\"embedding\":[0.5]},"
                    "{\"index\":2,\"embedding\":[2],\"x\":1}],\"model\":\"m\",\"extra\":true,"
                    "\"usage\":{\"prompt_tokens\":34,\"total_tokens\":34}}"),
               joined.json);
    /* Fewer or more vectors, or in another order. */
    CHECK_STATUS(ST_INVALID, embeddings_batch_split(&arena, &whole, weights, 2, all));
    whole = answer_of("{\"data\":[{\"index\":1,\"embedding\":[1]},{\"index\":0,\"embedding\":"
                      "[2]}]}");
    CHECK_STATUS(ST_INVALID, embeddings_batch_split(&arena, &whole, weights, 2, all));
    whole = answer_of("{\"data\":[{\"embedding\":[1]},{\"index\":1}]}");
    CHECK_STATUS(ST_INVALID, embeddings_batch_split(&arena, &whole, weights, 2, all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_a_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_of_some_inputs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
