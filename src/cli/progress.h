/* One line on a terminal's stderr that is written over; nothing where stderr is no
 * terminal, or with `quiet`. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct progress {
    bool shown;
    uint64_t next_us; /* when it may be written again */
};

void progress_init(struct progress *p, bool quiet);
/* Written ten times a second at most. */
void progress_say(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Takes the line away. */
void progress_end(struct progress *p);

#endif
