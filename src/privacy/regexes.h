/* The operator's own patterns: PCRE2 with its just-in-time compiler, and limits on what one
 * text may cost. A set is used by one thread at a time. */
#ifndef PRIVACY_REGEXES_H
#define PRIVACY_REGEXES_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct finder_pattern;
struct regexes;

enum status regexes_open(const struct finder_pattern *list, size_t count, struct regexes **out,
                         char *why, size_t why_cap) MUST_CHECK;
void regexes_close(struct regexes *s);

/* The first match of pattern `i` that begins at `from` or later and is not empty.
 * ST_NOTFOUND; ST_LIMIT: it ran over its limits. */
enum status regexes_next(struct regexes *s, size_t i, struct span text, size_t from, size_t *at,
                         size_t *len) MUST_CHECK;

#endif
