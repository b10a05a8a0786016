/* What texts show: counted by hand. */
#include "router/features.h"

#include <math.h>
#include <string.h>

#include "check.h"

static void counts(void **arg)
{
    static const struct {
        const char *text;
        enum feature feature;
        double value;
    } table[] = {
        {"", FEATURE_BYTES, 0},
        {"", FEATURE_WORD_BYTES, 0},
        {"abcd", FEATURE_BYTES, 1.6094379124341003},               /* log 5 */
        {"one two  three", FEATURE_WORDS, 1.3862943611198906},     /* log 4 */
        {"the cat The CAT", FEATURE_DISTINCT, 1.0986122886681098}, /* log 3 */
        {"a bbb", FEATURE_WORD_BYTES, 2},
        {"What? Yes. 3.5 no.", FEATURE_SENTENCES, 1.3862943611198906},
        {"a\nb\n", FEATURE_LINES, 1.0986122886681098},
        {"Q?\nA. x\nB) y\n(c) z\n3: w\nCat. v", FEATURE_OPTIONS, 1.6094379124341003},
        {"1,234.5 and 6.", FEATURE_NUMBERS, 1.0986122886681098},
        {"1,234.5 and 6.", FEATURE_DIGITS, 1.9459101490553132}, /* log 7 */
        {"12ab", FEATURE_DIGIT_SHARE, 0.5},
        {"ABcd", FEATURE_UPPER_SHARE, 0.5},
        {"\xc3\xa9\xc3\xa9"
         "abcd",
         FEATURE_FOREIGN_SHARE, 0.5},
        {"the house of glass", FEATURE_ENGLISH_SHARE, 0.5},
        {"x = y + 2", FEATURE_MATHS, 1.0986122886681098},
        {"$5 is 10%", FEATURE_MONEY, 1.0986122886681098},
        {"f(x)[1]", FEATURE_BRACKETS, 1.6094379124341003},
        {"int x;\nif (y) {\n}\n", FEATURE_CODE, 1.3862943611198906},
        {"why? how?", FEATURE_QUESTIONS, 1.0986122886681098},
        {"the ___ is", FEATURE_BLANKS, 1},
        {"the __ is", FEATURE_BLANKS, 0},
        {"half of each", FEATURE_QUANTITY, 1.0986122886681098},
        {"it is NOT so", FEATURE_NEGATIONS, 1},
        {"it is noted", FEATURE_NEGATIONS, 0},
        {"Suppose so", FEATURE_CONDITIONS, 1},
        {"How many are there", FEATURE_HOW_MANY, 1},
        {"how are so many", FEATURE_HOW_MANY, 0},
        {"What is it", FEATURE_WHAT, 1},
        {"whatever", FEATURE_WHAT, 0},
        {"which one", FEATURE_WHICH, 1},
        {"Prove it", FEATURE_WHY, 1},
    };

    (void)arg;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        double f[FEATURES_COUNT];

        features_of(span_of(table[i].text), f);
        if (fabs(f[table[i].feature] - table[i].value) > 1e-12)
            fail_msg("'%s': %s is %.17g, not %.17g", table[i].text,
                     features_name(table[i].feature), f[table[i].feature], table[i].value);
    }
}

/* Any bytes give finite numbers, and the end of what is read is the end. */
static void any_bytes(void **arg)
{
    static char bytes[FEATURES_READ_MAX + 64];
    double f[FEATURES_COUNT], longer[FEATURES_COUNT];

    (void)arg;
    for (int c = 0; c < 256; c++) {
        memset(bytes, c, sizeof(bytes));
        features_of((struct span){bytes, 3}, f);
        for (int i = 0; i < FEATURES_COUNT; i++)
            assert_true(isfinite(f[i]));
        features_of((struct span){bytes, FEATURES_READ_MAX}, f);
        memset(bytes + FEATURES_READ_MAX, '9', 64);
        features_of((struct span){bytes, sizeof(bytes)}, longer);
        for (int i = FEATURE_WORDS; i < FEATURES_COUNT; i++)
            assert_true(c == ',' || c == '.' || f[i] == longer[i]);
        assert_true(longer[FEATURE_BYTES] > f[FEATURE_BYTES]);
    }
}

static void names_differ(void **arg)
{
    (void)arg;
    for (int i = 0; i < FEATURES_COUNT; i++) {
        assert_non_null(features_name((enum feature)i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(features_name((enum feature)i),
                                    features_name((enum feature)k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(names_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
