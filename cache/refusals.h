/* Pairs of questions that somebody reported as wrong hits: they are never one again. A
 * bounded set of digests, of which the oldest go, in a small file that is written whole
 * after each change; it belongs to this data directory. Replicas tell each other (store.h). */
#ifndef CACHE_REFUSALS_H
#define CACHE_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

struct refusals;

/* Reads data_dir/refused_pairs; NULL: memory only. A file that can not be read, or lines
 * that are none of ours, are said in the log, and what can be read counts. */
enum status refusals_open(const char *data_dir, size_t max, struct refusals **out) MUST_CHECK;
void refusals_close(struct refusals *r);

/* Of two questions of a partition; which of them comes first does not matter. What is
 * beyond GUARD_TEXT_BYTES_MAX of a question is not looked at. Any thread. */
void refusals_pair(const struct digest *partition, struct span a, struct span b,
                   struct digest *out);

/* Any thread. */
bool refusals_have(struct refusals *r, const struct digest *pair);
size_t refusals_count(const struct refusals *r);

/* Loop thread; they write the file. ST_OK: so it is after a restart too. ST_UNAVAILABLE: so
 * it is in memory alone. ST_NOMEM, ST_LIMIT (max is 0): nothing
 * was done. */
enum status refusals_add(struct refusals *r, const struct digest *pair) MUST_CHECK;
/* ST_NOTFOUND when it is not there. */
enum status refusals_remove(struct refusals *r, const struct digest *pair) MUST_CHECK;

#endif
