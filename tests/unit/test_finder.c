/* The finder: what is found, by examples that others have published where there are such, and
 * what only looks like it. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "privacy/checksum.h"
#include "privacy/finder.h"

#define ALL ((1u << PRIVACY_CLASSES) - 1)

static struct finder *open_finder(uint32_t classes, const struct finder_pattern *list, size_t n)
{
    struct finder_options o = {classes, list, n};
    struct finder *f = NULL;
    char why[256] = "";

    if (finder_open(&o, &f, why, sizeof(why)) != ST_OK)
        fail_msg("%s", why);
    return f;
}

/* The value stands between '<' and '>', which are not part of the text; without them there is
 * nothing to find. */
static const struct {
    enum privacy_class class;
    const char *text;
} cases[] = {
    {PRIVACY_EMAIL, "write to <ann.o'neil+x@mail.example.co.uk>, please"},
    {PRIVACY_EMAIL, "<jürgen@müller.de>."},
    {PRIVACY_EMAIL, "mailto:<a@b.io>"},
    {PRIVACY_EMAIL, "git@github.com:acme/tool.git"},
    {PRIVACY_EMAIL, "npm i react@18.2.0 and logo@2x.png, @app.route, a@b"},
    {PRIVACY_PHONE, "call <+49 30 901820> now"},
    {PRIVACY_PHONE, "<(415) 555-2671> or later"},
    {PRIVACY_PHONE, "<+44 20 7946 0018>"},
    {PRIVACY_PHONE, "<0171/1234567>"},
    {PRIVACY_PHONE, "mobile: <5551234567>"},
    {PRIVACY_PHONE, "order 112-1234567-1234567, 2026-01-31, 1.800.12, 0.1234567"},
    {PRIVACY_IBAN, "<DE89 3704 0044 0532 0130 00> is mine"},
    {PRIVACY_IBAN, "(<GB82WEST12345698765432>)"},
    {PRIVACY_IBAN, "DE89370400440532013001"},
    {PRIVACY_CARD, "<4111 1111 1111 1111> 12/27"},
    {PRIVACY_CARD, "<378282246310005>"},
    {PRIVACY_CARD, "<5555-5555-5555-4444>;"},
    {PRIVACY_CARD, "4111 1111 1111 1112 and 1700000000000"},
    {PRIVACY_NATIONAL_ID, "SSN <078-05-1120> is known"},
    {PRIVACY_NATIONAL_ID, "000-12-3456, 666-12-3456, 900-12-3456"},
    {PRIVACY_NATIONAL_ID, "CPF <111.444.777-35>"},
    {PRIVACY_NATIONAL_ID, "<44051401359> PESEL"},
    {PRIVACY_NATIONAL_ID, "<756.9217.0769.85>"},
    {PRIVACY_NATIONAL_ID, "<640823-3234>"},
    {PRIVACY_NATIONAL_ID, "<11010519491231002X>"},
    {PRIVACY_NATIONAL_ID, "<255081416802538>"},
    {PRIVACY_NATIONAL_ID, "<2 55 08 14 168 025 38> as printed"},
    {PRIVACY_NATIONAL_ID, "<12345678Z> and 12345678A"},
    {PRIVACY_NATIONAL_ID, "NIE <X1234567L>"},
    {PRIVACY_NATIONAL_ID, "<RSSMRA85T10A562S>"},
    {PRIVACY_NATIONAL_ID, "<131052-308T>"},
    {PRIVACY_NATIONAL_ID, "<AB123456C>"},
    {PRIVACY_NATIONAL_ID, "<85.07.30-033.28>"},
    {PRIVACY_NATIONAL_ID, "Steuer-ID: <86095742719>"},
    {PRIVACY_NATIONAL_ID, "number 86095742719"}, /* says nothing */
    {PRIVACY_NATIONAL_ID, "NHS number <943 476 5919>"},
    {PRIVACY_NATIONAL_ID, "BSN <111222333>"},
    {PRIVACY_NATIONAL_ID, "SIN <046 454 286>"},
    {PRIVACY_HOST, "ping <192.168.1.17>."},
    {PRIVACY_HOST, "127.0.0.1, 255.255.255.0, version 1.2.3.4, v2.0.0.1, 1.2.3.4.5"},
    {PRIVACY_HOST, "<2001:db8:85a3::8a2e:370:7334> is down"},
    {PRIVACY_HOST, "::1, std::vector, a::b, 12:34:56"},
    {PRIVACY_HOST, "<00:1A:2b:3c:4d:5E>"},
    {PRIVACY_HOST, "00:1a:2b:3c:4d:5e:6f:70:81:92"},
    {PRIVACY_HOST, "https://<db-3.prod.internal>:5432/x"},
    {PRIVACY_HOST, "com.acme.internal.Handler and java.util.internal"},
    {PRIVACY_KEY, "<sk-proj-abcDEF0123456789abcDEF0123456789>"},
    {PRIVACY_KEY, "key <AKIAIOSFODNN7EXAMPLE> here"},
    {PRIVACY_KEY, "password: <hunter2!x>, ok"},
    {PRIVACY_KEY, "{\"api_key\": \"<q8W2e7R5t1Y9>\"}"},
    {PRIVACY_KEY, "postgres://bob:<s3cret>@db/x"},
    {PRIVACY_KEY, "<kJ8sQ2mZx9Vb4TnR7wLp3YcG6dFh1XaE>"},
    {PRIVACY_KEY, "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad"},
    {PRIVACY_KEY, "550e8400-e29b-41d4-a716-446655440000 getUserById2FromDatabaseConnection"},
    {PRIVACY_KEY, "token = get_token(user_17), password: required"},
    {PRIVACY_PRIVATE_KEY,
     "x <-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----> y"},
    {PRIVACY_PRIVATE_KEY, "<-----BEGIN PRIVATE KEY-----\nMIIBVg cut off>"},
    {PRIVACY_PRIVATE_KEY, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"},
    {PRIVACY_JWT, "Bearer <eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN>"},
    {PRIVACY_NAME, "Dear Mr. <Ivan Petrov>, my name"},
    {PRIVACY_NAME, "my name is <Chloé Dubois>."},
    {PRIVACY_DATE, "born <12.03.1985>"},
    {PRIVACY_DATE, "on <12 March 1985>, 3.14.15"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct finder *f = open_finder(PRIVACY_BIT(cases[i].class), NULL, 0);
        char *text = malloc(strlen(cases[i].text) + 1);
        size_t n = 0, at = 0, end = 0, count;
        const struct find *list;
        bool some = false;

        for (const char *p = cases[i].text; *p != '\0'; p++) {
            if (*p == '<') {
                at = n;
                some = true;
            } else if (*p == '>') {
                end = n;
            } else {
                text[n++] = *p;
            }
        }
        CHECK_STATUS(ST_OK, finder_scan(f, (struct span){text, n}, &list, &count));
        if (count != (size_t)some)
            fail_msg("'%s': %zu finds", cases[i].text, count);
        if (some && (list[0].at != at || list[0].at + list[0].len != end ||
                     list[0].class != cases[i].class))
            fail_msg("'%s': found %zu..%zu", cases[i].text, list[0].at,
                     list[0].at + list[0].len);
        free(text);
        finder_close(f);
    }
}

/* Wherever it stands, behind whatever length of prose: sixteen bytes are looked at at once. */
static void test_alignment(void **state)
{
    struct finder *f = open_finder(ALL, NULL, 0);
    char text[160];

    (void)state;
    for (size_t before = 0; before < 80; before++) {
        const struct find *list;
        size_t n;

        memset(text, 'a', before);
        if (before > 0)
            text[before - 1] = ' ';
        memcpy(text + before, "bob@example.com", 15);
        CHECK_STATUS(ST_OK, finder_scan(f, (struct span){text, before + 15}, &list, &n));
        assert_int_equal(n, 1);
        assert_int_equal(list[0].at, before);
        assert_int_equal(list[0].len, 15);
    }
    finder_close(f);
}

static void test_several(void **state)
{
    static const char text[] = "a@b.de, c@d.fr; 4111111111111111 10.1.2.3 a@b.de";
    struct finder *f = open_finder(ALL, NULL, 0);
    const struct find *list;
    size_t n;

    (void)state;
    CHECK_STATUS(ST_OK, finder_scan(f, SPAN("nothing at all, is it? No."), &list, &n));
    assert_int_equal(n, 0);
    CHECK_STATUS(ST_OK, finder_scan(f, span_of(text), &list, &n));
    assert_int_equal(n, 5);
    for (size_t i = 1; i < n; i++)
        assert_true(list[i].at >= list[i - 1].at + list[i - 1].len);
    finder_close(f);
}

static void test_patterns(void **state)
{
    static const struct finder_pattern list[] = {{"customer", "\\bCN-\\d{6}\\b"},
                                                 {"mail of ours", "\\w+@acme\\.com and \\w+"}};
    static const struct finder_pattern bad[] = {{"brackets", "(a"}};
    static const struct finder_pattern slow[] = {{"slow", "^(x+x+)+y"}};
    struct finder_options o = {0, bad, 1};
    struct finder *f = open_finder(PRIVACY_BIT(PRIVACY_EMAIL), list, 2), *other;
    const struct find *finds;
    char text[4096], why[256] = "";
    size_t n;

    (void)state;
    CHECK_STATUS(ST_OK, finder_scan(f, SPAN("CN-123456: bob@acme.com and more"), &finds, &n));
    assert_int_equal(n, 2);
    assert_int_equal(finds[0].class, PRIVACY_PATTERN);
    assert_int_equal(finds[0].pattern, 0);
    assert_int_equal(finds[1].class, PRIVACY_PATTERN); /* the wider one, and the operator's */
    assert_int_equal(finds[1].pattern, 1);
    assert_int_equal(finds[1].len, 21);
    /* Bytes that are no UTF-8 are no reason to stop. */
    CHECK_STATUS(ST_OK, finder_scan(f, SPAN("\xff\xfe CN-123456"), &finds, &n));
    assert_int_equal(n, 1);
    finder_close(f);

    CHECK_STATUS(ST_INVALID, finder_open(&o, &other, why, sizeof(why)));
    assert_non_null(strstr(why, "brackets"));

    f = open_finder(0, slow, 1);
    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 2, "zy", 2);
    CHECK_STATUS(ST_LIMIT, finder_scan(f, (struct span){text, sizeof(text)}, &finds, &n));
    assert_string_equal(finder_stuck(f), "slow");
    finder_close(f);
}

