/* An entry as a line of `ibid cache export`. Pure. */
#ifndef CLI_ENTRY_LINE_H
#define CLI_ENTRY_LINE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct entry;

/* Into `out`, which is cleared; `frame` is scratch. */
enum status entry_line_write(struct buf *out, struct buf *frame,
                             const struct entry *e) MUST_CHECK;

#endif
