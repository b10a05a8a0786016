#include "config/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BYTES 40

static const struct {
    struct span name;
    uint64_t factor;
} units[] = {
    {{"TiB", 3}, UINT64_C(1) << 40},
    {{"GiB", 3}, UINT64_C(1) << 30},
    {{"MiB", 3}, UINT64_C(1) << 20},
    {{"KiB", 3}, UINT64_C(1) << 10},
    {{"TB", 2}, 1000000000000},
    {{"GB", 2}, 1000000000},
    {{"MB", 2}, 1000000},
    {{"kB", 2}, 1000},
    {{"B", 1}, 1},
    {{"", 0}, 1},
};

#define BINARY_UNITS 4

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum status value_uint(struct span text, uint64_t *out)
{
    uint64_t n = 0;

    if (text.len == 0)
        return ST_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit;

        if (!is_digit(text.ptr[i]))
            return ST_INVALID;
        digit = (uint64_t)(text.ptr[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return ST_LIMIT;
        n = n * 10 + digit;
    }
    *out = n;
    return ST_OK;
}

enum status value_bytes(struct span text, uint64_t *out)
{
    size_t digits = 0, at;
    enum status st;
    uint64_t n;

    while (digits < text.len && is_digit(text.ptr[digits]))
        digits++;
    st = value_uint((struct span){text.ptr, digits}, &n);
    if (st != ST_OK)
        return st;
    for (at = digits; at < text.len && text.ptr[at] == ' ';)
        at++;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!span_eq(units[i].name, (struct span){text.ptr + at, text.len - at}))
            continue;
        if (n > UINT64_MAX / units[i].factor)
            return ST_LIMIT;
        *out = n * units[i].factor;
        return ST_OK;
    }
    return ST_INVALID;
}

/* strtod() also takes white space, hexadecimal, "inf" and "nan". */
static bool looks_decimal(struct span text)
{
    bool digit = false;

    for (size_t i = 0; i < text.len; i++) {
        if (strchr("0123456789.+-eE", text.ptr[i]) == NULL)
            return false;
        digit |= is_digit(text.ptr[i]);
    }
    return digit;
}

enum status value_real(struct span text, double *out)
{
    char copy[NUMBER_BYTES], *end;
    double v;

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len) != NULL ||
        !looks_decimal(text))
        return ST_INVALID;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    v = strtod(copy, &end);
    if (*end != '\0')
        return ST_INVALID;
    if (!isfinite(v))
        return ST_LIMIT;
    *out = v;
    return ST_OK;
}

enum status value_bool(struct span text, bool *out)
{
    static const struct {
        struct span word;
        bool value;
    } words[] = {{{"on", 2}, true},  {{"off", 3}, false}, {{"yes", 3}, true},
                 {{"no", 2}, false}, {{"true", 4}, true}, {{"false", 5}, false}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_eq(words[i].word, text)) {
            *out = words[i].value;
            return ST_OK;
        }
    }
    return ST_INVALID;
}

static unsigned two_digits(const char *s)
{
    return (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
}

bool value_is_date(struct span text)
{
    static const unsigned days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    bool leap;

    if (text.len != 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 4 || i == 7 ? text.ptr[i] != '-' : !is_digit(text.ptr[i]))
            return false;
    }
    year = two_digits(text.ptr) * 100 + two_digits(text.ptr + 2);
    month = two_digits(text.ptr + 5);
    day = two_digits(text.ptr + 8);
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] &&
           (month != 2 || day < 29 || leap);
}

enum status value_write_bytes(struct buf *out, uint64_t n)
{
    for (size_t i = 0; n > 0 && i < BINARY_UNITS; i++) {
        if (n % units[i].factor == 0)
            return buf_printf(out, "%" PRIu64 "%s", n / units[i].factor, units[i].name.ptr);
    }
    return buf_printf(out, "%" PRIu64, n);
}

enum status value_write_real(struct buf *out, double v)
{
    char text[NUMBER_BYTES];

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return buf_append(out, span_of(text));
}

/* Could `text` be read as something else than itself when it stands unquoted? */
static bool is_plain(struct span text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789._/+-:@,=()";

    if (text.len == 0 || text.ptr[text.len - 1] == ':' ||
        strchr("-:@,=()", text.ptr[0]) != NULL)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0' || strchr(safe, text.ptr[i]) == NULL)
            return false;
    }
    return true;
}

enum status value_write_text(struct buf *out, struct span text)
{
    enum status st;

    if (is_plain(text))
        return buf_append(out, text);
    st = buf_append(out, SPAN("\""));
    for (size_t i = 0; st == ST_OK && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c == '"' || c == '\\')
            st = buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            st = buf_printf(out, "\\x%02x", c);
        else
            st = buf_append(out, (struct span){text.ptr + i, 1});
    }
    return st == ST_OK ? buf_append(out, SPAN("\"")) : st;
}
