/* A file of what came of the built-in model's answers where the upstream was asked after them:
 * what `ibid tune cascade` learns from. Only where the operator named one; numbers, and texts
 * only where he said so. Loop thread only: a line is some hundred bytes into the kernel's
 * cache, after an answer that took far longer. */
#ifndef PROXY_OUTCOMES_H
#define PROXY_OUTCOMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct outcomes;

struct outcomes_line {
    const double *signs; /* SIGNS_COUNT */
    double sure;         /* as it was said to the client; 0: not known */
    const char *reason;  /* why the upstream was asked */
    double small;        /* was it right? 0 or 1; below 0: nobody knows */
    /* Empty: not told. */
    struct span question, said, answered;
};

/* Appends to what is there, 0600, up to bytes_max in all. ST_UNAVAILABLE: errno says why. */
enum status outcomes_open(const char *path, uint64_t bytes_max,
                          struct outcomes **out) MUST_CHECK;
/* NULL is fine. */
void outcomes_close(struct outcomes *o);

/* false: it is full, or could not be written. */
bool outcomes_add(struct outcomes *o, const struct outcomes_line *line);

#endif
