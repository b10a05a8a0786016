#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cache/entry.h"
#include "check.h"

static const float unit_vector[4] = {0.5f, -0.5f, 0.5f, -0.5f};

static struct entry sample(void)
{
    struct entry e = {
        .created_ms = 1700000000000,
        .expires_ms = 1700000086400,
        .prompt_tokens = 17,
        .completion_tokens = 4294967295u,
        .took_us = 1234567,
        .model = SPAN("some-model"),
        .question = SPAN("where is the station?"),
        .vector = unit_vector,
        .dimensions = 4,
        .answer = SPAN("straight\0on"),
    };

    memset(e.key.bytes, 0xab, DIGEST_BYTES);
    memset(e.partition.bytes, 0xcd, DIGEST_BYTES);
    memset(e.tenant.bytes, 0xef, DIGEST_BYTES);
    return e;
}

static void check_same(const struct entry *want, const struct entry *got)
{
    assert_true(digest_eq(&want->key, &got->key));
    assert_true(digest_eq(&want->partition, &got->partition));
    assert_true(digest_eq(&want->tenant, &got->tenant));
    assert_int_equal(want->created_ms, got->created_ms);
    assert_int_equal(want->expires_ms, got->expires_ms);
    assert_int_equal(want->stale_min, got->stale_min);
    assert_int_equal(want->prompt_tokens, got->prompt_tokens);
    assert_int_equal(want->completion_tokens, got->completion_tokens);
    assert_int_equal(want->took_us, got->took_us);
    CHECK_SPAN(want->model, got->model);
    CHECK_SPAN(want->question, got->question);
    CHECK_SPAN(want->answer, got->answer);
    assert_int_equal(want->dimensions, got->dimensions);
    if (want->dimensions > 0)
        assert_memory_equal(want->vector, got->vector, want->dimensions * sizeof(float));
    else
        assert_null(got->vector);
}

static void frame_of(const struct entry *e, struct buf *out)
{
    buf_init(out, ENTRY_FRAME_BYTES_MAX);
    CHECK_STATUS(ST_OK, entry_encode(e, out));
}

static void copies_live_on_their_own(void **state)
{
    struct entry in = sample(), *e, *again;

    (void)state;
    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    check_same(&in, e);
    assert_ptr_not_equal(in.answer.ptr, e->answer.ptr);
    assert_true(entry_bytes(e) >= in.answer.len + sizeof(unit_vector));
    again = entry_ref(e);
    entry_unref(e);
    check_same(&in, again); /* the last reference keeps it */
    entry_unref(again);
    entry_unref(NULL);
}

static void frames_come_back(void **state)
{
    struct entry with = sample(), without = sample(), empty = {.created_ms = 1};
    struct entry stale = sample(), *e;
    const struct entry *const cases[] = {&with, &without, &empty, &stale};

    (void)state;
    stale.expires_ms += 0xfe01 * UINT64_C(60000);
    stale.stale_min = 0xfe01;
    without.vector = NULL;
    without.dimensions = 0;
    without.question = (struct span){NULL, 0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf frame;

        frame_of(cases[i], &frame);
        CHECK_STATUS(ST_OK, entry_decode(buf_span(&frame), &e));
        check_same(cases[i], e);
        entry_unref(e);
        buf_release(&frame);
    }
}

/* The format is an agreement between versions and replicas. */
static void the_format_is_what_it_was(void **state)
{
    struct entry e = sample();
    struct buf frame;

    (void)state;
    frame_of(&e, &frame);
    assert_int_equal(frame.len, 12 + 144 + 16 + 10 + 21 + 11 + 8);
    assert_memory_equal(frame.ptr, "ibid\2\0\0\0\336\0\0\0\253", 13);
    assert_int_equal(hash_bytes(buf_span(&frame), 0), 0x800a1aef26ce688eu);
    buf_release(&frame);
}

/* One copy a case, of exactly its size, so that a read past the end shows. */
static enum status decode_copy(const char *bytes, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);
    struct entry *e;
    enum status st;

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    st = entry_decode((struct span){copy, n}, &e);
    if (st == ST_OK)
        entry_unref(e);
    free(copy);
    return st;
}

