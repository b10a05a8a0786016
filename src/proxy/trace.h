/* The trace of a request (W3C Trace Context): who began it, and what each step took. It becomes
 * spans of OpenTelemetry when the answer is out (trace_spans.h); no prompt, answer, credential
 * or address of a client is in them. Loop thread only. */
#ifndef PROXY_TRACE_H
#define PROXY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "proxy/account.h"

struct request;

#define TRACE_ID_BYTES 16
#define SPAN_ID_BYTES  8
/* "00-", 32 digits, '-', 16 digits, "-01" */
#define TRACE_PARENT_BYTES 55

struct trace_context {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    bool sampled;
};

/* Of a request that is traced; in its arena. */
struct trace {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t parent_id[SPAN_ID_BYTES];
    bool has_parent;
    uint8_t span_id[SPAN_ID_BYTES];  /* of the request here */
    uint8_t model_id[SPAN_ID_BYTES]; /* of the question to a model: the upstream's parent */
    struct {
        uint64_t start_us, took_us; /* start 0: it was not entered */
    } steps[ACCOUNT_STEPS];
};

/* Numbers nobody can tell beforehand, for ids; of the proxy. */
struct trace_ids {
    uint64_t state[2];
};

bool trace_ids_init(struct trace_ids *ids);
void trace_id_make(struct trace_ids *ids, uint8_t *out, size_t n);

/* false: the header is none of version 00 to fe, or an id is zero; it is then as if absent. */
bool trace_context_read(struct span header, struct trace_context *out);
/* The header for the upstream, of TRACE_PARENT_BYTES and a NUL. */
void trace_context_write(const struct trace *t, char out[TRACE_PARENT_BYTES + 1]);

/* Is this request traced? By its parent's word, else by chance (telemetry.sample). */
void trace_begin(struct request *r);
/* A step took that long. */
void trace_step(struct trace *t, size_t step, uint64_t start_us, uint64_t took_us);
/* Its end: the spans go into the queue. `whole`: the answer was delivered. */
void trace_end(struct request *r, bool whole);

#endif
