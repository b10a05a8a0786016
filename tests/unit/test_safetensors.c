/* Model files of the encoder that are not what they should be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "check.h"
#include "engine/safetensors.h"

#define T(name, dtype, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from       \
    "," #to "]}"

static const struct {
    const char *header;
    uint64_t data;
    const char *word; /* of the reason; NULL: it is fine */
} headers[] = {
    {"{}", 0, NULL},
    {"{" T("a", "F32", "[2,2]", 0, 16) "," T("b", "F16", "[3]", 16, 22) "}", 22, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"}," T("a", "F32", "[1]", 0, 4) "}  ", 4, NULL},
    {"{" T("b", "BF16", "[2]", 4, 8) "," T("a", "F32", "[]", 0, 4) "}", 8, NULL},
    {"{" T("a", "F32", "[0]", 0, 0) "," T("b", "I64", "[1]", 0, 8) "}", 8, NULL},
    {"", 0, "header"},
    {"[]", 0, "no list"},
    {"{", 0, "header"},
    {"{}x", 0, "header"},
    {"{\"a\":1}", 0, "dtype"},
    {"{\"a\":{}}", 0, "dtype"},
    {"{" T("a", "F8", "[1]", 0, 1) "}", 1, "dtype"},
    {"{" T("a", "f32", "[1]", 0, 4) "}", 4, "dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape"},
    {"{" T("a", "F32", "3", 0, 12) "}", 12, "shape"},
    {"{" T("a", "F32", "[1,1,1,1,1]", 0, 4) "}", 4, "shape"},
    {"{" T("a", "F32", "[-1]", 0, 4) "}", 4, "too large"},
    {"{" T("a", "F32", "[1.5]", 0, 4) "}", 4, "too large"},
    {"{" T("a", "F32", "[\"1\"]", 0, 4) "}", 4, "too large"},
    {"{" T("a", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, "too large"},
    {"{" T("a", "F32", "[18446744073709551615]", 0, 4) "}", 4, "too large"},
    {"{" T("a", "F32", "[99999999999999999999]", 0, 4) "}", 4, "too large"},
    {"{" T("a", "F32", "[2]", 0, 4) "}", 4, "offsets"},
    {"{" T("a", "F32", "[1]", 4, 0) "}", 4, "offsets"},
    {"{" T("a", "F32", "[1]", 0, 4) "}", 3, "offsets"},
    {"{" T("a", "F32", "[1]", 18446744073709551612, 18446744073709551616) "}", 4, "offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{}}}", 4, "offsets"},
    {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 0, 4) "}", 4, "overlaps"},
    {"{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[1]", 4, 8) "}", 8, "overlaps"},
    {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, "hole"},
    {"{" T("a", "F32", "[1]", 4, 8) "}", 8, "hole"},
    {"{" T("a", "F32", "[1]", 0, 4) "}", 5, "goes on"},
    {"{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", 8, "duplicate"},
};

static void headers_are_fine_or_refused_with_their_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct engine_error why;
        struct safetensors s;
        struct arena arena;
        enum status st;

        arena_init(&arena, 4096, 1 << 20);
        st = safetensors_parse(span_of(headers[i].header), headers[i].data, &arena, &s, &why);
        if (headers[i].word == NULL && st != ST_OK)
            fail_msg("'%s': %s", headers[i].header, why.text);
        if (headers[i].word != NULL &&
            (st != ST_INVALID || strstr(why.text, headers[i].word) == NULL))
            fail_msg("'%s': %s, '%s' does not say '%s'", headers[i].header, status_name(st),
                     st != ST_OK ? why.text : "", headers[i].word);
        arena_release(&arena);
    }
}

/* --- files ---------------------------------------------------------------------------- */

static void save(struct span header, uint64_t said, struct span data, char path[64])
{
    static const char pattern[] = "/tmp/ibid-test-XXXXXX";
    int fd;

    memcpy(path, pattern, sizeof(pattern));
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, &said, 8) == 8);
    assert_true(write(fd, header.ptr, header.len) == (ssize_t)header.len);
    assert_true(write(fd, data.ptr, data.len) == (ssize_t)data.len);
    close(fd);
}

static void lengths_that_lie_are_refused(void **state)
{
    static const uint64_t lengths[] = {3,          1000,           1u << 30,
                                       UINT64_MAX, UINT64_MAX - 7, 1ull << 63};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct engine_error why;
        struct safetensors s;
        char path[64];

        save(SPAN("{}"), lengths[i], SPAN(""), path);
        CHECK_STATUS(ST_INVALID, safetensors_open(path, &s, &why));
        unlink(path);
    }
}

static void values_come_out_as_floats_or_not_at_all(void **state)
{
    static const float f32[2] = {1.5f, -2};
    static const uint16_t f16[2] = {0x3c00, 0xc000}, bf16[2] = {0x3f80, 0x7f80};
    const struct span header =
        SPAN("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F16", "[2]", 8, 12) "," T(
            "c", "BF16", "[2]", 12, 16) "," T("bert.d", "I32", "[1]", 16, 20) "}");
    char data[20] = {0}, path[64];
    struct engine_error why;
    struct safetensors s;
    float out[2];

    (void)state;
    memcpy(data, f32, 8);
    memcpy(data + 8, f16, 4);
    memcpy(data + 12, bf16, 4);
    save(header, header.len, (struct span){data, sizeof(data)}, path);
    CHECK_STATUS(ST_OK, safetensors_open(path, &s, &why));
    CHECK_STATUS(ST_OK, safetensors_floats(&s, safetensors_find(&s, "a"), 0, 2, out, &why));
    assert_true(out[0] == 1.5f && out[1] == -2);
    CHECK_STATUS(ST_OK, safetensors_floats(&s, safetensors_find(&s, "b"), 0, 2, out, &why));
    assert_true(out[0] == 1 && out[1] == -2);
    CHECK_STATUS(ST_OK, safetensors_floats(&s, safetensors_find(&s, "c"), 0, 1, out, &why));
    assert_true(out[0] == 1);
    /* infinite; beyond the end, twice; no fractions */
    CHECK_STATUS(ST_INVALID,
                 safetensors_floats(&s, safetensors_find(&s, "c"), 1, 1, out, &why));
    CHECK_STATUS(ST_INVALID,
                 safetensors_floats(&s, safetensors_find(&s, "a"), 1, 2, out, &why));
    CHECK_STATUS(ST_INVALID,
                 safetensors_floats(&s, safetensors_find(&s, "a"), SIZE_MAX, 2, out, &why));
    CHECK_STATUS(ST_INVALID,
                 safetensors_floats(&s, safetensors_find(&s, "d"), 0, 1, out, &why));
    assert_null(safetensors_find(&s, "e"));
    /* cut while it is open: an error, not a signal */
    assert_int_equal(0, truncate(path, 8 + (off_t)header.len + 4));
    CHECK_STATUS(ST_INVALID,
                 safetensors_floats(&s, safetensors_find(&s, "a"), 0, 2, out, &why));
    safetensors_close(&s);
    unlink(path);
    CHECK_STATUS(ST_NOTFOUND, safetensors_open(path, &s, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_fine_or_refused_with_their_reason),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(values_come_out_as_floats_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
