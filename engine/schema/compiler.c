#include "engine/schema/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

uint32_t compiler_refuse(struct compiler *c, enum status st, const char *what, const char *why)
{
    if (c->st == ST_OK) {
        c->st = st;
        (void)snprintf(c->err->text, sizeof(c->err->text), "'%.60s' at %.140s %s", what,
                       c->path, why);
    }
    return SCHEMA_ANY;
}

void *compiler_allot(struct compiler *c, size_t n, size_t size)
{
    void *p = arena_alloc(&c->s->arena, (n > 0 ? n : 1) * size, 16);

    if (p == NULL)
        compiler_refuse(c, ST_LIMIT, "schema", "is too large");
    else
        memset(p, 0, (n > 0 ? n : 1) * size);
    return p;
}

uint32_t compiler_add(struct compiler *c, struct schema_node n)
{
    if (c->s->count == SCHEMA_NODES_MAX)
        return compiler_refuse(c, ST_LIMIT, "schema", "has too many parts");
    n.least = n.depth = SCHEMA_ENDLESS;
    c->s->nodes[c->s->count] = n;
    return c->s->count++;
}

static int by_bytes(const void *a, const void *b)
{
    return span_order(*(const struct span *)a, *(const struct span *)b);
}

uint32_t compiler_add_literals(struct compiler *c, struct span *list, uint32_t count)
{
    struct schema_node n = {.kind = SCHEMA_LITERALS};
    uint32_t kept = 0;

    if (c->st != ST_OK)
        return SCHEMA_ANY;
    qsort(list, count, sizeof(*list), by_bytes);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || !span_eq(list[kept - 1], list[i]))
            list[kept++] = list[i];
    }
    n.as.literals.list = list;
    n.as.literals.count = kept;
    return compiler_add(c, n);
}

struct span compiler_write(struct compiler *c, const struct json *v)
{
    struct span text = {"", 0};
    struct buf b;

    buf_init(&b, 64 * 1024);
    if (json_write(&b, v) != ST_OK || arena_copy(&c->s->arena, buf_span(&b), &text) != ST_OK)
        compiler_refuse(c, ST_LIMIT, "enum", "is too large");
    buf_release(&b);
    return text;
}

uint32_t compiler_add_texts(struct compiler *c, const char *a, const char *b)
{
    struct span *list = compiler_allot(c, 2, sizeof(*list));
    uint32_t n = 0;

    if (c->st != ST_OK)
        return SCHEMA_ANY;
    list[n++] = span_of(a);
    if (b != NULL)
        list[n++] = span_of(b);
    return compiler_add_literals(c, list, n);
}

uint32_t compiler_count(struct compiler *c, const struct json *schema, const char *key,
                        uint32_t other)
{
    const struct json *v = json_get(schema, span_of(key));
    uint64_t n;

    if (v == NULL)
        return other;
    if (!json_u64(v, &n) || n >= COMPILER_ITEMS_MAX) {
        compiler_refuse(c, ST_INVALID, key, "must be a whole number that is not negative");
        return other;
    }
    return (uint32_t)n;
}
