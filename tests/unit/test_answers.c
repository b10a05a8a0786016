/* Answers that share passes: what each says does not depend on the others, none waits for
 * another's prompt, and what one has computed is another's only within a partition. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "engine/engine.h"
#include "golden/fixture.h"
#include "tiny_llama.h"

#define SMOLLM "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"

enum { ANSWERS = 6, TEXT_MAX = 8192 };

static struct decoder *open_guessing(uint32_t type, uint32_t sequences, uint32_t cache_tokens,
                                     enum decoder_guessing guessing)
{
    const struct decoder_options o = {
        .sequences = sequences, .cache_tokens = cache_tokens, .guessing = guessing};
    struct tiny_llama tiny;
    struct engine_error why;
    struct decoder *d;
    struct buf file;
    char path[64];

    buf_init(&file, 1 << 20);
    tiny_llama_init(&tiny, type, 32, NULL, &file);
    tiny_llama_release(&tiny);
    gguf_writer_save(buf_span(&file), path);
    buf_release(&file);
    if (decoder_open(path, &o, &d, &why) != ST_OK)
        fail_msg("%s", why.text);
    unlink(path);
    return d;
}

static struct decoder *open_tiny(uint32_t type, uint32_t sequences, uint32_t cache_tokens)
{
    return open_guessing(type, sequences, cache_tokens, DECODER_GUESS_NEVER);
}

static struct decoder_session *open_session(const struct decoder *d, unsigned threads)
{
    struct decoder_session *s;

    CHECK_STATUS(ST_OK, decoder_session_open(d, threads, &s));
    return s;
}

/* One answer under test. */
struct writer {
    struct decoder_answer *answer;
    struct buf text;
    bool stop, ended;
    enum status status;
    struct decoder_result result;
};

static void on_text(void *arg, struct span text)
{
    struct writer *w = arg;

    CHECK_STATUS(ST_OK, buf_append(&w->text, text));
}

static bool says_stop(void *arg)
{
    const struct writer *w = arg;

    return w->stop;
}

static struct decoder_request request(struct writer *w, const uint32_t *ids, size_t n,
                                      uint32_t most)
{
    buf_init(&w->text, TEXT_MAX);
    return (struct decoder_request){.ids = ids,
                                    .id_count = n,
                                    .params = {.top_p = 1, .max_tokens = most},
                                    .no_end = true,
                                    .on_text = on_text,
                                    .arg = w,
                                    .stop = {says_stop, w}};
}

static void look(struct writer *w)
{
    if (w->answer == NULL || w->ended)
        return;
    w->ended = decoder_answer_ended(w->answer, &w->status, &w->result);
}

static void close_writer(struct writer *w)
{
    if (w->answer != NULL)
        decoder_answer_close(w->answer);
    buf_release(&w->text);
}

static void run_to_end(struct decoder_session *s, struct writer *w, size_t n)
{
    bool all = false;

    while (!all) {
        decoder_session_pass(s);
        all = true;
        for (size_t i = 0; i < n; i++) {
            look(&w[i]);
            all = all && w[i].ended;
        }
    }
}

/* Prompts of different lengths; half of the answers are drawn, with a seed each. */
static struct decoder_request nth(struct writer *w, const uint32_t *ids, size_t i,
                                  uint32_t most)
{
    static const size_t lengths[ANSWERS] = {1, 40, 65, 100, 33, 2};
    struct decoder_request q = request(w, ids + 3 * i, lengths[i], most);

    q.partition = i;
    if (i % 2 == 1) {
        q.params.temperature = 1.5f;
        q.params.seed = i;
    }
    return q;
}

static void fill_ids(uint32_t *ids, size_t n, uint32_t vocabulary)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)(3 + (i * 37 + i / 7 * 11) % (vocabulary - 3));
}

