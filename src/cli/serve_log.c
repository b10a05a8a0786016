#include "cli/serve_log.h"

#include <stddef.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log.h"

void serve_log_level(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            log_set_level((enum log_level)i);
    }
}
