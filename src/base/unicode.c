#include "base/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>

bool unicode_next(struct span s, size_t *at, uint32_t *out)
{
    const unsigned char *p = (const unsigned char *)s.ptr + *at;
    utf8proc_int32_t c;
    utf8proc_ssize_t n;

    if (*p < 0x80) { /* nearly always */
        *out = *p;
        (*at)++;
        return true;
    }
    n = utf8proc_iterate(p, (utf8proc_ssize_t)(s.len - *at), &c);
    if (n <= 0)
        return false;
    *out = (uint32_t)c;
    *at += (size_t)n;
    return true;
}

size_t unicode_put(uint32_t c, char *out)
{
    utf8proc_uint8_t bytes[UNICODE_UTF8_MAX];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);

    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (char)bytes[i];
    return n > 0 ? (size_t)n : 0;
}

enum unicode_class unicode_class_of(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return UNICODE_LETTER;
    case UTF8PROC_CATEGORY_MN:
        return UNICODE_MARK;
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return UNICODE_OTHER_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return UNICODE_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return UNICODE_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return UNICODE_SYMBOL;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return UNICODE_SEPARATOR;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
        return UNICODE_CONTROL;
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS:
        break;
    }
    return UNICODE_UNASSIGNED;
}

enum unicode_case unicode_case_of(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);

    if (k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LT)
        return UNICODE_CASE_UPPER;
    if (k == UTF8PROC_CATEGORY_LL)
        return UNICODE_CASE_LOWER;
    if (k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_LO || k == UTF8PROC_CATEGORY_MN ||
        k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME)
        return UNICODE_CASE_EITHER;
    return UNICODE_CASE_NONE;
}

bool unicode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

uint32_t unicode_lower(uint32_t c)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

size_t unicode_decompose(uint32_t c, uint32_t *out)
{
    utf8proc_int32_t buffer[UNICODE_DECOMPOSE_MAX];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)c, buffer, UNICODE_DECOMPOSE_MAX, UTF8PROC_DECOMPOSE, &boundary);

    if (n <= 0 || n > UNICODE_DECOMPOSE_MAX) {
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)buffer[i];
    return (size_t)n;
}

size_t unicode_valid_prefix(struct span s)
{
    size_t at = 0;
    uint32_t c;

    while (at < s.len) {
        uint64_t eight;

        if (s.len - at >= sizeof(eight)) {
            memcpy(&eight, s.ptr + at, sizeof(eight));
            if ((eight & 0x8080808080808080u) == 0) { /* ASCII, as nearly always */
                at += sizeof(eight);
                continue;
            }
        }
        if (!unicode_next(s, &at, &c))
            return at;
    }
    return at;
}

bool unicode_valid(struct span s)
{
    return unicode_valid_prefix(s) == s.len;
}

struct span unicode_trim_end(struct span s)
{
    while (s.len > 0) {
        size_t start = s.len - 1, at;
        uint32_t c;

        while (start > 0 && ((unsigned char)s.ptr[start] & 0xc0) == 0x80)
            start--;
        at = start;
        if (!unicode_next(s, &at, &c) || !unicode_is_space(c))
            break;
        s.len = start;
    }
    return s;
}

bool unicode_in_ranges(const struct unicode_range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (c > ranges[mid].to)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && c >= ranges[low].from;
}

bool unicode_breaks(uint32_t a, uint32_t b, int32_t *state)
{
    return utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, state);
}

/* Below U+0300 nothing composes or is composed otherwise. */
bool unicode_is_composed(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0xcc)
            return false;
    }
    return true;
}

enum status unicode_compose(struct span s, struct buf *out)
{
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.ptr, (utf8proc_ssize_t)s.len,
                                      &text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    enum status st;

    if (n < 0)
        return n == UTF8PROC_ERROR_NOMEM ? ST_NOMEM : ST_INVALID;
    st = buf_append(out, (struct span){(const char *)text, (size_t)n});
    free(text);
    return st;
}
