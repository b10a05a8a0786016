#include "proxy/tap.h"

#include <string.h>

#include "config/config.h"
#include "http/content_decoder.h"
#include "http/head.h"
#include "protocol/answer.h"
#include "protocol/collector.h"
#include "protocol/protocol.h"
#include "proxy/gather.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/trial.h"

struct span tap_media_type(const struct http_head *h)
{
    struct span v = http_head_get(h, SPAN("content-type"));
    const char *semicolon = v.len > 0 ? memchr(v.ptr, ';', v.len) : NULL;

    if (semicolon != NULL)
        v.len = (size_t)(semicolon - v.ptr);
    while (v.len > 0 && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t'))
        v.len--;
    return v;
}

bool tap_is_coded(const struct http_head *h)
{
    struct span v = http_head_get(h, SPAN("content-encoding"));

    return v.ptr != NULL && !http_name_eq(v, SPAN("identity"));
}

void tap_release(struct request *r)
{
    if (r->collector != NULL)
        collector_close(r->collector);
    if (r->decoder != NULL)
        content_decoder_close(r->decoder);
    r->collector = NULL;
    r->decoder = NULL;
    r->recording = false;
}

static void give_up(struct request *r, const char *why)
{
    tap_release(r);
    record_nothing(r, why);
}

static enum status on_plain(void *owner, struct span data)
{
    struct request *r = owner;

    if (r->collector != NULL) {
        collector_feed(r->collector, data);
        return ST_OK;
    }
    return buf_append(&r->recorded, data);
}

/* Several fields of that name are several codings, which we do not undo. */
static enum status open_decoder(struct request *r, const struct http_head *h)
{
    if (!tap_is_coded(h))
        return ST_OK;
    if (http_head_count(h, SPAN("content-encoding")) != 1)
        return ST_NOTFOUND;
    return content_decoder_open(http_head_get(h, SPAN("content-encoding")), on_plain, r,
                                &r->decoder);
}

void tap_start(struct request *r, const struct http_head *h)
{
    struct span type = tap_media_type(h);

    if (r->protocol == NULL)
        return;
    if (h->status != 200) {
        record_nothing(r, "status");
        return;
    }
    if (r->protocol->fold != NULL && http_name_eq(type, protocol_stream_type(r->protocol))) {
        if (collector_open(r->protocol, r->setup->config->cache.answer_max_bytes,
                           &r->collector) != ST_OK) {
            record_nothing(r, "no_memory");
            return;
        }
    } else if (http_name_eq(type, SPAN("application/json"))) {
        buf_clear(&r->recorded);
        r->recording = true;
    } else {
        record_nothing(r, "content_type");
        return;
    }
    if (open_decoder(r, h) != ST_OK)
        give_up(r, "content_encoding");
}

void tap_feed(struct request *r, struct span data)
{
    enum status st;

    if (r->collector == NULL && !r->recording)
        return;
    st = r->decoder != NULL ? content_decoder_feed(r->decoder, data) : on_plain(r, data);
    if (st == ST_INVALID)
        give_up(r, "content_encoding");
    else if (st != ST_OK)
        give_up(r, answer_verdict_name(ANSWER_TOO_LARGE));
}

void tap_end(struct request *r)
{
    struct answer a;
    enum status st;

    if (r->collector == NULL && !r->recording)
        return;
    if (r->decoder != NULL && !content_decoder_ended(r->decoder)) {
        give_up(r, "content_encoding");
        return;
    }
    if (r->may_store)
        cache_expect(r->proxy->parts.cache, &r->key); /* while the answer is read */
    if (r->collector != NULL)
        st = collector_finish(r->collector, true, &r->arena, &a);
    else
        st = answer_read(r->protocol, &r->arena, buf_span(&r->recorded), &a);
    if (st != ST_OK) {
        record_nothing(r, "no_memory");
        return;
    }
    charge_answer(r, &a);
    a.usage_withheld = r->chat.stream && !r->chat.include_usage && !a.has_usage;
    trial_compare(r, &a);
    gather_record(r, &a);
    record_answer(r, &a);
}
