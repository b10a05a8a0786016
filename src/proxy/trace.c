#include "proxy/trace.h"

#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "config/config.h"
#include "http/head.h"
#include "proxy/otlp.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/trace_spans.h"
#include "rt/loop.h"

/* --- ids ---------------------------------------------------------------------------------- */

bool trace_ids_init(struct trace_ids *ids)
{
    return digest_random((uint8_t *)ids->state, sizeof(ids->state)) == ST_OK &&
           (ids->state[0] | ids->state[1]) != 0;
}

/* xorshift128+ (Vigna, "Further scramblings of Marsaglia's xorshift generators", 2014): ids
 * must not collide; nobody is kept out by them. */
static uint64_t next(struct trace_ids *ids)
{
    uint64_t a = ids->state[0], b = ids->state[1];

    ids->state[0] = b;
    a ^= a << 23;
    ids->state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return ids->state[1] + b;
}

static bool is_zero(const uint8_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (id[i] != 0)
            return false;
    }
    return true;
}

void trace_id_make(struct trace_ids *ids, uint8_t *out, size_t n)
{
    do {
        for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
            uint64_t v = next(ids);

            memcpy(out + i, &v, n - i < sizeof(v) ? n - i : sizeof(v));
        }
    } while (is_zero(out, n));
}

/* --- traceparent: https://www.w3.org/TR/trace-context/#traceparent-header --------------------
 */

/* Lower case only, as it says there. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_bytes(const char *hex, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit_of(hex[2 * i]), low = digit_of(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

bool trace_context_read(struct span h, struct trace_context *out)
{
    uint8_t version, flags;

    if (h.len < TRACE_PARENT_BYTES || h.ptr[2] != '-' || h.ptr[35] != '-' || h.ptr[52] != '-' ||
        !read_bytes(h.ptr, &version, 1) || version == 0xff ||
        !read_bytes(h.ptr + 53, &flags, 1))
        return false;
    /* A later version may say more, behind another dash. */
    if (h.len > TRACE_PARENT_BYTES && (version == 0 || h.ptr[TRACE_PARENT_BYTES] != '-'))
        return false;
    out->sampled = (flags & 1) != 0;
    return read_bytes(h.ptr + 3, out->trace_id, TRACE_ID_BYTES) &&
           read_bytes(h.ptr + 36, out->span_id, SPAN_ID_BYTES) &&
           !is_zero(out->trace_id, TRACE_ID_BYTES) && !is_zero(out->span_id, SPAN_ID_BYTES);
}

void trace_context_write(const struct trace *t, char out[TRACE_PARENT_BYTES + 1])
{
    memcpy(out, "00-", 3);
    digest_hex(t->trace_id, TRACE_ID_BYTES, out + 3);
    out[35] = '-';
    digest_hex(t->model_id, SPAN_ID_BYTES, out + 36);
    memcpy(out + 52, "-01", 4);
}

/* --- of a request --------------------------------------------------------------------------
 */

static bool is_chosen(struct otlp *x, double share)
{
    return share >= 1 || (double)(next(otlp_ids(x)) >> 11) * 0x1p-53 < share;
}

void trace_begin(struct request *r)
{
    struct otlp *x = r->proxy->parts.otlp;
    struct trace_context parent;
    struct trace *t;
    bool has_parent;

    if (x == NULL)
        return;
    has_parent = http_head_count(r->head, SPAN("traceparent")) == 1 &&
                 trace_context_read(http_head_get(r->head, SPAN("traceparent")), &parent);
    if (has_parent ? !parent.sampled : !is_chosen(x, r->setup->config->telemetry.sample))
        return;
    t = arena_alloc(&r->arena, sizeof(*t), _Alignof(struct trace));
    if (t == NULL)
        return;
    *t = (struct trace){.has_parent = has_parent};
    if (has_parent) {
        memcpy(t->trace_id, parent.trace_id, TRACE_ID_BYTES);
        memcpy(t->parent_id, parent.span_id, SPAN_ID_BYTES);
    } else {
        trace_id_make(otlp_ids(x), t->trace_id, TRACE_ID_BYTES);
    }
    trace_id_make(otlp_ids(x), t->span_id, SPAN_ID_BYTES);
    trace_id_make(otlp_ids(x), t->model_id, SPAN_ID_BYTES);
    r->trace = t;
}

void trace_step(struct trace *t, size_t step, uint64_t start_us, uint64_t took_us)
{
    if (step >= ACCOUNT_STEPS)
        return;
    t->steps[step].start_us = start_us;
    t->steps[step].took_us = took_us;
}

void trace_end(struct request *r, bool whole)
{
    struct otlp *x = r->proxy->parts.otlp;

    if (r->trace == NULL || x == NULL)
        return;
    trace_spans_write(r, whole, loop_clock_us(r->proxy->parts.loop), x);
}
