#define _GNU_SOURCE /* memmem */
/* Placeholders: made, and put back into answers, however these come. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "privacy/restorer.h"
#include "privacy/texts.h"
#include "privacy/vault.h"

#define BYTES_MAX (1 << 20)

struct world {
    struct arena arena;
    struct vault vault;
    char mail[32], mail2[32], key[32]; /* placeholders */
};

static const char block[] = "-----BEGIN PRIVATE KEY-----\n\"a\\b\"\n-----END PRIVATE KEY-----";

static void place(struct world *w, enum privacy_class c, const char *value, char out[32])
{
    struct buf b;

    buf_init(&b, 64);
    CHECK_STATUS(ST_OK, vault_put(&w->vault, c, span_of(value), &b));
    assert_true(b.len < 32);
    memcpy(out, b.ptr, b.len);
    out[b.len] = '\0';
    buf_release(&b);
}

static void open_world_of(struct world *w, const char *who)
{
    struct digest seed;

    digest_sha256(span_of(who), &seed);
    arena_init(&w->arena, 4096, 64u << 20);
    CHECK_STATUS(ST_OK, vault_init(&w->vault, &w->arena, &seed, SPAN("")));
    place(w, PRIVACY_EMAIL, "ann@example.com", w->mail);
    place(w, PRIVACY_EMAIL, "bob@example.com", w->mail2);
    place(w, PRIVACY_PRIVATE_KEY, block, w->key);
}

static void open_world(struct world *w)
{
    open_world_of(w, "somebody");
}

static void test_vault(void **state)
{
    struct world w;
    struct vault other;
    char again[32], text[128];
    struct digest seed;
    struct span value;
    size_t at, len;

    (void)state;
    open_world(&w);
    place(&w, PRIVACY_EMAIL, "ann@example.com", again);
    assert_string_equal(again, w.mail);
    assert_string_not_equal(w.mail, w.mail2);
    snprintf(text, sizeof(text), "x EMAIL_9%s %s.", w.vault.mark, w.mail2);
    assert_true(vault_find(&w.vault, span_of(text), &at, &len, &value));
    CHECK_SPAN(SPAN("bob@example.com"), value);
    assert_int_equal(len, strlen(w.mail2));
    /* Numbers that nothing has, a zero in front, another class, another mark. */
    snprintf(text, sizeof(text), "EMAIL_3%s EMAIL_01%s PHONE_1%s EMAIL_1_XXXX EMAIL_%s",
             w.vault.mark, w.vault.mark, w.vault.mark, w.vault.mark);
    assert_false(vault_find(&w.vault, span_of(text), &at, &len, &value));
    /* A text that has the letters gets others. */
    digest_sha256(SPAN("somebody"), &seed);
    CHECK_STATUS(ST_OK, vault_init(&other, &w.arena, &seed, span_of(w.mail)));
    assert_string_not_equal(other.mark, w.vault.mark);
    arena_release(&w.arena);
}

static void test_limit(void **state)
{
    struct world w;
    struct buf b;
    char value[32];

    (void)state;
    open_world(&w);
    buf_init(&b, BYTES_MAX);
    for (size_t i = w.vault.count; i < VAULT_VALUES_MAX; i++) {
        snprintf(value, sizeof(value), "v%zu", i);
        CHECK_STATUS(ST_OK, vault_put(&w.vault, PRIVACY_KEY, span_of(value), &b));
    }
    CHECK_STATUS(ST_LIMIT, vault_put(&w.vault, PRIVACY_KEY, SPAN("one more"), &b));
    CHECK_STATUS(ST_OK, vault_put(&w.vault, PRIVACY_KEY, SPAN("v4000"), &b));
    buf_release(&b);
    arena_release(&w.arena);
}

/* --- streams --------------------------------------------------------------------------------
 */

/* Feeds in chunks of `step` bytes. */
static void run(struct world *w, enum restorer_form form, struct span in, size_t step,
                struct buf *out)
{
    struct restorer *r;

