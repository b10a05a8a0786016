#include "cli/serve_quota.h"

/* More of them embed no sooner than questions come; more threads of one model wait for memory.
 */
#define ENCODER_WORKERS_MOST 4
#define LOCAL_THREADS_MOST   8
/* The first is busy before more of them are (bench/loops.sh). */
#define LOOPS_MOST 4

void serve_quota_apply(const struct quota *q, struct config *c)
{
    if (c->loops == 0)
        c->loops = quota_threads(q, LOOPS_MOST);
    if (c->encoder.workers == 0)
        c->encoder.workers = quota_threads(q, ENCODER_WORKERS_MOST);
    if (c->local.threads == 0)
        c->local.threads = quota_threads(q, LOCAL_THREADS_MOST);
    c->local.cpu_share =
        quota_share(q, c->local.cpu_share, (unsigned)(c->local.threads * c->local.workers));
    if (c->encoder.memory_max_bytes == 0)
        c->encoder.memory_max_bytes = q->memory_bytes;
    if (c->local.memory_max_bytes == 0)
        c->local.memory_max_bytes = q->memory_bytes;
}
