/* The file of a cascade: JSON, some kilobytes. */
#ifndef ROUTER_CASCADE_FILE_H
#define ROUTER_CASCADE_FILE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/span.h"
#include "base/status.h"
#include "router/cascade.h"

#define CASCADE_FILE_MAX_BYTES ((size_t)256 << 10)

/* Appends. ST_LIMIT, ST_NOMEM: of the buffer. */
enum status cascade_file_write(const struct cascade *c, struct buf *out) MUST_CHECK;

/* ST_INVALID, ST_NOMEM; `why` says what is wrong. */
enum status cascade_file_read(struct span text, struct cascade *out, char *why,
                              size_t why_cap) MUST_CHECK;

/* Signs by their names, as outcomes have them: an object with a number for each. NULL: taken.
 * Else what is wrong. */
const char *cascade_file_signs(const struct json *object, double *out);
/* Writes it. */
struct json_writer;
void cascade_file_write_signs(struct json_writer *w, const char *name, const double *signs);

#endif
