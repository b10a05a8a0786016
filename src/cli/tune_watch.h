/* `ibid tune watch`: labelled pairs out of the traffic of a running ibid, which compares fresh
 * answers with those of near questions. */
#ifndef CLI_TUNE_WATCH_H
#define CLI_TUNE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "cli/tune_pairs.h"

struct config;

struct tune_watch {
    const struct config *config; /* of that ibid; borrowed */
    const char *address;         /* NULL: the configuration's */
    uint64_t for_s, every_s;     /* for_s 0: until SIGINT or SIGTERM */
};

/* Says on stderr how many there are. False: what is wrong was said there. */
bool tune_watch(const struct tune_watch *w, struct tune_pairs *out) MUST_CHECK;

#endif
