#include "proxy/charge.h"

#include "cache/entry.h"
#include "config/config.h"
#include "protocol/answer.h"
#include "proxy/follow.h"
#include "proxy/ledger.h"
#include "proxy/prices.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"

#define TOKENS_MAX (UINT64_C(1) << 40)

/* The built-in models have no price: what they cost is our own work. */
static void set_price(struct request *r)
{
    r->charge.price = r->to_local ? NULL : prices_find(&r->setup->prices, r->charge.model);
}

/* What an upstream says may be anything; sums of it stay sums. */
static uint64_t sane(uint64_t tokens)
{
    return tokens < TOKENS_MAX ? tokens : TOKENS_MAX;
}

void charge_answer(struct request *r, const struct answer *a)
{
    struct charge *c = &r->charge;

    if (arena_copy(&r->arena, a->model, &c->model) != ST_OK)
        c->model = (struct span){NULL, 0};
    if (!a->has_usage)
        return;
    c->state = CHARGE_KNOWN;
    c->prompt_tokens = sane(a->prompt_tokens);
    c->cached_tokens =
        a->cached_tokens < c->prompt_tokens ? a->cached_tokens : c->prompt_tokens;
    c->completion_tokens = sane(a->completion_tokens);
    set_price(r);
}

void charge_entry(struct request *r, const struct entry *e, const struct answer *a)
{
    struct charge *c = &r->charge;

    c->state = CHARGE_KNOWN;
    c->model = e->model;
    c->prompt_tokens = e->prompt_tokens;
    c->cached_tokens =
        a->cached_tokens < c->prompt_tokens ? a->cached_tokens : c->prompt_tokens;
    c->completion_tokens = e->completion_tokens;
    set_price(r);
}

void charge_share(struct request *r, const struct charge *of)
{
    uint64_t cpu_us = r->charge.cpu_us;

    r->charge = *of;
    r->charge.cpu_us = cpu_us;
    if (arena_copy(&r->arena, of->model, &r->charge.model) != ST_OK)
        r->charge.model = (struct span){NULL, 0};
}

void charge_nothing(struct request *r)
{
    r->charge.state = CHARGE_NOTHING;
}

double charge_usd(const struct charge *c)
{
    const struct config_price *p = c->price;
    double cached;

    if (p == NULL)
        return 0;
    cached = p->cached_usd_per_mtok < 0 ? p->input_usd_per_mtok : p->cached_usd_per_mtok;
    return (p->input_usd_per_mtok * (double)(c->prompt_tokens - c->cached_tokens) +
            cached * (double)c->cached_tokens +
            p->output_usd_per_mtok * (double)c->completion_tokens) /
           1e6;
}

static uint64_t tenant_of(const struct request *r)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 8; i++)
        n = n << 8 | r->scope.bytes[i];
    return n;
}

static struct ledger_key key_of(const struct request *r)
{
    struct ledger_key k = {.tenant = tenant_of(r),
                           .model = r->charge.model,
                           .day = r->proxy->parts.ledger->today,
                           .source = r->source};

    if (k.model.len == 0 && r->protocol != NULL)
        k.model = r->chat.model;
    if (r->to_local)
        k.route = SPAN("local");
    else if (r->upstream != NULL)
        k.route = span_of(r->upstream->own->name);
    return k;
}

static void add_tokens(const struct request *r, struct ledger_sums *s)
{
    const struct charge *c = &r->charge;
    const struct config_price *p = c->price;
    uint64_t tokens = c->prompt_tokens + c->completion_tokens;

    s->prompt_tokens = c->prompt_tokens;
    s->cached_tokens = c->cached_tokens;
    s->completion_tokens = c->completion_tokens;
    if (p != NULL) {
        s->usd = charge_usd(c);
        s->wh = p->request_wh + p->mtok_wh * (double)tokens / 1e6;
    } else if (!r->to_local) {
        s->unpriced_tokens = tokens;
    }
}

static void write_line(struct request *r, struct ledger_sums *s)
{
    struct ledger_key k;

    /* An error of ours, or a list of models: no model was at work. */
    if ((r->source == SOURCE_NONE || (r->protocol == NULL && r->source != SOURCE_UPSTREAM)) &&
        r->charge.cpu_us == 0)
        return;
    k = key_of(r);
    s->cpu_s = (double)r->charge.cpu_us / 1e6;
    if (r->charge.state == CHARGE_KNOWN)
        add_tokens(r, s);
    else if (r->charge.state == CHARGE_UNKNOWN && r->source == SOURCE_UPSTREAM)
        s->unmetered = 1;
    ledger_add(r->proxy->parts.ledger, &k, s);
}

void charge_delivered(struct request *r, uint64_t took_us)
{
    struct ledger_sums s = {.requests = 1};

    if (r->entry != NULL)
        s.saved_s = ((double)r->entry->took_us - (double)took_us) / 1e6;
    write_line(r, &s);
}

void charge_broken(struct request *r)
{
    struct ledger_sums s = {.requests = 0};

    /* Others still get what it asked for; the end says what that cost. */
    if (follow_wanted(r)) {
        r->follow.kept = true;
        return;
    }
    /* Nobody got what it would have saved; what an upstream was asked for is paid, also where
     * it has not begun to answer. */
    if (r->place != NULL && r->entry == NULL)
        r->source = SOURCE_UPSTREAM;
    else
        charge_nothing(r);
    if (r->place != NULL || r->charge.cpu_us > 0)
        write_line(r, &s);
}

void charge_background(struct request *r)
{
    struct ledger_sums s = {.requests = 0};

    write_line(r, &s);
}
