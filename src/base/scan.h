/* Runs of bytes, sixteen (SSE2) or eight at a time: the inner loops of whoever reads or
 * writes texts. Pure; any thread. */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Needs an escape in a JSON string, or ends it (RFC 8259 7). */
static inline bool scan_is_special(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* May the eight bytes at p hold a special one, or (`ascii`) one beyond ASCII? By the test for
 * a byte below n (Anderson, Bit Twiddling Hacks); a false alarm only costs a closer look. */
static inline bool scan_eight(const char *p, bool ascii)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t w, low, quote, backslash;

    memcpy(&w, p, sizeof(w));
    low = (w - ones * 0x20) & ~w;
    quote = w ^ (ones * '"');
    backslash = w ^ (ones * '\\');
    quote = (quote - ones) & ~quote;
    backslash = (backslash - ones) & ~backslash;
    return ((low | quote | backslash | (ascii ? w : 0)) & tops) != 0;
}

#if defined(__SSE2__)
/* Bit i: is byte i of the sixteen special? *high: the same of bytes beyond ASCII. */
static inline unsigned scan_sixteen(const char *p, unsigned *high)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

    *high = (unsigned)_mm_movemask_epi8(v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, backslash)));
}
#endif

/* What must be readable behind the byte that ends scan_string(). */
#define SCAN_AHEAD 16

/* How many bytes from p on are not special. There must be a special one, and SCAN_AHEAD
 * readable bytes behind it. *high is set when a byte beyond ASCII is among them, or
 * soon after. */
static inline size_t scan_string(const char *p, bool *high)
{
    size_t i = 0;

#if defined(__SSE2__)
    unsigned beyond, special;

    for (;; i += 16) {
        special = scan_sixteen(p + i, &beyond);
        *high |= beyond != 0;
        if (special != 0)
            return i + (size_t)__builtin_ctz(special);
    }
#else
    for (;;) {
        while (!scan_eight(p + i, true))
            i += 8;
        for (size_t end = i + 8; i < end; i++) {
            if (scan_is_special((unsigned char)p[i]))
                return i;
            *high |= (unsigned char)p[i] >= 0x80;
        }
    }
#endif
}

/* How many of the n bytes are neither special nor beyond ASCII. */
static inline size_t scan_plain(const char *p, size_t n)
{
    size_t i = 0;

#if defined(__SSE2__)
    for (; n - i >= 16; i += 16) {
        unsigned high, special = scan_sixteen(p + i, &high);

        if ((special | high) != 0)
            return i + (size_t)__builtin_ctz(special | high);
    }
#endif
    while (n - i >= 8 && !scan_eight(p + i, true))
        i += 8;
    while (i < n && !scan_is_special((unsigned char)p[i]) && (unsigned char)p[i] < 0x80)
        i++;
    return i;
}

#endif
