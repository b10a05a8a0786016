/* A file of JSON objects, one a line; "-" is the standard input. */
#ifndef CLI_JSON_LINES_H
#define CLI_JSON_LINES_H

#include <stdbool.h>

#include "base/compiler.h"

struct json;

/* NULL: taken. Else what is wrong with it, which ends the reading. The object goes with the
 * call. */
typedef const char *json_lines_take_fn(void *owner, const struct json *object);

/* Blank lines are passed over. false: what is wrong was printed, with the line's number. */
bool json_lines_read(const char *path, json_lines_take_fn *take, void *owner) MUST_CHECK;

#endif
