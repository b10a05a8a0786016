#include "http/head.h"

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* The same of eight at once: a carry into a byte's highest bit tells that it is beyond 'A',
 * or beyond 'Z'. */
static uint64_t lower8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t rest = w & ~tops, from_a = rest + ones * (0x80 - 'A'),
             after_z = rest + ones * (0x7f - 'Z');

    return w | ((from_a & ~after_z & ~w & tops) >> 2);
}

static uint64_t load8(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return w;
}

/* The first four and the last four of four to eight bytes. */
static uint64_t load_ends(const char *p, size_t n)
{
    uint32_t first, last;

    memcpy(&first, p, sizeof(first));
    memcpy(&last, p + n - sizeof(last), sizeof(last));
    return (uint64_t)first << 32 | last;
}

static bool word_eq(uint64_t a, uint64_t b)
{
    return a == b || lower8(a) == lower8(b);
}

bool http_name_eq_bytes(const char *a, const char *b, size_t n)
{
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            if (!word_eq(load8(a + i), load8(b + i)))
                return false;
        }
        return word_eq(load8(a + n - 8), load8(b + n - 8));
    }
    if (n >= 4)
        return word_eq(load_ends(a, n), load_ends(b, n));
    for (size_t i = 0; i < n; i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

/* Letters, digits and !#$%&'*+-.^_`|~ */
const uint64_t http_token_chars[4] = {0x03ff6cfa00000000u, 0x57ffffffc7fffffeu,
                                      0x0000000000000000u, 0x0000000000000000u};
/* HTAB, SP, and all from 0x21 on but DEL. */
const uint64_t http_value_chars[4] = {0xffffffff00000200u, 0x7fffffffffffffffu,
                                      0xffffffffffffffffu, 0xffffffffffffffffu};

struct span http_head_get(const struct http_head *h, struct span name)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (http_name_eq(h->fields[i].name, name))
            return h->fields[i].value;
    }
    return (struct span){NULL, 0};
}

size_t http_head_count(const struct http_head *h, struct span name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->field_count; i++)
        n += http_name_eq(h->fields[i].name, name);
    return n;
}

static bool list_has(struct span list, struct span token)
{
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        struct span item = {list.ptr, comma != NULL ? (size_t)(comma - list.ptr) : list.len};
        size_t step = item.len + (comma != NULL);

        while (item.len > 0 && (item.ptr[0] == ' ' || item.ptr[0] == '\t')) {
            item.ptr++;
            item.len--;
        }
        while (item.len > 0 &&
               (item.ptr[item.len - 1] == ' ' || item.ptr[item.len - 1] == '\t'))
            item.len--;
        if (http_name_eq(item, token))
            return true;
        list.ptr += step;
        list.len -= step;
    }
    return false;
}

bool http_head_has_token(const struct http_head *h, struct span name, struct span token)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (http_name_eq(h->fields[i].name, name) && list_has(h->fields[i].value, token))
            return true;
    }
    return false;
}

/* RFC 9110 7.6.1, and what older proxies added to it. */
#define HOP_NAMES(X)                                                                           \
    X("connection")                                                                            \
    X("keep-alive")                                                                            \
    X("proxy-connection")                                                                      \
    X("transfer-encoding")                                                                     \
    X("te")                                                                                    \
    X("trailer")                                                                               \
    X("upgrade")                                                                               \
    X("proxy-authenticate")                                                                    \
    X("proxy-authorization")

bool http_head_is_hop_by_hop(const struct http_head *h, struct span name)
{
    static const struct span names[] = {HOP_NAMES(HTTP_NAME_SPAN)};
    const uint64_t bits = 0 HOP_NAMES(HTTP_NAME_BIT); /* of constants: one itself */

    for (size_t i = 0; (http_name_bit(name) & bits) != 0 && i < ARRAY_LEN(names); i++) {
        if (http_name_eq(name, names[i]))
            return true;
    }
    return h->names_hops && http_head_has_token(h, SPAN("connection"), name);
}

static bool all_in_set(const uint64_t *set, const char *p, size_t n)
{
    bool all = true;

    /* No early end: nearly always they are, and so the loop stays tight. */
    for (size_t i = 0; i < n; i++)
        all &= http_in_set(set, p[i]);
    return all;
}

#if defined(__SSSE3__)
/* Sixteen at once: a byte's low half names the row of a table, and bit h of the row says
 * whether the byte with the high half h is in the set. Bytes beyond ASCII find an empty row. */
static bool all_tokens16(__m128i v)
{
    const __m128i rows =
        _mm_setr_epi8(-24, -4, -8, -4, -4, -4, -4, -4, -8, -8, -12, 84, -48, 84, -12, 112);
    const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    __m128i high = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(0x0f));
    __m128i in = _mm_and_si128(_mm_shuffle_epi8(rows, v), _mm_shuffle_epi8(bits, high));

    return _mm_movemask_epi8(_mm_cmpeq_epi8(in, _mm_setzero_si128())) == 0;
}

static __m128i load16(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* The last ones together with some before them, so that nothing beyond the end is read. */
bool http_is_token(struct span s)
{
    const char *p = s.ptr;
    size_t n = s.len;

    if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16) {
            if (!all_tokens16(load16(p + i)))
                return false;
        }
        return all_tokens16(load16(p + n - 16));
    }
    if (n >= 8)
        return all_tokens16(_mm_set_epi64x((long long)load8(p + n - 8), (long long)load8(p)));
    if (n >= 4)
        return all_tokens16(_mm_set1_epi64x((long long)load_ends(p, n)));
    return all_in_set(http_token_chars, p, n);
}

static bool all_values16(__m128i v)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));

    return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)) == 0;
}

bool http_is_value(struct span s)
{
    const char *p = s.ptr;
    size_t n = s.len;

    if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16) {
            if (!all_values16(load16(p + i)))
                return false;
        }
        return all_values16(load16(p + n - 16));
    }
    if (n >= 8)
        return all_values16(_mm_set_epi64x((long long)load8(p + n - 8), (long long)load8(p)));
    if (n >= 4)
        return all_values16(_mm_set1_epi64x((long long)load_ends(p, n)));
    return all_in_set(http_value_chars, p, n);
}
#else
bool http_is_token(struct span s)
{
    return all_in_set(http_token_chars, s.ptr, s.len);
}

bool http_is_value(struct span s)
{
    return all_in_set(http_value_chars, s.ptr, s.len);
}
#endif

bool http_field_is_safe(const struct http_field *f)
{
    return f->name.len > 0 && http_is_token(f->name) && http_is_value(f->value);
}

const char *http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } reasons[] = {
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {424, "Failed Dependency"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {529, "Site Overloaded"},
    };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}
