#include "proxy/examples.h"

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/entry.h"
#include "config/config.h"
#include "engine/engine.h"
#include "protocol/answer.h"
#include "proxy/local_models.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"

/* A longer one would take the place that the question and its answer need. */
#define BYTES_MAX 1024

/* What the built-in model said itself teaches it nothing. */
static bool teaches(const struct request *r, const struct entry *e)
{
    const struct local_models *m = r->proxy->parts.local;
    bool own = false;

    for (size_t v = 0; v < local_models_voices(m) && !own; v++)
        own = span_eq(e->model, local_models_name(m, v));
    return !own && digest_eq(&e->partition, &r->partition) && e->question.len > 0 &&
           entry_fresh_ms(e) > clock_wall_ms();
}

static enum status take(struct request *r, const struct entry *e, struct decoder_turn pair[2],
                        bool *taken)
{
    struct answer a;
    enum status st;

    *taken = false;
    if (!teaches(r, e) || answer_unpack(e->answer, &a) != ST_OK || a.text.len == 0 ||
        e->question.len + a.text.len > BYTES_MAX)
        return ST_OK;
    pair[0].role = SPAN("user");
    pair[1].role = SPAN("assistant");
    st = arena_copy(&r->arena, e->question, &pair[0].text);
    if (st == ST_OK)
        st = arena_copy(&r->arena, a.text, &pair[1].text);
    *taken = st == ST_OK;
    return st;
}

static void put_last_first(struct decoder_turn *turns, size_t pairs)
{
    for (size_t i = 0; i < pairs / 2; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct decoder_turn *a = &turns[2 * i + k], *b = &turns[2 * (pairs - 1 - i) + k];
            struct decoder_turn t = *a;

            *a = *b;
            *b = t;
        }
    }
}

enum status examples_take(struct request *r, struct decoder_turn *turns, size_t *count)
{
    const struct decision *d = &r->embed.decision;
    uint64_t most = r->setup->config->route.examples;
    size_t pairs = 0;
    enum status st = ST_OK;

    *count = 0;
    if (!r->judged || !r->embed_done || r->embed.status != ST_OK || !r->embed.search)
        return ST_OK;
    for (size_t i = 0; st == ST_OK && i < d->near_count && pairs < most; i++) {
        struct entry *e;
        bool taken;

        if (cache_find(r->proxy->parts.cache, &d->near[i], &e) != CACHE_HIT)
            continue;
        st = take(r, e, &turns[2 * pairs], &taken);
        pairs += taken;
        entry_unref(e);
    }
    put_last_first(turns, pairs);
    *count = 2 * pairs;
    return st;
}
