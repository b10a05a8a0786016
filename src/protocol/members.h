/* Members of a JSON object that come in pieces, merged by what they are, not by name:
 * strings are concatenated, arrays appended, anything else: the last one counts. So what we
 * do not know is not lost. */
#ifndef PROTOCOL_MEMBERS_H
#define PROTOCOL_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct json;

#define MEMBERS_MAX            24
#define MEMBERS_NAME_MAX_BYTES 64

enum members_merge { MERGE_NONE, MERGE_STRING, MERGE_ARRAY, MERGE_LAST };

struct member {
    char name[MEMBERS_NAME_MAX_BYTES];
    enum members_merge how;
    struct buf value; /* string: its text; array: elements with commas; last: JSON */
};

struct members {
    struct member *list; /* owned; as long as needed: thousands of streams have some each */
    size_t count, cap, limit;
};

/* `limit` bytes of each value. */
void members_init(struct members *m, size_t limit);
void members_release(struct members *m);
bool members_empty(const struct members *m);
/* NULL when it did not come. Valid until one more comes. */
const struct member *members_find(const struct members *m, struct span name);

/* The next piece of a member. ST_LIMIT: too many, too long a name, a full value, or no memory
 * for one more. */
enum status members_merge(struct members *m, struct span name, const struct json *v) MUST_CHECK;
/* Of several the last counts, whatever it is. */
enum status members_set(struct members *m, struct span name, const struct json *v) MUST_CHECK;
/* An element of an array. */
enum status members_append(struct members *m, struct span name,
                           const struct json *v) MUST_CHECK;

/* "name":value */
enum status members_write_one(struct buf *out, const struct member *x) MUST_CHECK;
/* Each as JSON with a comma before it, but for the first when `first`. */
enum status members_write(struct buf *out, const struct members *m, bool first) MUST_CHECK;

/* The members of an object, each after a comma, but for those named in `skip`. */
enum status members_put_others(struct buf *out, const struct json *v, const struct span *skip,
                               size_t n) MUST_CHECK;

#endif
