/* What the golden tests share: models, fixtures, the kernel set by the first argument. */
#ifndef TESTS_GOLDEN_FIXTURE_H
#define TESTS_GOLDEN_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/span.h"

/* Forces the kernels named by argv[1], if any; leaves with 77 when this machine has not
 * got them. */
void fixture_kernels(int argc, char **argv);

/* The path of a model's file below IBID_TEST_MODELS (default ~/.cache/ibid/models); false,
 * with a word, when it is not there. */
bool fixture_model(const char *file, char *path, size_t cap);

/* tests/golden/NAME, parsed. */
const struct json *fixture_json(struct arena *arena, const char *name);

/* A whole file; its bytes are in the arena. */
struct span fixture_file(struct arena *arena, const char *path);

#endif
