#include "admin/series.h"

#include "base/clock.h"
#include "base/json_writer.h"
#include "cache/cache.h"
#include "proxy/ledger.h"
#include "proxy/proxy.h"

/* --- taking ----------------------------------------------------------------------------- */

static double expected_error(const struct proxy *p)
{
    struct bounded *b = cache_bounded(p->parts.cache);
    struct bounded_stats s;

    if (b == NULL)
        return -1;
    bounded_stats(b, &s);
    return s.all.spent / s.all.requests;
}

static void take(const struct proxy *p, struct series_sample *out)
{
    struct ledger_sums saved = ledger_saved(p->parts.ledger);

    *out = (struct series_sample){
        .at_ms = clock_wall_ms(),
        .errors = p->account.errors_total,
        .refused = p->account.refused_total,
        .saved_tokens = saved.prompt_tokens + saved.completion_tokens,
        .reported_wrong = p->account.feedback_wrong_total,
        .saved_usd = saved.usd,
        .saved_s = saved.saved_s,
        .saved_wh = saved.wh,
        .expected_error = expected_error(p),
    };
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        out->by_source[i] = p->account.by_source[i];
}

void series_add(struct series_ring *r, const struct series_sample *sample)
{
    r->samples[r->next] = *sample;
    r->next = (r->next + 1) % r->room;
    if (r->count < r->room)
        r->count++;
}

static void on_step(struct timer *t)
{
    struct series *s = CONTAINER_OF(t, struct series, timer);
    struct series_sample sample;

    take(s->proxy, &sample);
    series_add(&s->hour, &sample);
    if (++s->steps == SERIES_DAY_STEPS) {
        s->steps = 0;
        series_add(&s->day, &sample);
    }
    timer_start(s->loop, t, SERIES_STEP_S * 1000000ull, on_step);
}

void series_start(struct series *s, struct loop *loop, const struct proxy *proxy)
{
    struct series_sample first;

    s->loop = loop;
    s->proxy = proxy;
    s->steps = 0;
    s->hour = (struct series_ring){s->hour_samples, ARRAY_LEN(s->hour_samples), 0, 0};
    s->day = (struct series_ring){s->day_samples, ARRAY_LEN(s->day_samples), 0, 0};
    take(proxy, &first);
    series_add(&s->hour, &first);
    series_add(&s->day, &first);
    timer_start(loop, &s->timer, SERIES_STEP_S * 1000000ull, on_step);
}

void series_stop(struct series *s)
{
    timer_stop(s->loop, &s->timer);
}

/* --- writing ---------------------------------------------------------------------------- */

/* Sample `i`, the oldest first. */
static const struct series_sample *at(const struct series_ring *r, size_t i)
{
    return &r->samples[(r->next + r->room - r->count + i) % r->room];
}

typedef uint64_t count_fn(const struct series_sample *s, unsigned which);
typedef double real_fn(const struct series_sample *s);

static void write_counts(struct json_writer *w, const char *name, const struct series_ring *r,
                         count_fn *of, unsigned which)
{
    json_writer_open(w, name, '[');
    for (size_t i = 1; i < r->count; i++)
        json_writer_u64(w, NULL, of(at(r, i), which) - of(at(r, i - 1), which));
    json_writer_close(w, ']');
}

static void write_reals(struct json_writer *w, const char *name, const struct series_ring *r,
                        real_fn *of)
{
    json_writer_open(w, name, '[');
    for (size_t i = 1; i < r->count; i++)
        json_writer_real(w, NULL, of(at(r, i)) - of(at(r, i - 1)));
    json_writer_close(w, ']');
}

static uint64_t of_source(const struct series_sample *s, unsigned which)
{
    return s->by_source[which];
}

static uint64_t errors(const struct series_sample *s, unsigned which)
{
    (void)which;
    return s->errors;
}

static uint64_t refused(const struct series_sample *s, unsigned which)
{
    (void)which;
    return s->refused;
}

static uint64_t saved_tokens(const struct series_sample *s, unsigned which)
{
    (void)which;
    return s->saved_tokens;
}

static uint64_t reported_wrong(const struct series_sample *s, unsigned which)
{
    (void)which;
    return s->reported_wrong;
}

static double saved_usd(const struct series_sample *s)
{
    return s->saved_usd;
}

static double saved_s(const struct series_sample *s)
{
    return s->saved_s;
}

static double saved_wh(const struct series_sample *s)
{
    return s->saved_wh;
}

static void write_ring(struct json_writer *w, const char *name, const struct series_ring *r,
                       unsigned step_s)
{
    json_writer_open(w, name, '{');
    json_writer_u64(w, "step_s", step_s);
    json_writer_open(w, "at_ms", '[');
    for (size_t i = 1; i < r->count; i++)
        json_writer_u64(w, NULL, at(r, i)->at_ms);
    json_writer_close(w, ']');
    for (unsigned i = SOURCE_EXACT; i < SOURCE_COUNT; i++)
        write_counts(w, source_name((enum source)i), r, of_source, i);
    write_counts(w, "errors", r, errors, 0);
    write_counts(w, "refused", r, refused, 0);
    write_counts(w, "saved_tokens", r, saved_tokens, 0);
    write_counts(w, "reported_wrong", r, reported_wrong, 0);
    write_reals(w, "saved_usd", r, saved_usd);
    write_reals(w, "saved_seconds", r, saved_s);
    write_reals(w, "saved_wh", r, saved_wh);
    /* A level, no count: as it was at the end of the step. */
    json_writer_open(w, "expected_error", '[');
    for (size_t i = 1; i < r->count && at(r, i)->expected_error >= 0; i++)
        json_writer_real(w, NULL, at(r, i)->expected_error);
    json_writer_close(w, ']');
    json_writer_close(w, '}');
}

enum status series_write(const struct series *s, struct buf *out)
{
    struct json_writer w = {out, ST_OK, false};

    json_writer_open(&w, NULL, '{');
    write_ring(&w, "hour", &s->hour, SERIES_STEP_S);
    write_ring(&w, "day", &s->day, SERIES_STEP_S * SERIES_DAY_STEPS);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}
