/* Which keywords a schema has, and what they say of one another (JSON Schema 2020-12, and what
 * OpenAPI and the APIs add). */
#ifndef ENGINE_SCHEMA_KEYWORDS_H
#define ENGINE_SCHEMA_KEYWORDS_H

#include "base/json.h"

/* The first one that is not supported; {NULL}: there is none. */
struct span keywords_unknown(const struct json *schema);
/* The keyword that says which of several it is: "$ref", "enum", "const", "anyOf", "oneOf" or
 * "allOf"; NULL: there is none. */
const char *keywords_choice(const struct json *schema);
/* Nothing beside a choice narrows what is valid, but for `type`. */
bool keywords_stand_alone(const struct json *schema, const char *choice);
/* `type` beside a choice is true of each value: else it would have to be taken apart. */
bool keywords_type_agrees(const struct json *schema, const char *choice);
/* The type that a schema without `type` has by its other keywords; {NULL}: any. */
struct span keywords_type(const struct json *schema);

#endif
