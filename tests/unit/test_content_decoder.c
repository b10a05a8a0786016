/* What was coded in any way is read in any chunking; what is cut or has more after its end
 * is known. */
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "check.h"
#include "http/content_decoder.h"

#define GZIP_HEADER (15 + 16)
#define CODED_MAX   (1u << 20)

static char coded[CODED_MAX];

static size_t by_zlib(const char *text, size_t n, int window_bits)
{
    z_stream z = {.next_in = (const Bytef *)text,
                  .avail_in = (uInt)n,
                  .next_out = (Bytef *)coded,
                  .avail_out = sizeof(coded)};

    assert_int_equal(Z_OK, deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY));
    assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
    assert_int_equal(Z_OK, deflateEnd(&z));
    return z.total_out;
}

static size_t encode(const char *coding, const char *text, size_t n)
{
    size_t len = sizeof(coded);

    if (strcmp(coding, "gzip") == 0)
        return by_zlib(text, n, GZIP_HEADER);
    if (strcmp(coding, "deflate") == 0)
        return by_zlib(text, n, 15);
    if (strcmp(coding, "br") == 0) {
        assert_true(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, n, (const uint8_t *)text,
                                          &len, (uint8_t *)coded));
        return len;
    }
    len = ZSTD_compress(coded, sizeof(coded), text, n, 3);
    assert_false(ZSTD_isError(len));
    return len;
}

static const char *const codings[] = {"gzip", "deflate", "br", "zstd"};

static enum status keep(void *owner, struct span plain)
{
    return buf_append(owner, plain);
}

/* In two pieces, the first of n bytes. */
static enum status decode(const char *coding, size_t len, size_t n, struct buf *out,
                          bool *ended)
{
    struct content_decoder *d;
    enum status st;

    CHECK_STATUS(ST_OK, content_decoder_open(span_of(coding), keep, out, &d));
    st = content_decoder_feed(d, (struct span){coded, n});
    if (st == ST_OK)
        st = content_decoder_feed(d, (struct span){coded + n, len - n});
    *ended = content_decoder_ended(d);
    content_decoder_close(d);
    return st;
}

static void test_any_chunking(void **state)
{
    static const char text[] = "data: {\"a\":\"b\"}\n\ndata: {\"a\":\"\xe4\xb8\xad\"}\n\n";
    bool ended;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        size_t len = encode(codings[i], text, sizeof(text) - 1);
        struct buf out;

        buf_init(&out, 1 << 16);
        for (size_t n = 0; n <= len; n++) {
            buf_clear(&out);
            CHECK_STATUS(ST_OK, decode(codings[i], len, n, &out, &ended));
            assert_true(ended);
            CHECK_SPAN(span_of(text), buf_span(&out));
        }
        /* Cut anywhere. */
        for (size_t n = 0; n < len; n++) {
            buf_clear(&out);
            CHECK_STATUS(ST_OK, decode(codings[i], n, n / 2, &out, &ended));
            assert_false(ended);
        }
        /* One byte too many. */
        coded[len] = 'x';
        CHECK_STATUS(ST_INVALID, decode(codings[i], len + 1, len, &out, &ended));
        buf_release(&out);
    }
}

/* Larger than any piece, and exactly as large as some. */
static void test_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 32768, 200000};
    char *text = malloc(200000);
    bool ended;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < 200000; i++)
        text[i] = (char)('a' + i * i % 17 + i / 5000 % 7);
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
            size_t len = encode(codings[i], text, sizes[k]);
            struct buf out;

            buf_init(&out, 1 << 20);
            CHECK_STATUS(ST_OK, decode(codings[i], len, len / 3, &out, &ended));
            assert_true(ended);
            assert_int_equal(out.len, sizes[k]);
            assert_true(sizes[k] == 0 || memcmp(out.ptr, text, sizes[k]) == 0);
            buf_release(&out);
        }
    }
    free(text);
}

/* A small body that decodes to a large one stops at the keeper's limit. */
static void test_a_bomb_is_bounded(void **state)
{
    size_t n = 64u << 20;
    char *zeros = calloc(1, n);
    bool ended;

    (void)state;
    assert_non_null(zeros);
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        size_t len = encode(codings[i], zeros, n);
        struct buf out;

        buf_init(&out, 100000);
        CHECK_STATUS(ST_LIMIT, decode(codings[i], len, 10, &out, &ended));
        assert_true(out.len <= 100000);
        buf_release(&out);
    }
    free(zeros);
}

static void test_what_is_no_coding_of_ours(void **state)
{
    static const char *const others[] = {"", "identity", "compress", "gzip, br", "x-new"};
    struct content_decoder *d;
    struct buf out;
    bool ended;

    (void)state;
    buf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        CHECK_STATUS(ST_NOTFOUND, content_decoder_open(span_of(others[i]), keep, &out, &d));
    CHECK_STATUS(ST_OK, content_decoder_open(SPAN("X-GZIP"), keep, &out, &d));
    content_decoder_close(d);
    memcpy(coded, "{\"plain\":\"text, and no coding at all\"}", 38);
    for (size_t i = 0; i < ARRAY_LEN(codings); i++)
        assert_true(decode(codings[i], 38, 20, &out, &ended) != ST_OK || !ended);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_chunking),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_bomb_is_bounded),
        cmocka_unit_test(test_what_is_no_coding_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
