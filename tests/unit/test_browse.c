/* What is stored, page by page: every entry once, the newest first, whether the store has it,
 * memory, or both; and the sums of its partitions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/browse.h"
#include "cache/cache.h"
#include "check.h"
#include "fake_index.h"
#include "rt/loop.h"
#include "store_fixture.h"

#define SOON  (clock_wall_ms() + 3600 * 1000)
#define COUNT 250

static struct fixture f; /* its store stays closed: the cache has its own */
static struct cache_options options;
static struct cache *cache;
static struct browse *b;
static enum status browse_st;
static bool is_over;

static int set_up(void **state)
{
    (void)state;
    store_fixture_init(&f, "lmdb:");
    options = (struct cache_options){.store = f.options,
                                     .memory_max_bytes = 1u << 20,
                                     .memory_entries_max = 1000,
                                     .index = {.dimensions = 8, .entries_max = 1000}};
    b = calloc(1, sizeof(*b));
    assert_non_null(b);
    return 0;
}

static void on_closed(void *owner)
{
    (void)owner;
    cache = NULL;
}

static bool is_closed(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return cache == NULL;
}

static bool is_ready(struct fixture *fixture, uint64_t arg)
{
    struct cache_stats s;

    (void)fixture;
    (void)arg;
    cache_stats(cache, &s);
    return s.index_ready;
}

static void open_cache(void)
{
    CHECK_STATUS(ST_OK, cache_open(f.loop, f.connector, &options, &cache));
    store_fixture_wait(&f, is_ready, 0);
}

static void close_cache(void)
{
    cache_close(cache, on_closed, NULL);
    store_fixture_wait(&f, is_closed, 0);
}

static int tear_down(void **state)
{
    (void)state;
    if (cache != NULL)
        close_cache();
    free(b);
    store_fixture_release(&f);
    return 0;
}

static void put(uint64_t n)
{
    struct entry *e = store_fixture_entry(n, 500, SOON);

    cache_put(cache, e);
    entry_unref(e);
}

static void on_browsed(struct browse *op, enum status st)
{
    assert_ptr_equal(op, b);
    assert_false(is_over);
    browse_st = st;
    is_over = true;
}

static bool has_ended(struct fixture *fixture, uint64_t arg)
{
    (void)fixture;
    (void)arg;
    return is_over;
}

static void browse(const struct browse_filter *filter, size_t page)
{
    *b = (struct browse){.filter = *filter, .page = page, .done = on_browsed};
    is_over = false;
    CHECK_STATUS(ST_OK, cache_browse(cache, b));
    assert_false(is_over); /* later */
    store_fixture_wait(&f, has_ended, 0);
    CHECK_STATUS(ST_OK, browse_st);
}

/* Goes through all pages; the entries are COUNT down to 1 but for those that are left out. */
static uint64_t pages(size_t page, bool (*left_out)(uint64_t n), struct browse_filter filter)
{
    uint64_t seen = 0, n = COUNT;

    do {
        browse(&filter, page);
        for (size_t i = 0; i < b->count; i++, n--) {
            struct digest key;

            while (left_out != NULL && left_out(n))
                n--;
            key = store_fixture_key(n);
            assert_memory_equal(&b->items[i].key, &key, sizeof(key));
            assert_int_equal(b->items[i].created_ms, 1000 + n);
            assert_int_equal(b->items[i].answer_bytes, 500);
            seen++;
        }
        if (b->count > 0) {
            filter.after_ms = b->items[b->count - 1].created_ms;
            filter.after = b->items[b->count - 1].key;
        }
    } while (b->count == page);
    return seen;
}

static bool not_of_tenant_1(uint64_t n)
{
    return n % 3 != 1;
}

static void check_groups(void)
{
    uint64_t entries = 0;

    /* Seven partitions of three tenants. */
    assert_int_equal(b->group_count, 21);
    assert_int_equal(b->ungrouped, 0);
    for (size_t i = 0; i < b->group_count; i++) {
        const struct browse_group *g = &b->groups[i];

        assert_int_equal(g->answer_bytes, 500 * g->entries);
        assert_true(g->oldest_ms <= 1021 && g->newest_ms > 1000 + COUNT - 21);
        CHECK_SPAN(SPAN("model"), ((struct span){g->model, g->model_len}));
        entries += g->entries;
    }
    assert_int_equal(entries, COUNT);
}

