/* Reads tests/smuggling/cases.txt; the format is told there. Tests only. */
#ifndef TESTS_FLOW_SMUGGLING_TABLE_H
#define TESTS_FLOW_SMUGGLING_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct smuggling_case {
    char name[96];
    bool refuse;
    struct buf bytes; /* owned */
};

/* Calls `run` for each case; how many there were, or 0 when the file cannot be read
 * or has a line that is not understood (said on stderr). */
size_t smuggling_table_run(const char *path,
                           void (*run)(void *owner, const struct smuggling_case *c),
                           void *owner);

#endif