static void check_same(const struct decoder *d, unsigned threads, const uint32_t *ids,
                       uint32_t most)
{
    static struct writer alone[ANSWERS], together[ANSWERS];
    struct decoder_session *s;

    memset(alone, 0, sizeof(alone));
    memset(together, 0, sizeof(together));
    for (size_t i = 0; i < ANSWERS; i++) {
        struct decoder_request q = nth(&alone[i], ids, i, most);

        s = open_session(d, threads);
        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &alone[i].answer));
        run_to_end(s, &alone[i], 1);
        decoder_answer_close(alone[i].answer);
        alone[i].answer = NULL;
        decoder_session_close(s);
    }
    s = open_session(d, threads);
    /* They join one after the other, a few passes apart. */
    for (size_t i = 0; i < ANSWERS; i++) {
        struct decoder_request q = nth(&together[i], ids, i, most);

        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &together[i].answer));
        for (size_t k = 0; k < i; k++)
            decoder_session_pass(s);
    }
    run_to_end(s, together, ANSWERS);
    for (size_t i = 0; i < ANSWERS; i++) {
        CHECK_STATUS(ST_OK, alone[i].status);
        CHECK_STATUS(ST_OK, together[i].status);
        assert_int_equal(most, together[i].result.completion_tokens);
        assert_true(alone[i].text.len > 0);
        CHECK_SPAN(buf_span(&alone[i].text), buf_span(&together[i].text));
        close_writer(&alone[i]);
        close_writer(&together[i]);
    }
    decoder_session_close(s);
}

static void an_answer_is_the_same_alone_and_among_others(void **state)
{
    static const uint32_t types[] = {0, 2, 3, 8};
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        struct decoder *d = open_tiny(types[t], ANSWERS, ANSWERS * TINY_CONTEXT);

        check_same(d, 1 + (unsigned)t % 2, ids, 40);
        decoder_close(d);
    }
}

/* Some pages deep, where the keys of a column are split: among threads alone, within one among
 * others. */
static void so_it_is_with_the_real_model(void **state)
{
    enum { DEEP = 5 };
    const struct decoder_options o = {
        .context_max = 512, .sequences = DEEP, .cache_tokens = DEEP * 512, .kv_type = CACHE_Q8};
    static struct writer alone, w[DEEP];
    struct decoder_session *s;
    struct engine_error why;
    struct decoder *d;
    uint32_t ids[400];
    char path[512];

    (void)state;
    if (!fixture_model(SMOLLM, path, sizeof(path)))
        skip();
    fill_ids(ids, ARRAY_LEN(ids), 40000);
    CHECK_STATUS(ST_OK, decoder_open(path, &o, &d, &why));
    s = open_session(d, 2);
    {
        struct decoder_request q = request(&alone, ids, 330, 24);

        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &alone.answer));
        run_to_end(s, &alone, 1);
    }
    for (size_t i = 0; i < DEEP; i++) {
        struct decoder_request q = request(&w[i], ids, i == DEEP - 1 ? 330 : 90 + i, 24);

        q.partition = 1;
        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w[i].answer));
        decoder_session_pass(s);
    }
    run_to_end(s, w, DEEP);
    assert_true(w[DEEP - 1].result.reused_tokens > 0);
    CHECK_SPAN(buf_span(&alone.text), buf_span(&w[DEEP - 1].text));
    close_writer(&alone);
    for (size_t i = 0; i < DEEP; i++)
        close_writer(&w[i]);
    decoder_session_close(s);
    decoder_close(d);
}

/* One thread has no race to be seen, and takes minutes while it is looked for. */
#if defined(__SANITIZE_THREAD__)
#define IS_SLOW true
#else
#define IS_SLOW false
#endif

/* {"town": "…", "people": 12, …}, whatever the ids of the prompt make of it. */
static struct decoder_schema *town_schema(void)
{
    static const char text[] =
        "{\"type\":\"object\",\"properties\":{\"town\":{\"type\":\"string\",\"maxLength\":20},"
        "\"people\":{\"type\":\"integer\",\"minimum\":10},\"mayors\":{\"type\":\"array\","
        "\"items\":"
        "{\"enum\":[\"Anna\",\"Annabel\",\"Otto\"]}}},\"required\":[\"town\",\"people\","
        "\"mayors\"]}";
    struct decoder_schema *out;
    struct engine_error why;
    struct json_error bad;
    struct arena arena;
    struct json *json;

