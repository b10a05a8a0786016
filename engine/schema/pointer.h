/* JSON pointers as fragments: "#/$defs/name" (RFC 6901, section 6). */
#ifndef ENGINE_SCHEMA_POINTER_H
#define ENGINE_SCHEMA_POINTER_H

#include "base/json.h"

/* What it leads to within root; NULL: nothing. */
const struct json *pointer_resolve(const struct json *root, struct span ref);

#endif
