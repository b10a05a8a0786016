/* Every type of weights, to the bit, against what formats_reference.py says of the same bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "engine/format.h"
#include "golden/fixture.h"

#define ROWS 4 /* that the values are read in */

/* The generator of formats_reference.py. */
static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (uint8_t)(seed >> 56);
    }
}

static uint64_t digest(const float *values, size_t n)
{
    uint64_t h = 14695981039346656037u;
    uint32_t bits;

    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, &values[i], sizeof(bits));
        h = (h ^ bits) * 1099511628211u;
    }
    return h;
}

static void check_first(const char *name, const struct json *v, const float *values)
{
    struct span text = json_str(json_get(v, SPAN("first")));
    char got[9];
    uint32_t bits;

    for (size_t i = 0; i * 9 < text.len; i++) {
        memcpy(&bits, &values[i], sizeof(bits));
        snprintf(got, sizeof(got), "%08" PRIx32, bits);
        if (memcmp(got, text.ptr + i * 9, 8) != 0)
            fail_msg("%s, value %zu: want %.8s, got %s", name, i, text.ptr + i * 9, got);
    }
}

static uint64_t number(const struct json *v, struct span key)
{
    uint64_t n = 0;

    assert_true(json_u64(json_get(v, key), &n));
    return n;
}

static void check_format(const struct json *v)
{
    uint32_t type = (uint32_t)number(v, SPAN("type"));
    const struct format *f = format_of(type);
    size_t count = number(v, SPAN("count")), bytes, blocks;
    float *values = malloc(count * sizeof(*values));
    char want[17];
    uint8_t *p;

    CHECK_SPAN(json_str(json_get(v, SPAN("name"))), span_of(format_name(type)));
    assert_int_equal(number(v, SPAN("values")), f->values);
    assert_int_equal(number(v, SPAN("bytes")), f->bytes);
    blocks = count / f->values;
    bytes = blocks * f->bytes;
    p = malloc(bytes);
    assert_true(p != NULL && values != NULL);
    fill(p, bytes, type);
    for (const struct json *at = json_get(v, SPAN("finite"))->child; at != NULL;
         at = at->next) {
        uint64_t i;

        assert_true(json_u64(at, &i));
        for (size_t b = 0; b < blocks; b++)
            p[b * f->bytes + i] &= 0xbf;
    }
    for (size_t r = 0; r < ROWS; r++)
        format_row(type, p + r * (bytes / ROWS), count / ROWS, values + r * (count / ROWS));
    check_first(f->name, v, values);
    snprintf(want, sizeof(want), "%016" PRIx64, digest(values, count));
    CHECK_SPAN(json_str(json_get(v, SPAN("digest"))), span_of(want));
    free(values);
    free(p);
}

static void rows_have_the_bits_of_the_reference(void **state)
{
    struct arena arena;
    size_t listed = 0, ours = 0;

    (void)state;
    arena_init(&arena, 65536, 1 << 22);
    for (const struct json *v = fixture_json(&arena, "formats.json")->child; v != NULL;
         v = v->next, listed++)
        check_format(v);
    for (uint32_t type = 0; type < 64; type++)
        ours += format_of(type)->values > 0;
    assert_int_equal(listed, ours);
    arena_release(&arena);
}

/* What the kernels count on. */
static void blocks_fit_the_kernels(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < 64; type++) {
        const struct format *f = format_of(type);

        if (f->values == 0 || f->unpack == NULL)
            continue;
        assert_true(f->group == 16 || f->group == 32);
        assert_true(f->values % 32 == 0 && f->values <= FORMAT_VALUES_MAX);
        assert_true(f->values / f->group <= FORMAT_GROUPS_MAX);
    }
    assert_string_equal("unknown", format_name(4));
    assert_string_equal("unknown", format_name(UINT32_MAX));
    assert_string_equal("Q8_K", format_name(15));
    assert_int_equal(0, format_of(15)->values);
    assert_int_equal(0, format_of(UINT32_MAX)->values);
}

static void the_list_is_cut_off_where_there_is_no_room(void **state)
{
    char list[512], small[8];

    (void)state;
    format_list(list, sizeof(list));
    assert_true(strstr(list, "F32, F16, Q4_0, ") == list && strstr(list, ", MXFP4") != NULL);
    assert_true(strstr(list, "Q8_K") == NULL);
    format_list(small, sizeof(small));
    assert_string_equal("F32, F1", small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_the_bits_of_the_reference),
        cmocka_unit_test(blocks_fit_the_kernels),
        cmocka_unit_test(the_list_is_cut_off_where_there_is_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