    buf_clear(out);
    CHECK_STATUS(ST_OK, restorer_open(&w->vault, form, BYTES_MAX, &r));
    for (size_t at = 0; at < in.len; at += step) {
        size_t n = in.len - at < step ? in.len - at : step;

        CHECK_STATUS(ST_OK, restorer_feed(r, (struct span){in.ptr + at, n}, out));
    }
    CHECK_STATUS(ST_OK, restorer_finish(r, true, out));
    restorer_close(r);
}

/* What the values of `name` say together, of choice `index` (or of all: -1), and how many
 * events there are. */
static size_t said(struct span stream, bool lines, const char *name, int index,
                   struct buf *out);

struct picked {
    const char *name;
    int index;
    struct buf *out;
};

static enum status pick(void *owner, const struct texts_walk *w, struct span text, bool is_name,
                        struct buf *out, bool *changed)
{
    struct picked *p = owner;
    const struct json *parent = w->depth > 1 ? w->stack[w->depth - 2].node : NULL;
    uint64_t i = 0;

    (void)out;
    (void)changed;
    if (is_name || parent == NULL ||
        !span_eq(w->stack[w->depth - 1].node->key, span_of(p->name)))
        return ST_OK;
    for (size_t k = 0; k < w->depth; k++)
        (void)!json_u64(json_get(w->stack[k].node, SPAN("index")), &i);
    return p->index < 0 || i == (uint64_t)p->index ? buf_append(p->out, text) : ST_OK;
}

static size_t said(struct span stream, bool lines, const char *name, int index, struct buf *out)
{
    size_t events = 0;
    struct buf scratch;

    buf_clear(out);
    buf_init(&scratch, BYTES_MAX);
    while (stream.len > 0) {
        const char *end = memchr(stream.ptr, '\n', stream.len);
        size_t n = end != NULL ? (size_t)(end - stream.ptr) : stream.len;
        struct span line = {stream.ptr, n};
        struct picked p = {name, index, out};
        struct json_error why;
        struct arena arena;
        struct json *v;

        if (!lines && n > 6 && memcmp(line.ptr, "data: ", 6) == 0)
            line = (struct span){line.ptr + 6, n - 6};
        arena_init(&arena, 4096, BYTES_MAX);
        if (line.len > 0 && line.ptr[0] == '{') {
            CHECK_STATUS(ST_OK, json_parse(&arena, line, 64, &v, &why));
            CHECK_STATUS(ST_OK, texts_walk(v, pick, &p, &scratch, NULL));
            events++;
        }
        arena_release(&arena);
        stream.ptr += n + (end != NULL);
        stream.len -= n + (end != NULL);
    }
    buf_release(&scratch);
    return events;
}

static void chunk(struct buf *b, int choice, struct span text)
{
    CHECK_STATUS(ST_OK, buf_printf(b,
                                   "data: {\"id\":\"chatcmpl-E\",\"choices\":[{\"index\":%d,"
                                   "\"delta\":{\"content\":",
                                   choice));
    CHECK_STATUS(ST_OK, json_write_string(b, text));
    CHECK_STATUS(ST_OK, buf_append(b, SPAN("}}],\"model\":\"EMAI\"}\n\n")));
}

