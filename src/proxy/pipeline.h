/* The path of a request, in one table. */
#ifndef PROXY_PIPELINE_H
#define PROXY_PIPELINE_H

#include <stddef.h>
#include <stdint.h>

#include "http/server.h"

struct proxy;
struct request;

/* What the HTTP server tells us; the server's owner is the struct proxy. */
extern const struct http_server_events pipeline_events;

/* Names of the steps, for metrics. NULL past the end. */
const char *pipeline_step_name(size_t i);

/* Of the step that it is at, or was when it ended; none: beyond all names. */
size_t pipeline_step_index(const struct request *r);

/* The current step of `r` ended after `us`. */
void pipeline_step_took(struct request *r, uint64_t us);
/* A request was freed; the last one lets a closing proxy end. */
void pipeline_request_gone(struct proxy *p);

#endif
