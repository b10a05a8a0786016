/* What a request is compared by when its last message stands alone: the developer's words, the
 * model and the parameters still count, what was said before does not. */
#include <string.h>

#include "base/json.h"
#include "check.h"
#include "protocol/canonical.h"
#include "protocol/protocol.h"

#define PARTITION_BYTES 1024

static struct arena arena;

/* The partition's form, as text; empty: there is none. */
static void form_of(const char *path, const char *body, bool alone, char *out)
{
    const struct protocol *p = protocol_find(SPAN("POST"), span_of(path));
    const struct protocol_request in = {span_of(path), SPAN(""), span_of(body), 64};
    struct protocol_error why;
    struct chat_request q;
    struct buf text;
    enum status st;

    assert_non_null(p);
    CHECK_STATUS(ST_OK, p->decode(&arena, &in, &q, &why));
    st = alone ? protocol_alone(p, &arena, &q) : protocol_hollow(p, &arena, &q);
    out[0] = '\0';
    if (st != ST_OK)
        return;
    buf_init(&text, PARTITION_BYTES - 1);
    CHECK_STATUS(ST_OK, json_write_canonical(&text, q.partition_form));
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    buf_release(&text);
}

#define CHAT     "/v1/chat/completions"
#define MESSAGES "/v1/messages"
#define U(t)     "{\"role\":\"user\",\"content\":\"" t "\"}"
#define A(t)     "{\"role\":\"assistant\",\"content\":\"" t "\"}"
#define S(t)     "{\"role\":\"system\",\"content\":\"" t "\"}"
#define BODY(m)  "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[" m "]}"

static void same(const char *path, const char *alone, const char *single, bool equal)
{
    char a[PARTITION_BYTES], b[PARTITION_BYTES];

    form_of(path, alone, true, a);
    form_of(path, single, false, b);
    assert_true(a[0] != '\0' && b[0] != '\0');
    if ((strcmp(a, b) == 0) != equal)
        fail_msg("%s\n%s", a, b);
}

/* It is that of the same question without a conversation. */
static void what_was_said_is_left_out(void **state)
{
    (void)state;
    same(CHAT, BODY(U("a") "," A("b") "," U("c")), BODY(U("x")), true);
    same(CHAT, BODY(S("s") "," U("a") "," A("b") "," U("c")), BODY(S("s") "," U("x")), true);
    same(MESSAGES, BODY(U("a") "," A("b") "," U("c")), BODY(U("x")), true);
    same("/api/chat", BODY(U("a") "," A("b") "," U("c")), BODY(U("x")), true);
    same("/v1/responses", "{\"model\":\"m\",\"input\":[" U("a") "," A("b") "," U("c") "]}",
         "{\"model\":\"m\",\"input\":[" U("x") "]}", true);
}

static void the_rest_counts(void **state)
{
    (void)state;
    same(CHAT, BODY(S("s") "," U("a") "," A("b") "," U("c")), BODY(S("t") "," U("x")), false);
    same(CHAT, BODY(S("s") "," U("a") "," A("b") "," U("c")), BODY(U("x")), false);
    same(CHAT, BODY(U("a") "," A("b") "," U("c")),
         "{\"model\":\"n\",\"max_tokens\":9,\"messages\":[" U("x") "]}", false);
    same(CHAT, BODY(U("a") "," A("b") "," U("c")),
         "{\"model\":\"m\",\"max_tokens\":8,\"messages\":[" U("x") "]}", false);
}

/* A word of the developer's between the turns, a tool's result, no list at all. */
static void what_is_no_plain_talk_has_none(void **state)
{
    static const char *const bodies[][2] = {
        {CHAT, BODY(U("a") "," S("s") "," U("c"))},
        {CHAT,
         BODY(U("a") ",{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"b\"}," U("c"))},
        {CHAT, BODY(U("a") "," A("b"))},
        {"/v1/responses", "{\"model\":\"m\",\"input\":\"a\"}"},
        {"/api/generate", "{\"model\":\"m\",\"prompt\":\"a\"}"},
    };
    char form[PARTITION_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        form_of(bodies[i][0], bodies[i][1], true, form);
        if (form[0] != '\0')
            fail_msg("%s: %s", bodies[i][1], form);
    }
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_is_left_out),
        cmocka_unit_test(the_rest_counts),
        cmocka_unit_test(what_is_no_plain_talk_has_none),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