static void last(struct buf *b, int choice)
{
    CHECK_STATUS(ST_OK, buf_printf(b,
                                   "data: {\"id\":\"chatcmpl-E\",\"choices\":[{\"index\":%d,"
                                   "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                                   choice));
}

/* A text with placeholders whole, side by side, unknown, at the ends, and what is nearly one.
 */
static void make_text(const struct world *w, char *veiled, char *clear, size_t cap)
{
    snprintf(veiled, cap, "%s%s EMAIL and EMAIL_1 or EMAIL_7%s, \"%s\"\xc3\xa9 %s EMAILE",
             w->mail, w->mail2, w->vault.mark, w->mail, w->mail2);
    snprintf(clear, cap,
             "ann@example.combob@example.com EMAIL and EMAIL_1 or EMAIL_7%s, "
             "\"ann@example.com\"\xc3\xa9 bob@example.com EMAILE",
             w->vault.mark);
}

static void check_stream(struct world *w, const struct buf *in, const char *clear,
                         size_t events)
{
    static const size_t steps[] = {1, 2, 3, 7, 64, BYTES_MAX};
    struct buf out, text;

    buf_init(&out, BYTES_MAX);
    buf_init(&text, BYTES_MAX);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        run(w, RESTORER_EVENTS, buf_span(in), steps[i], &out);
        assert_int_equal(said(buf_span(&out), false, "content", -1, &text), events);
        CHECK_SPAN(span_of(clear), buf_span(&text));
        assert_memory_equal(out.ptr + out.len - 14, "data: [DONE]\n\n", 14);
        assert_int_equal(said(buf_span(&out), false, "id", -1, &text), events);
        assert_int_equal(text.len, events * 10); /* no id was changed */
    }
    buf_release(&out);
    buf_release(&text);
}

/* The text in three pieces, cut at every pair of places. */
static void test_every_cut(void **state)
{
    struct world w;
    char veiled[256], clear[256];
    struct buf in;
    size_t n;

    (void)state;
    open_world(&w);
    make_text(&w, veiled, clear, sizeof(veiled));
    n = strlen(veiled);
    buf_init(&in, BYTES_MAX);
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n && b <= a + 30; b++) {
            /* Not within a character: no API cuts there, and JSON could not say it. */
            if ((a < n && (veiled[a] & 0xc0) == 0x80) || (b < n && (veiled[b] & 0xc0) == 0x80))
                continue;
            buf_clear(&in);
            chunk(&in, 0, (struct span){veiled, a});
            chunk(&in, 0, (struct span){veiled + a, b - a});
            chunk(&in, 0, (struct span){veiled + b, n - b});
            last(&in, 0);
            CHECK_STATUS(ST_OK, buf_append(&in, SPAN("data: [DONE]\n\n")));
            if ((a + b) % 7 == 0)
                check_stream(&w, &in, clear, 4);
            else {
                struct buf out, text;

                buf_init(&out, BYTES_MAX);
                buf_init(&text, BYTES_MAX);
                run(&w, RESTORER_EVENTS, buf_span(&in), BYTES_MAX, &out);
                assert_int_equal(said(buf_span(&out), false, "content", -1, &text), 4);
                CHECK_SPAN(span_of(clear), buf_span(&text));
                buf_release(&out);
                buf_release(&text);
            }
        }
    }
    buf_release(&in);
    arena_release(&w.arena);
}

