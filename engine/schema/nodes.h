/* What a schema is made of; compile.c makes it, walk.c walks it. */
#ifndef ENGINE_SCHEMA_NODES_H
#define ENGINE_SCHEMA_NODES_H

#include "base/arena.h"
#include "engine/schema/number.h"
#include "engine/schema/pattern.h"
#include "engine/schema/schema.h"

#define SCHEMA_NODES_MAX 4096
#define SCHEMA_DEPTH_MAX 48 /* values within values */
#define SCHEMA_ENDLESS   UINT32_MAX

enum schema_kind {
    SCHEMA_LITERALS, /* one of some texts: enum, const, true, false, null */
    SCHEMA_STRING,
    SCHEMA_NUMBER,
    SCHEMA_ARRAY,
    SCHEMA_OBJECT,
    SCHEMA_ANY_OF,
};

struct schema_member {
    struct span key; /* as JSON, quotes included */
    uint32_t node;
    bool required;
};

struct schema_node {
    enum schema_kind kind;
    /* Of the shortest valid text: bytes, and values within one another. SCHEMA_ENDLESS: there
     * is none. */
    uint32_t least, depth;
    union {
        struct {
            struct span *list; /* in order of their bytes */
            uint32_t count;
        } literals;
        struct {
            uint32_t least, most;          /* characters */
            const struct pattern *pattern; /* instead of them; NULL: none */
        } string;
        struct number_range number;
        struct {
            uint32_t *first, first_count; /* nodes of the first items */
            uint32_t rest;                /* of the others; SCHEMA_ENDLESS: there are none */
            uint32_t least, most;         /* items */
        } array;
        struct {
            struct schema_member *members;
            uint32_t count, needed; /* needed: members up to the last required one */
            uint32_t other;         /* of members that have no name here, if there is no
                                       other; SCHEMA_ENDLESS: there are none */
        } object;
        struct {
            uint32_t *list, count; /* of other kinds */
        } any_of;
    } as;
};

struct schema {
    struct arena arena;
    struct schema_node *nodes; /* in it; [0] is a key, [1] any value */
    uint32_t count, root;
    struct pattern *patterns; /* owned; a list */
};

#define SCHEMA_KEY 0
#define SCHEMA_ANY 1

/* The node of an item; SCHEMA_ENDLESS: there is none. */
uint32_t schema_item(const struct schema_node *array, uint32_t at);

/* Are texts of these two never the same? They are of other types, or told apart by a member
 * that both must have. */
bool schema_differ(const struct schema *s, uint32_t a, uint32_t b);
/* Sets the sizes of nodes, which refer to one another: the least that agree. */
void schema_measure(struct schema *s);

#endif
