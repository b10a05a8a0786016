/* A report as a table for people, as JSON, and as CSV (RFC 4180). */
#ifndef CLI_REPORT_WRITE_H
#define CLI_REPORT_WRITE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"
#include "cli/report_sum.h"

void report_write_table(FILE *f, const struct report *r, bool what_if);
enum status report_write_json(struct buf *out, const struct report *r, bool what_if) MUST_CHECK;
/* Its lines, with a line of names before them. */
void report_write_csv(FILE *f, const struct report *r);

#endif
