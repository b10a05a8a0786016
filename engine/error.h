/* Filling in a struct engine_error. */
#ifndef ENGINE_ERROR_H
#define ENGINE_ERROR_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/engine.h"

/* Formats the text and returns `st`, so that a refusal is one line. */
enum status error_set(struct engine_error *err, enum status st, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
