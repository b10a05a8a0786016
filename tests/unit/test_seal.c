#define _GNU_SOURCE /* memmem() */

#include "base/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "check.h"

#define KEY_A "0101010101010101010101010101010101010101010101010101010101010101"
#define KEY_B "0202020202020202020202020202020202020202020202020202020202020202"
#define KEY_C "0303030303030303030303030303030303030303030303030303030303030303"

/* Known answers of the specification (c2sp.org/XAES-256-GCM): in the first the top bit of the
 * subkey before its doubling is clear, in the second it is set. */
static const struct {
    uint8_t key_byte;
    struct span beside;
    const char *sealed;
} known[] = {
    {1, {"", 0}, "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
    {3,
     {"c2sp.org/XAES-256-GCM", 21},
     "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
};

static void known_answers(void **state)
{
    static const uint8_t nonce[] = "ABCDEFGHIJKLMNOPQRSTUVWX";
    const struct span text = SPAN("XAES-256-GCM");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        uint8_t key[SEAL_KEY_BYTES];
        char out[64], hex[128], back[64];
        size_t n = text.len + SEAL_TAG_BYTES;

        memset(key, known[i].key_byte, sizeof(key));
        CHECK_STATUS(ST_OK, seal_encrypt(key, nonce, known[i].beside, text, out));
        digest_hex((const uint8_t *)out, n, hex);
        assert_string_equal(known[i].sealed, hex);
        CHECK_STATUS(ST_OK,
                     seal_decrypt(key, nonce, known[i].beside, (struct span){out, n}, back));
        CHECK_SPAN(text, ((struct span){back, text.len}));
    }
}

static struct seal_ring ring_of(const char *lines)
{
    struct seal_ring r;
    char why[160] = "";

    if (seal_read_keys(span_of(lines), &r, why, sizeof(why)) != ST_OK)
        fail_msg("%s", why);
    return r;
}

static const struct {
    const char *text;
    size_t count; /* 0: refused */
    const char *why;
} files[] = {
    {KEY_A "\n", 1, ""},
    {KEY_A, 1, ""},
    {"# newest first\n\n  " KEY_A " \r\n" KEY_B "\n", 2, ""},
    {"", 0, "there is no key in it: 64 hexadecimal digits a line"},
    {"# none\n", 0, "there is no key in it: 64 hexadecimal digits a line"},
    {KEY_A "\n" KEY_A "\n", 0, "line 2: this key is there twice"},
    {"\nabc\n", 0, "line 2: a key is 64 hexadecimal digits (openssl rand -hex 32)"},
    {KEY_A "0\n", 0, "line 1: a key is 64 hexadecimal digits (openssl rand -hex 32)"},
};

static void keys_are_read(void **state)
{
    char many[(SEAL_KEYS_MAX + 1) * 80] = "", why[160];
    struct seal_ring r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        enum status want = files[i].count > 0 ? ST_OK : ST_INVALID;

        why[0] = '\0';
        CHECK_STATUS(want, seal_read_keys(span_of(files[i].text), &r, why, sizeof(why)));
        assert_string_equal(files[i].why, why);
        if (want == ST_OK)
            assert_int_equal(files[i].count, r.count);
    }
    for (unsigned i = 0; i <= SEAL_KEYS_MAX; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "%064x\n", i + 1);
    CHECK_STATUS(ST_INVALID, seal_read_keys(span_of(many), &r, why, sizeof(why)));
    assert_string_equal("line 9: there are too many keys", why);
}

static void sealed(const struct seal_ring *r, struct span text, struct buf *out)
{
    buf_init(out, 1 << 20);
    CHECK_STATUS(ST_OK, seal_close(r, text, out));
    assert_int_equal(text.len + SEAL_MORE_BYTES, out->len);
    assert_true(seal_is_sealed(buf_span(out)));
}

