#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scan.h"

const struct json *json_find(const struct json *object, struct span key)
{
    for (const struct json *m = object->child; m != NULL; m = m->next) {
        if (span_eq(m->key, key))
            return m;
    }
    return NULL;
}

bool json_bool(const struct json *v, bool *out)
{
    if (v == NULL || (v->type != JSON_TRUE && v->type != JSON_FALSE))
        return false;
    *out = v->type == JSON_TRUE;
    return true;
}

bool json_u64(const struct json *v, uint64_t *out)
{
    uint64_t n = 0;

    if (v == NULL || v->type != JSON_NUMBER || v->text.len > 20)
        return false;
    for (size_t i = 0; i < v->text.len; i++) {
        unsigned digit = (unsigned)(v->text.ptr[i] - '0');

        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool json_double(const struct json *v, double *out)
{
    char text[512], *end;
    double d;

    if (v == NULL || v->type != JSON_NUMBER || v->text.len >= sizeof(text))
        return false;
    memcpy(text, v->text.ptr, v->text.len);
    text[v->text.len] = '\0';
    d = strtod(text, &end);
    if (*end != '\0' || !isfinite(d))
        return false;
    *out = d;
    return true;
}

struct span json_str(const struct json *v)
{
    return v != NULL && v->type == JSON_STRING ? v->text : (struct span){NULL, 0};
}

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_NUMBER] = "number", [JSON_STRING] = "string", [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object",
    };

    return names[t];
}

/* --- writing ------------------------------------------------------------------------ */

