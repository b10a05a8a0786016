/* JSON values parsed into an arena, and the few writers we need.
 *
 * Parsing is strict RFC 8259: valid UTF-8, no trailing bytes, no duplicate keys
 * in one object, a depth limit. A number keeps its text: one beyond 64 bits is
 * legal JSON and must survive. Any thread; a tree is read-only after parsing.
 * json_parse.c reads, json.c is the rest. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define JSON_DEPTH_MAX 128

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    enum json_type type;
    uint32_t count;   /* members of an array or object */
    struct span key;  /* decoded; only for a member of an object */
    struct span text; /* string: decoded bytes; number: its characters as sent */
    union {
        size_t at;     /* strings and numbers: where `text` began in the parsed text */
        uint64_t keys; /* objects: the bits of all keys (json_key_bit()), perhaps of more;
                          0: of none, or they were not gathered */
    };
    struct json *child; /* first member, in the order sent */
    struct json *next;  /* next sibling */
};

/* Why a text was refused. */
struct json_error {
    size_t offset;  /* byte offset of the trouble, best effort */
    char text[128]; /* "duplicate key 'model'", lower case, no full stop */
};

/* One bit of 64, the same for equal keys. */
static inline uint64_t json_key_bit(struct span key)
{
    unsigned first = key.len > 0 ? (unsigned char)key.ptr[0] : 0;
    unsigned last = key.len > 0 ? (unsigned char)key.ptr[key.len - 1] : 0;

    return (uint64_t)1 << ((unsigned)(key.len * 7 + first * 3 + last) & 63);
}

/* Parses `text` into `arena`. Strings are copied, so `text` may go afterwards.
 * ST_INVALID with *err set; ST_LIMIT when deeper than depth_max or when the
 * arena is full (also with *err set). depth_max: 1..JSON_DEPTH_MAX. */
enum status json_parse(struct arena *arena, struct span text, unsigned depth_max,
                       struct json **out, struct json_error *err) MUST_CHECK;

/* json_get() behind its first look. */
const struct json *json_find(const struct json *object, struct span key);

/* Member of an object by name; NULL when absent or when `v` is NULL or not an
 * object. Most that is asked for is absent, and told by its bit, a constant. */
static inline const struct json *json_get(const struct json *v, struct span key)
{
    if (v == NULL || v->type != JSON_OBJECT ||
        (v->keys != 0 && (v->keys & json_key_bit(key)) == 0))
        return NULL;
    return json_find(v, key);
}

/* NULL-safe conversions; false when absent or of another type (or out of range). */
bool json_bool(const struct json *v, bool *out) MUST_CHECK;
bool json_u64(const struct json *v, uint64_t *out) MUST_CHECK;
bool json_double(const struct json *v, double *out) MUST_CHECK;
/* The decoded string, or an empty span with ptr NULL. */
struct span json_str(const struct json *v);

/* "object", "string", ...: for error texts. Never NULL. */
const char *json_type_name(enum json_type t);

/* Appends `s` as a JSON string with quotes. Invalid UTF-8 becomes U+FFFD. */
enum status json_write_string(struct buf *out, struct span s) MUST_CHECK;

/* Appends `v` compactly, members in the order sent. */
enum status json_write(struct buf *out, const struct json *v) MUST_CHECK;

/* Appends `v` in canonical form (RFC 8785 in spirit): keys sorted by bytes, no
 * white space, strings minimally escaped, numbers normalised so that 1, 1.0 and
 * 1e0 are equal while numbers that a double cannot hold keep their digits. */
enum status json_write_canonical(struct buf *out, const struct json *v) MUST_CHECK;

#endif