static void test_limit(void **state)
{
    struct finder *f = open_finder(ALL, NULL, 0);
    size_t n, bytes = (size_t)(FINDER_FINDS_MAX + 1) * 8;
    char *text = malloc(bytes);
    const struct find *list;

    (void)state;
    for (size_t i = 0; i < bytes; i += 8)
        memcpy(text + i, "a@bc.de ", 8);
    CHECK_STATUS(ST_OK, finder_scan(f, (struct span){text, bytes - 8}, &list, &n));
    assert_int_equal(n, FINDER_FINDS_MAX);
    CHECK_STATUS(ST_LIMIT, finder_scan(f, (struct span){text, bytes}, &list, &n));
    assert_null(finder_stuck(f));
    free(text);
    finder_close(f);
}

static void test_checksums(void **state)
{
    static const unsigned char ones[] = {1, 1, 1};

    (void)state;
    assert_true(checksum_luhn("79927398713", 11));
    assert_false(checksum_luhn("79927398710", 11));
    assert_true(checksum_verhoeff("2363", 4));
    assert_false(checksum_verhoeff("2364", 4));
    assert_false(checksum_verhoeff("3263", 4));
    assert_true(checksum_mod11_10("07945", 5));
    assert_int_equal(checksum_weighted("123", ones, 3, 4), 2);
    assert_int_equal(checksum_mod("98765", 5, 97), 98765 % 97);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),   cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_several), cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_checksums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
