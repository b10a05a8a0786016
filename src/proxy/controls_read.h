/* How a value of a control is read, wherever it stands. Said twice, the stricter counts; false:
 * not understood. Between controls.c and controls_body.c. */
#ifndef PROXY_CONTROLS_READ_H
#define PROXY_CONTROLS_READ_H

#include <stdbool.h>

#include "base/span.h"

struct controls;

/* "300"; other gateways also take "300s", "5m", "1h", "1d". */
bool controls_read_max_age(struct span value, struct controls *c);
bool controls_read_ttl(struct span value, struct controls *c);
/* Within 0..1. */
bool controls_read_threshold(struct span value, struct controls *c);
/* 1 to CONTROLS_NAMESPACE_MAX bytes, and no other before it. */
bool controls_read_namespace(struct span value, struct controls *c);
bool controls_read_switch(struct span value, bool *out);
/* Neither read nor kept. Always true. */
bool controls_skip(struct controls *c);

#endif
