/* GET /v1/models: the upstreams' lists in one, with their aliases and the built-in models;
 * GET /v1/models/NAME of what only we know. */
#ifndef PROXY_MODELS_H
#define PROXY_MODELS_H

#include <stdbool.h>

struct request;

/* true: the request is one of these and its answer is on its way. */
bool models_serve(struct request *r);

#endif