static void comes_back(void **state)
{
    struct seal_ring r = ring_of(KEY_A);
    char *text = malloc(100000);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < 100000; i++)
        text[i] = (char)(i * 7);
    for (size_t n = 0; n <= 100000; n = n < 40 ? n + 1 : n * 5) {
        struct buf out, back;

        sealed(&r, (struct span){text, n}, &out);
        buf_init(&back, 1 << 20);
        CHECK_STATUS(ST_OK, seal_open(&r, buf_span(&out), &back));
        assert_int_equal(n, back.len);
        assert_memory_equal(text, back.ptr, n);
        buf_release(&out);
        buf_release(&back);
    }
    free(text);
}

/* Nothing of the text shows, and the same text is never sealed to the same bytes. */
static void shows_nothing(void **state)
{
    struct seal_ring r = ring_of(KEY_A);
    struct span text = SPAN("the very same words the very same words");
    struct buf a, b;

    (void)state;
    sealed(&r, text, &a);
    sealed(&r, text, &b);
    assert_null(memmem(a.ptr, a.len, "very same", 9));
    assert_memory_equal(a.ptr, b.ptr, SEAL_HEAD_BYTES - SEAL_NONCE_BYTES);
    assert_memory_not_equal(a.ptr + SEAL_HEAD_BYTES - SEAL_NONCE_BYTES,
                            b.ptr + SEAL_HEAD_BYTES - SEAL_NONCE_BYTES, SEAL_NONCE_BYTES);
    assert_memory_not_equal(a.ptr + SEAL_HEAD_BYTES, b.ptr + SEAL_HEAD_BYTES, text.len);
    buf_release(&a);
    buf_release(&b);
}

/* Any other bit, and any other length, is refused, and nothing is handed out. */
static void every_bit_counts(void **state)
{
    struct seal_ring r = ring_of(KEY_A);
    struct buf out, back;

    (void)state;
    sealed(&r, SPAN("an answer"), &out);
    buf_init(&back, 1 << 20);
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        char was = out.ptr[bit / 8];

        out.ptr[bit / 8] = (char)(was ^ 1 << bit % 8);
        assert_int_not_equal(ST_OK, seal_open(&r, buf_span(&out), &back));
        assert_int_equal(0, back.len);
        out.ptr[bit / 8] = was;
    }
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(ST_OK, seal_open(&r, (struct span){out.ptr, n}, &back));
    CHECK_STATUS(ST_OK, buf_append(&out, SPAN("x")));
    CHECK_STATUS(ST_INVALID, seal_open(&r, buf_span(&out), &back));
    assert_int_equal(0, back.len);
    buf_release(&out);
    buf_release(&back);
}

/* B is put before A; then A is taken away. */
static void keys_rotate(void **state)
{
    struct seal_ring a = ring_of(KEY_A), both = ring_of(KEY_B "\n" KEY_A), b = ring_of(KEY_B);
    char name[2 * SEAL_ID_BYTES + 1], newer[2 * SEAL_ID_BYTES + 1];
    struct buf old, new, back;

    (void)state;
    sealed(&a, SPAN("older"), &old);
    sealed(&both, SPAN("newer"), &new);
    buf_init(&back, 1 << 20);
    CHECK_STATUS(ST_OK, seal_open(&both, buf_span(&old), &back));
    CHECK_STATUS(ST_OK, seal_open(&both, buf_span(&new), &back));
    CHECK_SPAN(SPAN("oldernewer"), buf_span(&back));
    CHECK_STATUS(ST_OK, seal_open(&b, buf_span(&new), &back));
    CHECK_STATUS(ST_UNAVAILABLE, seal_open(&b, buf_span(&old), &back));
    assert_true(seal_has_key(&both, buf_span(&old)));
    assert_false(seal_has_key(&b, buf_span(&old)));
    seal_key_name(buf_span(&old), name);
    seal_key_name(buf_span(&new), newer);
    assert_string_not_equal(name, newer);
    buf_release(&old);
    buf_release(&new);
    buf_release(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),    cmocka_unit_test(keys_are_read),
        cmocka_unit_test(comes_back),       cmocka_unit_test(shows_nothing),
        cmocka_unit_test(every_bit_counts), cmocka_unit_test(keys_rotate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
