/* What a target takes from malloc: a file that lies about its sizes must not cost more
 * than a small multiple of what it is long. */
#ifndef TESTS_FUZZ_MEASURE_H
#define TESTS_FUZZ_MEASURE_H

#include <stddef.h>

void measure_start(void);
/* Aborts when more than `most` bytes were taken since measure_start(), all in all. Without
 * a sanitizer nothing counts, and nothing aborts. */
void measure_end(size_t most);

#endif
