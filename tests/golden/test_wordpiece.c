/* WordPiece against ids that the `tokenizers` library gave (wordpiece.json), and with a
 * vocabulary that fits on this page. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "engine/tokenizer/encoder_tokens.h"
#include "golden/fixture.h"

#define IDS_MAX 512

static void is_the_library_on_tricky_texts(void **state)
{
    struct engine_error why;
    struct encoder_tokens *w;
    struct arena arena;
    char path[512];

    (void)state;
    if (!fixture_model("all-minilm-l6-v2/tokenizer.json", path, sizeof(path)))
        skip();
    arena_init(&arena, 65536, 32 << 20);
    CHECK_STATUS(ST_OK, encoder_tokens_open(fixture_file(&arena, path), false, 0, &w, &why));
    assert_int_equal(30522, encoder_tokens_size(w));
    for (const struct json *v = fixture_json(&arena, "wordpiece.json")->child; v != NULL;
         v = v->next) {
        struct span text = json_str(json_get(v, SPAN("text")));
        const struct json *want = json_get(v, SPAN("ids")), *at = want->child;
        uint32_t ids[IDS_MAX];
        uint64_t id;
        size_t count;

        CHECK_STATUS(ST_OK, encoder_tokens_encode(w, text, ids, IDS_MAX, SIZE_MAX, &count));
        if (count != want->count)
            fail_msg("'%.*s': want %u ids, got %zu", (int)text.len, text.ptr, want->count,
                     count);
        for (size_t i = 0; i < count; i++, at = at->next) {
            assert_true(json_u64(at, &id));
            if (id != ids[i])
                fail_msg("'%.*s': id %zu: want %u, got %u", (int)text.len, text.ptr, i,
                         (unsigned)id, ids[i]);
        }
    }
    encoder_tokens_close(w);
    arena_release(&arena);
}

/* --- a vocabulary of our own ---------------------------------------------------------- */

#define HEAD                                                                                   \
    "{\"added_tokens\":[{\"id\":0,\"content\":\"[CLS]\"},{\"id\":3,\"content\":\"[MASK]\"}],"  \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"                         \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"                \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"                                       \
    "\"post_processor\":{\"type\":\"TemplateProcessing\"},"                                    \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","                               \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{"
#define TAIL "}}}"
#define WORDS                                                                                  \
    "\"[CLS]\":0,\"[SEP]\":1,\"[UNK]\":2,\"[MASK]\":3,\"un\":4,\"##aff\":5,\"##able\":6,"      \
    "\"##a\":7,\"a\":8,\",\":9,\"\xe4\xb8\xad\":10,\"cafe\":11,\"##\":12,\"x\":13"

static struct encoder_tokens *open_small(void)
{
    struct engine_error why;
    struct encoder_tokens *w;

    if (encoder_tokens_open(SPAN(HEAD WORDS TAIL), false, 0, &w, &why) != ST_OK)
        fail_msg("%s", why.text);
    return w;
}

static void takes_the_longest_piece_first(void **state)
{
    static const struct {
        const char *text;
        uint32_t ids[6];
        size_t n;
    } cases[] = {
        {"", {0, 1}, 2},
        {"unaffable", {0, 4, 5, 6, 1}, 5},
        {"UNAFFABLE", {0, 4, 5, 6, 1}, 5},
        {"una", {0, 4, 7, 1}, 4},
        {"unb", {0, 2, 1}, 3}, /* a part is no piece: the word is unknown whole */
        {"a,a", {0, 8, 9, 8, 1}, 5},
        {"Caf\xc3\xa9", {0, 11, 1}, 3},
        {"Cafe\xcc\x81", {0, 11, 1}, 3},
        {"a\xe4\xb8\xad"
         "a",
         {0, 8, 10, 8, 1},
         5},
        {"a[MASK]a", {0, 8, 3, 8, 1}, 5},
        {"a[mask]", {0, 8, 2, 2, 2, 1}, 6},
        {"a\xe2\x80\x8b"
         "a",
         {0, 8, 7, 1},
         4}, /* U+200B goes */
    };
    struct encoder_tokens *w = open_small();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t ids[6];
        size_t count;

        CHECK_STATUS(
            ST_OK, encoder_tokens_encode(w, span_of(cases[i].text), ids, 6, SIZE_MAX, &count));
        if (count != cases[i].n)
            fail_msg("'%s': want %zu ids, got %zu", cases[i].text, cases[i].n, count);
        for (size_t k = 0; k < count; k++) {
            if (ids[k] != cases[i].ids[k])
                fail_msg("'%s': id %zu: want %u, got %u", cases[i].text, k, cases[i].ids[k],
                         ids[k]);
        }
    }
    encoder_tokens_close(w);
}

static void stops_at_its_limit_and_at_what_is_no_text(void **state)
{
    static const struct span bad[] = {
        {"a\xff", 2}, {"\xc3", 1}, {"\xed\xa0\x80", 3}, {"\xc0\x80", 2}};
    struct encoder_tokens *w = open_small();
    uint32_t ids[3] = {9, 9, 9};
    size_t count = 77;

    (void)state;
    CHECK_STATUS(ST_LIMIT, encoder_tokens_encode(w, SPAN("a a a a"), ids, 3, 3, &count));
    assert_int_equal(77, count);
    CHECK_STATUS(ST_OK, encoder_tokens_encode(w, SPAN("a a a a"), ids, 3, 6, &count));
    assert_int_equal(6, count);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_STATUS(ST_INVALID, encoder_tokens_encode(w, bad[i], ids, 3, 100, &count));
    encoder_tokens_close(w);
}

static void refuses_other_tokenizers_by_name(void **state)
{
    static const struct {
        const char *json, *word;
    } cases[] = {
        {"", "tokenizer.json"},
        {"[]", "WordPiece"},
        {"{\"model\":{\"type\":\"BPE\"}}", "WordPiece"},
        {HEAD "\"a\":0" TAIL, "out of range"}, /* an added token beyond it */
        {HEAD "\"a\":\"x\"" TAIL, "out of range"},
        {HEAD "\"[CLS]\":0,\"b\":1,\"c\":2,\"d\":3" TAIL, "[UNK]"},
        {HEAD "\"[CLS]\":4294967296,\"[SEP]\":1,\"[UNK]\":2,\"[MASK]\":3" TAIL, "out of range"},
        {HEAD TAIL, "vocabulary"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_error why;
        struct encoder_tokens *w;
        enum status st = encoder_tokens_open(span_of(cases[i].json), false, 0, &w, &why);

        if (st != ST_INVALID)
            fail_msg("case %zu: %s", i, status_name(st));
        if (i != 3 && strstr(why.text, cases[i].word) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, why.text, cases[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_library_on_tricky_texts),
        cmocka_unit_test(takes_the_longest_piece_first),
        cmocka_unit_test(stops_at_its_limit_and_at_what_is_no_text),
        cmocka_unit_test(refuses_other_tokenizers_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
