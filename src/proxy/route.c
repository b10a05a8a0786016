#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/steps.h"

/* Nothing stored answers. Who does was settled in admit, because it is part of the
 * request's identity; here only what forbids a fresh answer, and what nobody is
 * there to answer. */
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
        else if (r->proxy->parts.upstreams != NULL)
            respond_error(r, 404, "invalid_request_error", "unknown_path", "",
                          "none of the upstreams takes this path, or not without knowing the "
                          "model; see upstreams");
        else
            respond_error(r, 404, "invalid_request_error", "unknown_path", "",
                          "this path is relayed to the upstream, and none is configured; set "
                          "upstream.url");
        return STEP_DONE;
    }
    return STEP_NEXT;
}
