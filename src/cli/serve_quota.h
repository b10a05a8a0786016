/* Settings that follow from what the container lets the process have. */
#ifndef CLI_SERVE_QUOTA_H
#define CLI_SERVE_QUOTA_H

#include "config/config.h"
#include "rt/quota.h"

/* Threads and memory that the configuration left open (0) are set by *q, and the model's share
 * of the time is lowered to what leaves the loop its own. */
void serve_quota_apply(const struct quota *q, struct config *c);

#endif
