#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http/sse.h"

struct seen {
    struct buf text; /* "[event|data]" for each */
    enum status answer;
};

static enum status on_event(void *owner, struct span event, struct span data)
{
    struct seen *s = owner;

    CHECK_STATUS(ST_OK, buf_printf(&s->text, "[%.*s|%.*s]", (int)event.len, event.ptr,
                                   (int)data.len, data.ptr));
    return s->answer;
}

static const struct {
    const char *in, *want;
    bool between; /* events, at the end */
} cases[] = {
    {"data: a\n\n", "[|a]", true},
    {"data:a\n\n", "[|a]", true},
    {"data:  a \n\n", "[| a ]", true},
    {"data: a\r\n\r\ndata: b\r\n\r\n", "[|a][|b]", true},
    {"data: a\r\rdata: b\r\r", "[|a][|b]", true},
    {"data: a\n\r\ndata: b\r\n\n", "[|a][|b]", true},
    {"data: a\ndata: b\ndata\n\n", "[|a\nb\n]", true},
    {"event: e\ndata: a\n\ndata: b\n\n", "[e|a][|b]", true},
    {"event: e\nevent: f\ndata: a\n\n", "[f|a]", true},
    {"event: e\n\ndata: b\n\n", "[|b]", true}, /* without data it is dropped */
    {"data\n\n", "[|]", true},
    {"data:\n\n", "[|]", true},
    {": comment\n\ndata: a\n\n", "[|a]", true},
    {"data: a\n: between\ndata: b\n\n", "[|a\nb]", true},
    {"id: 1\nretry: 2\nunknown: x\nDATA: no\n data: no\ndata: a\n\n", "[|a]", true},
    {"data: a: b\n\n", "[|a: b]", true},
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "[|a]", true},
    {"\xef\xbb\xbf\xef\xbb\xbf"
     "data: a\n\ndata: b\n\n",
     "[|b]", true},
    {"data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "[|a]", true},
    {"data: a\n\ndata: b\n", "[|a]", false}, /* not dispatched: no empty line came */
    {"data: a\n\ndata: b", "[|a]", false},
    {"data: a\n\nevent: x\n", "[|a]", false},
    {"\n\n\r\n\r\n", "", true},
    {"", "", true},
    {"data: [DONE]\n\n", "[|[DONE]]", true},
    {"data: \xc3\xa9\xe2\x82\xac\n\n", "[|\xc3\xa9\xe2\x82\xac]", true},
};

static void run(size_t n, size_t chunk)
{
    struct sse_reader r;
    struct seen s = {.answer = ST_OK};
    struct span in = span_of(cases[n].in);

    buf_init(&s.text, 65536);
    sse_init(&r, 65536, on_event, &s);
    for (size_t i = 0; i < in.len; i += chunk) {
        size_t len = in.len - i < chunk ? in.len - i : chunk;
        char *copy = malloc(len);

        assert_non_null(copy);
        memcpy(copy, in.ptr + i, len);
        CHECK_STATUS(ST_OK, sse_feed(&r, (struct span){copy, len}));
        free(copy);
    }
    CHECK_SPAN(span_of(cases[n].want), buf_span(&s.text));
    if (sse_between_events(&r) != cases[n].between)
        fail_msg("case %zu in pieces of %zu: between events?", n, chunk);
    sse_release(&r);
    buf_release(&s.text);
}

static void test_events(void **state)
{
    static const size_t chunks[] = {1, 2, 3, 7, 4096};

    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
        for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
            run(n, chunks[i]);
    }
}

/* No line and no event grows beyond the limit, however it is made. */
static void test_bounded(void **state)
{
    static const char *const pieces[] = {"data: aaaaaaaaaaaaaaaa\n", "xxxxxxxxxxxxxxxxxxxxxx",
                                         "data\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct sse_reader r;
        struct seen s = {.answer = ST_OK};
        enum status st = ST_OK;

        buf_init(&s.text, 65536);
        sse_init(&r, 100, on_event, &s);
        for (unsigned n = 0; n < 200 && st == ST_OK; n++)
            st = sse_feed(&r, span_of(pieces[i]));
        CHECK_STATUS(ST_LIMIT, st);
        assert_int_equal(s.text.len, 0);
        sse_release(&r);
        buf_release(&s.text);
    }
}

static void test_owner_stops_it(void **state)
{
    struct sse_reader r;
    struct seen s = {.answer = ST_CANCELED};

    (void)state;
    buf_init(&s.text, 65536);
    sse_init(&r, 100, on_event, &s);
    CHECK_STATUS(ST_CANCELED, sse_feed(&r, SPAN("data: a\n\ndata: b\n\n")));
    CHECK_SPAN(SPAN("[|a]"), buf_span(&s.text));
    sse_release(&r);
    buf_release(&s.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_owner_stops_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
