/* What becomes of a schema while it is read, and how a node of it is made. */
#ifndef ENGINE_SCHEMA_COMPILER_H
#define ENGINE_SCHEMA_COMPILER_H

#include "base/json.h"
#include "engine/schema/nodes.h"

#define COMPILER_LIST_MAX  4096       /* values of an enum, required members */
#define COMPILER_ITEMS_MAX UINT32_MAX /* of which there may be any number */

/* What stands where, while it becomes a node: for references, some of them to itself. */
struct compiler_known {
    const struct json *json;
    uint32_t node;
};

struct compiler {
    struct schema *s;
    const struct json *root;
    struct compiler_known *known;
    uint32_t known_count, patterns, pattern_steps; /* steps: that are left */
    unsigned depth;
    char path[160]; /* where we are, for errors */
    struct schema_error *err;
    enum status st; /* of the first error; nothing is made after it */
};

/* Notes the first error: "'what' at path why". SCHEMA_ANY. */
uint32_t compiler_refuse(struct compiler *c, enum status st, const char *what, const char *why);
/* Zeroes, in the schema's arena; NULL: refused. */
void *compiler_allot(struct compiler *c, size_t n, size_t size);
/* The new node. */
uint32_t compiler_add(struct compiler *c, struct schema_node n);
/* Of texts in the arena, which are put in order. */
uint32_t compiler_add_literals(struct compiler *c, struct span *list, uint32_t count);
/* Of one text or two, which stay; b: NULL if there is none. */
uint32_t compiler_add_texts(struct compiler *c, const char *a, const char *b);
/* A value as JSON, in the arena. */
struct span compiler_write(struct compiler *c, const struct json *v);
/* A keyword's count, or `other` if it is absent. */
uint32_t compiler_count(struct compiler *c, const struct json *schema, const char *key,
                        uint32_t other);

#endif
