/* A traced request as spans of OTLP's JSON (opentelemetry-proto, trace/v1; ids in hexadecimal,
 * 64-bit numbers as texts): the request itself, the steps that took their time, and the
 * question to a model, named by OpenTelemetry's conventions for generative AI. Loop thread
 * only. */
#ifndef PROXY_TRACE_SPANS_H
#define PROXY_TRACE_SPANS_H

#include <stdbool.h>
#include <stdint.h>

struct otlp;
struct request;

/* Into the queue of `x`, all of them or none. `now_us`: the end of the request. */
void trace_spans_write(const struct request *r, bool whole, uint64_t now_us, struct otlp *x);

#endif
