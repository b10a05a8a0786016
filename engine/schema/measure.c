#include "engine/schema/nodes.h"

/* Two of them, or one without an end. */
static uint32_t plus(uint32_t a, uint32_t b)
{
    return a == SCHEMA_ENDLESS || b == SCHEMA_ENDLESS || a > SCHEMA_ENDLESS / 2 ||
                   b > SCHEMA_ENDLESS / 2
               ? SCHEMA_ENDLESS
               : a + b;
}

struct size {
    uint32_t least, depth;
};

static uint32_t times(uint32_t a, uint32_t n)
{
    return a == SCHEMA_ENDLESS || (n > 0 && a > SCHEMA_ENDLESS / 2 / n) ? SCHEMA_ENDLESS
                                                                        : a * n;
}

/* It holds `count` of a node, each with some bytes beside it. */
static void hold(const struct schema *s, struct size *z, uint32_t node, uint32_t bytes,
                 uint32_t count)
{
    const struct schema_node *n = &s->nodes[node];
    uint32_t depth = plus(n->depth, 1);

    z->least = plus(z->least, times(plus(n->least, bytes), count));
    z->depth = depth > z->depth ? depth : z->depth;
}

uint32_t schema_item(const struct schema_node *array, uint32_t at)
{
    return at < array->as.array.first_count ? array->as.array.first[at] : array->as.array.rest;
}

static struct size size_of_number(const struct number_range *r)
{
    (void)r;
    /* Enough for any; how it ends is found where it is needed. */
    return (struct size){1, 1};
}

static struct size size_of(const struct schema *s, const struct schema_node *n)
{
    struct size z = {SCHEMA_ENDLESS, SCHEMA_ENDLESS};

    switch (n->kind) {
    case SCHEMA_LITERALS:
        for (uint32_t i = 0; i < n->as.literals.count; i++) {
            if (n->as.literals.list[i].len < z.least)
                z = (struct size){(uint32_t)n->as.literals.list[i].len, 1};
        }
        break;
    case SCHEMA_STRING:
        z = (struct size){plus(2, n->as.string.pattern != NULL ? n->as.string.pattern->least[0]
                                                               : n->as.string.least),
                          1};
        break;
    case SCHEMA_NUMBER:
        z = size_of_number(&n->as.number);
        break;
    case SCHEMA_ARRAY:
        z = (struct size){2, 1};
        for (uint32_t i = 0; i < n->as.array.least && i < n->as.array.first_count; i++)
            hold(s, &z, schema_item(n, i), 1, 1);
        if (n->as.array.least > n->as.array.first_count)
            hold(s, &z, n->as.array.rest, 1, n->as.array.least - n->as.array.first_count);
        break;
    case SCHEMA_OBJECT:
        z = (struct size){2, 1};
        for (uint32_t i = 0; i < n->as.object.count; i++) {
            if (n->as.object.members[i].required)
                hold(s, &z, n->as.object.members[i].node,
                     (uint32_t)n->as.object.members[i].key.len + 2, 1);
        }
        break;
    case SCHEMA_ANY_OF:
        for (uint32_t i = 0; i < n->as.any_of.count; i++) {
            const struct schema_node *a = &s->nodes[n->as.any_of.list[i]];

            z.least = a->least < z.least ? a->least : z.least;
            z.depth = a->depth < z.depth ? a->depth : z.depth;
        }
        break;
    }
    return z;
}

void schema_measure(struct schema *s)
{
    bool more = true;

    while (more) {
        more = false;
        /* What holds others comes before them. */
        for (uint32_t i = s->count; i-- > 0;) {
            struct schema_node *n = &s->nodes[i];
            struct size z = size_of(s, n);

            if (z.least < n->least || z.depth < n->depth) {
                n->least = z.least;
                n->depth = z.depth;
                more = true;
            }
        }
    }
}
