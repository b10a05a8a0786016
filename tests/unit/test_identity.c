/* Every field of every dialect's request, at any depth: changing it changes the
 * fingerprint, or docs/identity.md says that it is ignored. What is only another spelling
 * of the same changes nothing. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "check.h"
#include "protocol/canonical.h"
#include "protocol/protocol.h"

#define DOC      IBID_SOURCE_DIR "/docs/identity.md"
#define REQUESTS IBID_SOURCE_DIR "/tests/unit/identity/"

/* A request of each dialect with every field that its API has: REQUESTS/DIALECT.json. */
struct identity_request {
    const char *dialect;
    const char *path, *query;
    const char *mark; /* a member that is ignored at any depth; NULL: none */
};

static const struct identity_request requests[] = {
    {"openai.chat", "/v1/chat/completions", "", NULL},
    {"openai.responses", "/v1/responses", "", NULL},
    {"openai.completions", "/v1/completions", "", NULL},
    {"openai.embeddings", "/v1/embeddings", "", NULL},
    {"openai.moderations", "/v1/moderations", "", NULL},
    {"anthropic.count_tokens", "/v1/messages/count_tokens", "", NULL},
    {"gemini.generate", "/v1beta/models/m:generateContent", "", NULL},
    {"gemini.stream", "/v1beta/models/m:streamGenerateContent", "alt=sse", NULL},
    {"ollama.chat", "/api/chat", "", NULL},
    {"ollama.generate", "/api/generate", "", NULL},
    {"ollama.embed", "/api/embed", "", NULL},
    {"ollama.embeddings", "/api/embeddings", "", NULL},
    {"ollama.show", "/api/show", "", NULL},
    {"anthropic.messages", "/v1/messages", "", "cache_control"},
};

static struct arena arena;
static char doc[1 << 17];

static void read_file(const char *name, char *out, size_t cap)
{
    FILE *f = fopen(name, "rb");
    size_t n;

    if (f == NULL)
        fail_msg("no %s", name);
    n = fread(out, 1, cap - 1, f);
    assert_true(n > 0 && n < cap - 1);
    out[n] = '\0';
    (void)fclose(f);
}

static const char *body_of(const struct identity_request *r)
{
    static char body[1 << 16];
    char name[512];

    snprintf(name, sizeof(name), REQUESTS "%s.json", r->dialect);
    read_file(name, body, sizeof(body));
    return body;
}