    arena_init(&arena, 4096, 64 * 1024);
    CHECK_STATUS(ST_OK, json_parse(&arena, span_of(text), JSON_DEPTH_MAX, &json, &bad));
    CHECK_STATUS(ST_OK, decoder_schema_open(json, &out, &why));
    arena_release(&arena);
    return out;
}

static void check_town(struct span text)
{
    struct json_error bad;
    struct arena arena;
    struct json *json;
    uint64_t people;

    arena_init(&arena, 4096, 64 * 1024);
    if (json_parse(&arena, text, JSON_DEPTH_MAX, &json, &bad) != ST_OK)
        fail_msg("%.*s: %s", (int)text.len, text.ptr, bad.text);
    assert_non_null(json_get(json, SPAN("town")));
    assert_true(json_u64(json_get(json, SPAN("people")), &people) && people >= 10);
    assert_non_null(json_get(json, SPAN("mayors")));
    arena_release(&arena);
}

/* Some answers by a schema and one without: greedy and drawn, with room and with little. */
static void write_towns(enum decoder_guessing guessing, struct writer *w)
{
    const struct decoder_options o = {.context_max = 512,
                                      .sequences = 4,
                                      .cache_tokens = 4 * 512,
                                      .kv_type = CACHE_Q8,
                                      .guessing = guessing};
    struct decoder_schema *schema = town_schema();
    struct decoder_session *s;
    struct engine_error why;
    struct decoder *d;
    uint32_t ids[64];
    char path[512];

    fill_ids(ids, ARRAY_LEN(ids), 40000);
    assert_true(fixture_model(SMOLLM, path, sizeof(path)));
    CHECK_STATUS(ST_OK, decoder_open(path, &o, &d, &why));
    s = open_session(d, 1);
    for (size_t i = 0; i < 4; i++) {
        struct decoder_request q = request(&w[i], ids + i, 30, i == 2 ? 24 : 60);

        q.no_end = false;
        q.schema = i < 3 ? schema : NULL;
        q.params.temperature = i == 1 ? 1 : 0;
        q.params.seed = 5;
        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w[i].answer));
    }
    run_to_end(s, w, 4);
    for (size_t i = 0; i < 4; i++) {
        decoder_answer_close(w[i].answer);
        w[i].answer = NULL;
    }
    decoder_session_close(s);
    decoder_close(d);
    decoder_schema_close(schema);
}

static void a_schema_holds_with_guesses_and_without(void **state)
{
    static struct writer plain[4], guessed[4];
    char path[512];

    (void)state;
    if (!fixture_model(SMOLLM, path, sizeof(path)) || IS_SLOW)
        skip();
    write_towns(DECODER_GUESS_NEVER, plain);
    write_towns(DECODER_GUESS_ALWAYS, guessed);
    for (size_t i = 0; i < 4; i++) {
        CHECK_STATUS(ST_OK, plain[i].status);
        if (i < 3)
            check_town(buf_span(&plain[i].text));
        CHECK_SPAN(buf_span(&plain[i].text), buf_span(&guessed[i].text));
        assert_true(plain[i].result.completion_tokens <= (i == 2 ? 24 : 60));
    }
    /* Its tokens ran out, and it was ended. */
    assert_int_equal(DECODER_LENGTH, plain[2].result.finish);
    for (size_t i = 0; i < 4; i++) {
        close_writer(&plain[i]);
        close_writer(&guessed[i]);
    }
}

