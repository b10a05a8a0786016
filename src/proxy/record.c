#include "proxy/record.h"

#include "base/clock.h"
#include "base/json.h"
#include "cache/admission.h"
#include "cache/cache.h"
#include "cache/entry.h"
#include "config/config.h"
#include "protocol/answer.h"
#include "protocol/json_schema.h"
#include "proxy/catch_up.h"
#include "proxy/compare.h"
#include "proxy/embedder.h"
#include "proxy/judge.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/rewrite.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"
#include "rt/loop.h"

static uint32_t clamp_u32(uint64_t n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* Only where that shortens its life. */
static bool is_timely(const struct request *r)
{
    const struct config *c = r->setup->config;

    return c->cache.timely_ttl_s < c->store.ttl_s && admission_timely(r->chat.last_text);
}

static uint64_t life_ms(const struct request *r)
{
    uint64_t ttl_s = r->setup->config->store.ttl_s;

    if (r->timely)
        ttl_s = r->setup->config->cache.timely_ttl_s;
    if (r->controls.has_ttl && r->controls.ttl_s < ttl_s)
        ttl_s = r->controls.ttl_s;
    return ttl_s * 1000;
}

/* How long it is kept beyond that, in case. Not when the client says how long, or the question
 * is of the moment, and no agent ever gets a stale action or its sequel. */
static uint16_t stale_minutes(const struct request *r, const struct answer *a)
{
    const struct upstream *u = r->upstream;
    uint64_t s;
    bool acts = a->verdict == ANSWER_TOOL_CALL || r->chat.has_tool_turns;

    if (r->to_local || r->controls.has_ttl || acts || r->timely)
        return 0;
    s = u->stale_while_revalidate_s > u->stale_if_error_s ? u->stale_while_revalidate_s
                                                          : u->stale_if_error_s;
    return (uint16_t)((s + 59) / 60);
}

enum status record_entry(struct request *r, const struct digest *key, const struct answer *a,
                         struct entry **out)
{
    struct buf *packed = &r->proxy->scratch;
    struct entry e = {
        .key = *key,
        .tenant = r->scope,
        .created_ms = clock_wall_ms(),
        .took_us = loop_now_us(r->proxy->parts.loop) - r->started_us,
        .prompt_tokens = clamp_u32(a->prompt_tokens),
        .completion_tokens = clamp_u32(a->completion_tokens),
        .model = a->model,
    };
    enum status st;

    e.stale_min = stale_minutes(r, a);
    e.expires_ms = e.created_ms + life_ms(r) + (uint64_t)e.stale_min * 60000;
    if (r->may_store_semantic) {
        e.partition = r->partition;
        e.question = rewrite_question(r);
        if (r->embed_done && r->embed.status == ST_OK) {
            e.vector = r->embed.vector;
            e.dimensions = r->embed.dimensions;
        }
    }
    buf_clear(packed);
    st = answer_pack(packed, a);
    if (st != ST_OK)
        return st;
    e.answer = buf_span(packed);
    return entry_new(&e, out);
}

/* A text beyond the encoder's window will not be embedded by trying again. */
static bool needs_lesson(const struct request *r, const struct entry *e)
{
    return r->may_store_semantic && e->vector == NULL && e->question.len > 0 &&
           !(r->embed_done && (r->embed.status == ST_LIMIT || r->embed.status == ST_INVALID));
}

/* A call that the operator wants reused; one that could not be kept whole has no JSON. */
static bool is_wanted_call(const struct request *r, const struct answer *a)
{
    return a->verdict == ANSWER_TOOL_CALL && a->json.len > 0 &&
           r->setup->config->cache.tool_calls_exact;
}

static const char *no_answer(const struct request *r, const struct answer *a)
{
    return r->setup->config->judge.strict && r->chat.form != CHAT_JSON
               ? admission_no_answer(a->text, clock_wall_ms())
               : NULL;
}

/* By the rules of cache/admission.h. */
static void keep_for_the_same_only(struct request *r, const struct answer *a)
{
    const char *why = r->may_store_semantic
                          ? admission_exact_only(r->chat.last_text, a->text, clock_wall_ms())
                          : NULL;

    if (why == NULL && r->may_store_semantic && r->alone.ptr != NULL &&
        admission_leans_back(a->text))
        why = "leans_back";

    if (why == NULL)
        return;
    r->may_store_semantic = false;
    account_exact_only(&r->proxy->account, why);
}

/* JSON was asked for, and it is none, or surely not valid of the schema. Its client has it as
 * the upstream said it; the next one asks anew. */
static bool misses_form(struct request *r, const struct answer *a)
{
    struct json_error why;
    struct json *said;
    enum status st;

    if (r->chat.form != CHAT_JSON)
        return false;
    st = json_parse(&r->arena, a->text, JSON_DEPTH_MAX, &said, &why);
    if (st != ST_OK)
        return st == ST_INVALID;
    return r->chat.schema != NULL &&
           json_schema_check(r->chat.schema, said) == JSON_SCHEMA_INVALID;
}

const char *record_unfit(struct request *r, const struct answer *a)
{
    if (is_wanted_call(r, a))
        r->may_store_semantic = false; /* an action is reused for the very same request only */
    else if (a->verdict != ANSWER_STORABLE)
        return answer_verdict_name(a->verdict);
    else if (misses_form(r, a))
        return "wrong_form";
    else if (no_answer(r, a) != NULL)
        return no_answer(r, a);
    r->timely = is_timely(r);
    if (r->timely && r->setup->config->cache.timely_ttl_s == 0)
        return "timely";
    keep_for_the_same_only(r, a);
    return NULL;
}

/* Not kept, but what those who wait asked for: a model here would be cut at the same limit
 * again. */
static bool land_cut_short(struct request *r, const struct answer *a)
{
    struct entry *e;

    if (!r->to_local || a->verdict != ANSWER_TRUNCATED ||
        record_entry(r, &r->key, a, &e) != ST_OK)
        return false;
    account_unstored(&r->proxy->account, answer_verdict_name(a->verdict));
    flight_land(r, e);
    entry_unref(e);
    return true;
}

void record_answer(struct request *r, const struct answer *a)
{
    struct proxy *p = r->proxy;
    const char *why;
    struct entry *e;

    if (!r->may_store) {
        flight_land(r, NULL);
        return;
    }
    if (land_cut_short(r, a))
        return;
    why = record_unfit(r, a);
    if (why == NULL && record_entry(r, &r->key, a, &e) != ST_OK)
        why = "no_memory";
    if (why != NULL) {
        record_nothing(r, why);
        return;
    }
    if (r->may_store_semantic)
        compare_answer(r, a, e);
    cache_put(p->parts.cache, e);
    p->account.stored_total++;
    p->account.timely_total += r->timely;
    judge_stored(r, a, e);
    if (needs_lesson(r, e))
        catch_up_later(&p->catch_up, &e->key);
    flight_land(r, e);
    entry_unref(e);
}

void record_nothing(struct request *r, const char *reason)
{
    if (r->may_store)
        account_unstored(&r->proxy->account, reason);
    flight_land(r, NULL);
}
