/* A borrowed view of bytes. Never owns, never NUL-terminated by contract. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN(lit) ((struct span){"" lit, sizeof(lit) - 1})

/* What differs mostly does so in its length or its first byte. */
static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len &&
           (a.len == 0 || (a.ptr[0] == b.ptr[0] && memcmp(a.ptr, b.ptr, a.len) == 0));
}

/* By bytes; of two that begin alike the shorter comes first. As of memcmp(). */
static inline int span_order(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

#endif
