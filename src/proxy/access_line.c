#include "proxy/access_line.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/day.h"
#include "base/digest.h"
#include "base/json_writer.h"
#include "config/access_fields.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/trace.h"
#include "proxy/upstream.h"

/* Of a path or a model's name: a line is written in one piece (access_log.c). */
#define TEXT_MAX 256

static const char *const names[] = {
#define X(name, text) [ACCESS_##name] = text,
    ACCESS_FIELD_MAP(X)
#undef X
};

static void put_text(struct json_writer *w, const char *name, struct span s)
{
    if (s.len > TEXT_MAX)
        s.len = TEXT_MAX;
    if (s.len > 0)
        json_writer_text(w, name, s);
}

/* RFC 3339. */
static void put_time(struct json_writer *w, const char *name)
{
    uint64_t ms = clock_wall_ms(), of_day = ms % DAY_MS;
    char day[DAY_TEXT_BYTES], text[DAY_TEXT_BYTES + 20];

    day_write((uint32_t)(ms / DAY_MS), day);
    snprintf(text, sizeof(text), "%sT%02u:%02u:%02u.%03uZ", day, (unsigned)(of_day / 3600000),
             (unsigned)(of_day / 60000 % 60), (unsigned)(of_day / 1000 % 60),
             (unsigned)(of_day % 1000));
    json_writer_text(w, name, span_of(text));
}

static void put_hex(struct json_writer *w, const char *name, const uint8_t *bytes, size_t n)
{
    char hex[2 * TRACE_ID_BYTES + 1];

    digest_hex(bytes, n, hex);
    json_writer_text(w, name, span_of(hex));
}

static void put_tokens(struct json_writer *w, const struct request *r, const char *name,
                       uint64_t n)
{
    if (r->charge.state == CHARGE_KNOWN)
        json_writer_u64(w, name, n);
}

struct line {
    const struct request *r;
    uint64_t took_us;
    bool whole;
};

/* What is not known is left out. */
static void put(struct json_writer *w, const struct line *l, enum access_field field)
{
    const struct request *r = l->r;
    const char *name = names[field];
    struct span model = r->charge.model.len > 0 ? r->charge.model : r->chat.model;

    switch (field) {
    case ACCESS_TIME:
        put_time(w, name);
        break;
    case ACCESS_METHOD:
        put_text(w, name, r->head->method);
        break;
    case ACCESS_PATH: /* of others we do not know what they tell about whom */
        if (r->protocol != NULL)
            put_text(w, name, r->head->path);
        break;
    case ACCESS_STATUS:
        json_writer_u64(w, name, http_stream_status(r->stream));
        break;
    case ACCESS_SOURCE:
        json_writer_text(w, name, span_of(source_name(r->source)));
        break;
    case ACCESS_DIALECT:
        if (r->protocol != NULL)
            json_writer_text(w, name, span_of(r->protocol->name));
        break;
    case ACCESS_MODEL:
        put_text(w, name, model);
        break;
    case ACCESS_UPSTREAM:
        if (r->place != NULL)
            json_writer_text(w, name, span_of(r->place->upstream->own->name));
        break;
    case ACCESS_DURATION_MS:
        json_writer_real(w, name, (double)l->took_us / 1e3);
        break;
    case ACCESS_PROMPT_TOKENS:
        put_tokens(w, r, name, r->charge.prompt_tokens);
        break;
    case ACCESS_COMPLETION_TOKENS:
        put_tokens(w, r, name, r->charge.completion_tokens);
        break;
    case ACCESS_USD:
        if (r->charge.state == CHARGE_KNOWN && r->charge.price != NULL)
            json_writer_real(w, name, charge_usd(&r->charge));
        break;
    case ACCESS_MISS_REASON:
        if (r->miss_reason != NULL)
            json_writer_text(w, name, span_of(r->miss_reason));
        break;
    case ACCESS_WHOLE:
        json_writer_bool(w, name, l->whole);
        break;
    case ACCESS_TENANT: /* as the ledger has it */
        put_hex(w, name, r->scope.bytes, 8);
        break;
    case ACCESS_PEER:
        put_text(w, name, span_of(http_stream_peer(r->stream)));
        break;
    case ACCESS_TRACE_ID:
        if (r->trace != NULL)
            put_hex(w, name, r->trace->trace_id, TRACE_ID_BYTES);
        break;
    case ACCESS_FIELDS:
        break;
    }
}

enum status access_line_write(const struct request *r, uint64_t took_us, bool whole,
                              struct buf *out)
{
    const struct line l = {r, took_us, whole};
    struct json_writer w = {out, ST_OK, false};
    struct span list = span_of(r->setup->config->access_log.fields), word;

    json_writer_open(&w, NULL, '{');
    while ((word = config_word(&list)).len > 0) {
        for (unsigned i = 0; i < ACCESS_FIELDS; i++) {
            if (span_eq(word, span_of(names[i])))
                put(&w, &l, (enum access_field)i);
        }
    }
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}