static void who_writes_does_not_wait_for_a_prompt(void **state)
{
    struct decoder *d = open_tiny(8, 2, 2 * TINY_CONTEXT);
    struct decoder_session *s = open_session(d, 1);
    static struct writer running, reading;
    uint32_t ids[TINY_CONTEXT], before;
    struct decoder_request q;

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    q = request(&running, ids, 3, 50);
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &running.answer));
    decoder_session_pass(s);
    q = request(&reading, ids, 150, 4);
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &reading.answer));
    /* 150 tokens are five pieces: a token of the other comes with each. */
    for (int i = 0; i < 4; i++) {
        look(&running);
        before = running.result.completion_tokens;
        decoder_session_pass(s);
        look(&running);
        look(&reading);
        assert_int_equal(before + 1, running.result.completion_tokens);
        assert_int_equal(0, reading.result.completion_tokens);
    }
    decoder_session_pass(s);
    look(&reading);
    assert_int_equal(1, reading.result.completion_tokens);
    close_writer(&running);
    close_writer(&reading);
    decoder_session_close(s);
    decoder_close(d);
}

static void a_short_prompt_does_not_wait_for_long_ones(void **state)
{
    struct decoder *d = open_tiny(8, 3, 3 * TINY_CONTEXT);
    struct decoder_session *s = open_session(d, 1);
    static struct writer w[3];
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (size_t i = 0; i < 3; i++) {
        struct decoder_request q = request(&w[i], ids + i, i < 2 ? 150 : 5, 8);

        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w[i].answer));
    }
    for (int i = 0; i < 3; i++)
        decoder_session_pass(s);
    for (size_t i = 0; i < 3; i++)
        look(&w[i]);
    assert_true(w[2].result.completion_tokens > 0);
    assert_int_equal(0, w[0].result.completion_tokens);
    for (size_t i = 0; i < 3; i++)
        close_writer(&w[i]);
    decoder_session_close(s);
    decoder_close(d);
}

static void one_stops_and_the_others_go_on(void **state)
{
    struct decoder *d = open_tiny(8, 3, 3 * TINY_CONTEXT);
    struct decoder_session *s = open_session(d, 1);
    static struct writer w[3];
    struct decoder_counts c;
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (size_t i = 0; i < 3; i++) {
        struct decoder_request q = request(&w[i], ids + i, 10, 20);

        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w[i].answer));
    }
    for (int i = 0; i < 5; i++)
        decoder_session_pass(s);
    w[1].stop = true;
    decoder_session_pass(s);
    look(&w[1]);
    assert_true(w[1].ended);
    CHECK_STATUS(ST_CANCELED, w[1].status);
    assert_int_equal(DECODER_CANCELED, w[1].result.finish);
    run_to_end(s, w, 3);
    CHECK_STATUS(ST_OK, w[0].status);
    CHECK_STATUS(ST_OK, w[2].status);
    assert_int_equal(20, w[0].result.completion_tokens);
    decoder_session_counts(s, &c);
    assert_int_equal(0, c.used);
    for (size_t i = 0; i < 3; i++)
        close_writer(&w[i]);
    decoder_session_close(s);
    decoder_close(d);
}

static void no_answer_begins_that_might_lack_room(void **state)
{
    /* Seven pages, and one for a copy: 160 tokens, and 32 more. */
    struct decoder *d = open_tiny(8, 3, 7 * 32);
    struct decoder_session *s = open_session(d, 1);
    static struct writer large, small, other;
    uint32_t ids[TINY_CONTEXT + 1];
    struct decoder_request q;

    (void)state;
    fill_ids(ids, ARRAY_LEN(ids), TINY_WORDS);
    q = request(&large, ids, TINY_CONTEXT, 1);
    CHECK_STATUS(ST_LIMIT, decoder_answer_open(s, &q, &large.answer));
    q = request(&large, ids, 1, 0);
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &large.answer));
    q = request(&other, ids, 20, 40);
    CHECK_STATUS(ST_OVERLOAD, decoder_answer_open(s, &q, &other.answer));
    q = request(&small, ids, 20, 8);
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &small.answer));
    run_to_end(s, &small, 1);
    run_to_end(s, &large, 1);
    assert_int_equal(TINY_CONTEXT, large.result.completion_tokens);
    q = request(&other, ids, 20, 40);
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &other.answer));
    run_to_end(s, &other, 1);
    CHECK_STATUS(ST_OK, other.status);
    close_writer(&large);
    close_writer(&small);
    close_writer(&other);
    decoder_session_close(s);
    decoder_close(d);
}

