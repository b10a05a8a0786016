#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_release(struct buf *b)
{
    free(b->ptr);
    buf_init(b, b->limit);
}

enum status buf_reserve(struct buf *b, size_t more)
{
    size_t cap = b->cap != 0 ? b->cap : BUF_FIRST_BYTES;
    char *p;

    if (more > b->limit || b->len > b->limit - more)
        return ST_LIMIT;
    if (b->len + more <= b->cap)
        return ST_OK;
    while (cap < b->len + more)
        cap = cap > b->limit / 2 ? b->limit : cap * 2;
    if (cap > b->limit)
        cap = b->limit;
    p = realloc(b->ptr, cap);
    if (p == NULL)
        return ST_NOMEM;
    b->ptr = p;
    b->cap = cap;
    return ST_OK;
}

enum status buf_append_grown(struct buf *b, struct span s)
{
    enum status st = buf_reserve(b, s.len);

    return st == ST_OK ? buf_append(b, s) : st;
}

enum status buf_append_u64(struct buf *b, uint64_t n, unsigned width)
{
    char digits[20]; /* of UINT64_MAX */
    size_t at = sizeof(digits);

    assert(width <= sizeof(digits));
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (sizeof(digits) - at < width)
        digits[--at] = '0';
    return buf_append(b, (struct span){digits + at, sizeof(digits) - at});
}

/* Room that is made before the length is known: most texts fit and are formatted once. */
#define PRINTF_ROOM 128

enum status buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    enum status st = ST_OK;
    size_t room;
    va_list again;
    int n;

    if (b->cap - b->len < PRINTF_ROOM)
        (void)!buf_reserve(b, PRINTF_ROOM); /* at the limit there may be less */
    room = b->cap - b->len;
    va_copy(again, args);
    n = vsnprintf(room > 0 ? b->ptr + b->len : NULL, room, fmt, args);
    if (n < 0) {
        st = ST_INVALID;
    } else if ((size_t)n >= room) {
        /* vsnprintf wants room for a NUL; it is not counted in len. */
        st = buf_reserve(b, (size_t)n + 1);
        if (st == ST_OK)
            vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
    }
    if (st == ST_OK)
        b->len += (size_t)n;
    va_end(again);
    return st;
}

enum status buf_printf(struct buf *b, const char *fmt, ...)
{
    enum status st;
    va_list args;

    va_start(args, fmt);
    st = buf_vprintf(b, fmt, args);
    va_end(args);
    return st;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n < b->len)
        memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
}
