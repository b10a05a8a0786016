/* r->call is the one that will answer as far as is known, r->rival the second one while it is
 * not known which. A call that is neither has lost: its end is still due, and drops its hold.
 */
#include "proxy/hedge.h"

#include "base/log.h"
#include "config/config.h"
#include "http/client.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"
#include "rt/loop.h"

/* So many hedges may be made in a row after a time in which none was needed. */
#define CREDIT_MAX 10.0

static bool may_hedge(const struct request *r)
{
    return r->setup->config->upstream.hedge_after_ms > 0 && r->protocol != NULL &&
           r->may_store && !r->streams;
}

static bool is_bad(unsigned status)
{
    return status == 429 || status >= 500;
}

/* The next place that can be reached; the same one where there is no other. */
static struct upstream_place *rival_place(const struct request *r)
{
    struct upstream *u = r->upstream;
    size_t first = (size_t)(r->place - u->places);

    for (size_t i = 1; i < u->place_count; i++) {
        struct upstream_place *at = &u->places[(first + i) % u->place_count];

        if (at->next_try_us == 0)
            return at;
    }
    return r->place;
}

/* Where requests wait for a connection another one would only wait with them. */
static bool has_room(const struct upstream_place *at)
{
    struct http_pool_stats s;

    http_pool_stats(at->pool, &s);
    return s.waiting_now == 0;
}

static void on_late(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, deadline);
    struct hedge_counts *h = &r->proxy->hedges;
    struct http_call *first = r->call;
    struct upstream_place *first_place = r->place;

    if (first == NULL || r->closed || r->proxy->cutting)
        return;
    r->place = rival_place(r);
    if (h->credit < 1 || !has_room(r->place) || r->hedge_start(r) != ST_OK) {
        h->skipped_total++;
        r->call = first;
        r->place = first_place;
        return;
    }
    request_hold(r);
    h->credit -= 1;
    r->rival = r->call;
    r->rival_place = r->place;
    r->call = first;
    r->place = first_place;
}

void hedge_arm(struct request *r, hedge_call_fn *start)
{
    struct proxy *p = r->proxy;
    const struct config *c = p->parts.config;

    r->rival = NULL;
    r->hedged = false;
    if (!may_hedge(r))
        return;
    p->hedges.credit += c->upstream.hedge_share;
    if (p->hedges.credit > CREDIT_MAX)
        p->hedges.credit = CREDIT_MAX;
    r->hedge_start = start;
    timer_start(p->parts.loop, &r->deadline, c->upstream.hedge_after_ms * 1000, on_late);
}

/* The rival is the one that is left. */
static void promote(struct request *r)
{
    r->call = r->rival;
    r->place = r->rival_place;
    r->rival = NULL;
}

bool hedge_takes(struct request *r, struct http_call *c, unsigned status)
{
    struct hedge_counts *h = &r->proxy->hedges;
    bool second = c == r->rival;
    struct http_call *other = second ? r->call : r->rival;

    if (c != r->call && !second)
        return false; /* it has lost */
    timer_stop(r->proxy->parts.loop, &r->deadline);
    if (other == NULL) {
        h->won_total += r->hedged;
        r->hedged = false;
        return true;
    }
    if (is_bad(status)) {
        /* The other one may do better; should it fail too, its failure is told. */
        h->failed_total += second;
        if (second)
            r->rival = NULL;
        else
            promote(r);
        r->hedged = !second;
        http_call_cancel(c);
        return false;
    }
    if (second) {
        promote(r);
        h->won_total++;
    } else {
        r->rival = NULL;
        h->lost_total++;
    }
    http_call_cancel(other);
    return true;
}

bool hedge_ended(struct request *r, struct http_call *c, enum status st)
{
    struct proxy *p = r->proxy;

    if (c == r->rival) {
        r->rival = NULL;
        p->hedges.failed_total++;
        if (http_call_unreached(c))
            (void)upstream_unreached(r->rival_place, loop_now_us(p->parts.loop));
        return true;
    }
    if (c != r->call)
        return true;
    timer_stop(p->parts.loop, &r->deadline);
    p->hedges.failed_total += r->hedged;
    r->hedged = false;
    if (r->rival == NULL)
        return false;
    if (st == ST_CANCELED || r->closed || p->cutting) {
        struct http_call *rival = r->rival;

        r->rival = NULL;
        http_call_cancel(rival);
        return false;
    }
    if (http_call_unreached(c))
        (void)upstream_unreached(r->place, loop_now_us(p->parts.loop));
    promote(r);
    r->hedged = true;
    return true;
}

void hedge_cancel(struct request *r)
{
    struct http_call *rival = r->rival;

    timer_stop(r->proxy->parts.loop, &r->deadline);
    r->rival = NULL;
    if (rival != NULL)
        http_call_cancel(rival);
    if (r->call != NULL)
        http_call_cancel(r->call);
}