static uint32_t reused(struct decoder_session *s, const uint32_t *ids, uint64_t partition)
{
    static struct writer w;
    struct decoder_request q;

    memset(&w, 0, sizeof(w));
    q = request(&w, ids, 100, 2);
    q.partition = partition;
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w.answer));
    run_to_end(s, &w, 1);
    close_writer(&w);
    return w.result.reused_tokens;
}

static void prompts_are_shared_within_a_partition_only(void **state)
{
    struct decoder *d = open_tiny(8, 2, 4 * TINY_CONTEXT);
    struct decoder_session *s = open_session(d, 1);
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    assert_int_equal(0, reused(s, ids, 1));
    assert_int_equal(0, reused(s, ids, 2));
    assert_int_equal(96, reused(s, ids, 1));
    assert_int_equal(96, reused(s, ids, 2));
    assert_int_equal(0, reused(s, ids, 3));
    decoder_session_close(s);
    decoder_close(d);
}

/* Two that come at once and begin alike: the one behind takes what the other has computed. */
static void a_prompt_is_taken_over_while_it_is_read(void **state)
{
    struct decoder *d = open_tiny(8, 2, 4 * TINY_CONTEXT);
    struct decoder_session *s = open_session(d, 1);
    static struct writer w[2];
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (size_t i = 0; i < 2; i++) {
        struct decoder_request q = request(&w[i], ids, 150, 4);

        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w[i].answer));
    }
    run_to_end(s, w, 2);
    assert_true(w[0].result.reused_tokens + w[1].result.reused_tokens >= 64);
    CHECK_SPAN(buf_span(&w[0].text), buf_span(&w[1].text));
    for (size_t i = 0; i < 2; i++)
        close_writer(&w[i]);
    decoder_session_close(s);
    decoder_close(d);
}

/* --- guesses -------------------------------------------------------------------------- */

/* The answer to ids, greedy or drawn, with what it may be like. */
static void answer(struct decoder_session *s, const uint32_t *ids, float temperature,
                   struct span like, struct writer *w)
{
    struct decoder_request q;

    memset(w, 0, sizeof(*w));
    q = request(w, ids, 30, 60);
    q.like = like;
    q.params.temperature = temperature;
    q.params.seed = 5;
    CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w->answer));
    run_to_end(s, w, 1);
    CHECK_STATUS(ST_OK, w->status);
}

/* Half right: every other twenty bytes of the answer are something else. */
static void spoil(struct buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (i / 20 % 2 == 1)
            text->ptr[i] = 'x';
    }
}

static void no_guess_changes_an_answer(void **state)
{
    static const float temperatures[] = {0, 0.3f, 1, 1.5f};
    struct decoder *plain = open_tiny(8, 1, 0);
    struct decoder *guessing = open_guessing(8, 1, 0, DECODER_GUESS_ALWAYS);
    struct decoder_session *s = open_session(plain, 1), *g = open_session(guessing, 2);
    static struct writer a, b;
    uint32_t ids[TINY_CONTEXT], right = 0, wrong = 0;
    struct buf like;

    (void)state;
    buf_init(&like, TEXT_MAX);
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (size_t i = 0; i < 12; i++) {
        float t = temperatures[i % 4];

        answer(s, ids + i, t, (struct span){NULL, 0}, &a);
        buf_clear(&like);
        CHECK_STATUS(ST_OK, buf_append(&like, buf_span(&a.text)));
        if (i >= 4)
            spoil(&like);
        answer(g, ids + i, t, i >= 8 ? (struct span){NULL, 0} : buf_span(&like), &b);
        CHECK_SPAN(buf_span(&a.text), buf_span(&b.text));
        assert_int_equal(a.result.completion_tokens, b.result.completion_tokens);
        for (size_t k = 0; k < DECODER_GUESS_SOURCES; k++) {
            right += b.result.right[k];
            wrong += b.result.guessed[k] - b.result.right[k];
        }
        close_writer(&a);
        close_writer(&b);
    }
    /* Both were met, or this has shown nothing. */
    assert_true(right > 0);
    assert_true(wrong > 0);
    buf_release(&like);
    decoder_session_close(s);
    decoder_session_close(g);
    decoder_close(plain);
    decoder_close(guessing);
}

