/* Labelled pairs as comma-separated values (RFC 4180). */
#ifndef CLI_TUNE_CSV_H
#define CLI_TUNE_CSV_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"

/* A row by the names of the first one: what stood under `a` or `q1`, `b` or `q2`, `same`. NULL:
 * taken. Else what is wrong with it, which ends the reading. The texts go with the call. */
typedef const char *tune_csv_take_fn(void *owner, struct span a, struct span b,
                                     struct span same);

/* The name ends in ".csv". */
bool tune_csv_named(const char *path);
/* Columns in any order, others are not looked at; texts in quotation marks may have commas,
 * marks (doubled) and ends of lines. false: what is wrong was printed, with the number of the
 * line. */
bool tune_csv_read(const char *path, tune_csv_take_fn *take, void *owner) MUST_CHECK;

#endif
