#include "router/words.h"

bool words_has(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct words words_of(struct span text)
{
    return (struct words){.rest = text};
}

struct span words_next(struct words *w)
{
    size_t n = 0;

    while (w->rest.len > 0 && !words_has(*w->rest.ptr)) {
        w->rest.ptr++;
        w->rest.len--;
    }
    for (; w->rest.len > 0 && words_has(*w->rest.ptr); w->rest.ptr++, w->rest.len--) {
        if (n < sizeof(w->text))
            w->text[n++] = small(*w->rest.ptr);
    }
    return (struct span){w->text, n};
}