static void guesses_save_passes(void **state)
{
    struct decoder *d = open_guessing(8, 1, 0, DECODER_GUESS_ALWAYS);
    struct decoder_session *s = open_session(d, 1);
    static struct writer a, b;
    struct decoder_counts before, after;
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    answer(s, ids, 1.5f, (struct span){NULL, 0}, &a);
    decoder_session_counts(s, &before);
    answer(s, ids, 1.5f, buf_span(&a.text), &b);
    decoder_session_counts(s, &after);
    CHECK_SPAN(buf_span(&a.text), buf_span(&b.text));
    assert_true(b.result.right[DECODER_GUESS_NEIGHBOUR] > 0);
    assert_true(after.passes - before.passes < b.result.completion_tokens);
    assert_int_equal(after.right[DECODER_GUESS_NEIGHBOUR] -
                         before.right[DECODER_GUESS_NEIGHBOUR],
                     b.result.right[DECODER_GUESS_NEIGHBOUR]);
    close_writer(&a);
    close_writer(&b);
    decoder_session_close(s);
    decoder_close(d);
}

static void guesses_beside_other_answers(void **state)
{
    uint32_t ids[TINY_CONTEXT];
    struct decoder *d = open_guessing(8, ANSWERS, ANSWERS * TINY_CONTEXT, DECODER_GUESS_ALWAYS);

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    check_same(d, 2, ids, 50);
    decoder_close(d);
}

/* As large as the other and of the same weights: right, but for what coarser weights find. */
static void a_smaller_model_guesses(void **state)
{
    static const uint32_t types[] = {8, 2};
    uint32_t ids[TINY_CONTEXT];

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        struct decoder *d = open_guessing(8, 2, 2 * TINY_CONTEXT, DECODER_GUESS_ALWAYS);
        struct decoder *small = open_tiny(types[t], 2, 2 * TINY_CONTEXT);
        struct decoder_session *plain = open_session(d, 1), *s = open_session(d, 2);
        uint32_t guessed = 0, right = 0;
        static struct writer a, b;

        CHECK_STATUS(ST_OK, decoder_session_guess_with(s, small, 1));
        for (size_t i = 0; i < 6; i++) {
            float temperature = i % 2 == 0 ? 0 : 0.2f;

            answer(plain, ids + i, temperature, (struct span){NULL, 0}, &a);
            answer(s, ids + i, temperature, (struct span){NULL, 0}, &b);
            CHECK_SPAN(buf_span(&a.text), buf_span(&b.text));
            guessed += b.result.guessed[DECODER_GUESS_MODEL];
            right += b.result.right[DECODER_GUESS_MODEL];
            close_writer(&a);
            close_writer(&b);
        }
        assert_true(right > 0);
        assert_true(right <= guessed);
        decoder_session_close(plain);
        decoder_session_close(s);
        decoder_close(small);
        decoder_close(d);
    }
}

