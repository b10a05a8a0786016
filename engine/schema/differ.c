#include <string.h>

#include "engine/schema/nodes.h"

static bool differ(const struct schema *s, uint32_t a, uint32_t b, unsigned depth);

/* Both lists are in order. */
static bool literals_differ(const struct schema_node *x, const struct schema_node *y)
{
    uint32_t i = 0, k = 0;

    while (i < x->as.literals.count && k < y->as.literals.count) {
        int order = span_order(x->as.literals.list[i], y->as.literals.list[k]);

        if (order == 0)
            return false;
        i += order < 0;
        k += order > 0;
    }
    return true;
}

static bool objects_differ(const struct schema *s, const struct schema_node *x,
                           const struct schema_node *y, unsigned depth)
{
    for (uint32_t i = 0; i < x->as.object.count; i++) {
        for (uint32_t k = 0; k < y->as.object.count; k++) {
            const struct schema_member *a = &x->as.object.members[i],
                                       *b = &y->as.object.members[k];

            if (a->required && b->required && span_eq(a->key, b->key) &&
                differ(s, a->node, b->node, depth + 1))
                return true;
        }
    }
    return false;
}

/* First bytes of a kind's texts. */
static const char *begins(enum schema_kind kind)
{
    switch (kind) {
    case SCHEMA_STRING:
        return "\"";
    case SCHEMA_NUMBER:
        return "-0123456789";
    case SCHEMA_ARRAY:
        return "[";
    case SCHEMA_OBJECT:
        return "{";
    case SCHEMA_LITERALS:
    case SCHEMA_ANY_OF:
        break;
    }
    return "";
}

static bool begins_with(const struct schema_node *literals, const char *first)
{
    for (uint32_t i = 0; i < literals->as.literals.count; i++) {
        if (strchr(first, literals->as.literals.list[i].ptr[0]) != NULL)
            return true;
    }
    return false;
}

static bool all_differ(const struct schema *s, const struct schema_node *any_of, uint32_t b,
                       unsigned depth)
{
    for (uint32_t i = 0; i < any_of->as.any_of.count; i++) {
        if (!differ(s, any_of->as.any_of.list[i], b, depth + 1))
            return false;
    }
    return any_of->as.any_of.count > 0; /* 0: we are within it */
}

static bool differ(const struct schema *s, uint32_t a, uint32_t b, unsigned depth)
{
    const struct schema_node *x = &s->nodes[a], *y = &s->nodes[b];

    if (depth > 8)
        return false;
    if (x->kind == SCHEMA_ANY_OF)
        return all_differ(s, x, b, depth);
    if (y->kind == SCHEMA_ANY_OF)
        return all_differ(s, y, a, depth);
    if (x->kind == SCHEMA_LITERALS && y->kind == SCHEMA_LITERALS)
        return literals_differ(x, y);
    if (x->kind == SCHEMA_LITERALS)
        return !begins_with(x, begins(y->kind));
    if (y->kind == SCHEMA_LITERALS)
        return !begins_with(y, begins(x->kind));
    if (x->kind != y->kind)
        return true;
    return x->kind == SCHEMA_OBJECT && objects_differ(s, x, y, depth);
}

bool schema_differ(const struct schema *s, uint32_t a, uint32_t b)
{
    return differ(s, a, b, 0);
}
