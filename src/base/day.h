/* Days of the Unix epoch, in UTC, as texts: "2026-01-31". Any thread. */
#ifndef BASE_DAY_H
#define BASE_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define DAY_TEXT_BYTES 11 /* with its NUL */
#define DAY_MS         UINT64_C(86400000)
/* 9999-12-31: the last that has four digits of a year. */
#define DAY_MAX UINT32_C(2932896)

/* `day` is at most DAY_MAX. */
void day_write(uint32_t day, char out[DAY_TEXT_BYTES]);
/* A day of the calendar from 1970-01-01 on, and nothing beside it. */
bool day_read(struct span text, uint32_t *out) MUST_CHECK;

#endif
