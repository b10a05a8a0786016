/* What answers of the models on this machine are judged by (route.cascade): the file that
 * ships, the operator's, or none. Loop thread only: a file of some kilobytes. */
#ifndef PROXY_CALIBRATION_H
#define PROXY_CALIBRATION_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct cascade;
struct config;

/* `default_text`: the one that ships. *out is NULL where it is off. On failure `why` says what
 * is wrong; on ST_OK too when it is not empty: it was learned from answers of other models than
 * those of route.ladder. */
enum status calibration_open(const struct config *c, struct span default_text,
                             struct cascade **out, char *why, size_t why_cap) MUST_CHECK;
/* NULL is fine. */
void calibration_close(struct cascade *c);

#endif
