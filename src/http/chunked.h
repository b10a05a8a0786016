/* The chunked transfer coding (RFC 9112 7.1), reading side: bytes in any pieces ->
 * pieces of the body, then the end. Extensions and trailers are checked and thrown
 * away. Every line ends with CRLF, a size is hexadecimal digits and nothing else: what
 * is lenient here is where two readers disagree about the next request. Pure. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

enum chunked_state {
    CHUNKED_SIZE_FIRST, /* at least one digit is due */
    CHUNKED_SIZE,
    CHUNKED_EXTENSION,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER_FIRST, /* a trailer's name, or the CR of the end */
    CHUNKED_TRAILER_NAME,
    CHUNKED_TRAILER_VALUE,
    CHUNKED_TRAILER_LF,
    CHUNKED_END_LF,
    CHUNKED_END,
};

struct chunked {
    enum chunked_state state;
    unsigned digits; /* of the size under way */
    uint64_t left;   /* of the chunk */
    uint64_t framing_bytes, body_bytes;
};

void chunked_start(struct chunked *c);

/* One piece of the body, or none: *used bytes of `in` are spent, *piece is empty when
 * there was only framing. The end is c->state == CHUNKED_END; no call may follow it.
 * ST_INVALID: the framing is broken; ST_LIMIT: there is too much of it. */
enum status chunked_next(struct chunked *c, struct span in, size_t *used,
                         struct span *piece) MUST_CHECK;

#endif
