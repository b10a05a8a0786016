/* Reading messages, in every chunking: heads, framing, and where one ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http/message.h"

struct result {
    enum status st;
    bool ended, eof_ends;
    struct message m;
    struct arena arena;
    struct buf body;
    size_t used;
};

/* Offers `in` in pieces of `chunk` bytes, what was not used again with the next. Each
 * offer is a block of its own size, so that ASan sees a read past it. */
static void read_message(struct result *r, enum message_side side, bool head_request,
                         struct span in, size_t chunk, size_t head_max)
{
    size_t offered = 0, used;
    enum message_event event = MESSAGE_MORE;

    *r = (struct result){.st = ST_OK};
    arena_init(&r->arena, 4096, 1024 * 1024);
    buf_init(&r->body, 1024 * 1024);
    message_start(&r->m, side, &r->arena, head_max, head_request);
    while (r->st == ST_OK && event != MESSAGE_END) {
        size_t n = offered - r->used;
        char *copy = malloc(n > 0 ? n : 1);

        assert_non_null(copy);
        memcpy(copy, in.ptr + r->used, n);
        r->st = message_next(&r->m, (struct span){copy, n}, &used, &event);
        if (r->st == ST_OK) {
            assert_true(used <= n);
            r->used += used;
            if (event == MESSAGE_BODY)
                CHECK_STATUS(ST_OK, buf_append(&r->body, r->m.piece));
            if (event == MESSAGE_MORE && used == 0) {
                if (offered == in.len) {
                    free(copy);
                    break;
                }
                offered = in.len - offered < chunk ? in.len : offered + chunk;
            }
        }
        free(copy);
    }
    r->ended = event == MESSAGE_END;
    r->eof_ends = r->st == ST_OK && message_eof(&r->m) == ST_OK;
}

static void release(struct result *r)
{
    arena_release(&r->arena);
    buf_release(&r->body);
}

static const size_t chunks[] = {1, 2, 3, 7, 4096};

static void test_request_head(void **state)
{
    static const char text[] =
        "\r\nPOST /a/b?x=1&y=? HTTP/1.1\r\nHOST:  example.org:81\t\r\n"
        "X-Empty:\r\nx-a: one\r\nX-A:two\r\nExpect: 100-Continue\r\n"
        "Connection: x-a , keep-alive\r\nContent-Length: 3\r\n\r\nabcNEXT";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        struct result r;
        const struct http_head *h = &r.m.head;

        read_message(&r, MESSAGE_REQUEST, false, SPAN("") /* nothing yet */, 1, 4096);
        assert_false(r.ended);
        release(&r);
        read_message(&r, MESSAGE_REQUEST, false, span_of(text), chunks[i], 4096);
        CHECK_STATUS(ST_OK, r.st);
        assert_true(r.ended);
        assert_int_equal(r.used, sizeof(text) - 1 - 4);
        CHECK_SPAN(SPAN("POST"), h->method);
        CHECK_SPAN(SPAN("/a/b?x=1&y=?"), h->target);
        CHECK_SPAN(SPAN("/a/b"), h->path);
        CHECK_SPAN(SPAN("x=1&y=?"), h->query);
        CHECK_SPAN(SPAN("example.org:81"), http_head_get(h, SPAN("host")));
        CHECK_SPAN(SPAN("one"), http_head_get(h, SPAN("X-A")));
        assert_int_equal(http_head_count(h, SPAN("x-a")), 2);
        CHECK_SPAN(SPAN(""), http_head_get(h, SPAN("x-empty")));
        assert_non_null(http_head_get(h, SPAN("x-empty")).ptr);
        assert_null(http_head_get(h, SPAN("x-absent")).ptr);
        assert_true(h->keep_alive && h->expect_continue);
        assert_int_equal(h->minor, 1);
        assert_int_equal(h->framing, HTTP_LENGTH);
        assert_int_equal(h->content_length, 3);
        CHECK_SPAN(SPAN("abc"), buf_span(&r.body));
        assert_true(http_head_is_hop_by_hop(h, SPAN("X-a")));
        assert_true(http_head_is_hop_by_hop(h, SPAN("TE")));
        assert_false(http_head_is_hop_by_hop(h, SPAN("expect")));
        release(&r);
    }
}