static void browse_steps(void)
{
    struct browse_filter any = {.by_tenant = false}, one = {.by_tenant = true},
                         both = {.by_tenant = true, .by_partition = true};

    for (uint64_t n = 1; n <= COUNT; n++)
        put(n);
    browse(&any, 10);
    assert_int_equal(b->matched, COUNT);
    check_groups();
    assert_int_equal(pages(10, NULL, any), COUNT);
    assert_int_equal(pages(99, NULL, any), COUNT);
    one.tenant = store_fixture_key(1);
    assert_int_equal(pages(7, not_of_tenant_1, one), (COUNT + 2) / 3);
    both.tenant = one.tenant;
    both.partition = store_fixture_partition(5);
    browse(&both, 100);
    assert_int_equal(b->count, b->matched);
    assert_int_equal(b->group_count, 1);
    for (size_t i = 0; i < b->count; i++)
        assert_int_equal((b->items[i].created_ms - 1000) % 21, 19);
    /* What was removed is not shown, be it in the file yet or not. */
    {
        struct digest key = store_fixture_key(COUNT),
                      partition = store_fixture_partition(COUNT);

        cache_remove(cache, &key, &partition);
        browse(&any, 1);
        key = store_fixture_key(COUNT - 1);
        if (b->count > 0)
            assert_memory_equal(&b->items[0].key, &key, sizeof(key));
    }
}

static void of_memory_and_store(void **state)
{
    (void)state;
    open_cache();
    browse_steps();
}

static void of_the_store_alone(void **state)
{
    (void)state;
    options.memory_entries_max = 0;
    open_cache();
    for (uint64_t n = 1; n <= COUNT; n++)
        put(n);
    close_cache();
    open_cache(); /* written */
    browse_steps();
}

static void of_memory_alone(void **state)
{
    (void)state;
    options.store.url = "memory:";
    open_cache();
    browse_steps();
}

static void words(struct browse_filter *filter, const char *text)
{
    filter->words_len = strlen(text);
    memcpy(filter->words, text, filter->words_len);
}

static void words_are_looked_for(void **state)
{
    struct browse_filter any = {.questions = false};
    char hex[2 * DIGEST_BYTES + 1];
    struct digest key;

    (void)state;
    open_cache();
    for (uint64_t n = 1; n <= COUNT; n++)
        put(n);
    words(&any, "MODEL");
    browse(&any, 10);
    assert_int_equal(b->matched, COUNT);
    words(&any, "Question 77");
    browse(&any, 10);
    assert_int_equal(b->matched, 0); /* questions are nobody's business */
    any.questions = true;
    browse(&any, 10);
    assert_int_equal(b->matched, 1);
    CHECK_SPAN(SPAN("question 77"),
               ((struct span){b->items[0].question, b->items[0].question_len}));
    key = store_fixture_key(123);
    digest_hex(key.bytes, DIGEST_BYTES, hex);
    words(&any, hex);
    browse(&any, 10);
    assert_int_equal(b->matched, 1);
    assert_int_equal(b->items[0].created_ms, 1123);
    words(&any, "nothing has that");
    browse(&any, 10);
    assert_int_equal(b->matched + b->count + b->group_count, 0);
}

/* It ends all the same, and soon. */
static void it_may_be_canceled(void **state)
{
    (void)state;
    open_cache();
    for (uint64_t n = 1; n <= COUNT; n++)
        put(n);
    *b = (struct browse){.page = 10, .done = on_browsed};
    is_over = false;
    CHECK_STATUS(ST_OK, cache_browse(cache, b));
    browse_cancel(b);
    store_fixture_wait(&f, has_ended, 0);
    CHECK_STATUS(ST_CANCELED, browse_st);
}

static void long_texts_are_cut_between_characters(void **state)
{
    struct browse_filter any = {.questions = true};
    struct entry *like, in, *e;
    char text[2 * BROWSE_QUESTION_MAX];

    (void)state;
    open_cache();
    like = store_fixture_entry(1, 10, SOON);
    in = *like;
    memset(text, 'x', sizeof(text));
    memcpy(text + BROWSE_QUESTION_MAX - 1, "\xc3\xa4", 2);
    in.question = (struct span){text, sizeof(text)};
    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    cache_put(cache, e);
    browse(&any, 1);
    assert_int_equal(b->items[0].question_len, BROWSE_QUESTION_MAX - 1);
    entry_unref(e);
    entry_unref(like);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(of_memory_and_store), CASE(of_the_store_alone),
        CASE(of_memory_alone),     CASE(words_are_looked_for),
        CASE(it_may_be_canceled),  CASE(long_texts_are_cut_between_characters),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
