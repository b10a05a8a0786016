/* A request as a line of the access log: a JSON object with the fields that access_log.fields
 * names, in that order. Loop thread only. */
#ifndef PROXY_ACCESS_LINE_H
#define PROXY_ACCESS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct request;

/* With its line's end. `took_us`: from its first byte to now. `whole`: the answer was
 * delivered. */
enum status access_line_write(const struct request *r, uint64_t took_us, bool whole,
                              struct buf *out) MUST_CHECK;

#endif
