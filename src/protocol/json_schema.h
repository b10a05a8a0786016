/* Is a JSON value valid of a JSON Schema (draft 2020-12: json-schema.org/draft/2020-12)? For
 * answers that others wrote; engine/schema writes ours, and knows fewer texts. Pure; any
 * thread.
 *
 * Judged: type, enum, const, properties, required, additionalProperties, minProperties,
 * maxProperties, items, prefixItems, minItems, maxItems, minLength, maxLength, minimum,
 * maximum, exclusiveMinimum, exclusiveMaximum, multipleOf of integers, allOf, anyOf, oneOf,
 * not, $ref within the schema, true, false; and OpenAPI's nullable. Annotations are passed
 * over. */
#ifndef PROTOCOL_JSON_SCHEMA_H
#define PROTOCOL_JSON_SCHEMA_H

struct json;

enum json_schema_verdict {
    JSON_SCHEMA_VALID,
    JSON_SCHEMA_INVALID,
    /* It depends on a keyword that is not judged (pattern, if, contains, …), on a reference to
     * elsewhere, or would take too long to find out. */
    JSON_SCHEMA_UNSURE,
};

enum json_schema_verdict json_schema_check(const struct json *schema, const struct json *value);

#endif