static void test_framing(void **state)
{
    static const struct {
        enum message_side side;
        bool head_request;
        const char *text;
        enum http_framing framing;
        bool keep_alive;
        bool ended, eof_ends;
        const char *body;
    } cases[] = {
        {MESSAGE_REQUEST, 0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_NO_BODY, 1, 1, 1, ""},
        {MESSAGE_REQUEST, 0, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         HTTP_NO_BODY, 0, 1, 1, ""},
        {MESSAGE_REQUEST, 0, "GET / HTTP/1.0\r\n\r\n", HTTP_NO_BODY, 0, 1, 1, ""},
        {MESSAGE_REQUEST, 0, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", HTTP_NO_BODY,
         1, 1, 1, ""},
        {MESSAGE_REQUEST, 0, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
         HTTP_NO_BODY, 1, 1, 1, ""},
        {MESSAGE_REQUEST, 0, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
         HTTP_LENGTH, 1, 0, 0, "abc"},
        {MESSAGE_REQUEST, 0,
         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\na\r\n00A;x=\"y\"\r\nbcdefghijk\r\n0\r\nT: v\r\n\r\n",
         HTTP_CHUNKED, 1, 1, 1, "abcdefghijk"},
        {MESSAGE_REQUEST, 0,
         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r",
         HTTP_CHUNKED, 1, 0, 0, "a"},
        {MESSAGE_RESPONSE, 0, "HTTP/1.1 200 OK\r\n\r\nall", HTTP_UNTIL_EOF, 0, 0, 1, "all"},
        {MESSAGE_RESPONSE, 0, "HTTP/1.0 200\r\nConnection: keep-alive\r\n\r\n", HTTP_UNTIL_EOF,
         0, 0, 1, ""},
        {MESSAGE_RESPONSE, 0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_LENGTH, 1, 1,
         1, ""},
        {MESSAGE_RESPONSE, 1, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", HTTP_NO_BODY, 1,
         1, 1, ""},
        {MESSAGE_RESPONSE, 1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         HTTP_NO_BODY, 1, 1, 1, ""},
        {MESSAGE_RESPONSE, 0, "HTTP/1.1 204 No Content\r\n\r\n", HTTP_NO_BODY, 1, 1, 1, ""},
        {MESSAGE_RESPONSE, 0, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
         HTTP_NO_BODY, 1, 1, 1, ""},
        {MESSAGE_RESPONSE, 0, "HTTP/1.1 100 Continue\r\n\r\n", HTTP_NO_BODY, 1, 1, 1, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(chunks); i++) {
        size_t n = i / ARRAY_LEN(chunks);
        struct result r;

        read_message(&r, cases[n].side, cases[n].head_request, span_of(cases[n].text),
                     chunks[i % ARRAY_LEN(chunks)], 4096);
        if (r.st != ST_OK || r.m.head.framing != cases[n].framing ||
            r.m.head.keep_alive != cases[n].keep_alive || r.ended != cases[n].ended ||
            r.eof_ends != cases[n].eof_ends)
            fail_msg("case %zu: '%s'", n, cases[n].text);
        CHECK_SPAN(span_of(cases[n].body), buf_span(&r.body));
        release(&r);
    }
}

static void test_targets(void **state)
{
    static const struct {
        const char *line, *target, *path, *query;
    } cases[] = {
        {"GET http://h/a?b HTTP/1.1", "/a?b", "/a", "b"},
        {"GET HTTPS://H/ HTTP/1.1", "/", "/", ""},
        {"GET http://h HTTP/1.1", "/", "/", ""},
        {"OPTIONS * HTTP/1.1", "*", "*", ""},
        {"GET //x HTTP/1.1", "//x", "//x", ""},
        {"GET /? HTTP/1.1", "/?", "/", ""},
        {"GET /%2e%2E/a HTTP/1.1", "/%2e%2E/a", "/%2e%2E/a", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct result r;
        char text[256];

        snprintf(text, sizeof(text), "%s\r\nHost: h\r\n\r\n", cases[i].line);
        read_message(&r, MESSAGE_REQUEST, false, span_of(text), 4096, 4096);
        CHECK_STATUS(ST_OK, r.st);
        CHECK_SPAN(span_of(cases[i].target), r.m.head.target);
        CHECK_SPAN(span_of(cases[i].path), r.m.head.path);
        CHECK_SPAN(span_of(cases[i].query), r.m.head.query);
        release(&r);
    }
}

static void test_refusals_have_a_status(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", 417},
        {"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400},
        {"\x16\x03\x01", 400},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(chunks); i++) {
        size_t n = i / ARRAY_LEN(chunks);
        struct result r;

        read_message(&r, MESSAGE_REQUEST, false, span_of(cases[n].text),
                     chunks[i % ARRAY_LEN(chunks)], 4096);
        CHECK_STATUS(ST_INVALID, r.st);
        assert_int_equal(r.m.refuse_status, cases[n].status);
        assert_non_null(r.m.refuse_text);
        release(&r);
    }
}

/* What is wrong is refused at once, not when the head is over. */
static void test_refused_at_once(void **state)
{
    static const char *const beginnings[] = {
        "GET / HTTP/1.1\nH",
        "GET / HTTP/1.1\r\nHost: h\nX",
        "GET / HTTP/1.1\r\nHost: h\rX",
        "GET / HTTP/1.1\rX",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(beginnings) * ARRAY_LEN(chunks); i++) {
        struct result r;

        read_message(&r, MESSAGE_REQUEST, false, span_of(beginnings[i / ARRAY_LEN(chunks)]),
                     chunks[i % ARRAY_LEN(chunks)], 4096);
        CHECK_STATUS(ST_INVALID, r.st);
        release(&r);
    }
}

static void test_limits(void **state)
{
    struct buf b;
    struct result r;

    (void)state;
    buf_init(&b, 1024 * 1024);
    CHECK_STATUS(ST_OK, buf_append(&b, SPAN("GET / HTTP/1.1\r\nHost: h\r\n")));
    for (unsigned i = 1; i < HTTP_FIELDS_MAX; i++)
        CHECK_STATUS(ST_OK, buf_append(&b, SPAN("a: b\r\n")));
    CHECK_STATUS(ST_OK, buf_append(&b, SPAN("\r\n")));
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        read_message(&r, MESSAGE_REQUEST, false, buf_span(&b), chunks[i], b.len);
        CHECK_STATUS(ST_OK, r.st);
        assert_int_equal(r.m.head.field_count, HTTP_FIELDS_MAX);
        release(&r);
        read_message(&r, MESSAGE_REQUEST, false, buf_span(&b), chunks[i], b.len - 1);
        CHECK_STATUS(ST_INVALID, r.st);
        assert_int_equal(r.m.refuse_status, 431);
        release(&r);
    }
    b.len -= 2;
    CHECK_STATUS(ST_OK, buf_append(&b, SPAN("a: b\r\n\r\n")));
    read_message(&r, MESSAGE_REQUEST, false, buf_span(&b), 4096, b.len);
    CHECK_STATUS(ST_INVALID, r.st);
    assert_int_equal(r.m.refuse_status, 431);
    release(&r);
    buf_release(&b);
}

static void test_arena_that_is_full(void **state)
{
    struct message m;
    struct arena a;
    enum message_event event;
    size_t used;

    (void)state;
    arena_init(&a, 64, 64);
    message_start(&m, MESSAGE_REQUEST, &a, 4096, false);
    CHECK_STATUS(ST_NOMEM,
                 message_next(&m, SPAN("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &used, &event));
    arena_release(&a);
}

static char plain_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Looked at many bytes at a time; the neighbours of the letters are no letters. */
static void names_ignore_the_case_of_letters_only(void **state)
{
    static const char chars[] = "@AMZ[`amz{-0\xc1\xe1";
    char a[40], b[40];

    (void)state;
    for (size_t n = 1; n <= sizeof(a); n++) {
        for (size_t at = 0; at < n; at++) {
            for (size_t x = 0; x + 1 < sizeof(chars); x++) {
                for (size_t y = 0; y + 1 < sizeof(chars); y++) {
                    memset(a, 'q', n);
                    memset(b, 'Q', n);
                    a[at] = chars[x];
                    b[at] = chars[y];
                    assert_int_equal(http_name_eq((struct span){a, n}, (struct span){b, n}),
                                     plain_lower(chars[x]) == plain_lower(chars[y]));
                }
            }
        }
    }
}

static bool is_tchar(unsigned c)
{
    return c < 0x80 && c != '\0' &&
           strchr(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~",
               (int)c) != NULL;
}

/* RFC 9110 5.6.2: every byte at every place of names of every length up to three vectors, each
 * in a block of its own size. */
static void tokens_are_told_from_others(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 48; n++) {
        char *name = malloc(n);

        assert_non_null(name);
        memset(name, 'x', n);
        assert_true(http_is_token((struct span){name, n}));
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                name[at] = (char)c;
                if (http_is_token((struct span){name, n}) != is_tchar(c))
                    fail_msg("byte %u at %zu of %zu", c, at, n);
            }
            name[at] = 'x';
        }
        free(name);
    }
    assert_true(http_is_token((struct span){"", 0}));
}

/* RFC 9110 5.5, likewise. */
static void values_are_told_from_controls(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 48; n++) {
        char *value = malloc(n);

        assert_non_null(value);
        memset(value, 'x', n);
        assert_true(http_is_value((struct span){value, n}));
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                bool good = c == '\t' || (c >= 0x20 && c != 0x7f);

                value[at] = (char)c;
                if (http_is_value((struct span){value, n}) != good)
                    fail_msg("byte %u at %zu of %zu", c, at, n);
            }
            value[at] = 'x';
        }
        free(value);
    }
    assert_true(http_is_value((struct span){"", 0}));
}

/* Names that are one by http_name_eq() must have one bit: else a list would not know them. */
static void a_name_has_its_bit_in_any_case(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned last = 0; last < 256; last++) {
            char a[] = {(char)first, 'x', (char)last}, b[] = {(char)first, 'X', (char)last};

            for (size_t i = 0; i < sizeof(b); i += 2) {
                if (b[i] >= 'a' && b[i] <= 'z')
                    b[i] = (char)(b[i] - 32);
            }
            assert_true(http_name_eq((struct span){a, 3}, (struct span){b, 3}));
            assert_int_equal(http_name_bit((struct span){a, 3}),
                             http_name_bit((struct span){b, 3}));
        }
    }
    assert_int_equal(http_name_bit((struct span){"", 0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_ignore_the_case_of_letters_only),
        cmocka_unit_test(tokens_are_told_from_others),
        cmocka_unit_test(values_are_told_from_controls),
        cmocka_unit_test(a_name_has_its_bit_in_any_case),
        cmocka_unit_test(test_request_head),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_refusals_have_a_status),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_arena_that_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
