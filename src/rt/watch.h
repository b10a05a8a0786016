/* A descriptor that is told of when there is something to read from it: of a talk with another
 * process. Loop thread only. */
#ifndef RT_WATCH_H
#define RT_WATCH_H

#include "base/compiler.h"
#include "base/status.h"

struct loop;
struct watch;

typedef void watch_fn(void *owner);

/* `fd` does not block; it is the watch's, but on failure. */
enum status watch_open(struct loop *loop, int fd, watch_fn *fn, void *owner,
                       struct watch **out) MUST_CHECK;
int watch_fd(const struct watch *w);
/* Closes the descriptor at once; nothing is told any more. */
void watch_close(struct watch *w);

#endif
