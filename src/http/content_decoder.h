/* Content codings (RFC 9110 8.4.1), read beside a relay: coded bytes in any chunking ->
 * plain bytes. gzip and deflate by zlib, br by brotli, zstd. Not thread-safe. */
#ifndef HTTP_CONTENT_DECODER_H
#define HTTP_CONTENT_DECODER_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct content_decoder;

/* `plain` is valid until it returns. Any status but ST_OK ends the decoding and is returned
 * by content_decoder_feed(). */
typedef enum status content_decoder_fn(void *owner, struct span plain);

/* `coding` is the value of a Content-Encoding. ST_NOTFOUND for one that we do not know, or
 * for several at once; ST_NOMEM. */
enum status content_decoder_open(struct span coding, content_decoder_fn *on_plain, void *owner,
                                 struct content_decoder **out) MUST_CHECK;
void content_decoder_close(struct content_decoder *d);

/* ST_INVALID: not of that coding, or something after its end. */
enum status content_decoder_feed(struct content_decoder *d, struct span coded) MUST_CHECK;

/* Did the coded bytes come to their own end? */
bool content_decoder_ended(const struct content_decoder *d);

#endif