/* Length of the valid UTF-8 sequence at p (1..4), or 0. */
static size_t utf8_length(const unsigned char *p, size_t room)
{
    unsigned c = p[0];
    unsigned low = 0x80, high = 0xbf;
    size_t n = c < 0x80                 ? 1
               : c >= 0xc2 && c <= 0xdf ? 2
               : (c & 0xf0) == 0xe0     ? 3
               : c >= 0xf0 && c <= 0xf4 ? 4
                                        : 0;

    if (n == 0 || n > room)
        return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF (Unicode table 3-7). */
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < n; i++) {
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

static enum status write_escape(struct buf *out, unsigned char c)
{
    static const char *const shorts[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r",
    };

    if (c == '"')
        return buf_append(out, SPAN("\\\""));
    if (c == '\\')
        return buf_append(out, SPAN("\\\\"));
    if (c < ARRAY_LEN(shorts) && shorts[c] != NULL)
        return buf_append(out, span_of(shorts[c]));
    return buf_printf(out, "\\u%04x", c);
}

/* What needs no escape and is ASCII, as nearly all is: looked at and copied, no more. */
static bool write_plain(struct buf *out, struct span s)
{
    char *to;

    if (out->cap - out->len < 2 || s.len > out->cap - out->len - 2 ||
        scan_plain(s.ptr, s.len) != s.len)
        return false;
    to = out->ptr + out->len;
    to[0] = '"';
    if (s.len > 0)
        memcpy(to + 1, s.ptr, s.len);
    to[s.len + 1] = '"';
    out->len += s.len + 2;
    return true;
}

enum status json_write_string(struct buf *out, struct span s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t start = 0, i = 0;
    enum status st;

    if (write_plain(out, s))
        return ST_OK;
    st = buf_append(out, SPAN("\""));
    while (st == ST_OK && i < s.len) {
        size_t n;

        i += scan_plain(s.ptr + i, s.len - i);
        if (i == s.len)
            break;
        n = p[i] < 0x80 ? 0 : utf8_length(p + i, s.len - i);
        if (n > 0) {
            i += n;
            continue;
        }
        st = buf_append(out, (struct span){s.ptr + start, i - start});
        if (st == ST_OK)
            st = p[i] < 0x80 ? write_escape(out, p[i]) : buf_append(out, SPAN("\xef\xbf\xbd"));
        start = ++i;
    }
    /* An absent string has no place to count from. */
    if (st == ST_OK && start < s.len)
        st = buf_append(out, (struct span){s.ptr + start, s.len - start});
    return st == ST_OK ? buf_append(out, SPAN("\"")) : st;
}

typedef enum status number_fn(struct buf *out, struct span text);

static enum status write_number_plain(struct buf *out, struct span text)
{
    return buf_append(out, text);
}

/* Digits of a number as an integer with a power of ten: 1.50e3 -> "15", 2. Returns
 * false when the exponent is beyond what an int holds. */
static bool split_number(struct span t, bool *negative, char *digits, size_t cap, size_t *count,
                         long *exponent)
{
    size_t i = 0, n = 0;
    long shift = 0, exp = 0;
    bool point = false, minus = false;

    *negative = t.ptr[0] == '-';
    i += *negative;
    for (; i < t.len && t.ptr[i] != 'e' && t.ptr[i] != 'E'; i++) {
        if (t.ptr[i] == '.') {
            point = true;
            continue;
        }
        shift -= point;
        if (n == 0 && t.ptr[i] == '0')
            continue; /* leading */
        if (n == cap)
            return false;
        digits[n++] = t.ptr[i];
    }
    if (i < t.len) {
        i++;
        minus = t.ptr[i] == '-';
        i += t.ptr[i] == '-' || t.ptr[i] == '+';
        for (; i < t.len; i++) {
            if (exp > 100000000)
                return false;
            exp = exp * 10 + (t.ptr[i] - '0');
        }
    }
    while (n > 0 && digits[n - 1] == '0') {
        n--;
        shift++;
    }
    *count = n;
    *exponent = shift + (minus ? -exp : exp);
    return true;
}

/* Equal numbers get equal text whatever their size: all significant digits and a power
 * of ten. A number with more digits than fit keeps its text, which can only cost a
 * hit. */
static enum status write_number_canonical(struct buf *out, struct span text)
{
    char digits[512];
    size_t n;
    long exponent;
    bool negative;
    enum status st;

    /* The usual ones: short integers without sign or point. */
    if (text.len < 16 && text.ptr[0] != '-' && memchr(text.ptr, '.', text.len) == NULL &&
        memchr(text.ptr, 'e', text.len) == NULL && memchr(text.ptr, 'E', text.len) == NULL &&
        (text.ptr[text.len - 1] != '0' || text.len == 1))
        return buf_append(out, text);
    if (!split_number(text, &negative, digits, sizeof(digits), &n, &exponent))
        return buf_append(out, text);
    if (n == 0)
        return buf_append(out, SPAN("0")); /* and -0 */
    st = negative ? buf_append(out, SPAN("-")) : ST_OK;
    if (st == ST_OK)
        st = buf_append(out, (struct span){digits, n});
    return st == ST_OK && exponent != 0 ? buf_printf(out, "e%ld", exponent) : st;
}

static enum status write_value(struct buf *out, const struct json *v, number_fn *number,
                               bool sorted);

static enum status write_member(struct buf *out, const struct json *v, bool comma,
                                number_fn *number, bool sorted)
{
    enum status st = comma ? buf_append(out, SPAN(",")) : ST_OK;

    if (st == ST_OK)
        st = json_write_string(out, v->key);
    if (st == ST_OK)
        st = buf_append(out, SPAN(":"));
    return st == ST_OK ? write_value(out, v, number, sorted) : st;
}

static int by_key(const void *a, const void *b)
{
    return span_order((*(const struct json *const *)a)->key,
                      (*(const struct json *const *)b)->key);
}

static enum status write_sorted(struct buf *out, const struct json *v, number_fn *number)
{
    const struct json *few[32], **list = few;
    enum status st = ST_OK;
    size_t n = 0;

    if (v->count > ARRAY_LEN(few))
        list = malloc(v->count * sizeof(const struct json *));
    if (list == NULL)
        return ST_NOMEM;
    for (const struct json *m = v->child; m != NULL; m = m->next) {
        /* Insertion keeps small objects, which are nearly all, away from qsort. */
        size_t at = n++;

        if (list == few) {
            while (at > 0 && span_order(list[at - 1]->key, m->key) > 0) {
                list[at] = list[at - 1];
                at--;
            }
        }
        list[at] = m;
    }
    if (list != few)
        qsort(list, n, sizeof(const struct json *), by_key);
    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = write_member(out, list[i], i > 0, number, true);
    if (list != few)
        free(list);
    return st;
}

static enum status write_object(struct buf *out, const struct json *v, number_fn *number,
                                bool sorted)
{
    enum status st = buf_append(out, SPAN("{"));

    if (st == ST_OK && sorted)
        st = write_sorted(out, v, number);
    for (const struct json *m = v->child; !sorted && st == ST_OK && m != NULL; m = m->next)
        st = write_member(out, m, m != v->child, number, false);
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

static enum status write_array(struct buf *out, const struct json *v, number_fn *number,
                               bool sorted)
{
    enum status st = buf_append(out, SPAN("["));

    for (const struct json *m = v->child; st == ST_OK && m != NULL; m = m->next) {
        if (m != v->child)
            st = buf_append(out, SPAN(","));
        if (st == ST_OK)
            st = write_value(out, m, number, sorted);
    }
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

/* Recursion is bounded: no tree is deeper than JSON_DEPTH_MAX. */
static enum status write_value(struct buf *out, const struct json *v, number_fn *number,
                               bool sorted)
{
    switch (v->type) {
    case JSON_NULL:
        return buf_append(out, SPAN("null"));
    case JSON_FALSE:
        return buf_append(out, SPAN("false"));
    case JSON_TRUE:
        return buf_append(out, SPAN("true"));
    case JSON_NUMBER:
        return number(out, v->text);
    case JSON_STRING:
        return json_write_string(out, v->text);
    case JSON_ARRAY:
        return write_array(out, v, number, sorted);
    case JSON_OBJECT:
        return write_object(out, v, number, sorted);
    }
    return ST_INTERNAL;
}

enum status json_write(struct buf *out, const struct json *v)
{
    return write_value(out, v, write_number_plain, false);
}

enum status json_write_canonical(struct buf *out, const struct json *v)
{
    return write_value(out, v, write_number_canonical, true);
}
