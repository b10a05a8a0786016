#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>

enum status error_set(struct engine_error *err, enum status st, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return st;
}
