#include "base/base64.h"
#include "check.h"

static const struct {
    struct span bytes, text;
} pairs[] = {
    /* RFC 4648 10 */
    {{"", 0}, {"", 0}},
    {{"f", 1}, {"Zg==", 4}},
    {{"fo", 2}, {"Zm8=", 4}},
    {{"foo", 3}, {"Zm9v", 4}},
    {{"foob", 4}, {"Zm9vYg==", 8}},
    {{"fooba", 5}, {"Zm9vYmE=", 8}},
    {{"foobar", 6}, {"Zm9vYmFy", 8}},
    {{"\0\xff\xfe\xfb", 4}, {"AP/++w==", 8}},
};

static void both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct buf a, b;

        buf_init(&a, 64);
        buf_init(&b, 64);
        CHECK_STATUS(ST_OK, base64_encode(&a, pairs[i].bytes));
        CHECK_SPAN(pairs[i].text, buf_span(&a));
        CHECK_STATUS(ST_OK, base64_decode(&b, pairs[i].text));
        CHECK_SPAN(pairs[i].bytes, buf_span(&b));
        buf_release(&a);
        buf_release(&b);
    }
}

static void others_are_refused(void **state)
{
    static const char *const texts[] = {"Z",        "Zg",   "Zg=",  "Zh==",     "Zm9=",
                                        "Zg==Zg==", "Z===", "====", "Zm 9",     "Zm-_",
                                        "Zm9v\n",   "=Zg=", "Zm=v", "Zm9vYg=a", "\x80m9v"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf b;

        buf_init(&b, 64);
        if (base64_decode(&b, span_of(texts[i])) != ST_INVALID)
            fail_msg("taken: %s", texts[i]);
        buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(others_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
