/* Nodes of values without parts: numbers, strings, and one of some values. */
#ifndef ENGINE_SCHEMA_SCALAR_H
#define ENGINE_SCHEMA_SCALAR_H

#include "engine/schema/compiler.h"

/* Each: the node; errors go to the compiler. */
uint32_t scalar_enum(struct compiler *c, const struct json *values);
uint32_t scalar_number(struct compiler *c, const struct json *schema, bool whole);
uint32_t scalar_string(struct compiler *c, const struct json *schema);

#endif