/* A character an event, two choices in turn, with keep-alives between. */
static void test_choices(void **state)
{
    struct world w;
    char veiled[256], clear[256], both[512];
    struct buf in, out, text;
    size_t n, events = 0;

    (void)state;
    open_world(&w);
    make_text(&w, veiled, clear, sizeof(veiled));
    n = strlen(veiled);
    buf_init(&in, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    buf_init(&text, BYTES_MAX);
    for (size_t i = 0; i < n;) {
        size_t more = 1;

        while (i + more < n && (veiled[i + more] & 0xc0) == 0x80)
            more++;
        for (int c = 0; c < 2; c++, events++)
            chunk(&in, c, (struct span){veiled + i, more});
        CHECK_STATUS(ST_OK, buf_append(&in, SPAN(": keep-alive\n\n")));
        i += more;
    }
    last(&in, 1);
    last(&in, 0);
    CHECK_STATUS(ST_OK, buf_append(&in, SPAN("data: [DONE]\n\n")));
    run(&w, RESTORER_EVENTS, buf_span(&in), 5, &out);
    for (int c = 0; c < 2; c++) {
        assert_int_equal(said(buf_span(&out), false, "content", c, &text), events + 2);
        CHECK_SPAN(span_of(clear), buf_span(&text));
    }
    (void)both;
    buf_release(&in);
    buf_release(&out);
    buf_release(&text);
    arena_release(&w.arena);
}

/* Whatever the letters at the end are; with a value of every class. */
static void test_marks(void **state)
{
    struct buf in, out, text, want, veiled;

    (void)state;
    buf_init(&in, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    buf_init(&text, BYTES_MAX);
    buf_init(&want, BYTES_MAX);
    buf_init(&veiled, BYTES_MAX);
    for (unsigned seed = 0; seed < 300; seed++) {
        char who[16], one[32];
        struct world w;

        snprintf(who, sizeof(who), "%u", seed);
        open_world_of(&w, who);
        buf_clear(&veiled);
        buf_clear(&want);
        for (unsigned c = 0; c < PRIVACY_CLASSES; c++) {
            place(&w, (enum privacy_class)c, who, one);
            CHECK_STATUS(ST_OK, buf_printf(&veiled, "%s%s", one, c % 2 ? ", " : ""));
            CHECK_STATUS(ST_OK, buf_printf(&want, "%s%s", who, c % 2 ? ", " : ""));
        }
        for (size_t step = 1; step < 8; step++) {
            buf_clear(&in);
            for (size_t i = 0; i < veiled.len; i += step)
                chunk(&in, 0,
                      (struct span){veiled.ptr + i,
                                    veiled.len - i < step ? veiled.len - i : step});
            run(&w, RESTORER_EVENTS, buf_span(&in), 50, &out);
            (void)said(buf_span(&out), false, "content", 0, &text);
            CHECK_SPAN(buf_span(&want), buf_span(&text));
            run(&w, RESTORER_TEXT, buf_span(&veiled), step, &out);
            CHECK_SPAN(buf_span(&want), buf_span(&out));
        }
        arena_release(&w.arena);
    }
    buf_release(&in);
    buf_release(&out);
    buf_release(&text);
    buf_release(&want);
    buf_release(&veiled);
}

/* Anthropic: the arguments of a call, piece by piece: the value is escaped once more. */
static void test_arguments(void **state)
{
    struct world w;
    struct buf in, out, text, want;
    char args[128];
    size_t n;

    (void)state;
    open_world(&w);
    snprintf(args, sizeof(args), "{\"to\":\"%s\",\"key\":\"%s\"}", w.mail, w.key);
    n = strlen(args);
    buf_init(&in, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    buf_init(&text, BYTES_MAX);
    buf_init(&want, BYTES_MAX);
    CHECK_STATUS(ST_OK, buf_append(&want, SPAN("{\"to\":\"ann@example.com\",\"key\":")));
    CHECK_STATUS(ST_OK, json_write_string(&want, span_of(block)));
    CHECK_STATUS(ST_OK, buf_append(&want, SPAN("}")));
    for (size_t cut = 0; cut <= n; cut++) {
        const struct span piece[] = {{args, cut}, {args + cut, n - cut}};

        buf_clear(&in);
        for (size_t i = 0; i < 2; i++) {
            CHECK_STATUS(
                ST_OK, buf_append(&in, SPAN("event: content_block_delta\r\ndata: {\"index\":1,"
                                            "\"delta\":{\"partial_json\":")));
            CHECK_STATUS(ST_OK, json_write_string(&in, piece[i]));
            CHECK_STATUS(
                ST_OK,
                buf_append(&in, SPAN(",\"type\":\"input_json_delta\"}}\r\n\r\n"
                                     "event: ping\r\ndata: {\"type\":\"ping\"}\r\n\r\n")));
        }
        CHECK_STATUS(ST_OK,
                     buf_append(&in, SPAN("event: content_block_stop\r\ndata: {\"type\":"
                                          "\"content_block_stop\",\"index\":1}\r\n\r\n")));
        run(&w, RESTORER_EVENTS, buf_span(&in), 1 + cut % 9, &out);
        assert_int_equal(said(buf_span(&out), false, "partial_json", -1, &text), 5);
        CHECK_SPAN(buf_span(&want), buf_span(&text));
        /* The end of the block comes last. */
        assert_non_null(memmem(out.ptr + out.len - 60, 60, "content_block_stop", 18));
    }
    buf_release(&in);
    buf_release(&out);
    buf_release(&text);
    buf_release(&want);
    arena_release(&w.arena);
}

static void test_lines(void **state)
{
    struct world w;
    char veiled[256], clear[256];
    struct buf in, out, text;
    size_t n;

    (void)state;
    open_world(&w);
    make_text(&w, veiled, clear, sizeof(veiled));
    n = strlen(veiled);
    buf_init(&in, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    buf_init(&text, BYTES_MAX);
    for (size_t cut = 0; cut <= n; cut++) {
        const struct span piece[] = {{veiled, cut}, {veiled + cut, n - cut}, {"", 0}};

        if (cut < n && (veiled[cut] & 0xc0) == 0x80)
            continue;
        buf_clear(&in);
        for (size_t i = 0; i < 3; i++) {
            CHECK_STATUS(ST_OK, buf_append(&in, SPAN("{\"message\":{\"content\":")));
            CHECK_STATUS(ST_OK, json_write_string(&in, piece[i]));
            CHECK_STATUS(ST_OK, buf_printf(&in, "},\"done\":%s}%s", i == 2 ? "true" : "false",
                                           i == 2 && cut % 2 == 0 ? "" : "\n"));
        }
        run(&w, RESTORER_LINES, buf_span(&in), 1 + cut % 11, &out);
        assert_int_equal(said(buf_span(&out), true, "content", -1, &text), 3);
        CHECK_SPAN(span_of(clear), buf_span(&text));
    }
    buf_release(&in);
    buf_release(&out);
    buf_release(&text);
    arena_release(&w.arena);
}

static void test_documents(void **state)
{
    struct world w;
    struct buf in, out;

    (void)state;
    open_world(&w);
    buf_init(&in, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    /* Without a placeholder not a byte is another. */
    run(&w, RESTORER_JSON, SPAN("{ \"a\" : 1.0 , \"b\":\"EMAIL_1\" }"), 3, &out);
    CHECK_SPAN(SPAN("{ \"a\" : 1.0 , \"b\":\"EMAIL_1\" }"), buf_span(&out));
    CHECK_STATUS(
        ST_OK,
        buf_printf(&in,
                   "{\"content\":\"%s\",\"%s\":[{\"arguments\":\"{\\\"k\\\":\\\"%s\\\"}\"}],"
                   "\"n\":1.50}",
                   w.mail, w.mail2, w.key));
    for (size_t step = 1; step < 40; step++) {
        run(&w, RESTORER_JSON, buf_span(&in), step, &out);
        CHECK_SPAN(
            SPAN("{\"content\":\"ann@example.com\",\"bob@example.com\":[{\"arguments\":"
                 "\"{\\\"k\\\":\\\"-----BEGIN PRIVATE KEY-----\\\\n\\\\\\\"a\\\\\\\\b\\\\\\\""
                 "\\\\n-----END PRIVATE KEY-----\\\"}\"}],\"n\":1.50}"),
            buf_span(&out));
    }
    /* What is no JSON, and what never was. */
    buf_clear(&in);
    CHECK_STATUS(ST_OK, buf_printf(&in, "<p>%s and EMAIL_1%.3s</p>", w.mail, w.vault.mark));
    for (size_t step = 1; step < 40; step++) {
        run(&w, step % 2 ? RESTORER_TEXT : RESTORER_JSON, buf_span(&in), step, &out);
        assert_memory_equal(out.ptr, "<p>ann@example.com and EMAIL_1_", 31);
    }
    buf_release(&in);
    buf_release(&out);
    arena_release(&w.arena);
}

static void test_bounds(void **state)
{
    struct world w;
    struct restorer *r;
    struct buf out;
    char piece[100];

    (void)state;
    open_world(&w);
    memset(piece, 'x', sizeof(piece));
    buf_init(&out, BYTES_MAX);
    CHECK_STATUS(ST_OK, restorer_open(&w.vault, RESTORER_EVENTS, 150, &r));
    CHECK_STATUS(ST_OK, restorer_feed(r, (struct span){piece, 100}, &out));
    CHECK_STATUS(ST_LIMIT, restorer_feed(r, (struct span){piece, 100}, &out));
    restorer_close(r);
    buf_release(&out);
    arena_release(&w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vault),     cmocka_unit_test(test_limit),
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_choices),
        cmocka_unit_test(test_marks),     cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_documents),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
