#include "config/config.h"
#include "proxy/ladder.h"
#include "proxy/local_models.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"

/* There is no upstream: the largest model that can have it takes its place. */
static void climb(struct request *r)
{
    const struct local_models *m = r->proxy->parts.local;
    const struct ladder *l = routing_ladder(r->setup->routing);
    const char *fact;

    for (size_t i = r->rung; i < l->count;
         i = ladder_next(l, &r->chat, (struct ladder_limits){r->absent, r->late}, i + 1, &fact))
        r->rung = i;
    r->voice = local_models_voice(m, l->rungs[r->rung].model);
    r->routed.tier = ROUTING_LOCAL;
}

/* Left open in admit: the question is judged, by its vector where there is one. */
static void judge(struct request *r)
{
    const struct embed_job *e = &r->embed;
    bool has_vector = r->embed_done && e->status == ST_OK;
    struct classifier_verdict v;

    r->routed.tier =
        routing_judge(r->setup->routing, has_vector ? e->vector : NULL, r->chat.last_text, &v);
    r->judged = true;
    r->enough = v.enough;
    if (r->routed.tier == ROUTING_UPSTREAM && r->upstream == NULL)
        climb(r);
    r->to_local = r->routed.tier == ROUTING_LOCAL;
}

/* Nothing stored answers. Who does is part of the request's identity and was settled in admit,
 * or left open there between two whose answers are stored as one's. Else here only what forbids
 * a fresh answer, and what nobody is there to answer. */
enum step_result route_enter(struct request *r)
{
    if (r->controls.only_if_cached) {
        /* RFC 9111 5.2.1.7 */
        respond_error(r, 504, "invalid_request_error", "not_cached", "",
                      "no stored answer, and x-ibid-cache says only-if-cached");
        return STEP_DONE;
    }
    if (r->protocol == NULL && r->upstream == NULL) {
        if (r->oversize)
            respond_error(r, 413, "invalid_request_error", "request_too_large", "",
                          "the body is larger than limits.body_max_bytes and there is no "
                          "upstream to relay it to");
        else if (r->setup->upstreams != NULL)
            respond_error(r, 404, "invalid_request_error", "unknown_path", "",
                          "none of the upstreams takes this path, or not without knowing the "
                          "model; see upstreams");
        else
            respond_error(r, 404, "invalid_request_error", "unknown_path", "",
                          "this path is relayed to the upstream, and none is configured; set "
                          "upstream.url");
        return STEP_DONE;
    }
    if (r->routed.tier == ROUTING_OPEN)
        judge(r);
    if (r->routed.tier != ROUTING_NONE)
        account_routed(&r->proxy->account, r->to_local, r->routed.reason);
    return STEP_NEXT;
}
