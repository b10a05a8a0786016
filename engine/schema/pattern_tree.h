/* A regular expression, read: ECMA-262, without what looks around. */
#ifndef ENGINE_SCHEMA_PATTERN_TREE_H
#define ENGINE_SCHEMA_PATTERN_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define TREE_ENDLESS UINT32_MAX

enum tree_kind { TREE_EMPTY, TREE_CLASS, TREE_THEN, TREE_OR, TREE_REPEAT };

struct tree_range {
    uint32_t from, to; /* characters, both included */
};

struct tree {
    enum tree_kind kind;
    const struct tree *a, *b;        /* THEN, OR; REPEAT: a */
    uint32_t least, most;            /* REPEAT */
    const struct tree_range *ranges; /* CLASS: in order, apart */
    uint32_t count;
};

/* With what may stand around it, where it is not anchored. In `arena`. ST_INVALID and *why, a
 * static text, as pattern_open(). */
enum status pattern_tree_parse(struct arena *arena, struct span regex, struct tree **out,
                               const char **why) MUST_CHECK;
bool pattern_tree_has(const struct tree *t, uint32_t c);

#endif
