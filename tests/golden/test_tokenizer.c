/* Tokenizers of all families against ids that the `tokenizers` library gave
 * (tokenizers.json, by tokenizer_reference.py). */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "engine/gguf.h"
#include "engine/tokenizer/encoder_tokens.h"
#include "engine/tokenizer/tokenizer.h"
#include "gguf_writer.h"
#include "golden/fixture.h"

#define IDS_MAX 1024

static size_t texts_of(struct arena *arena, const struct json *list, struct span **out)
{
    size_t n = 0;

    *out = arena_alloc(arena, (list->count + 1) * sizeof(**out), _Alignof(struct span));
    assert_non_null(*out);
    for (const struct json *v = list->child; v != NULL; v = v->next)
        (*out)[n++] = json_str(v);
    return n;
}

static double number(const struct json *v)
{
    double d = 0;

    assert_true(json_double(v, &d));
    return d;
}

static void write_tokens(struct gguf_writer *w, struct arena *arena, const struct json *family)
{
    const struct json *types = json_get(family, SPAN("types"))->child;
    struct span *texts;
    size_t n = texts_of(arena, json_get(family, SPAN("tokens")), &texts), i = 0;
    int32_t *list = arena_alloc(arena, n * sizeof(*list), _Alignof(int32_t));

    assert_non_null(list);
    for (const struct json *v = types; v != NULL; v = v->next)
        list[i++] = (int32_t)number(v);
    gguf_writer_texts(w, "tokenizer.ggml.tokens", texts, n);
    gguf_writer_i32s(w, "tokenizer.ggml.token_type", list, n);
}

static void write_scores(struct gguf_writer *w, struct arena *arena, const struct json *family)
{
    const struct json *scores = json_get(family, SPAN("scores"));
    float *list = arena_alloc(arena, scores->count * sizeof(*list), _Alignof(float));
    size_t n = 0;
    bool prefix = false;

    assert_non_null(list);
    assert_true(json_bool(json_get(family, SPAN("prefix")), &prefix));
    for (const struct json *v = scores->child; v != NULL; v = v->next)
        list[n++] = (float)number(v);
    gguf_writer_f32s(w, "tokenizer.ggml.scores", list, n);
    gguf_writer_bool(w, "tokenizer.ggml.add_space_prefix", prefix);
}

static void write_map(struct gguf_writer *w, struct arena *arena, const struct json *map)
{
    char *bytes = arena_alloc(arena, map->count + 1, 1);
    size_t n = 0;

    assert_non_null(bytes);
    for (const struct json *v = map->child; v != NULL; v = v->next)
        bytes[n++] = (char)(unsigned char)number(v);
    gguf_writer_bytes(w, "tokenizer.ggml.precompiled_charsmap", (struct span){bytes, n});
}

static void write_name(struct gguf_writer *w, const char *key, struct span name)
{
    char text[64];

    snprintf(text, sizeof(text), "%.*s", (int)name.len, name.ptr);
    gguf_writer_text(w, key, text);
}

static void write_ids(struct gguf_writer *w, const struct json *ids)
{
    static const char *const names[] = {"bos", "eos", "unknown"};

    for (size_t i = 0; ids != NULL && i < ARRAY_LEN(names); i++) {
        char key[64];

        snprintf(key, sizeof(key), "tokenizer.ggml.%s_token_id", names[i]);
        gguf_writer_u32(w, key, (uint32_t)number(json_get(ids, span_of(names[i]))));
    }
}

static void write_file(struct arena *arena, const struct json *family, struct buf *out)
{
    struct gguf_writer w;

    gguf_writer_init(&w, NULL);
    write_name(&w, "tokenizer.ggml.model", json_str(json_get(family, SPAN("model"))));
    write_tokens(&w, arena, family);
    if (json_get(family, SPAN("map")) != NULL)
        write_map(&w, arena, json_get(family, SPAN("map")));
    if (json_get(family, SPAN("scores")) != NULL) {
        write_scores(&w, arena, family);
    } else {
        struct span *merges;
        size_t n = texts_of(arena, json_get(family, SPAN("merges")), &merges);

        write_name(&w, "tokenizer.ggml.pre", json_str(json_get(family, SPAN("pre"))));
        gguf_writer_texts(&w, "tokenizer.ggml.merges", merges, n);
    }
    write_ids(&w, json_get(family, SPAN("ids")));
    gguf_writer_finish(&w, out);
    gguf_writer_release(&w);
}

static void check_ids(struct span family, const struct json *c, const uint32_t *ids,
                      size_t count)
{
    const struct json *want = json_get(c, SPAN("ids")), *at = want->child;
    struct span text = json_str(json_get(c, SPAN("text")));

    for (size_t i = 0; i < count && at != NULL; i++, at = at->next) {
        if (number(at) != (double)ids[i])
            fail_msg("%.*s: '%.*s': id %zu: want %.0f, got %u", (int)family.len, family.ptr,
                     (int)text.len, text.ptr, i, number(at), (unsigned)ids[i]);
    }
    if (count != want->count)
        fail_msg("%.*s: '%.*s': want %u ids, got %zu", (int)family.len, family.ptr,
                 (int)text.len, text.ptr, want->count, count);
}