static int setup(void **state)
{
    (void)state;
    read_file(DOC, doc, sizeof(doc));
    arena_init(&arena, 65536, 1u << 30);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

/* --- the page ----------------------------------------------------------------------------- */

enum said { SAID_NOTHING, SAID_IDENTITY, SAID_IGNORED };

/* The section of a dialect begins with its name as a heading and ends with the next. */
static struct span section(const char *name)
{
    char head[128];
    const char *at, *end;

    snprintf(head, sizeof(head), "\n## %s\n", name);
    at = strstr(doc, head);
    if (at == NULL)
        fail_msg("%s has no section on %s", DOC, name);
    at += strlen(head);
    end = strstr(at, "\n## ");
    return (struct span){at, end != NULL ? (size_t)(end - at) : strlen(at)};
}

static enum said page_says(const char *dialect, struct span field)
{
    struct span s = section(dialect);
    char row[128];
    const char *at;

    snprintf(row, sizeof(row), "\n| `%.*s` | ", (int)field.len, field.ptr);
    at = strstr(s.ptr, row);
    if (at == NULL || at >= s.ptr + s.len)
        return SAID_NOTHING;
    at += strlen(row);
    return strncmp(at, "ignored | ", 10) == 0    ? SAID_IGNORED
           : strncmp(at, "identity | ", 11) == 0 ? SAID_IDENTITY
                                                 : SAID_NOTHING;
}

/* --- fingerprints ---------------------------------------------------------------------------
 */

static enum status fingerprint(const struct identity_request *r, struct span body,
                               struct digest *out)
{
    const struct protocol *p = protocol_named(span_of(r->dialect));
    const struct protocol_request in = {span_of(r->path), span_of(r->query), body, 64};
    const struct identity id = {.protocol = span_of(r->dialect)};
    struct protocol_error why;
    struct chat_request q;
    struct digest_ctx ctx;
    struct buf scratch;
    enum status st;

    assert_non_null(p);
    st = p->decode(&arena, &in, &q, &why);
    if (st != ST_OK)
        return st;
    CHECK_STATUS(ST_OK, digest_init(&ctx));
    buf_init(&scratch, 1 << 20);
    CHECK_STATUS(ST_OK, canonical_fingerprint(&q, &id, &ctx, &scratch, out));
    buf_release(&scratch);
    digest_release(&ctx);
    return ST_OK;
}

static struct json *parse(const char *text)
{
    struct json_error why;
    struct json *root;

    if (json_parse(&arena, span_of(text), 64, &root, &why) != ST_OK)
        fail_msg("%s in %s", why.text, text);
    return root;
}

/* --- changing one thing ---------------------------------------------------------------------
 */

struct walk {
    const struct identity_request *request;
    struct json *root;
    struct digest before;
    struct span top; /* the member of the body at hand */
    bool marked;     /* within a cache_control of the API */
    unsigned changed, ignored;
    unsigned depth;
};

static void check_changed(struct walk *w, const struct json *at, const char *how)
{
    struct buf body;
    struct digest now;
    bool ignored = w->marked || page_says(w->request->dialect, w->top) == SAID_IGNORED;
    enum status st;

    buf_init(&body, 1 << 20);
    CHECK_STATUS(ST_OK, json_write(&body, w->root));
    st = fingerprint(w->request, buf_span(&body), &now);
    if (st == ST_OK && digest_eq(&now, &w->before) != ignored)
        fail_msg("%s: %.*s, %s '%.*s': the fingerprint %s", w->request->dialect,
                 (int)w->top.len, w->top.ptr, how, (int)at->key.len,
                 at->key.ptr != NULL ? at->key.ptr : "", ignored ? "changed" : "is the same");
    /* One that is refused never gets an identity. */
    w->changed += st == ST_OK && !ignored;
    w->ignored += st == ST_OK && ignored;
    buf_release(&body);
}

static struct span longer(struct span s, char c)
{
    char *p = arena_alloc(&arena, s.len + 1, 1);

    assert_non_null(p);
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = c;
    return (struct span){p, s.len + 1};
}

static void change_value(struct walk *w, struct json *v)
{
    struct json was = *v;

    switch (v->type) {
    case JSON_STRING:
        v->text = longer(v->text, 'x');
        break;
    case JSON_NUMBER:
        v->text = longer(v->text, '1');
        break;
    case JSON_TRUE:
        v->type = JSON_FALSE;
        break;
    case JSON_FALSE:
        v->type = JSON_TRUE;
        break;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return;
    }
    check_changed(w, &was, "another value of");
    *v = was;
}

/* The API's own is an object that says "ephemeral"; somebody's property is not. */
static bool is_mark(const struct walk *w, const struct json *m)
{
    return w->request->mark != NULL && span_eq(m->key, span_of(w->request->mark)) &&
           span_eq(json_str(json_get(m, SPAN("type"))), SPAN("ephemeral"));
}

/* Each member is left out, and one that nobody knows comes in. */
static void change_members(struct walk *w, struct json *v)
{
    struct json *first = v->child, *before = NULL;
    struct json other = {.type = JSON_NUMBER, .key = SPAN("zzz"), .text = SPAN("1")};

    for (struct json *m = v->child; m != NULL; before = m, m = m->next) {
        bool marked = w->marked;

        if (w->depth == 0)
            w->top = m->key;
        w->marked |= is_mark(w, m);
        if (before == NULL)
            v->child = m->next;
        else
            before->next = m->next;
        v->count--;
        check_changed(w, m, "without");
        v->count++;
        if (before == NULL)
            v->child = first;
        else
            before->next = m;
        w->marked = marked;
    }
    if (v->type != JSON_OBJECT)
        return;
    if (w->depth == 0)
        w->top = other.key;
    other.next = first;
    v->child = &other;
    v->count++;
    check_changed(w, &other, "with");
    v->child = first;
    v->count--;
}

/* Recursion as deep as the requests of this test. */
static void walk(struct walk *w, struct json *v)
{
    if (v->type != JSON_OBJECT && v->type != JSON_ARRAY) {
        change_value(w, v);
        return;
    }
    change_members(w, v);
    w->depth++;
    for (struct json *m = v->child; m != NULL; m = m->next) {
        bool marked = w->marked;

        if (w->depth == 1)
            w->top = m->key;
        w->marked |= is_mark(w, m);
        walk(w, m);
        w->marked = marked;
    }
    w->depth--;
}

static void test_every_field_counts_or_is_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct walk w = {.request = &requests[i]};

        w.root = parse(body_of(w.request));
        CHECK_STATUS(ST_OK, fingerprint(w.request, span_of(body_of(w.request)), &w.before));
        for (const struct json *m = w.root->child; m != NULL; m = m->next) {
            if (page_says(w.request->dialect, m->key) == SAID_NOTHING)
                fail_msg("docs/identity.md says nothing of %.*s of %s", (int)m->key.len,
                         m->key.ptr, w.request->dialect);
        }
        walk(&w, w.root);
        assert_true(w.changed > 3);
    }
}

