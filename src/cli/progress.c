#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define INTERVAL_US 100000

void progress_init(struct progress *p, bool quiet)
{
    *p = (struct progress){.shown = !quiet && isatty(STDERR_FILENO) != 0};
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    uint64_t now = clock_now_us();
    va_list args;

    if (!p->shown || now < p->next_us)
        return;
    p->next_us = now + INTERVAL_US;
    fputs("\r\033[K", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
}