/* A sanitizer's malloc does not say how much is taken; without it, any compiler's does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SAYS_TAKEN 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SAYS_TAKEN 0
#endif
#endif
#ifndef SAYS_TAKEN
#define SAYS_TAKEN 1
#endif

/* Bytes that are taken now; 0: nobody knows. */
static size_t taken(void)
{
    struct mallinfo2 m = mallinfo2();

    return SAYS_TAKEN ? m.uordblks + m.hblkhd : 0;
}

/* What small things and those that malloc keeps at hand add up to. */
#define TAKEN_UNCOUNTED 8192

static void check_bytes(struct span family, const struct tokenizer *t, size_t more)
{
    size_t said = tokenizer_bytes(t);

    if (taken() > 0 && (more > said + TAKEN_UNCOUNTED || said > more + TAKEN_UNCOUNTED))
        fail_msg("%.*s: %zu bytes are taken, it says %zu", (int)family.len, family.ptr, more,
                 said);
}

static void check_decoder(struct arena *arena, const struct json *family)
{
    uint32_t ids[IDS_MAX];
    struct engine_error why;
    struct tokenizer *t;
    struct gguf g;
    struct buf file;
    size_t before;

    buf_init(&file, 1 << 20);
    write_file(arena, family, &file);
    CHECK_STATUS(ST_OK, gguf_read(buf_span(&file), arena, &g, &why));
    before = taken();
    if (tokenizer_open(&g, &t, &why) != ST_OK)
        fail_msg("%s", why.text);
    check_bytes(json_str(json_get(family, SPAN("family"))), t, taken() - before);
    for (const struct json *c = json_get(family, SPAN("cases"))->child; c != NULL;
         c = c->next) {
        struct span text = json_str(json_get(c, SPAN("text")));
        size_t count = 0;

        CHECK_STATUS(ST_OK, tokenizer_encode(t, text, false, ids, IDS_MAX, IDS_MAX, &count));
        check_ids(json_str(json_get(family, SPAN("family"))), c, ids, count);
    }
    tokenizer_close(t);
    buf_release(&file);
}

/* From a file that has gone when it is used. */
static enum status open_encoder_gguf(struct arena *arena, const struct json *family,
                                     struct encoder_tokens **out, struct engine_error *why)
{
    struct gguf g;
    struct buf file;
    enum status st;

    buf_init(&file, 1 << 20);
    write_file(arena, family, &file);
    st = gguf_read(buf_span(&file), arena, &g, why);
    if (st == ST_OK)
        st = encoder_tokens_open_gguf(&g, out, why);
    memset(file.ptr, 0xff, file.len);
    buf_release(&file);
    return st;
}

/* From the text of a tokenizer.json, or of a GGUF. */
static void check_encoder(struct arena *arena, const struct json *family)
{
    struct span text_of_json = json_str(json_get(family, SPAN("json")));
    uint32_t ids[IDS_MAX];
    struct encoder_tokens *t;
    struct engine_error why;
    enum status st = text_of_json.len > 0
                         ? encoder_tokens_open(text_of_json, false, 0, &t, &why)
                         : open_encoder_gguf(arena, family, &t, &why);

    if (st != ST_OK)
        fail_msg("%s", why.text);
    for (const struct json *c = json_get(family, SPAN("cases"))->child; c != NULL;
         c = c->next) {
        struct span text = json_str(json_get(c, SPAN("text")));
        size_t count = 0;

        CHECK_STATUS(ST_OK, encoder_tokens_encode(t, text, ids, IDS_MAX, IDS_MAX, &count));
        check_ids(json_str(json_get(family, SPAN("family"))), c, ids, count);
        if (count > 2)
            CHECK_STATUS(ST_LIMIT, encoder_tokens_encode(t, text, NULL, 0, count - 1, &count));
    }
    CHECK_STATUS(ST_INVALID,
                 encoder_tokens_encode(t, SPAN("a\xff"), NULL, 0, SIZE_MAX, &(size_t){0}));
    encoder_tokens_close(t);
}

static void every_family_is_the_library(void **state)
{
    struct arena arena;
    size_t families = 0;

    (void)state;
    arena_init(&arena, 65536, 64 << 20);
    for (const struct json *v = fixture_json(&arena, "tokenizers.json")->child; v != NULL;
         v = v->next) {
        if (json_get(v, SPAN("json")) != NULL || json_get(v, SPAN("ids")) != NULL)
            check_encoder(&arena, v);
        else
            check_decoder(&arena, v);
        families++;
    }
    assert_int_equal(16, families);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_is_the_library),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