static void every_flipped_bit_is_seen(void **state)
{
    struct entry e = sample();
    struct buf frame;

    (void)state;
    frame_of(&e, &frame);
    for (size_t bit = 0; bit < frame.len * 8; bit++) {
        frame.ptr[bit / 8] ^= (char)(1u << bit % 8);
        CHECK_STATUS(ST_INVALID, decode_copy(frame.ptr, frame.len));
        frame.ptr[bit / 8] ^= (char)(1u << bit % 8);
    }
    CHECK_STATUS(ST_OK, decode_copy(frame.ptr, frame.len));
    buf_release(&frame);
}

static void every_other_length_is_seen(void **state)
{
    struct entry e = sample();
    struct buf frame;

    (void)state;
    frame_of(&e, &frame);
    for (size_t n = 0; n < frame.len; n++)
        CHECK_STATUS(ST_INVALID, decode_copy(frame.ptr, n));
    CHECK_STATUS(ST_OK, buf_append(&frame, SPAN("x")));
    CHECK_STATUS(ST_INVALID, decode_copy(frame.ptr, frame.len));
    buf_release(&frame);
}

/* Puts length and checksum right, so that only the field under test is wrong. */
static void sign(struct buf *frame)
{
    uint64_t sum = hash_bytes((struct span){frame->ptr, frame->len - 8}, 0x69626964u);

    for (unsigned i = 0; i < 8; i++)
        frame->ptr[frame->len - 8 + i] = (char)(sum >> (8 * i) & 0xff);
}

static void lying_fields_are_refused(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t bytes[4];
    } cases[] = {
        {"another magic", 0, {'i', 'b', 'i', 'c'}},
        {"an earlier version", 4, {1, 0, 0, 0}},
        {"a later version", 4, {3, 0, 0, 0}},
        {"stale for longer than it lives", 4, {2, 0, 2, 0}},
        {"a longer model", 12 + 96, {11, 0, 0, 0}},
        {"a model of 4 GiB", 12 + 96, {255, 255, 255, 255}},
        {"a question of 4 GiB", 12 + 100, {255, 255, 255, 255}},
        {"too many dimensions", 12 + 104, {255, 255, 255, 255}},
        {"dimensions beyond the frame", 12 + 104, {0, 16, 0, 0}},
        {"an answer beyond the frame", 12 + 108, {0, 1, 0, 0}},
        {"a vector with NaN", 156, {0, 0, 192, 127}},
        {"a vector with infinity", 156, {0, 0, 128, 127}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct entry e = sample();
        struct buf frame;

        frame_of(&e, &frame);
        memcpy(frame.ptr + cases[i].at, cases[i].bytes, 4);
        sign(&frame);
        if (decode_copy(frame.ptr, frame.len) != ST_INVALID)
            fail_msg("taken: %s", cases[i].what);
        buf_release(&frame);
    }
}

static void what_no_frame_holds_is_refused(void **state)
{
    struct entry huge = sample(), wide = sample(), *e;
    float *vector = calloc(ENTRY_DIMENSIONS_MAX + 1, sizeof(float));
    struct buf frame;

    (void)state;
    assert_non_null(vector);
    huge.answer.len = ENTRY_FRAME_BYTES_MAX; /* never read */
    CHECK_STATUS(ST_LIMIT, entry_new(&huge, &e));
    huge.answer.len = SIZE_MAX;
    CHECK_STATUS(ST_LIMIT, entry_new(&huge, &e));
    wide.vector = vector;
    wide.dimensions = ENTRY_DIMENSIONS_MAX + 1;
    CHECK_STATUS(ST_LIMIT, entry_new(&wide, &e));
    wide.dimensions = ENTRY_DIMENSIONS_MAX;
    CHECK_STATUS(ST_OK, entry_new(&wide, &e));
    entry_unref(e);
    buf_init(&frame, 64);
    wide = sample();
    CHECK_STATUS(ST_LIMIT, entry_encode(&wide, &frame));
    assert_int_equal(frame.len, 0);
    buf_release(&frame);
    free(vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_live_on_their_own),
        cmocka_unit_test(frames_come_back),
        cmocka_unit_test(the_format_is_what_it_was),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(every_other_length_is_seen),
        cmocka_unit_test(lying_fields_are_refused),
        cmocka_unit_test(what_no_frame_holds_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