/* All dialects are walked, so that none is forgotten. */
static void test_no_dialect_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; protocol_at(i) != NULL; i++) {
        bool found = false;

        for (size_t k = 0; k < ARRAY_LEN(requests); k++)
            found |= strcmp(requests[k].dialect, protocol_at(i)->name) == 0;
        if (!found)
            fail_msg("no request of %s", protocol_at(i)->name);
    }
}

/* --- other spellings of the same -------------------------------------------------------------
 */

static void reverse(struct json *v)
{
    struct json *list = NULL;

    for (struct json *m = v->child, *next; m != NULL; m = next) {
        next = m->next;
        reverse(m);
        if (v->type == JSON_OBJECT) {
            m->next = list;
            list = m;
        }
    }
    if (v->type == JSON_OBJECT)
        v->child = list;
}

/* Letters of strings as escapes, white space between all. */
static void put_odd(struct buf *out, const struct json *v)
{
    switch (v->type) {
    case JSON_STRING:
        CHECK_STATUS(ST_OK, buf_append(out, SPAN("\"")));
        for (size_t i = 0; i < v->text.len; i++)
            CHECK_STATUS(ST_OK, (v->text.ptr[i] & 0x80) != 0
                                    ? buf_append(out, (struct span){v->text.ptr + i, 1})
                                    : buf_printf(out, "\\u%04X", (unsigned)v->text.ptr[i]));
        CHECK_STATUS(ST_OK, buf_append(out, SPAN("\"")));
        return;
    case JSON_NUMBER:
        CHECK_STATUS(ST_OK, buf_append(out, v->text));
        if (memchr(v->text.ptr, '.', v->text.len) != NULL)
            CHECK_STATUS(ST_OK, buf_append(out, SPAN("0e+00")));
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        CHECK_STATUS(ST_OK, buf_append(out, v->type == JSON_ARRAY ? SPAN("[") : SPAN("{")));
        for (const struct json *m = v->child; m != NULL; m = m->next) {
            struct json key = {.type = JSON_STRING, .text = m->key};

            CHECK_STATUS(ST_OK, buf_append(out, SPAN("\r\n\t ")));
            if (v->type == JSON_OBJECT) {
                put_odd(out, &key);
                CHECK_STATUS(ST_OK, buf_append(out, SPAN(" : ")));
            }
            put_odd(out, m);
            if (m->next != NULL)
                CHECK_STATUS(ST_OK, buf_append(out, SPAN(" ,")));
        }
        CHECK_STATUS(ST_OK, buf_append(out, v->type == JSON_ARRAY ? SPAN("]") : SPAN("}")));
        return;
    case JSON_NULL:
    case JSON_TRUE:
    case JSON_FALSE:
        CHECK_STATUS(ST_OK, json_write(out, v));
        return;
    }
}

static void test_other_spellings_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct identity_request *r = &requests[i];
        struct json *root = parse(body_of(r));
        struct digest want, got;
        struct buf odd;

        CHECK_STATUS(ST_OK, fingerprint(r, span_of(body_of(r)), &want));
        reverse(root);
        buf_init(&odd, 1 << 20);
        put_odd(&odd, root);
        CHECK_STATUS(ST_OK, fingerprint(r, buf_span(&odd), &got));
        assert_true(digest_eq(&want, &got));
        buf_release(&odd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_field_counts_or_is_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_dialect_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_spellings_are_the_same, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
