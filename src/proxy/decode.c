#include "config/config.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"

/* Body -> what is asked. A body that is too large to decode is relayed, like a path
 * that we do not know. */
enum step_result decode_enter(struct request *r)
{
    struct protocol_error err = {{0}, {0}};
    struct protocol_request in;
    enum status st;

    if (r->protocol == NULL)
        return STEP_NEXT;
    if (r->oversize) {
        r->protocol = NULL;
        return STEP_NEXT;
    }
    in = (struct protocol_request){r->head->path, r->head->query, buf_span(&r->body),
                                   (unsigned)r->setup->config->limits.json_depth_max};
    st = r->protocol->decode(&r->arena, &in, &r->chat, &err);
    if (st == ST_OK)
        return STEP_NEXT;
    if (st == ST_NOMEM) {
        /* Our shortage, not the client's mistake: the upstream may still answer. */
        r->protocol = NULL;
        return STEP_NEXT;
    }
    respond_error(r, 400, "invalid_request_error", "", err.param, err.message);
    return STEP_DONE;
}
