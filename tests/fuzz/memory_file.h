/* Bytes as a file with a path, without a disk. */
#ifndef TESTS_FUZZ_MEMORY_FILE_H
#define TESTS_FUZZ_MEMORY_FILE_H

#include <stdint.h>

#include "base/span.h"

/* The path of a file that now holds just these bytes; the same file each time. */
const char *memory_file(struct span bytes);

#endif
