/* An owned, growing run of bytes that cannot grow past its limit.
 *
 * Not thread-safe. A failed append leaves the content as it was. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct buf {
    char *ptr; /* owned */
    size_t len;
    size_t cap;   /* never beyond limit */
    size_t limit; /* bytes; an append beyond it is ST_LIMIT */
};

/* Allocates nothing. */
void buf_init(struct buf *b, size_t limit);

/* Frees the bytes; the buf may be used again as if just initialized. */
void buf_release(struct buf *b);

/* Room for `more` bytes after len. ST_LIMIT or ST_NOMEM leave it unchanged. */
enum status buf_reserve(struct buf *b, size_t more) MUST_CHECK;

/* Makes room first; buf_append() is the usual way in. */
enum status buf_append_grown(struct buf *b, struct span s) MUST_CHECK;
/* `n` in decimal, with zeros in front up to `width` digits. */
enum status buf_append_u64(struct buf *b, uint64_t n, unsigned width) MUST_CHECK;
enum status buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
enum status buf_vprintf(struct buf *b, const char *fmt, va_list args)
    PRINTF_LIKE(2, 0) MUST_CHECK;

/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* ST_LIMIT or ST_NOMEM leave it unchanged. */
static inline MUST_CHECK enum status buf_append(struct buf *b, struct span s)
{
    /* Room that is there is within the limit. */
    if (s.len > b->cap - b->len)
        return buf_append_grown(b, s);
    if (s.len > 0)
        memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
    return ST_OK;
}

static inline struct span buf_span(const struct buf *b)
{
    struct span s = {b->ptr, b->len};

    return s;
}

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}

#endif
