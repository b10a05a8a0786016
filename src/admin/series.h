/* What was counted, over time: the last hour by ten seconds and the last day by five minutes,
 * in memory only. Read by the dashboard, so that a page that was just opened shows more than
 * the present. Loop thread only. */
#ifndef ADMIN_SERIES_H
#define ADMIN_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"
#include "proxy/source.h"
#include "rt/timer.h"

struct loop;
struct proxy;

#define SERIES_STEP_S      10
#define SERIES_HOUR_POINTS 360
#define SERIES_DAY_STEPS   30 /* steps of the hour in one of the day */
#define SERIES_DAY_POINTS  288

/* The counters, at a moment. */
struct series_sample {
    uint64_t at_ms; /* wall clock */
    uint64_t by_source[SOURCE_COUNT];
    uint64_t errors, refused, saved_tokens, reported_wrong;
    double saved_usd, saved_s, saved_wh;
    double expected_error; /* as `bounded` has learned; below 0: nothing is */
};

/* A ring; one more than there are points, because a point is a difference. */
struct series_ring {
    struct series_sample *samples; /* borrowed from the series */
    size_t room, count, next;
};

struct series {
    struct loop *loop;         /* borrowed */
    const struct proxy *proxy; /* borrowed */
    struct timer timer;
    unsigned steps; /* since the day's last point */
    struct series_ring hour, day;
    struct series_sample hour_samples[SERIES_HOUR_POINTS + 1];
    struct series_sample day_samples[SERIES_DAY_POINTS + 1];
};

/* Takes the first sample, and from then on one every SERIES_STEP_S. */
void series_start(struct series *s, struct loop *loop, const struct proxy *proxy);
void series_stop(struct series *s);

/* Adds one by hand; the oldest goes. */
void series_add(struct series_ring *r, const struct series_sample *sample);

/* {"hour":{"step_s":10,"at_ms":[…],"exact":[…],…},"day":{…}}: of each step that has ended
 * what was counted in it. */
enum status series_write(const struct series *s, struct buf *out) MUST_CHECK;

#endif
