/* The head of an HTTP/1.1 message: request line or status line and fields.
 *
 * All spans point into the arena it was parsed into (or are borrowed literals
 * when we write one ourselves). Field names keep the sender's spelling; look-up
 * ignores case. Pure; any thread. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define HTTP_FIELDS_MAX 128

struct http_field {
    struct span name;
    struct span value; /* without surrounding white space */
};

enum http_framing {
    HTTP_NO_BODY,   /* none follows */
    HTTP_LENGTH,    /* content_length bytes */
    HTTP_CHUNKED,   /* chunked transfer coding */
    HTTP_UNTIL_EOF, /* responses only: ends with the connection */
};

struct http_head {
    /* request */
    struct span method;
    struct span target; /* origin-form as sent: path and query */
    struct span path;   /* target up to '?' */
    struct span query;  /* after '?'; empty when there is none */
    /* response */
    unsigned status;
    struct span reason;
    /* both */
    unsigned minor; /* HTTP/1.minor */
    struct http_field *fields;
    size_t field_count;
    enum http_framing framing;
    uint64_t content_length; /* HTTP_LENGTH only */
    bool keep_alive;         /* what the message allows (RFC 9112 9.3) */
    bool expect_continue;
    bool names_hops; /* it has a Connection field */
};

/* First field of that name; empty span with ptr NULL when absent. */
struct span http_head_get(const struct http_head *h, struct span name);
/* How many fields have that name. */
size_t http_head_count(const struct http_head *h, struct span name);
/* Does the comma-separated list field `name` contain `token` (any case)? */
bool http_head_has_token(const struct http_head *h, struct span name, struct span token);

bool http_name_eq_bytes(const char *a, const char *b, size_t n);

/* ASCII, ignoring case. Names mostly differ in length, or in the first letter. */
static inline bool http_name_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || ((a.ptr[0] ^ b.ptr[0]) & ~0x20) == 0) &&
           http_name_eq_bytes(a.ptr, b.ptr, a.len);
}

/* A list of names, X("name") each, as spans, and as the set of their bits: nearly all fields
 * differ from all of a list by that. */
#define HTTP_NAME_SPAN(lit) {"" lit, sizeof(lit) - 1},
#define HTTP_NAME_BIT(lit)  | http_name_bit(SPAN(lit))

/* One bit of 64, the same for names that differ in case only. The factors keep the fields that
 * clients commonly send apart from our lists. */
static inline uint64_t http_name_bit(struct span name)
{
    unsigned first, last;

    if (name.len == 0)
        return 0;
    first = (unsigned char)name.ptr[0] | 0x20u;
    last = (unsigned char)name.ptr[name.len - 1] | 0x20u;
    return (uint64_t)1 << ((unsigned)(name.len * 7 + first * 23 + last * 17) & 63);
}

/* Sets of bytes, a bit each. */
extern const uint64_t http_token_chars[4]; /* of a field's name or a method, RFC 9110 5.6.2 */
extern const uint64_t http_value_chars[4]; /* of a field's value, RFC 9110 5.5: no controls */

static inline bool http_in_set(const uint64_t *set, char c)
{
    return (set[(unsigned char)c >> 6] >> ((unsigned char)c & 63) & 1) != 0;
}

/* Nothing but http_token_chars? */
bool http_is_token(struct span s);

/* Nothing but http_value_chars? */
bool http_is_value(struct span s);

static inline bool http_is_token_char(char c)
{
    return http_in_set(http_token_chars, c);
}

/* Is the field hop-by-hop in this message: RFC 9110 7.6.1's list, and whatever
 * the message's own Connection field names? Such a field is never relayed. */
bool http_head_is_hop_by_hop(const struct http_head *h, struct span name);

/* Can it be written without becoming two fields, or none (RFC 9110 5.5)? */
bool http_field_is_safe(const struct http_field *f);

/* "Not Found". Never NULL. */
const char *http_reason(unsigned status);

#endif
