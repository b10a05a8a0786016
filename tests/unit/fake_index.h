/* Stands in for the vector index and the decision where the cache itself is tested:
 * remembers exactly what was added and not removed, and can be full. */
#ifndef TESTS_FAKE_INDEX_H
#define TESTS_FAKE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"

struct index;

/* The one that is open. */
extern struct index *fake_index_open_one;

uint64_t fake_index_count(void);
bool fake_index_has(const struct digest *key);
/* The next n adds find the queue full. */
void fake_index_overload(unsigned n);
uint64_t fake_index_flushes(void);

#endif