static void a_smaller_model_guesses_for_several(void **state)
{
    uint32_t ids[TINY_CONTEXT];
    static struct writer alone[2], together[2];
    struct decoder *d = open_guessing(8, 2, 2 * TINY_CONTEXT, DECODER_GUESS_ALWAYS);
    struct decoder *other = open_tiny(8, 1, 0);
    struct decoder_session *s = open_session(d, 1);

    (void)state;
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    /* Of fewer sequences. */
    CHECK_STATUS(ST_INVALID, decoder_session_guess_with(s, other, 1));
    for (size_t i = 0; i < 2; i++)
        answer(s, ids + 40 * i, 0, (struct span){NULL, 0}, &alone[i]);
    CHECK_STATUS(ST_OK, decoder_session_guess_with(s, d, 1));
    memset(together, 0, sizeof(together));
    for (size_t i = 0; i < 2; i++) {
        struct decoder_request q = request(&together[i], ids + 40 * i, 30, 60);

        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &together[i].answer));
    }
    run_to_end(s, together, 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK_SPAN(buf_span(&alone[i].text), buf_span(&together[i].text));
        assert_true(together[i].result.right[DECODER_GUESS_MODEL] > 0);
        close_writer(&alone[i]);
        close_writer(&together[i]);
    }
    decoder_session_close(s);
    decoder_close(other);
    decoder_close(d);
}

/* Each first token of a great many draws, with a guess at hand and without: the same share of
 * draws, within what chance allows. */
static void drawn_tokens_keep_their_distribution(void **state)
{
    enum { DRAWS = 3000 };
    struct decoder *d = open_guessing(8, 1, 0, DECODER_GUESS_ALWAYS);
    struct decoder_session *s = open_session(d, 1);
    static uint32_t seen[2][256];
    uint32_t ids[TINY_CONTEXT];
    double squares = 0, free_cells = 0;

    (void)state;
    memset(seen, 0, sizeof(seen));
    fill_ids(ids, TINY_CONTEXT, TINY_WORDS);
    for (unsigned i = 0; i < 2 * DRAWS; i++) {
        static struct writer w;
        struct decoder_request q;

        memset(&w, 0, sizeof(w));
        q = request(&w, ids, 30, 4);
        q.params.temperature = 0.4f;
        q.params.seed = i; /* other draws for each half */
        q.like = i % 2 == 0 ? SPAN("abcdabcd") : (struct span){NULL, 0};
        q.no_guesses = i % 2 == 1;
        CHECK_STATUS(ST_OK, decoder_answer_open(s, &q, &w.answer));
        run_to_end(s, &w, 1);
        if (w.text.len > 2)
            seen[i % 2][(uint8_t)w.text.ptr[w.text.len / 2]]++;
        close_writer(&w);
    }
    /* Two samples of one distribution: sum (a - b)^2 / (a + b) is chi-square of as many degrees
     * as there are cells (Pearson 1900); its mean is that, its variance twice that. */
    for (size_t i = 0; i < 256; i++) {
        double a = seen[0][i], b = seen[1][i];

        if (a + b < 10)
            continue;
        squares += (a - b) * (a - b) / (a + b);
        free_cells++;
    }
    assert_true(free_cells > 3);
    if (!(squares < free_cells + 4 * sqrt(2 * free_cells)))
        fail_msg("chi-square %.1f of %.0f cells", squares, free_cells);
    decoder_session_close(s);
    decoder_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_the_same_alone_and_among_others),
        cmocka_unit_test(so_it_is_with_the_real_model),
        cmocka_unit_test(a_schema_holds_with_guesses_and_without),
        cmocka_unit_test(who_writes_does_not_wait_for_a_prompt),
        cmocka_unit_test(a_short_prompt_does_not_wait_for_long_ones),
        cmocka_unit_test(one_stops_and_the_others_go_on),
        cmocka_unit_test(no_answer_begins_that_might_lack_room),
        cmocka_unit_test(prompts_are_shared_within_a_partition_only),
        cmocka_unit_test(a_prompt_is_taken_over_while_it_is_read),
        cmocka_unit_test(no_guess_changes_an_answer),
        cmocka_unit_test(guesses_save_passes),
        cmocka_unit_test(guesses_beside_other_answers),
        cmocka_unit_test(a_smaller_model_guesses),
        cmocka_unit_test(a_smaller_model_guesses_for_several),
        cmocka_unit_test(drawn_tokens_keep_their_distribution),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
