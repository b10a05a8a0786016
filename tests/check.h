/* cmocka with what it needs included, and a check that prints a status by name. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"
#include "base/status.h"

#define CHECK_STATUS(want, expr)                                                               \
    do {                                                                                       \
        enum status check_want = (want), check_got = (expr);                                   \
        if (check_got != check_want)                                                           \
            fail_msg("%s: want %s, got %s", #expr, status_name(check_want),                    \
                     status_name(check_got));                                                  \
    } while (0)

#define CHECK_SPAN(want, got)                                                                  \
    do {                                                                                       \
        struct span check_w = (want), check_g = (got);                                         \
        if (!span_eq(check_w, check_g))                                                        \
            fail_msg("%s: want '%.*s', got '%.*s'", #got, (int)check_w.len, check_w.ptr,       \
                     (int)check_g.len, check_g.ptr);                                           \
    } while (0)

#endif
