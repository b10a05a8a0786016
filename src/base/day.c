/* The calendar in integers, from Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms":
 * an era is 400 years of 146,097 days, a year begins in March so that its odd day is the last.
 */
#include "base/day.h"

#include <assert.h>
#include <stdio.h>

#define ERA_DAYS 146097u
/* From 0000-03-01 to 1970-01-01. */
#define EPOCH_DAYS 719468u

struct date {
    unsigned year, month, day;
};

static struct date date_of(uint32_t day)
{
    uint32_t z = day + EPOCH_DAYS, era = z / ERA_DAYS, in_era = z % ERA_DAYS;
    uint32_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * in_year + 2) / 153; /* 0: March */
    struct date d;

    d.day = in_year - (153 * month + 2) / 5 + 1;
    d.month = month < 10 ? month + 3 : month - 9;
    d.year = year + era * 400 + (d.month <= 2);
    return d;
}

void day_write(uint32_t day, char out[DAY_TEXT_BYTES])
{
    struct date d;

    assert(day <= DAY_MAX);
    d = date_of(day);
    (void)snprintf(out, DAY_TEXT_BYTES, "%04u-%02u-%02u", d.year % 10000, d.month % 100,
                   d.day % 100);
}

static bool digits(const char *at, unsigned n, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(at[i] - '0');
    }
    return true;
}

bool day_read(struct span text, uint32_t *out)
{
    char again[DAY_TEXT_BYTES];
    unsigned year, month, day, from_march;
    uint32_t n;

    if (text.len != DAY_TEXT_BYTES - 1 || text.ptr[4] != '-' || text.ptr[7] != '-' ||
        !digits(text.ptr, 4, &year) || !digits(text.ptr + 5, 2, &month) ||
        !digits(text.ptr + 8, 2, &day) || year < 1970 || month < 1 || month > 12 || day < 1)
        return false;
    from_march = month > 2 ? month - 3 : month + 9;
    year -= month <= 2;
    n = year / 400 * ERA_DAYS + (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100 +
        (153 * from_march + 2) / 5 + day - 1 - EPOCH_DAYS;
    /* The 31st of June is written otherwise. */
    if (n > DAY_MAX)
        return false;
    day_write(n, again);
    if (!span_eq(text, span_of(again)))
        return false;
    *out = n;
    return true;
}
