/* A decoder hands out what it has in pieces of a fixed size, so that a small body that
 * decodes to a huge one takes no memory; what is kept of it is bounded by who keeps it. */
#include "http/content_decoder.h"

#include <stdlib.h>

#define ZLIB_CONST /* its input is read only */
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/compiler.h"
#include "http/head.h"

#define PIECE_BYTES (16 * 1024)
/* zlib's windowBits: the largest window, and either header, gzip's or zlib's, found out by
 * itself. */
#define ANY_HEADER (15 + 32)
/* A larger window than this is refused (RFC 8878 3.1.1.1.2 recommends to support 8 MB). */
#define ZSTD_WINDOW_LOG_MAX 23

struct kind {
    const char *names[2];
    enum status (*open)(struct content_decoder *d);
    void (*close)(struct content_decoder *d);
    enum status (*feed)(struct content_decoder *d, struct span coded);
};

struct content_decoder {
    const struct kind *kind;
    content_decoder_fn *on_plain;
    void *owner;
    bool ended;
    z_stream zlib;
    BrotliDecoderState *brotli; /* owned */
    ZSTD_DStream *zstd;         /* owned */
    char piece[PIECE_BYTES];
};

static enum status hand_out(struct content_decoder *d, size_t n)
{
    return n > 0 ? d->on_plain(d->owner, (struct span){d->piece, n}) : ST_OK;
}

/* --- gzip, deflate ------------------------------------------------------------------------ */

static enum status zlib_open(struct content_decoder *d)
{
    return inflateInit2(&d->zlib, ANY_HEADER) == Z_OK ? ST_OK : ST_NOMEM;
}

static void zlib_close(struct content_decoder *d)
{
    (void)inflateEnd(&d->zlib);
}

static enum status zlib_feed(struct content_decoder *d, struct span coded)
{
    z_stream *z = &d->zlib;
    enum status st = ST_OK;

    z->next_in = (const Bytef *)coded.ptr;
    z->avail_in = (uInt)coded.len;
    do {
        int code;

        z->next_out = (Bytef *)d->piece;
        z->avail_out = sizeof(d->piece);
        code = inflate(z, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            d->ended = true;
        else if (code != Z_OK && code != Z_BUF_ERROR)
            return code == Z_MEM_ERROR ? ST_NOMEM : ST_INVALID;
        st = hand_out(d, sizeof(d->piece) - z->avail_out);
    } while (st == ST_OK && !d->ended && z->avail_out == 0);
    return st == ST_OK && d->ended && z->avail_in > 0 ? ST_INVALID : st;
}

/* --- br ------------------------------------------------------------------------------------
 */

static enum status brotli_open(struct content_decoder *d)
{
    d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return d->brotli != NULL ? ST_OK : ST_NOMEM;
}

static void brotli_close(struct content_decoder *d)
{
    BrotliDecoderDestroyInstance(d->brotli);
}

static enum status brotli_feed(struct content_decoder *d, struct span coded)
{
    const uint8_t *in = (const uint8_t *)coded.ptr;
    size_t in_left = coded.len;
    BrotliDecoderResult result;
    enum status st;

    do {
        uint8_t *out = (uint8_t *)d->piece;
        size_t out_left = sizeof(d->piece);

        result = BrotliDecoderDecompressStream(d->brotli, &in_left, &in, &out_left, &out, NULL);
        if (result == BROTLI_DECODER_RESULT_ERROR)
            return ST_INVALID;
        st = hand_out(d, sizeof(d->piece) - out_left);
    } while (st == ST_OK && result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    d->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    return st == ST_OK && d->ended && in_left > 0 ? ST_INVALID : st;
}

/* --- zstd ----------------------------------------------------------------------------------
 */

static enum status zstd_open(struct content_decoder *d)
{
    d->zstd = ZSTD_createDStream();
    if (d->zstd == NULL)
        return ST_NOMEM;
    if (!ZSTD_isError(
            ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
        return ST_OK;
    (void)ZSTD_freeDStream(d->zstd);
    return ST_INTERNAL;
}

static void zstd_close(struct content_decoder *d)
{
    (void)ZSTD_freeDStream(d->zstd);
}

/* Several frames one after the other are one body (RFC 8878 3.1). */
static enum status zstd_feed(struct content_decoder *d, struct span coded)
{
    ZSTD_inBuffer in = {coded.ptr, coded.len, 0};
    ZSTD_outBuffer out;
    enum status st = ST_OK;

    do {
        size_t left;

        out = (ZSTD_outBuffer){d->piece, sizeof(d->piece), 0};
        left = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(left))
            return ST_INVALID;
        d->ended = left == 0;
        st = hand_out(d, out.pos);
    } while (st == ST_OK && (in.pos < in.size || (out.pos == out.size && !d->ended)));
    return st;
}

static const struct kind kinds[] = {
    {{"gzip", "x-gzip"}, zlib_open, zlib_close, zlib_feed},
    {{"deflate", "deflate"}, zlib_open, zlib_close, zlib_feed},
    {{"br", "br"}, brotli_open, brotli_close, brotli_feed},
    {{"zstd", "zstd"}, zstd_open, zstd_close, zstd_feed},
};

enum status content_decoder_open(struct span coding, content_decoder_fn *on_plain, void *owner,
                                 struct content_decoder **out)
{
    const struct kind *kind = NULL;
    struct content_decoder *d;
    enum status st;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (http_name_eq(coding, span_of(kinds[i].names[0])) ||
            http_name_eq(coding, span_of(kinds[i].names[1])))
            kind = &kinds[i];
    }
    if (kind == NULL)
        return ST_NOTFOUND;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return ST_NOMEM;
    d->kind = kind;
    d->on_plain = on_plain;
    d->owner = owner;
    st = kind->open(d);
    if (st != ST_OK) {
        free(d);
        return st;
    }
    *out = d;
    return ST_OK;
}

void content_decoder_close(struct content_decoder *d)
{
    d->kind->close(d);
    free(d);
}

enum status content_decoder_feed(struct content_decoder *d, struct span coded)
{
    if (coded.len == 0)
        return ST_OK;
    if (d->ended && d->kind->feed != zstd_feed)
        return ST_INVALID; /* something after the end */
    return d->kind->feed(d, coded);
}

bool content_decoder_ended(const struct content_decoder *d)
{
    return d->ended;
}
