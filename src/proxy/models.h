/* GET /v1/models: the upstream's list with the built-in model added. */
#ifndef PROXY_MODELS_H
#define PROXY_MODELS_H

#include <stdbool.h>

struct request;

/* true: the request is one of these and its answer is on its way. */
bool models_serve(struct request *r);

#endif
