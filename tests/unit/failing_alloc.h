/* The heap, failing when told to. Linked with FAILING_ALLOC of index.cmake. */
#ifndef TESTS_UNIT_FAILING_ALLOC_H
#define TESTS_UNIT_FAILING_ALLOC_H

#include <stdint.h>

/* The allocation after n more fails, and all that follow; UINT64_MAX: none. */
void failing_alloc_after(uint64_t n);

#endif
