#include "proxy/unveil.h"

#include <stdlib.h>

#include "config/config.h"
#include "http/content_decoder.h"
#include "http/head.h"
#include "privacy/restorer.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/tap.h"

struct unveil {
    struct restorer *restorer;
    struct content_decoder *decoder; /* NULL: it is not coded */
    struct buf out;
};

void unveil_release(struct request *r)
{
    struct unveil *u = r->unveil;

    if (u == NULL)
        return;
    r->unveil = NULL;
    r->proxy->screen.restored_total += u->restorer != NULL ? restorer_count(u->restorer) : 0;
    restorer_close(u->restorer);
    if (u->decoder != NULL)
        content_decoder_close(u->decoder);
    buf_release(&u->out);
    free(u);
}

static enum status on_plain(void *owner, struct span data)
{
    struct unveil *u = owner;

    return restorer_feed(u->restorer, data, &u->out);
}

static enum restorer_form form_of(const struct request *r, const struct http_head *h)
{
    enum restorer_form stream =
        r->protocol->framing == FRAMING_EVENTS ? RESTORER_EVENTS : RESTORER_LINES;

    if (h == NULL)
        return r->chat.stream ? stream : RESTORER_JSON;
    if (http_name_eq(tap_media_type(h), protocol_stream_type(r->protocol)))
        return stream;
    return http_name_eq(tap_media_type(h), SPAN("application/json")) ? RESTORER_JSON
                                                                     : RESTORER_TEXT;
}

static enum status start(struct request *r, enum restorer_form form)
{
    size_t most = r->setup->config->limits.body_max_bytes;
    struct unveil *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return ST_NOMEM;
    r->unveil = u;
    buf_init(&u->out, 16 * most);
    return restorer_open(r->vault, form, most, &u->restorer);
}

enum status unveil_start(struct request *r, const struct http_head *h)
{
    enum status st = start(r, form_of(r, h));

    /* It was asked for an uncoded one, and need not care. */
    if (st == ST_OK && h != NULL && tap_is_coded(h))
        st = http_head_count(h, SPAN("content-encoding")) == 1
                 ? content_decoder_open(http_head_get(h, SPAN("content-encoding")), on_plain,
                                        r->unveil, &r->unveil->decoder)
                 : ST_NOTFOUND;
    return st;
}

enum status unveil_feed(struct request *r, struct span data, struct span *out)
{
    struct unveil *u = r->unveil;
    enum status st;

    buf_clear(&u->out);
    st = u->decoder != NULL ? content_decoder_feed(u->decoder, data) : on_plain(u, data);
    *out = buf_span(&u->out);
    return st;
}

enum status unveil_finish(struct request *r, bool whole, struct span *out)
{
    struct unveil *u = r->unveil;
    enum status st;

    buf_clear(&u->out);
    if (whole && u->decoder != NULL && !content_decoder_ended(u->decoder))
        return ST_INVALID;
    st = restorer_finish(u->restorer, whole, &u->out);
    *out = buf_span(&u->out);
    return st;
}

enum status unveil_whole(struct request *r, struct span json, struct span *out)
{
    struct span none;
    enum status st = start(r, RESTORER_JSON);

    if (st == ST_OK)
        st = unveil_feed(r, json, &none);
    return st == ST_OK ? unveil_finish(r, true, out) : st;
}

void unveil_fields(struct respond_fields *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->count; i++) {
        struct span name = f->list[i].name;

        if (!http_name_eq(name, SPAN("content-encoding")) &&
            !http_name_eq(name, SPAN("etag")) && !http_name_eq(name, SPAN("content-digest")) &&
            !http_name_eq(name, SPAN("digest")))
            f->list[n++] = f->list[i];
    }
    f->count = n;
}
