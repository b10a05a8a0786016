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
};

/* First field of that name; empty span with ptr NULL when absent. */
struct span http_head_get(const struct http_head *h, struct span name);
/* How many fields have that name. */
size_t http_head_count(const struct http_head *h, struct span name);
/* Does the comma-separated list field `name` contain `token` (any case)? */
bool http_head_has_token(const struct http_head *h, struct span name, struct span token);

bool http_name_eq(struct span a, struct span b); /* ASCII, ignoring case */

/* May it stand in a field's name or a method (RFC 9110 5.6.2)? */
bool http_is_token_char(char c);

/* Is the field hop-by-hop in this message: RFC 9110 7.6.1's list, and whatever
 * the message's own Connection field names? Such a field is never relayed. */
bool http_head_is_hop_by_hop(const struct http_head *h, struct span name);

/* Can it be written without becoming two fields, or none (RFC 9110 5.5)? */
bool http_field_is_safe(const struct http_field *f);

/* "Not Found". Never NULL. */
const char *http_reason(unsigned status);

#endif
