#include "proxy/pace.h"

#include <string.h>

#define SECOND_US 1000000
/* A timer is not set for less: faster paces give out some events at a time. */
#define REST_MIN_US 10000

void pace_begin(struct pace *p, uint64_t per_s, uint64_t now_us)
{
    *p = (struct pace){.per_s = per_s, .from_us = now_us};
}

/* Bytes of the first event: SSE's end in an empty line, NDJSON's with their line. */
static size_t event_bytes(struct span s, enum protocol_framing framing)
{
    const char *at = s.ptr, *end = s.ptr + s.len;

    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));

        if (lf == NULL)
            break;
        if (framing == FRAMING_LINES || (lf > s.ptr && lf[-1] == '\n'))
            return (size_t)(lf + 1 - s.ptr);
        at = lf + 1;
    }
    return s.len;
}

size_t pace_take(struct pace *p, struct span made, enum protocol_framing framing,
                 uint64_t now_us)
{
    uint64_t due = 1 + (now_us - p->from_us) * p->per_s / SECOND_US;
    size_t n = 0;

    if (p->per_s == 0)
        return made.len;
    while (n < made.len && p->given < due) {
        n += event_bytes((struct span){made.ptr + n, made.len - n}, framing);
        p->given++;
    }
    return n;
}

uint64_t pace_wait_us(const struct pace *p, uint64_t now_us)
{
    uint64_t at_us, least_us = now_us + REST_MIN_US;

    if (p->per_s == 0)
        return 1;
    at_us = p->from_us + (p->given * SECOND_US + p->per_s - 1) / p->per_s;
    return (at_us > least_us ? at_us : least_us) - now_us;
}
