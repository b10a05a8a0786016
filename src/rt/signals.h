/* Process signals as events of a loop. */
#ifndef RT_SIGNALS_H
#define RT_SIGNALS_H

#include "base/compiler.h"
#include "base/status.h"

struct loop;
struct signals;

typedef void signals_fn(void *owner, int signum);

/* SIGTERM, SIGINT and SIGHUP are delivered to `fn`; SIGPIPE is ignored. The handles
 * do not keep the loop alive. */
enum status signals_open(struct loop *loop, signals_fn *fn, void *owner,
                         struct signals **out) MUST_CHECK;
void signals_close(struct signals *s);

#endif
