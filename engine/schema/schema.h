/* JSON Schema as a machine over bytes: which texts are JSON that is valid, and how one that
 * has begun may go on. For writing, so it knows fewer texts than a validator: members in the
 * order of the schema, white space in few places, numbers without exponents. Each text that it
 * lets through to the end is valid, and from wherever it lets a text come, there is an end.
 *
 * Keywords (draft 2020-12, and the older names that generators write): type, enum, const,
 * properties, required, additionalProperties, items, prefixItems, minItems, maxItems,
 * minLength, maxLength, pattern, format, minimum, maximum, exclusiveMinimum, exclusiveMaximum,
 * multipleOf, anyOf, oneOf and allOf where one of them can be told to hold, $ref within the
 * schema, $defs, definitions, nullable, and annotations. Another is refused by name. */
#ifndef ENGINE_SCHEMA_SCHEMA_H
#define ENGINE_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/span.h"
#include "base/status.h"

struct schema;
struct schema_walk;

struct schema_error {
    char text[256]; /* "'uniqueItems' at #/properties/tags is not supported" */
};

/* NULL: any object. Immutable; any thread. ST_INVALID with *err set: it is none, it says what
 * is not supported, or nothing is valid; ST_LIMIT (and *err): too large. `json` may go
 * afterwards. */
enum status schema_open(const struct json *json, struct schema **out,
                        struct schema_error *err) MUST_CHECK;
void schema_close(struct schema *s);

/* A text that is being written, of one thread. The schema stays. */
enum status schema_walk_open(const struct schema *s, struct schema_walk **out) MUST_CHECK;
void schema_walk_close(struct schema_walk *w);

/* May the text go on so? */
bool schema_walk_may(struct schema_walk *w, struct span bytes);
/* It does; it may. */
void schema_walk_go(struct schema_walk *w, struct span bytes);
/* It does not, after all: nothing was asked or done since. */
void schema_walk_back(struct schema_walk *w);
/* Is the text valid as it is? Is there nothing that may follow? */
bool schema_walk_may_end(const struct schema_walk *w);
bool schema_walk_must_end(const struct schema_walk *w);
/* Appends one of the shortest ways to an end. */
enum status schema_walk_ending(const struct schema_walk *w, struct buf *out) MUST_CHECK;

#endif
