/* The text of an item that replicas tell each other, and what is none. */
#include "cache/store_redis_news.h"

#include <string.h>

#include "check.h"

static struct store_news sample(enum store_news_kind kind)
{
    struct store_news n = {.kind = kind, .before_ms = 0xfedcba9876543210u};

    memset(n.key.bytes, 0xab, DIGEST_BYTES);
    memset(n.partition.bytes, 0x01, DIGEST_BYTES);
    memset(n.tenant.bytes, 0xff, DIGEST_BYTES);
    return n;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (unsigned k = STORE_NEWS_GONE; k <= STORE_NEWS_STORED; k++) {
        struct store_news in = sample((enum store_news_kind)k), out;
        char text[STORE_REDIS_NEWS_BYTES];
        size_t n = store_redis_news_write(&in, 7, text);
        uint64_t origin = 0;

        assert_true(n > 0 && n < sizeof(text) - 1);
        assert_true(store_redis_news_read((struct span){text, n}, &out, &origin));
        assert_int_equal(origin, 7);
        assert_int_equal(out.kind, in.kind);
        assert_true(digest_eq(&out.key, &in.key));
        assert_true(digest_eq(&out.partition, &in.partition));
        assert_true(digest_eq(&out.tenant, &in.tenant));
        assert_true(out.before_ms == in.before_ms);
    }
}

/* Cut anywhere, with a byte more, with any byte another one that it may not be. */
static void what_is_not_whole_is_refused(void **state)
{
    struct store_news in = sample(STORE_NEWS_PURGED), out;
    char text[STORE_REDIS_NEWS_BYTES];
    size_t n = store_redis_news_write(&in, 7, text);
    uint64_t origin;

    (void)state;
    for (size_t cut = 0; cut < n; cut++)
        assert_false(store_redis_news_read((struct span){text, cut}, &out, &origin));
    text[n] = '0';
    assert_false(store_redis_news_read((struct span){text, n + 1}, &out, &origin));
    for (size_t i = 0; i < n; i++) {
        char was = text[i];

        for (unsigned c = 0; c < 256; c += 31) {
            text[i] = (char)c;
            if (text[i] == was || (text[i] >= '0' && text[i] <= '9') ||
                (text[i] >= 'A' && text[i] <= 'F') || (text[i] >= 'a' && text[i] <= 'f'))
                continue;
            assert_false(store_redis_news_read((struct span){text, n}, &out, &origin));
        }
        text[i] = was;
    }
    assert_false(store_redis_news_read((struct span){NULL, 0}, &out, &origin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_not_whole_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
