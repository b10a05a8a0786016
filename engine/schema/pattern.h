/* Regular expressions of JSON Schema (ECMA-262, the part without looking around, references
 * and \b) as a machine over the bytes between the quotes of a JSON string: characters that JSON
 * escapes are read as their escapes. One that is not anchored may stand anywhere in the
 * string. */
#ifndef ENGINE_SCHEMA_PATTERN_H
#define ENGINE_SCHEMA_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define PATTERN_DEAD UINT16_MAX

struct pattern {
    struct pattern *next; /* of the owner's list */
    uint16_t states;
    uint16_t (*to)[256]; /* owned; [state][byte]; PATTERN_DEAD: no way from there to an end */
    uint32_t *least;     /* owned; bytes to the nearest end; 0: this is one */
    uint8_t *nearest;    /* owned; the first of them */
};

/* Steps of the making of patterns, a few nanoseconds each. */
#define PATTERN_STEPS_MAX 4000000

/* Begins in state 0. Takes from *steps, which several patterns may share. *why is static text.
 * ST_INVALID: it is none, or has what is not supported; ST_LIMIT: too large, or no steps are
 * left; ST_NOMEM. */
enum status pattern_open(struct span regex, uint32_t *steps, struct pattern **out,
                         const char **why) MUST_CHECK;
/* NULL: nothing happens. */
void pattern_close(struct pattern *p);

#endif
